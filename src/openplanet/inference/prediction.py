"""What the model says of one photo: a probability for every cell, and the questions one asks of it.

Shapes: C cells.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import geo, geojson, s2
from openplanet.earth.partition.adaptive import Partition
from openplanet.earth.partition.best_point import PointFinder
from openplanet.errors import InputError
from openplanet.inference.place_tree import LEAST, LEVELS, CellPlace, Level, Node, likeliest, place_of, tree
from openplanet.models.regions import WITHIN_KM, Regions

Finest = Literal["country", "region", "city", "cell"]
RADII = (0.68, 0.95)
"""Shares of photos that the radii about a best point hold."""
CONFIDENCE = 0.5
"""Probability that a place needs to be the answer, where nobody asks for another."""


NO_EVIDENCE = "not enough evidence"


@dataclass(frozen=True)
class BestPoint:
    """The point with most probability within a distance; ``radius_km`` holds shares of photos (models/regions.py)."""

    lat: float  # degrees
    lng: float
    within_km: float
    probability: float  # within that distance
    radius_km: dict[str, float]  # by share: "0.68", "0.95"
    calibrated: bool  # whether the radii were learned from validation photos

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return asdict(self)


@dataclass(frozen=True)
class Answer:
    """The finest place that is likely enough. ``place`` is empty, and ``level`` None, where not even a country is."""

    level: Level | None
    place: CellPlace
    probability: float

    @property
    def text(self) -> str:
        """The place, or that there is not enough evidence."""
        return self.place.text or NO_EVIDENCE

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return {"level": self.level, "name": self.text, **asdict(self.place), "probability": self.probability}


@dataclass(frozen=True)
class Candidate:
    """One cell as an answer. ``lat``, ``lng`` (degrees) is the centroid of the cell's training photos."""

    rank: int  # 1 is the most likely
    lat: float
    lng: float
    probability: float
    cell_token: str
    cell_index: int
    place: CellPlace
    area_km2: float

    def to_dict(self) -> dict[str, Any]:
        """The form that ``openplanet locate --json`` writes."""
        return {
            "rank": self.rank,
            "lat": self.lat,
            "lng": self.lng,
            "probability": self.probability,
            "cell_token": self.cell_token,
            "area_km2": round(self.area_km2, 3),
            "place": asdict(self.place),
        }


@dataclass(frozen=True)
class Options:
    """What is asked of an answer: the distance within which a point is to lie, how likely a place must be, and the
    finest thing that may be told."""

    within_km: float = WITHIN_KM
    confidence: float = CONFIDENCE
    finest: Finest = "cell"


class Prediction:
    """Log-probabilities over the cells of a partition.

    ``log_probs`` [C], natural logarithm, is normalised so that the probabilities add up to 1 once it is asked for;
    until then the array that was given is kept, and must not change. ``regions``: what
    was learned of the model's regions; by default nothing, and they are as its probabilities have them.
    Raises InputError where the scores are not one finite-or-minus-infinite number per cell.
    """

    def __init__(self, partition: Partition, log_probs: NDArray[Any], regions: Regions | None = None) -> None:
        scores_C = np.asarray(log_probs, dtype=np.float64)
        if scores_C.shape != (len(partition),):
            raise InputError(f"{len(partition)} cells need as many scores, not {scores_C.shape}")
        highest = scores_C.max()
        if not np.isfinite(highest) or np.isnan(scores_C).any():
            raise InputError("a prediction's scores are not numbers: the model's weights may be damaged")
        self._points: dict[float, BestPoint] = {}
        self.partition, self.regions = partition, regions or Regions()
        self._scores: NDArray[Any] = log_probs

    @cached_property
    def log_probs(self) -> NDArray[np.float32]:
        """Natural logarithm of the probability of each cell [C]."""
        # normalised in float64: a float32 sum over 26,263 cells would be off by more than 1e-6
        scores_C: NDArray[np.float64] = np.asarray(self._scores, dtype=np.float64)
        shifted_C = scores_C - scores_C.max()
        return np.asarray(shifted_C - np.log(np.exp(shifted_C).sum()), np.float32)

    @classmethod
    def around(cls, partition: Partition, lat: float, lng: float, radius_km: float) -> "Prediction":
        """What a point (degrees) with a circle that holds 95 % says of the cells: a normal distribution about it, by
        the cells' centroids, and at its height in the cell that holds the point."""
        km_C = geo.distance_km(lat, lng, partition.centroid_lat, partition.centroid_lng)
        cell = int(partition.assign([lat], [lng])[0])
        if cell >= 0:
            km_C[cell] = 0.0
        return cls(partition, np.log(1 - 0.95) * (km_C / radius_km) ** 2)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """Probability of each cell [C], 0 to 1."""
        return np.exp(self.log_probs.astype(np.float64))

    def forget(self) -> None:
        """Drop the numbers for each cell; what is asked for again is computed again. Points are kept."""
        for name in ("log_probs", "probabilities"):
            self.__dict__.pop(name, None)

    def top_cells(self, k: int) -> NDArray[np.int64]:
        """Indices of the ``k`` most likely cells, most likely first; equals go by index. At most C."""
        if k < 1:
            raise InputError(f"the number of candidates must be 1 or more, not {k}")
        k = min(k, len(self.partition))
        kth = np.partition(self.log_probs, -k)[-k]
        likely = np.flatnonzero(self.log_probs >= kth)  # with all that tie for the last place
        return np.asarray(likely[np.argsort(-self.log_probs[likely], kind="stable")][:k])

    def top(self, k: int = 5) -> list[Candidate]:
        """The ``k`` most likely cells (fewer where there are fewer), most likely first."""
        return [self._candidate(rank, int(cell)) for rank, cell in enumerate(self.top_cells(k), 1)]

    @property
    def best(self) -> Candidate:
        """The most likely cell."""
        return self.top(1)[0]

    def country_probabilities(self) -> dict[str, float]:
        """Probability of each country by its ISO 3166 code, the likeliest first; they add up to 1."""
        codes, index_C = np.unique(np.array(self.partition.country_code), return_inverse=True)
        sums = np.bincount(index_C, weights=self.probabilities, minlength=len(codes))
        order = np.argsort(-sums, kind="stable")
        return {str(codes[i]): float(sums[i]) for i in order}

    def best_point(self, within_km: float = WITHIN_KM) -> BestPoint:
        """The point with most probability within ``within_km``, and the radii about it that hold 68 and 95 %."""
        if within_km not in self._points:
            (lat,), (lng,), (mass,) = PointFinder.of(self.partition).best_within(self.probabilities, within_km)
            # of another distance's point nobody has asked validation photos
            fitted = self.regions.fitted and within_km == WITHIN_KM
            regions = self.regions if fitted else Regions()
            km = regions.radii_km(self.partition, self.probabilities, lat, lng, RADII)
            radii = dict(zip(map(str, RADII), km, strict=True))
            self._points[within_km] = BestPoint(float(lat), float(lng), within_km, min(1.0, float(mass)), radii, fitted)
        return self._points[within_km]

    def places(self, finest: Level = "city", least: float = LEAST) -> tuple[Node, ...]:
        """Countries, the regions in them, the cities in those, with probabilities summed; at least ``least`` each."""
        return tree(self.partition, self.probabilities, finest, least)

    def answer(self, confidence: float = CONFIDENCE, finest: Finest = "cell") -> Answer:
        """The likeliest city where it has ``confidence``, else the likeliest region, else country, else nothing."""
        allowed: Level = "city" if finest == "cell" else finest
        for level in reversed(LEVELS[: LEVELS.index(allowed) + 1]):
            found = likeliest(self.partition, self.probabilities, level)
            if found is not None and found.probability >= confidence:
                return Answer(level, found.place, min(1.0, found.probability))
        return Answer(None, CellPlace("", "", ""), 0.0)

    def within_answer(self, within_km: float = WITHIN_KM, confidence: float = CONFIDENCE) -> bool:
        """Whether the best point lies in the place that ``answer`` names; True where it names none. Of many unlikely
        cells of one country none may be as likely as a single one elsewhere."""
        answer, best = self.answer(confidence), self.best_point(within_km)
        if answer.level is None:
            return True
        (cell,) = self.partition.assign(np.array([best.lat]), np.array([best.lng]))
        # the point's own place, however large its cell is; a region that the list of cities lacks cannot differ
        parts = ("country_code", *LEVELS[1 : LEVELS.index(answer.level) + 1])
        there = {part: getattr(self.partition, part)[int(cell)] for part in parts}
        return all(there[part] in ("", getattr(answer.place, part)) for part in parts)

    def region(self, share: float) -> NDArray[np.int64]:
        """The cells of the smallest set that holds ``share`` (one of models.regions.SHARES) of photos."""
        return self.regions.cells(self.probabilities, share)

    def to_dict(self, k: int = 5, options: Options | None = None) -> dict[str, Any]:
        """JSON-safe: ``best``, ``answer``, ``places``, ``top``; what is finer than asked for is null or empty."""
        asked = options or Options()
        shown = asked.finest == "cell"
        inside = {"in_answer": self.within_answer(asked.within_km, asked.confidence)}
        level: Level = "city" if asked.finest == "cell" else asked.finest
        return {
            "best": self.best_point(asked.within_km).to_dict() | inside if shown else None,
            "answer": self.answer(asked.confidence, asked.finest).to_dict(),
            "places": [node.to_dict() for node in self.places(level)],
            "top": [each.to_dict() for each in self.top(k)] if shown else [],
        }

    def to_geojson(self, k: int = 5, within_km: float = WITHIN_KM) -> dict[str, Any]:
        """A FeatureCollection: the ``k`` most likely cells as polygons, then the best point."""
        top = self.top(k)
        cells = geojson.cell_features(
            self.partition.cell_id[[c.cell_index for c in top]],
            [
                {
                    "rank": c.rank,
                    "probability": c.probability,
                    "cell_token": c.cell_token,
                    **asdict(c.place),
                }
                for c in top
            ],
            self.partition.turn,
        )
        best = self.best_point(within_km)
        about = {name: value for name, value in best.to_dict().items() if name not in ("lat", "lng")}
        point = geojson.point_feature(best.lat, best.lng, {"best": True, **about})
        return geojson.feature_collection([*cells, point])

    def _candidate(self, rank: int, cell: int) -> Candidate:
        p = self.partition
        return Candidate(
            rank=rank,
            lat=float(p.centroid_lat[cell]),
            lng=float(p.centroid_lng[cell]),
            probability=float(self.probabilities[cell]),
            cell_token=s2.to_token(p.cell_id[cell : cell + 1])[0],
            cell_index=cell,
            place=place_of(p, cell),
            area_km2=float(p.area_km2[cell]),
        )
