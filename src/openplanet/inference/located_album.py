"""A located album: what each photo was found to be, and the journey they make, as text, JSON and GeoJSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from openplanet.earth import geojson, places
from openplanet.inference.clock_offset import ClockOffset
from openplanet.inference.prediction import Prediction
from openplanet.progress import plain


@dataclass(frozen=True)
class AlbumPhoto:
    """One photo of the album. ``given``: the (lat, lng) that it had, which stands; ``between``: its place on the way
    between given positions that are close; ``prediction``: the model's answer; ``alone``: by its pixels only."""

    path: Path
    name: str  # relative to what the user named
    taken_at: datetime | None  # local time by the main camera's clock; UTC where no time zone is known
    camera: str
    given: tuple[float, float] | None
    between: tuple[float, float] | None
    prediction: Prediction | None
    alone: Prediction | None
    error: str | None
    utc_offset_minutes: int | None = None
    utc_offset_from: str | None = None
    """written, gps; or assumed: position, anchor, album (``photos.clocks``)."""

    @property
    def position(self) -> tuple[float, float] | None:
        """(lat, lng) in degrees: the given one, else the one between given ones, else the likeliest cell's."""
        if self.by_anchors is not None:
            return self.by_anchors
        return None if self.prediction is None else (self.prediction.best.lat, self.prediction.best.lng)

    @property
    def by_anchors(self) -> tuple[float, float] | None:
        """The position where it is not the model's."""
        return self.given or self.between

    @property
    def status(self) -> str:
        """'given', 'located' or 'failed'."""
        return "given" if self.given is not None else "failed" if self.prediction is None else "located"

    @property
    def place(self) -> str:
        """The place's name; empty where there is no position."""
        if self.by_anchors is not None:
            return places.nearest([self.by_anchors[0]], [self.by_anchors[1]])[0].name
        return "" if self.prediction is None else self.prediction.best.place.text


@dataclass(frozen=True)
class LocatedAlbum:
    """The photos in order of capture. ``variant``: the album model; ``offsets``: by camera, where asked for;
    ``clock_notes``: what was assumed of clocks, in words."""

    photos: tuple[AlbumPhoto, ...]
    variant: str
    offsets: Mapping[str, ClockOffset]
    main_camera: str
    clock_notes: tuple[str, ...] = ()

    def to_dict(self, top: int = 5) -> dict[str, Any]:
        """JSON-safe: model, clock_offsets and photos, each with time, status, best {lat, lng} and candidates."""
        return {
            "model": self.variant,
            "main_camera": self.main_camera,
            "clock_offsets": {camera: offset.to_dict() for camera, offset in self.offsets.items()},
            "clock_notes": list(self.clock_notes),
            "photos": [_photo_dict(photo, top) for photo in self.photos],
        }

    def to_geojson(self) -> dict[str, Any]:
        """The track: a LineString through the photos in order (MultiLineString over the antimeridian), then a Point
        for each with ``time`` and ``status``."""
        placed = [photo for photo in self.photos if photo.position is not None]
        features = []
        if len(placed) > 1:
            track = geojson.track_feature(
                [photo.position for photo in placed if photo.position is not None],
                {"times": [_iso(photo.taken_at) for photo in placed]},
            )
            features.append(track)
        for photo in placed:
            assert photo.position is not None
            about = {
                "photo": photo.name,
                "time": _iso(photo.taken_at),
                "utc_offset_minutes": photo.utc_offset_minutes,
                "status": photo.status,
                "between_anchors": photo.between is not None,
                "place": photo.place,
                "probability": photo.prediction.best.probability if photo.prediction and not photo.between else None,
            }
            features.append(geojson.point_feature(*photo.position, about))
        return geojson.feature_collection(features)

    def to_text(self) -> str:
        """A line for each photo: time, position, how sure, place; and what was found of the clocks."""
        lines = [_line(photo) for photo in self.photos]
        for camera, offset in self.offsets.items():
            lines.append(f"{camera or 'no camera named'}: {offset_words(offset)}")
        lines += [f"clocks: {note}" for note in self.clock_notes]
        return "\n".join(map(plain, lines))


def offset_words(offset: ClockOffset) -> str:
    """What was found of a clock, for a person."""
    minutes, low, high = (round(seconds / 60) for seconds in (offset.seconds, offset.low, offset.high))
    if not offset.clear:
        return f"no clear clock offset (anything from {low} to {high} minutes fits {offset.photos} photos)"
    return f"clock offset {minutes:+d} minutes, applied ({low:+d} to {high:+d}; {offset.photos} photos)"


def _photo_dict(photo: AlbumPhoto, top: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"best": None, "top": []}
    if photo.prediction is not None:
        answer = photo.prediction.to_dict(top)
    if photo.by_anchors is not None:
        answer = {"best": dict(zip(("lat", "lng"), photo.by_anchors, strict=True)), "top": answer["top"]}
    alone = None if photo.alone is None else photo.alone.best.to_dict()
    return {
        "photo": photo.name,
        "time": _iso(photo.taken_at),
        "utc_offset_minutes": photo.utc_offset_minutes,
        "utc_offset_from": photo.utc_offset_from,
        "camera": photo.camera or None,
        "status": photo.status,
        "between_anchors": photo.between is not None,
        "error": photo.error,
        **answer,
        "alone": alone,
    }


def _line(photo: AlbumPhoto) -> str:
    time = "no time            " if photo.taken_at is None else f"{photo.taken_at:%Y-%m-%d %H:%M:%S}"
    if photo.position is None:
        return f"{time}  {photo.name}  not located: {photo.error}"
    sure = "given" if photo.given else "between" if photo.between else ""
    if not sure and photo.prediction is not None:
        sure = f"{photo.prediction.best.probability:.1%}"
    return f"{time}  {sure:>7}  {photo.position[0]:9.4f} {photo.position[1]:10.4f}  {photo.place}  ({photo.name})"


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
