"""What outputs say of the photos as a whole: how they are called, who answered, and of which album they are."""

from dataclasses import dataclass, field
from typing import Any

from openplanet.inference.finding import Names
from openplanet.inference.located import Located, LocatedAlbum
from openplanet.inference.prediction import Answer, Options


@dataclass(frozen=True)
class About:
    """``top``: candidates of each photo. ``model``: the locator's provenance. ``album``: None for single photos.
    ``options``: what is asked of each answer."""

    names: Names
    top: int = 5
    model: dict[str, Any] = field(default_factory=dict)
    album: LocatedAlbum | None = None
    options: Options = field(default_factory=Options)

    @property
    def shows_points(self) -> bool:
        """Whether positions may be told, and not names of places alone."""
        return self.options.finest == "cell"

    def name(self, located: Located) -> str:
        """What the photo is called: never a path of the machine."""
        return self.names.of(str(located.photo))

    def answer(self, located: Located) -> Answer | None:
        """The finest place that may be said, of a photo that the model placed."""
        if located.prediction is None or located.by_anchors is not None:
            return None
        return located.prediction.answer(self.options.confidence, self.options.finest)

    def agrees(self, located: Located) -> bool:
        """Whether the best point lies in the place that is named: outputs of one point leave out one that does not."""
        asked = located.prediction
        return asked is None or asked.within_answer(self.options.within_km, self.options.confidence)

    def position(self, located: Located) -> tuple[float, float] | None:
        """(lat, lng) in degrees, where there is one, positions may be told, and it lies in the place that is named."""
        if not self.shows_points:
            return None
        if located.by_anchors is None and located.prediction is not None:
            if not self.agrees(located):
                return None
            best = located.prediction.best_point(self.options.within_km)
            return best.lat, best.lng
        return located.by_anchors

    def radius_km(self, located: Located, share: float) -> float | None:
        """The radius about the position that holds ``share`` of photos; by anchors that of 95 % alone is known."""
        if located.given is not None or not self.shows_points:
            return None
        if located.anchored is not None:
            return located.anchored.radius_km if share == 0.95 else None
        if located.prediction is None or not self.agrees(located):
            return None
        return located.prediction.best_point(self.options.within_km).radius_km[str(share)]

    def place(self, located: Located) -> str:
        """What may be said of the place, in words; empty where there is nothing to say it of."""
        answer = self.answer(located)
        if answer is not None:
            return answer.text
        return located.place if located.by_anchors is not None and self.shows_points else ""

    def error(self, located: Located) -> str | None:
        """Why it has no answer, by that name; None where it has one."""
        return None if located.error is None else self.names.within(located.error, str(located.photo))
