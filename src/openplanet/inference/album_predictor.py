"""From a folder of photos to its journey: every photo placed by the photos around it.

    AlbumPredictor.load("model").locate("holiday", anchors=True)

Shapes: T photos of the album, C cells.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from openplanet.errors import InputError, PhotoError
from openplanet.inference.between import CLOSE_KM, interpolate
from openplanet.inference.clock_offset import ClockOffset, estimate
from openplanet.inference.embedding import embed_album
from openplanet.inference.located_album import AlbumPhoto, LocatedAlbum
from openplanet.inference.prediction import Prediction
from openplanet.inference.predictor import Predictor
from openplanet.models import hub
from openplanet.models.album.base import AlbumModel, Albums
from openplanet.models.album.checkpoint import AlbumCheckpoint, is_album_checkpoint
from openplanet.models.album.embedded import batch, temperature_of
from openplanet.models.album.travel import Travel
from openplanet.models.device import best_device
from openplanet.photos import sources
from openplanet.photos.albums import album_orders
from openplanet.photos.images import SUFFIXES
from openplanet.photos.reading import Reading, Task, read_facts

Floats = NDArray[np.float64]
Clock = float | Literal["auto"] | None


@dataclass(frozen=True)
class _Photo:
    """A photo and what it says of itself; ``seconds`` NaN where it has no time."""

    path: Path
    facts: Reading | None
    error: str | None

    @property
    def seconds(self) -> float:
        taken_at = None if self.facts is None else self.facts.taken_at
        return float("nan") if taken_at is None else taken_at.replace(tzinfo=UTC).timestamp()

    @property
    def camera(self) -> str:
        facts = self.facts
        return " ".join(part for part in (facts.make, facts.model, facts.serial) if part) if facts else ""

    @property
    def known(self) -> tuple[float, float] | None:
        facts = self.facts
        return None if facts is None or facts.lat is None or facts.lng is None else (facts.lat, facts.lng)


class AlbumPredictor:
    """Locates albums. An image checkpoint alone does it by ``travel``, an album checkpoint by its own model."""

    def __init__(self, predictor: Predictor, model: AlbumModel, variant: str) -> None:
        self.predictor, self.model, self.variant = predictor, model, variant

    @classmethod
    def load(cls, path: Path | str, device: str | None = None) -> "AlbumPredictor":
        """Load a folder that ``openplanet train`` or ``train-albums`` wrote; ``device`` defaults to a GPU if any.

        Of an image checkpoint the model is ``travel``, with people moving as they usually do (``Movement.usual``).
        Raises CheckpointError, naming the folder, where it is missing, incomplete or damaged.
        """
        device = device or best_device().type
        folder = hub.resolve(path)
        if is_album_checkpoint(folder):
            trained = AlbumCheckpoint.load(folder, device)
            return cls(Predictor(trained.image, device), trained.model, trained.config.variant)
        predictor = Predictor.load(folder, device)
        return cls(predictor, Travel.over(predictor.partition), "travel")

    def locate(
        self, photos: Path | str | Sequence[Path | str], anchors: bool = False, clock_offset: Clock = None
    ) -> LocatedAlbum:
        """Locate a folder's photos, or the photos of a list, as one album in order of capture.

        Time is Exif's, or a sidecar's; photos without one come last, by file name. ``anchors``: positions that photos
        already have are kept, and place the others: between anchors that are close by the way between them, elsewhere
        by the model. ``clock_offset``: seconds to add to the times of all cameras but the main one (most positions,
        else most photos), or "auto": estimated, and applied where it is clear. Photos that cannot be read are in the
        answer with the reason. Raises InputError where none is found or read.
        """
        read = _read([photos] if isinstance(photos, Path | str) else photos)
        main = _main_camera(read)
        seconds_T = np.array([photo.seconds for photo in read])
        offsets: dict[str, ClockOffset] = {}
        others = sorted({photo.camera for photo in read} - {main}) if clock_offset is not None else []
        for camera in others:
            second_T = np.array([photo.camera == camera for photo in read])
            if clock_offset == "auto":
                offsets[camera] = self._offset(read, seconds_T, second_T | (np.array([p.camera for p in read]) == main),
                                               second_T, anchors)  # fmt: skip
                seconds_T = seconds_T + second_T * (offsets[camera].seconds if offsets[camera].clear else 0.0)
            else:
                seconds_T = seconds_T + second_T * float(clock_offset or 0.0)
        order = _order(read, seconds_T)
        read, seconds_T = [read[place] for place in order], seconds_T[order]
        return LocatedAlbum(tuple(self._place(read, seconds_T, anchors)), self.variant, offsets, main)

    def _place(self, read: list[_Photo], seconds_T: Floats, anchors: bool) -> list[AlbumPhoto]:
        one, places, near_T2 = self._embedded(read, seconds_T, anchors)
        with torch.inference_mode():
            together_TC = self.model(one)[0].float().cpu().numpy()
        row_of = {place: row for row, place in enumerate(places)}
        found = []
        for place, photo in enumerate(read):
            row, given = row_of.get(place), photo.known if anchors else None
            anchored = row is not None and int(one.anchor_BT[0, row]) >= 0
            near = None if row is None or given else _place(near_T2[row])
            error = photo.error or (None if row is not None else "its picture cannot be read")
            found.append(
                AlbumPhoto(
                    path=photo.path,
                    taken_at=_time(seconds_T[place]),
                    camera=photo.camera,
                    given=given,
                    between=near,
                    prediction=None if row is None or anchored else self._prediction(together_TC[row]),
                    alone=None if row is None else self._prediction(one.log_probs_BTC[0, row].cpu().numpy()),
                    error=error,
                )
            )
        return found

    def _embedded(self, read: list[_Photo], seconds_T: Floats, anchors: bool) -> tuple[Albums, list[int], Floats]:
        """The album as models take it; the places in ``read`` of its photos (those whose pixels can be read); and where
        these lie between anchors that are close, lat and lng [T, 2], or NaN."""
        lat_T, lng_T = (np.array([np.nan if p.known is None else p.known[axis] for p in read]) for axis in (0, 1))
        album, lost = embed_album(self.predictor, [p.path for p in read], "album", lat_T, lng_T, seconds_T)
        mask = album.located if anchors else np.zeros(len(album), dtype=bool)
        image = self.predictor.checkpoint
        one = batch([album], image.model, image.partition, [mask], temperature_of(image))
        # those without a time come last: that order says nothing of how they lie among those that have one
        timed_T = np.isfinite(album.seconds_T)
        by_time, by_order = (interpolate(album, mask & alike_T, CLOSE_KM) for alike_T in (timed_T, ~timed_T))
        near_T2 = np.where(timed_T[:, None], np.stack(by_time, axis=1), np.stack(by_order, axis=1))
        return one, [n for n in range(len(read)) if n not in lost], near_T2

    def _offset(
        self,
        read: list[_Photo],
        seconds_T: Floats,
        both_T: NDArray[np.bool_],
        second_T: NDArray[np.bool_],
        anchors: bool,
    ) -> ClockOffset:
        chosen = np.flatnonzero(both_T)
        one, places, _ = self._embedded([read[n] for n in chosen], seconds_T[chosen], anchors)
        model = self.model if isinstance(self.model, Travel) else Travel.over(self.predictor.partition)
        at = chosen[places]
        return estimate(model, one.log_probs_BTC[0].cpu(), seconds_T[at], one.anchor_BT[0].cpu(), second_T[at])

    def _prediction(self, log_probs_C: NDArray[np.float32]) -> Prediction:
        return Prediction(self.predictor.partition, log_probs_C)


def _read(paths: Sequence[Path | str]) -> list[_Photo]:
    candidates = sources.find([Path(path) for path in paths]).candidates
    if not candidates:
        where = ", ".join(sources.printable(path) for path in paths)
        raise InputError(
            f"{where}: no photo found there; files that end in {' '.join(sorted(SUFFIXES))} are looked for"
        )
    found = []
    for candidate in candidates:
        task = Task(b"", str(candidate.path), span=candidate.span, beside=candidate.beside, told=candidate.told)
        try:
            found.append(_Photo(candidate.path, read_facts(task), None))
        except (PhotoError, OSError) as error:
            found.append(_Photo(candidate.path, None, str(error)))
    return found


def _main_camera(read: list[_Photo]) -> str:
    located = Counter(photo.camera for photo in read if photo.known is not None)
    return max(Counter(photo.camera for photo in read).items(), key=lambda item: (located[item[0]], item[1]))[0]


def _order(read: list[_Photo], seconds_T: Floats) -> NDArray[np.int64]:
    """Places of the photos in order of capture, by the rule of ingest."""
    micro_T = [None if np.isnan(seconds) else round(seconds * 1e6) for seconds in seconds_T]
    orders = album_orders(
        pa.chunked_array([pa.array(["album"] * len(read))]),
        pa.chunked_array([pa.array([sources.printable(photo.path) for photo in read])]),
        pa.chunked_array([pa.array(micro_T, pa.timestamp("us"))]),
        pa.chunked_array([pa.array([None] * len(read), pa.int64())]),
    )
    return np.argsort(orders).astype(np.int64)


def _place(lat_lng: Floats) -> tuple[float, float] | None:
    return None if np.isnan(lat_lng).any() else (float(lat_lng[0]), float(lat_lng[1]))


def _time(seconds: float) -> datetime | None:
    return None if np.isnan(seconds) else datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
