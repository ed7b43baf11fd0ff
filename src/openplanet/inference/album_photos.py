"""The photos of an album as files tell of them, before anything looks at them: facts, clocks, order of capture.

Shapes: T photos of the album.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from openplanet.errors import InputError, PhotoError
from openplanet.inference.between import Anchored, on_track
from openplanet.inference.finding import find_photos
from openplanet.photos.albums import clocks, zones
from openplanet.photos.albums.clocks import Aligned
from openplanet.photos.albums.orders import album_orders
from openplanet.photos.albums.tracks import Tracks
from openplanet.photos.ingest.read import SCHEMA, Reading, Task, read_facts
from openplanet.photos.ingest.serials import code
from openplanet.photos.sources.source import printable

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class AlbumPhoto:
    """A photo and what it says of itself. ``path``: its file, or what the photo is called where it is no file."""

    path: Path
    facts: Reading | None
    error: str | None
    embedding: "Tensor | None" = None  # None where its pixels cannot be read, and before they are
    flag: str = ""  # why it is no photograph of a place
    local: datetime | None = None  # time by the main camera's clock; UTC where no zone is known
    track: Anchored | None = None

    @property
    def camera(self) -> str:
        facts = self.facts
        if facts is None:
            return ""
        return " ".join(part for part in (facts.make, facts.model, code(facts.serial or "")) if part)

    @property
    def by_track(self) -> tuple[float, float] | None:
        return None if self.track is None else (self.track.lat, self.track.lng)

    @property
    def known(self) -> tuple[float, float] | None:
        facts = self.facts
        return None if facts is None or facts.lat is None or facts.lng is None else (facts.lat, facts.lng)


def read_album(paths: Sequence[Path]) -> list[AlbumPhoto]:
    """Photos, and those of folders, with what they say of themselves. Raises InputError where there is none."""
    found = []
    for candidate in find_photos(paths):
        task = Task(
            b"", str(candidate.path), False, candidate.span, candidate.beside, candidate.told, source=candidate.source
        )
        try:
            found.append(AlbumPhoto(candidate.path, read_facts(task), None))
        except (PhotoError, OSError) as error:
            found.append(AlbumPhoto(candidate.path, None, str(error)))
    return found


def anchored_by(photo: AlbumPhoto, aligned: Aligned, place: int, tracks: Tracks) -> Anchored | None:
    """Where the tracks were when the photo, number ``place`` of those aligned, was taken."""
    facts = photo.facts
    if facts is None or facts.taken_at is None:
        return None
    return on_track(tracks, facts.taken_at, facts.taken_at_is_utc, float(aligned.offset_N[place]))


def in_zone(photo: AlbumPhoto, timezone: str) -> AlbumPhoto:
    """With the offset of a time zone, where the photo tells local time and no offset.

    Raises InputError where ``timezone`` is none, whatever the photo tells.
    """
    if zones.offset_minutes(timezone, datetime(2020, 1, 1)) is None:
        raise InputError(f"{timezone!r} is no time zone: give a name such as Europe/Paris")
    facts = photo.facts
    if facts is None or facts.taken_at is None or facts.taken_at_is_utc or facts.utc_offset_minutes is not None:
        return photo
    minutes = zones.offset_minutes(timezone, facts.taken_at)
    return replace(photo, facts=replace(facts, utc_offset_minutes=minutes, utc_offset_from="told"))


def main_camera(read: list[AlbumPhoto]) -> str:
    """The camera with most positions, else with most photos."""
    located = Counter(photo.camera for photo in read if photo.known is not None)
    return max(Counter(photo.camera for photo in read).items(), key=lambda item: (located[item[0]], item[1]))[0]


def clock_table(read: list[AlbumPhoto]) -> pa.Table:
    """What ``clocks.align`` asks for."""
    facts = [photo.facts or Reading(b"") for photo in read]
    types = {field.name: field.type for field in SCHEMA}
    return pa.table({name: pa.array([getattr(fact, name) for fact in facts], types[name]) for name in clocks.COLUMNS})


def capture_order(read: list[AlbumPhoto], moment_T: NDArray[np.int64], timed_T: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Places of the photos in order of capture, by the rule of ingest."""
    orders = album_orders(
        pa.chunked_array([pa.array(["album"] * len(read))]),
        pa.chunked_array([pa.array([printable(photo.path) for photo in read])]),
        pa.chunked_array([pa.array(moment_T, pa.timestamp("us"), mask=~timed_T)]),
        pa.chunked_array([pa.array([None] * len(read), pa.int64())]),
    )
    return np.argsort(orders).astype(np.int64)


def local_time(aligned: Aligned, place: int, shift: float) -> datetime | None:
    """Local time of photo number ``place``, ``shift`` seconds later; None where it has no time."""
    if not aligned.timed_N[place]:
        return None
    return datetime(1970, 1, 1) + timedelta(microseconds=int(aligned.local_N[place]), seconds=float(shift))
