"""Regions that hold what they say: how far a point's radius and a set of cells must reach, learned from validation.

A model's own probabilities promise too much or too little, most of all about places that it has not seen. Split
conformal prediction (Vovk, Gammerman, Shafer 2005; Angelopoulos, Bates 2021, arXiv 2107.07511, section 1) asks
validation photos instead, and holds for any model: a share of new photos of the same kind, at least the one asked for,
lies within.

- A **radius** about a point: the radius that holds the share by the model's word, times a factor. The factor is the
  quantile, over validation photos, of the true distance over that radius: photos in no cell count like any other.
- A **set of cells**, the likeliest first: until they hold a mass that is the quantile of what the cells up to the true
  one held. A photo in no cell is in no set; where such photos are too many, no set is large enough, and that is said.

Shapes: C cells, N photos, B in a batch.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import geo
from openplanet.earth.partition.adaptive import Partition
from openplanet.earth.partition.best_point import PointFinder

Floats = NDArray[np.float64]

SHARES = (0.5, 0.68, 0.9, 0.95)
WITHIN_KM = 25.0
"""The distance for which a point is best where nobody says another: a city."""
LEAST_PHOTOS = 50
FARTHEST_KM = math.pi * geo.EARTH_RADIUS_KM
LEAST_KM = 0.1
"""No radius is smaller: cells of metres would make factors of thousands."""


@dataclass(frozen=True)
class Regions:
    """What validation photos said of a model's regions. Keys are shares as text ("0.9"), for JSON."""

    photos: int = 0
    """How many they were; 0: none, and regions are as the model has them."""
    radius_factor: dict[str, float] = field(default_factory=dict)
    mass: dict[str, float] = field(default_factory=dict)
    """Of cells; more than 1 where all cells together hold a smaller share of the photos."""

    @property
    def fitted(self) -> bool:
        """Whether they were."""
        return self.photos > 0

    @classmethod
    def from_dict(cls, values: Any) -> "Regions":
        """What ``dataclasses.asdict`` gave; ValueError for anything else."""
        found = cls(**values)
        numbers = [
            *found.radius_factor.values(),
            *found.mass.values(),
            *map(float, (*found.radius_factor, *found.mass)),
        ]
        if type(found.photos) is not int or not all(isinstance(n, float | int) and 0 <= n < math.inf for n in numbers):
            raise ValueError("regions hold numbers from 0 on")
        return found

    def radii_km(
        self, partition: Partition, probability_C: Floats, lat: float, lng: float, shares: Sequence[float] = SHARES
    ) -> list[float]:
        """The radii in km about (lat, lng) in degrees, the best point within WITHIN_KM, that hold each of ``shares`` of
        photos."""
        asked = sorted({*SHARES, *shares})
        own = radii_km(partition, probability_C, lat, lng, asked)
        found, least = dict[float, float](), 0.0
        for share, km in zip(asked, own, strict=True):
            # each share has a factor of its own: a larger one may not ask for less
            least = max(least, min(FARTHEST_KM, km * self.radius_factor.get(str(share), 1.0)))
            found[share] = float(least)
        return [found[share] for share in shares]

    def cells(self, probability_C: Floats, share: float) -> NDArray[np.int64]:
        """The smallest set of cells that holds ``share`` of photos, the likeliest first; all where none is enough."""
        order_C = np.argsort(-probability_C, kind="stable")
        wanted = self.mass.get(str(share), share)
        count = int(np.searchsorted(np.cumsum(probability_C[order_C]), wanted - 1e-9)) + 1
        return order_C[: min(count, len(order_C))]


def radii_km(
    partition: Partition, probability_C: Floats, lat: float, lng: float, shares: Iterable[float]
) -> list[float]:
    """The smallest radii about a point that hold each share by the model's word. A cell counts once it is all inside:
    as far as its centroid, and as a disc of its area reaches."""
    finder = PointFinder.of(partition)
    far_C = np.maximum(finder.km_from(lat, lng) + finder.reach_km, LEAST_KM)
    order_C = np.argsort(far_C)  # not stable, which takes four times as long: what is equally far is so in any order
    held_C = np.cumsum(probability_C[order_C])
    index = np.minimum(np.searchsorted(held_C, [share - 1e-9 for share in shares]), len(far_C) - 1)
    return [float(min(km, FARTHEST_KM)) for km in far_C[order_C[index]]]


class RegionFitter:
    """Gathers what the regions of validation photos would have to hold."""

    def __init__(self, partition: Partition) -> None:
        self._partition, self._finder = partition, PointFinder.of(partition)
        self._ratios: list[list[float]] = []
        self._masses: list[float] = []

    def add(self, probability_C: Floats, lat: float, lng: float, cell: int) -> None:
        """A validation photo: its answer, where it was taken (degrees), and in which cell (-1: in none)."""
        (point_lat,), (point_lng,), _ = self._finder.best_within(probability_C, WITHIN_KM)
        own = radii_km(self._partition, probability_C, point_lat, point_lng, SHARES)
        far = float(geo.distance_km(point_lat, point_lng, lat, lng))
        self._ratios.append([far / km for km in own])
        if cell < 0:
            self._masses.append(math.inf)
        else:
            before = probability_C > probability_C[cell]
            self._masses.append(float(probability_C[before].sum() + probability_C[cell]))

    def fit(self) -> Regions:
        """What they say; nothing where they are fewer than LEAST_PHOTOS."""
        if len(self._masses) < LEAST_PHOTOS:
            return Regions()
        factors = [
            _quantile(column, share) for column, share in zip(zip(*self._ratios, strict=True), SHARES, strict=True)
        ]
        masses = [_quantile(self._masses, share) for share in SHARES]
        return Regions(
            len(self._masses),
            {str(share): min(factor, FARTHEST_KM / LEAST_KM) for share, factor in zip(SHARES, factors, strict=True)},
            {str(share): min(mass, 2.0) for share, mass in zip(SHARES, masses, strict=True)},
        )


def _quantile(scores: Iterable[float], share: float) -> float:
    """The conformal one: the ceil((N + 1) share)-th smallest; infinite where there are too few for that share."""
    ordered = sorted(scores)
    rank = math.ceil((len(ordered) + 1) * share)
    return ordered[rank - 1] if rank <= len(ordered) else math.inf
