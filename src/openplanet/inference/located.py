"""Where one photo was taken, and how that is known: the one answer of every locator, for single photos and albums."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PIL import Image

from openplanet.earth import languages, places
from openplanet.inference.between import Anchored
from openplanet.inference.prediction import Prediction

if TYPE_CHECKING:  # evidence is given for answers, and clocks are torch's
    from openplanet.inference.clock_offset import ClockOffset
    from openplanet.inference.evidence import Evidence

Photo = Path | str | bytes | Image.Image
Source = Literal["given", "between", "near", "track", "model"]
Position = tuple[float, float]


@dataclass(frozen=True)
class Located:
    """One photo's answer: a prediction, or why there is none.

    Of a photo in an album besides: ``given``, the (lat, lng) that it had, which stands; ``anchored``, its place
    by given positions or a track, with a radius; ``alone``, what its pixels say without the album.
    """

    photo: Photo
    prediction: Prediction | None
    error: str | None
    given: Position | None = None
    anchored: Anchored | None = None
    alone: Prediction | None = None
    taken_at: datetime | None = None
    """Local time by the main camera's clock; UTC where no time zone is known."""
    camera: str = ""
    utc_offset_minutes: int | None = None
    utc_offset_from: str | None = None
    """written, gps; or assumed: position, anchor, album (``photos.clocks``)."""
    evidence: "Evidence | None" = None
    """What speaks for the answer, where it was asked for."""
    flag: str = ""
    """Why the picture is no photograph of a place ("screenshot: ..."); it then has no prediction."""

    @property
    def source(self) -> Source | None:
        """Where the position comes from; None where there is none."""
        if self.given is not None:
            return "given"
        if self.anchored is not None:
            return self.anchored.kind
        return None if self.prediction is None else "model"

    @property
    def status(self) -> Literal["given", "located", "failed", "no place"]:
        """Whether the photo knew its position, was located, could not be read, or shows no place."""
        if self.given is not None:
            return "given"
        if self.flag:
            return "no place"
        return "failed" if self.prediction is None else "located"

    def forget(self) -> None:
        """Drop what the predictions hold for each cell (``Prediction.forget``)."""
        for each in (self.prediction, self.alone):
            if each is not None:
                each.forget()

    @property
    def between(self) -> Position | None:
        """(lat, lng) in degrees by given positions, or a track."""
        return None if self.anchored is None else (self.anchored.lat, self.anchored.lng)

    @property
    def by_anchors(self) -> Position | None:
        """(lat, lng) in degrees where it is not the model's."""
        return self.given or self.between

    @property
    def position(self) -> Position | None:
        """(lat, lng) in degrees: the given one, else the one by given ones, else the best point."""
        if self.by_anchors is not None:
            return self.by_anchors
        if self.prediction is None:
            return None
        best = self.prediction.best_point()
        return best.lat, best.lng

    @property
    def place(self) -> str:
        """What may be said of the place: a city, or coarser where none is likely enough; empty without a position."""
        if self.by_anchors is not None:
            found = places.named([self.by_anchors[0]], [self.by_anchors[1]])[0]
            return replace(found, country=languages.country(found.country_code, found.country)).name
        return "" if self.prediction is None else self.prediction.answer().text


@dataclass(frozen=True)
class LocatedAlbum:
    """The photos in order of capture. ``variant``: the album model; ``offsets``: by camera, where asked for;
    ``clock_notes``: what was assumed of clocks that tell different kinds of time, a line each."""

    photos: tuple[Located, ...]
    variant: str
    offsets: "Mapping[str, ClockOffset]"
    main_camera: str
    clock_notes: tuple[str, ...] = ()
