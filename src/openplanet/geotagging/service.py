"""What a photo server is to geotagging, whatever its API: assets, their pictures, and the place of each."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from openplanet.photos.ingest.read import Reading
from openplanet.photos.sources.entry import position_problem

SAME_DEGREES = 1e-7


@dataclass(frozen=True)
class Where:
    """The place of an asset, as its server has it. ``source``: who says so, by the server's word, or ""."""

    lat: float | None
    lng: float | None
    source: str = ""

    @classmethod
    def of(cls, told: dict[str, Any]) -> "Where":
        """From ``to_dict``."""
        return cls(told["lat"], told["lng"], told["source"])

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return asdict(self)

    @property
    def known(self) -> bool:
        """Whether there is a position; 0, 0 is none."""
        return not position_problem(self.lat, self.lng)

    def same(self, other: "Where") -> bool:
        """Whether both say the same, to 1e-7 degrees."""
        if self.known != other.known or self.source != other.source:
            return False
        if self.lat is None or self.lng is None or other.lat is None or other.lng is None:
            return True
        return not self.known or max(abs(self.lat - other.lat), abs(self.lng - other.lng)) <= SAME_DEGREES


@dataclass(frozen=True)
class Asset:
    """A photo on a server. ``guessed``: its position is an estimate of the server's. ``version``: changes with the
    picture; ``picture``: what ``Service.picture`` takes."""

    id: str
    name: str
    where: Where
    facts: Reading  # time, camera; a position only where it is true
    owner: str
    folder: str
    version: str
    picture: str
    guessed: bool = False


class Service(Protocol):
    """A kind of server. All raise ServerError where it does not answer as its documentation says."""

    kind: str

    def check(self) -> str:
        """Name and version, for people. Raises InputError where that version cannot do what is needed."""

    def assets(self) -> Iterator[Asset]:
        """All photos that count: no videos, nothing in the bin."""

    def picture(self, picture: str) -> bytes:
        """A small picture of a photo, encoded."""

    def where(self, asset: str) -> tuple[Where, str]:
        """Its place now, and its version."""

    def source(self, by_hand: bool) -> str:
        """The word by which the server should know who says the place."""

    def put(self, assets: list[str], lat: float, lng: float, by_hand: bool) -> None:
        """Give the assets a place."""

    def restore(self, asset: str, old: Where) -> None:
        """Give an asset the place that it had."""
