"""What the model says of one photo: a probability for every cell, and the questions one asks of it.

Shapes: C cells.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import geojson, s2
from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import InputError


@dataclass(frozen=True)
class CellPlace:
    """Name of a cell's place; "" where the list of cities has no such name."""

    country: str
    region: str
    city: str

    @property
    def text(self) -> str:
        """City, region and country in one line, without empty or repeated parts."""
        return ", ".join(dict.fromkeys(part for part in (self.city, self.region, self.country) if part))


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

    def to_dict(self) -> dict[str, Any]:
        """The form that ``openplanet locate --json`` writes."""
        return {
            "rank": self.rank,
            "lat": self.lat,
            "lng": self.lng,
            "probability": self.probability,
            "cell_token": self.cell_token,
            "place": asdict(self.place),
        }


class Prediction:
    """Log-probabilities over the cells of a partition.

    ``log_probs`` [C] is float32, natural logarithm, normalised so that the probabilities add up to 1.
    Raises InputError where the scores are not one finite-or-minus-infinite number per cell.
    """

    def __init__(self, partition: Partition, log_probs: NDArray[Any]) -> None:
        scores_C = np.asarray(log_probs, dtype=np.float64)
        if scores_C.shape != (len(partition),):
            raise InputError(f"{len(partition)} cells need as many scores, not {scores_C.shape}")
        highest = scores_C.max()
        if not np.isfinite(highest) or np.isnan(scores_C).any():
            raise InputError("a prediction's scores are not numbers: the model's weights may be damaged")
        # normalised in float64: a float32 sum over 26,263 cells would be off by more than 1e-6
        shifted_C = scores_C - highest
        self.partition = partition
        self.log_probs: NDArray[np.float32] = (shifted_C - np.log(np.exp(shifted_C).sum())).astype(np.float32)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """Probability of each cell [C], 0 to 1."""
        return np.exp(self.log_probs.astype(np.float64))

    def top_cells(self, k: int) -> NDArray[np.int64]:
        """Indices of the ``k`` most likely cells, most likely first; equals go by index. At most C."""
        if k < 1:
            raise InputError(f"the number of candidates must be 1 or more, not {k}")
        k = min(k, len(self.log_probs))
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

    def to_dict(self, k: int = 5) -> dict[str, Any]:
        """``best`` {lat, lng} and ``top`` [{rank, lat, lng, probability, cell_token, place}], JSON-safe."""
        best = self.best
        return {"best": {"lat": best.lat, "lng": best.lng}, "top": [c.to_dict() for c in self.top(k)]}

    def to_geojson(self, k: int = 5) -> dict[str, Any]:
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
        best = top[0]
        point = geojson.point_feature(best.lat, best.lng, {"best": True, "probability": best.probability})
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
            place=CellPlace(p.country[cell], p.region[cell], p.city[cell]),
        )
