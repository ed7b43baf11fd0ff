"""From a folder of photos to its journey: every photo placed by the photos around it.

    AlbumPredictor.load("model").locate("holiday", anchors=True)

Shapes: T photos of the album, C cells.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openplanet.earth.partition.adaptive import Partition
from openplanet.inference.album_photos import (
    AlbumPhoto,
    anchored_by,
    capture_order,
    clock_table,
    in_zone,
    local_time,
    main_camera,
    read_album,
)
from openplanet.inference.between import CLOSE_KM, Anchored, by_anchors
from openplanet.inference.clock_offset import ClockOffset, estimate
from openplanet.inference.engine_predictor import EnginePredictor
from openplanet.inference.finding import no_photograph
from openplanet.inference.located import Located, LocatedAlbum, Photo
from openplanet.inference.locator import exported_for, open_predictor
from openplanet.inference.prediction import Prediction
from openplanet.inference.predictor import Predictor
from openplanet.models import hub
from openplanet.models.album.base import UNKNOWN, AlbumModel, Albums
from openplanet.models.album.checkpoint import AlbumCheckpoint
from openplanet.models.album.embedded import EmbeddedAlbum, batch
from openplanet.models.album.travel import UNSEEN, Travel
from openplanet.models.checkpoint_folder import ALBUM_IMAGE, is_album_checkpoint
from openplanet.models.device import best_device
from openplanet.models.regions import Regions
from openplanet.photos.albums import clocks
from openplanet.photos.albums.tracks import Tracks
from openplanet.stores.location import Location

Floats = NDArray[np.float64]
Clock = float | Literal["auto"] | None
UNREADABLE = "its picture cannot be read"


class AlbumPredictor:
    """Locates albums. An image checkpoint alone does it by ``travel``, an album checkpoint by its own model."""

    def __init__(
        self,
        predictor: Predictor | EnginePredictor,
        model: AlbumModel,
        variant: str,
        training: Mapping[str, Any] | None = None,
    ) -> None:
        """``training``: what the album model was trained on, as its checkpoint says; nothing for an untrained one."""
        self.predictor, self.model, self.variant = predictor, model, variant
        self.training: Mapping[str, Any] = training or {}

    @classmethod
    def load(cls, path: Location | str, device: str | None = None, engine: str | None = None) -> "AlbumPredictor":
        """Load a folder that ``openplanet train`` or ``train-albums`` wrote; ``device`` defaults to a GPU if any.

        ``engine``: what runs the image model (``locator.open_locator``). Of an image checkpoint the album model is
        ``travel``, with people moving as they usually do (``Movement.usual``).
        Raises CheckpointError, naming the folder, where it is missing, incomplete or damaged.
        """
        folder, wanted = hub.resolve(path), device
        device = device or best_device().type
        if is_album_checkpoint(folder):
            trained, inside = AlbumCheckpoint.load(folder, device), folder / ALBUM_IMAGE
            chosen = exported_for(inside, wanted, engine)
            image = EnginePredictor(inside, chosen, trained.image) if chosen else Predictor(trained.image, device)
            return cls(image, trained.model, trained.config.variant, trained.training)
        predictor = open_predictor(folder, wanted, engine)
        model = Travel.over(predictor.partition)
        model.calibration = UNSEEN
        return cls(predictor, model, "travel")

    @property
    def partition(self) -> Partition:
        """The cells that predictions are over: the image model's."""
        return self.predictor.partition

    @property
    def coarser(self) -> tuple[Partition, ...]:
        """The partitions of the image model's coarser levels, coarse to fine."""
        return self.predictor.coarser

    @property
    def provenance(self) -> dict[str, Any]:
        """Which model answers: the album model, and the image model that it sees photos by."""
        return {"album_model": self.variant, **self.predictor.provenance}

    def locate(
        self,
        photos: Path | str | Sequence[Path | str],
        anchors: bool = False,
        clock_offset: Clock = None,
        all_pictures: bool = False,
        tracks: Tracks | None = None,
        timezone: str | None = None,
    ) -> LocatedAlbum:
        """Locate a folder's photos, or the photos of a list, as one album in order of capture.

        Time is Exif's, or a sidecar's; photos without one come last, by file name. Where some clocks tell UTC and
        others local time, the zone is taken from positions (``clocks.align``; the answer says so). ``anchors``:
        positions that photos already have are kept, and place the others: between anchors that are close by the way
        between them, elsewhere by the model. ``clock_offset``: seconds to add to the times of all cameras but the main
        one (most positions, else most photos), or "auto": estimated, and applied where it is clear. Photos that cannot
        be read are in the answer with the reason. ``tracks``: they place the photos whose times they cover.
        ``timezone``: that of clocks which tell no offset (``Europe/Paris``). Screenshots, documents and blank pictures
        are no evidence and get no place, unless ``all_pictures`` asks for one. Raises InputError where none is found or
        read.
        """
        named = [photos] if isinstance(photos, Path | str) else photos
        read = read_album([Path(each) for each in named])
        if timezone is not None:
            read = [in_zone(photo, timezone) for photo in read]
        if not all_pictures:
            read = [
                photo if anchors and photo.known else replace(photo, flag=no_photograph(photo.path)) for photo in read
            ]
        return self.locate_read(read, anchors, clock_offset, tracks=tracks)

    def locate_read(
        self,
        read: list[AlbumPhoto],
        anchors: bool = False,
        clock_offset: Clock = None,
        by_model: bool = False,
        tracks: Tracks | None = None,
    ) -> LocatedAlbum:
        """As ``locate``, of photos whose facts are known already: those of ``read`` count, not what the files say.

        ``by_model``: the model, which knows the anchors, places photos close to them too.
        """
        embedded = self.predictor.embed_many([photo.path for photo in read if not photo.flag])
        read = [photo if photo.flag else replace(photo, embedding=next(embedded)) for photo in read]
        return self.locate_seen(read, anchors, clock_offset, by_model, tracks)

    def locate_seen(
        self,
        photos: Sequence[AlbumPhoto],
        anchors: bool = False,
        clock_offset: Clock = None,
        by_model: bool = False,
        tracks: Tracks | None = None,
    ) -> LocatedAlbum:
        """Locate photos that were read and embedded, in any order, as one album: what ``locate`` does of files."""
        read = list(photos)
        main = main_camera(read)
        about = clock_table(read)
        aligned = clocks.align(about, np.zeros(len(read), np.int64))
        notes = tuple(clocks.notes(aligned, about))
        seconds_T, unshifted_T = aligned.seconds(), aligned.seconds()
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
        shift_T = np.nan_to_num(seconds_T - unshifted_T)
        order = capture_order(read, aligned.moment_N + (shift_T * clocks.MICRO).astype(np.int64), aligned.timed_N)
        photos_T = [replace(read[place], local=local_time(aligned, place, shift_T[place])) for place in order]
        if tracks is not None:
            photos_T = [
                photo if photo.known and anchors else replace(photo, track=anchored_by(photo, aligned, place, tracks))
                for photo, place in zip(photos_T, order, strict=True)
            ]
        offset_from = list(zip(aligned.offsets().to_pylist(), aligned.sources().to_pylist(), strict=True))
        found = self._place(photos_T, seconds_T[order], anchors, by_model)
        found = [replace(photo, utc_offset_minutes=offset_from[place][0], utc_offset_from=offset_from[place][1])
                 for photo, place in zip(found, order, strict=True)]  # fmt: skip
        return LocatedAlbum(tuple(found), self.variant, offsets, main, notes)

    def locate_many(self, photos: Iterable[Photo]) -> Iterator[Located]:
        """Locate the photos as one album, in the order given, by their pictures alone.

        Neither times nor positions that files hold are read: ``locate`` does that. The first answer comes after all
        photos are read; a photo that cannot be read has an error in place of a prediction.
        """
        asked = list(photos)
        embedded = list(self.predictor.embed_many(asked))
        answers: Iterator[tuple[NDArray[np.float32], Tensor]] = iter(())
        if any(each is not None for each in embedded):
            album = EmbeddedAlbum.of_photos([str(place) for place in range(len(asked))], embedded)
            one = self._batch(album, np.zeros(len(album), dtype=bool))
            answers = zip(self._together(one), one.log_probs_BTC[0], strict=True)
        for photo, seen in zip(asked, embedded, strict=True):
            if seen is None:
                yield Located(photo, None, UNREADABLE)
            else:
                together_C, alone_C = next(answers)
                together = Prediction(self.partition, together_C, self.model.calibration.alone.regions)
                yield Located(photo, together, None, alone=self._alone(alone_C))

    def _batch(self, album: EmbeddedAlbum, anchors: NDArray[np.bool_]) -> Albums:
        image = self.predictor.checkpoint
        return batch([album], image.model, image.partition, [anchors], image.calibration.temperature)

    def _together(self, one: Albums) -> NDArray[np.float32]:
        """Log-probabilities [T, C] of an album's photos, each placed by the others."""
        with torch.inference_mode():
            return np.asarray(self.model.answer(one)[0].float().cpu().numpy())

    def _place(self, read: list[AlbumPhoto], seconds_T: Floats, anchors: bool, by_model: bool) -> list[Located]:
        if all(photo.embedding is None for photo in read) and any(photo.flag for photo in read):
            said = [(photo, photo.error or (None if photo.flag else UNREADABLE)) for photo in read]
            return [Located(each.path, None, error, camera=each.camera, flag=each.flag) for each, error in said]
        one, places, near_T = self._embedded(read, seconds_T, anchors)
        together_TC = self._together(one)
        regions = self.model.calibration.of(bool((one.anchor_BT != UNKNOWN).any())).regions
        row_of = {place: row for row, place in enumerate(places)}
        found = []
        for place, photo in enumerate(read):
            row, given = row_of.get(place), photo.known if anchors else None
            anchored = row is not None and int(one.anchor_BT[0, row]) >= 0
            near = None if row is None or given or by_model else photo.track or near_T[row]
            error = photo.error or (None if row is not None or photo.flag else UNREADABLE)
            found.append(
                Located(
                    photo=photo.path,
                    taken_at=photo.local,
                    camera=photo.camera,
                    given=given,
                    anchored=near,
                    prediction=None
                    if row is None or (anchored and near is None)
                    else self._answer(together_TC[row], regions, near),
                    alone=None if row is None else self._alone(one.log_probs_BTC[0, row]),
                    error=error,
                    flag=photo.flag,
                )
            )
        return found

    def _embedded(
        self, read: list[AlbumPhoto], seconds_T: Floats, anchors: bool
    ) -> tuple[Albums, list[int], list[Anchored | None]]:
        """The album as models take it; the places in ``read`` of its photos (those whose pixels can be read); and where
        these lie by anchors that are close."""
        at_T = [photo.known if photo.known and anchors else photo.by_track for photo in read]
        lat_T, lng_T = (np.array([np.nan if at is None else at[axis] for at in at_T]) for axis in (0, 1))
        embedded = [photo.embedding for photo in read]
        album = EmbeddedAlbum.of_photos([str(photo.path) for photo in read], embedded, lat_T, lng_T, seconds_T)
        mask = album.located
        one = self._batch(album, mask)
        # those without a time come last: that order says nothing of how they lie among those that have one
        timed_T = np.isfinite(album.seconds_T)
        at = (album.lat_T, album.lng_T, album.seconds_T)
        by_time, by_order = (by_anchors(*at, mask & alike_T, CLOSE_KM) for alike_T in (timed_T, ~timed_T))
        near_T = [by_time[row] if timed else by_order[row] for row, timed in enumerate(timed_T.tolist())]
        return one, [place for place, each in enumerate(embedded) if each is not None], near_T

    def _offset(
        self,
        read: list[AlbumPhoto],
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

    def _answer(self, log_probs_C: NDArray[np.float32], regions: Regions, near: Anchored | None) -> Prediction:
        """The model's; of a photo that anchors place what they say, so that the likeliest cell is the one there."""
        if near is None:
            return Prediction(self.partition, log_probs_C, regions)
        return Prediction.around(self.partition, near.lat, near.lng, near.radius_km)

    def _alone(self, log_probs_C: Tensor) -> Prediction:
        """What the image model says of a photo without its album."""
        return Prediction(self.partition, log_probs_C.cpu().numpy(), self.predictor.checkpoint.calibration.regions)
