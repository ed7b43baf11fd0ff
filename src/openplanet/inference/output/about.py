"""What outputs say of the photos as a whole: how they are called, who answered, and of which album they are."""

from dataclasses import dataclass, field
from typing import Any

from openplanet.inference.finding import Names
from openplanet.inference.located import Located, LocatedAlbum


@dataclass(frozen=True)
class About:
    """``top``: candidates of each photo. ``model``: the locator's provenance. ``album``: None for single photos."""

    names: Names
    top: int = 5
    model: dict[str, Any] = field(default_factory=dict)
    album: LocatedAlbum | None = None

    def name(self, located: Located) -> str:
        """What the photo is called: never a path of the machine."""
        return self.names.of(str(located.photo))

    def error(self, located: Located) -> str | None:
        """Why it has no answer, by that name; None where it has one."""
        return None if located.error is None else self.names.within(located.error, str(located.photo))
