"""Reading one photo: what it and the files beside it say, and its picture, small. Runs in a worker."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from openplanet.errors import PhotoError
from openplanet.photos.files import exif, flags, images, moment
from openplanet.photos.files.exif import Metadata
from openplanet.photos.files.opening import open_file
from openplanet.photos.ingest import duplicates
from openplanet.photos.sources.beside import entries_of, hint
from openplanet.photos.sources.entry import Entry
from openplanet.photos.sources.folder import Folder
from openplanet.photos.sources.source import Beside, Source, Span

SAME_SECONDS = 1.0  # by which two writings of one time differ at most: one has no fraction
ESTIMATED = "estimated position"
ESTIMATE_DEGREES = 1e-5  # within which a position is the estimate: a metre, as files round degrees
NO_POSITION = "neither in its Exif nor beside it nor in a table"
FOLDER = Folder()


@dataclass(frozen=True, slots=True)
class Task:
    """One photo to read: ``path`` and ``span`` say where, for ``source``.

    ``needs_gps``: without a position it is rejected before its pixels are decoded. ``twins``: photo_ids of
    known photos of the same size; if it is one of them its pixels are not decoded again.
    """

    key: bytes
    path: str
    needs_gps: bool = False
    span: Span | None = None
    beside: tuple[Beside, ...] = ()
    told: Entry | None = None
    twins: frozenset[str] = frozenset()
    source: Source = FOLDER

    def opened(self) -> Path | bytes:
        """The encoded photo, or the file that holds it. Raises PhotoError or OSError."""
        return self.source.read(Path(self.path), self.span)


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading one photo gave, but for its picture. Degrees; None where not known.

    ``reason``: None, or why it is of no use; ``unlocated``: for want of a position alone. ``known``: the
    bytes are those of a photo that an earlier run has read, whose picture and what was seen in it still hold.
    """

    key: bytes
    reason: str | None = None
    detail: str | None = None
    unlocated: bool = False
    known: bool = False
    photo_id: str | None = None
    size: int = 0  # bytes of the file
    lat: float | None = None
    lng: float | None = None
    position_from: str | None = None
    exif_lat: float | None = None
    exif_lng: float | None = None
    taken_at: datetime | None = None
    taken_at_is_utc: bool = False
    utc_offset_minutes: int | None = None
    utc_offset_from: str | None = None  # "written" beside the time, or by "gps"
    make: str | None = None
    model: str | None = None
    serial: str | None = None
    album: str | None = None
    owner: str | None = None
    licence: str | None = None
    attribution: str | None = None
    width: int = 0
    height: int = 0
    dhash: int = 0
    flag: str | None = None
    flag_reason: str | None = None
    thumbnail: bytes | None = None


_TYPES = {
    "key": pa.binary(16),
    "unlocated": pa.bool_(),
    "known": pa.bool_(),
    "size": pa.int64(),
    "taken_at": pa.timestamp("us"),
    "taken_at_is_utc": pa.bool_(),
    "utc_offset_minutes": pa.int32(),
    "width": pa.int32(),
    "height": pa.int32(),
    "dhash": pa.uint64(),
    "thumbnail": pa.binary(duplicates.SIDE**2),
}
_TYPES |= dict.fromkeys(("lat", "lng", "exif_lat", "exif_lng"), pa.float64())
SCHEMA = pa.schema([(field.name, _TYPES.get(field.name, pa.string())) for field in fields(Reading)])
"""Columns of readings on disk."""
SEEN = ("width", "height", "dhash", "flag", "flag_reason", "thumbnail")
"""What comes from the pixels: the same wherever the same bytes lie."""


def read_photo(task: Task, side: int) -> tuple[Reading, bytes | None]:
    """Read one photo: what it says of itself, and its picture as a JPEG of short side at most ``side``.

    Never raises; whatever goes wrong is the reading's reason. Position and time are the first of: its
    Exif, the files beside it or its source's columns in their order, and XMP inside the file.
    """
    try:
        return _read(task, side)
    except PhotoError as error:
        # the photo is named beside it, from its source on: no folder of the machine stands in a dataset
        return Reading(task.key, error.reason, str(error).replace(f"{Path(task.path).parent}/", "")), None
    except OSError as error:
        return Reading(task.key, "unreadable", error.strerror or str(error)), None
    except MemoryError:
        return Reading(task.key, "out of memory", "too little memory to decode it"), None
    except Exception as error:  # one odd file must not cost the others their ingest
        return Reading(task.key, "unexpected error", repr(error)), None


def read_facts(task: Task) -> Reading:
    """Position, time and camera of a photo, from where ``read_photo`` takes them; the pixels are not decoded.

    Raises PhotoError where the file cannot be read or is no photo.
    """
    metadata = exif.read(task.opened())
    return facts_of(metadata, entries_of(Path(task.path).name, metadata, task.beside, task.told), task.key)


def facts_of(metadata: Metadata, told: list[tuple[str, Entry]], key: bytes = b"") -> Reading:
    """Position, time and camera of a photo by its metadata and by what others have ``told`` of it."""
    lat, lng, position_from = _position(metadata, told)
    return Reading(
        key, lat=lat, lng=lng, position_from=position_from, **_time(metadata, told),
        make=metadata.make, model=metadata.model, serial=metadata.serial,
    )  # fmt: skip


def _read(task: Task, side: int) -> tuple[Reading, bytes | None]:
    source = task.opened()
    metadata = exif.read(source)
    told = entries_of(Path(task.path).name, metadata, task.beside, task.told)
    lat, lng, position_from = _position(metadata, told)
    if task.needs_gps and lat is None:
        refused = next((entry for _, entry in told if entry.problem), None)
        if any(entry.estimate for _, entry in told):
            refused = Entry(
                problem=ESTIMATED, detail="openplanet geotag wrote its position: a guess is no training data"
            )
        detail = NO_POSITION + hint(task.beside)
        why = (metadata.position, detail) if refused is None else (refused.problem, refused.detail)
        return Reading(task.key, *why, unlocated=True), None
    data = source if isinstance(source, bytes) else _bytes(source)
    photo_id = hashlib.sha256(data).hexdigest()
    common: dict[str, Any] = {
        "photo_id": photo_id, "size": len(data),
        "lat": lat, "lng": lng, "position_from": position_from,
        **dict(zip(("exif_lat", "exif_lng"), (lat, lng) if position_from == "exif" else (None, None), strict=True)),
        **_time(metadata, told),
        "make": metadata.make, "model": metadata.model, "serial": metadata.serial,
        "width": metadata.width, "height": metadata.height,
    } | {
        name: next((value for _, entry in told if (value := getattr(entry, name))), None)
        for name in ("album", "owner", "licence", "attribution")
    }  # fmt: skip
    if photo_id in task.twins:
        return Reading(task.key, known=True, **common), None
    image = images.load(data, side, metadata)
    flag, reason = flags.judge(image, metadata.width, metadata.height, metadata.from_camera)
    grey = image.convert("L")  # once for both
    seen: dict[str, Any] = {
        "dhash": images.dhash(grey),
        "thumbnail": duplicates.thumbnail(grey),
        "flag": flag,
        "flag_reason": reason,
    }
    return Reading(task.key, **common, **seen), images.encode_jpeg(image)


def _bytes(path: Path) -> bytes:
    with open_file(path) as file:
        return file.read()


def _time(metadata: Metadata, told: list[tuple[str, Entry]]) -> dict[str, Any]:
    """``taken_at`` and what is known of its clock, by the names of a Reading."""
    names = ("taken_at", "taken_at_is_utc", "utc_offset_minutes", "utc_offset_from")
    timed = [entry for _, entry in told if entry.taken_at is not None]
    if metadata.taken_at is None:
        entry = timed[0] if timed else Entry()
        known = None if entry.utc_offset_minutes is None else "written"
        return dict(zip(names, (entry.taken_at, entry.taken_at_is_utc, entry.utc_offset_minutes, known), strict=True))
    if not metadata.taken_at_is_utc and metadata.utc_offset_minutes is None:
        # The same time by the same clock, written again with its offset: Lightroom, Apple Photos.
        for entry in timed:
            time = moment.of_local(metadata.taken_at, entry.utc_offset_minutes)
            if time is None or not time.is_utc or entry.taken_at is None:
                continue
            if abs((time.taken_at - entry.taken_at).total_seconds()) <= SAME_SECONDS:
                return dict(zip(names, (time.taken_at, True, time.offset_minutes, "written"), strict=True))
    return {name: getattr(metadata, name) for name in names}


def _position(metadata: Metadata, told: list[tuple[str, Entry]]) -> tuple[float | None, float | None, str | None]:
    """The first position that there is. One that ``openplanet geotag`` wrote is none, wherever it stands: a guess must
    not train a model, nor place other photos."""
    estimates = [entry.estimate for _, entry in told if entry.estimate is not None]
    positions = [("exif", metadata.lat, metadata.lng), *((name, entry.lat, entry.lng) for name, entry in told)]
    for name, lat, lng in positions:
        if lat is not None and lng is not None and not is_estimate(lat, lng, estimates):
            return lat, lng, name
    return None, None, None


def is_estimate(lat: float, lng: float, estimates: Iterable[tuple[float, float]]) -> bool:
    """Whether the position is one of those that ``openplanet geotag`` wrote, but for rounding."""
    return any(max(abs(lat - one), abs(lng - other)) <= ESTIMATE_DEGREES for one, other in estimates)
