"""How near a set comes to the photos that trained: how much of it could be known by heart.

Shapes: N photos of the set, M training photos, D distances.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from openplanet.earth import geo
from openplanet.evaluation.answers import Truth
from openplanet.evaluation.testsets.photoset import read_truth
from openplanet.photos.dataset import Dataset

Floats = NDArray[np.float64]

NEAR_KM = (0.05, 0.2)
FAR_KM = 1.0  # photos farther from all training photos are scored apart: their places cannot be known by heart


@dataclass(frozen=True)
class Nearness:
    """Of the photos of a set: who took them, and how far the nearest training photo was taken."""

    owner: tuple[str | None, ...]
    training_owners: Collection[str]
    km_N: Floats

    @classmethod
    def of(cls, truth: Truth, train: Dataset | None) -> "Nearness | None":
        """To the located photos of the train split of ``train``; None where there are none."""
        if train is None:
            return None
        trained = read_truth(train, "train", needed=False)
        if len(trained.lat) == 0:
            return None
        _, index_N = cKDTree(geo.to_xyz(trained.lat, trained.lng)).query(geo.to_xyz(truth.lat, truth.lng))
        km_N = geo.distance_km(truth.lat, truth.lng, trained.lat[index_N], trained.lng[index_N])
        return cls(truth.owner, {owner for owner in trained.owner if owner}, km_N)

    @cached_property
    def shared(self) -> float | None:
        """Share of the photos whose photographer also took training photos; None where no photographer is known."""
        known = [owner for owner in self.owner if owner]
        return sum(owner in self.training_owners for owner in known) / len(self.owner) if known else None

    @property
    def far(self) -> NDArray[np.int64]:
        """The photos over FAR_KM from all training photos."""
        return np.flatnonzero(self.km_N > FAR_KM)

    def within(self, km: float) -> float:
        """Share of the photos within ``km`` of a training photo, 0 to 1."""
        return float((self.km_N <= km).mean())

    @property
    def text(self) -> str:
        """In a sentence."""
        near = " and ".join(f"{100 * self.within(km):.1f} % within {1000 * km:g} m" for km in NEAR_KM)
        text = f"{near} of a training photo, {100 * len(self.far) / len(self.km_N):.1f} % over {FAR_KM:g} km from all"
        if self.shared is None:
            return f"Photos taken {text}; photographers are not known."
        photographers = {owner for owner in self.owner if owner}
        both = len(photographers.intersection(self.training_owners))
        return (
            f"{both:,} of {len(photographers):,} photographers also took training photos; {100 * self.shared:.1f} % of"
            f" the photos are by them. Taken {text}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values; shares are 0 to 1."""
        return {
            "by_training_photographers": self.shared,
            "within_km": [{"km": km, "share": self.within(km)} for km in (*NEAR_KM, FAR_KM)],
        }


def notes(truth: Truth, train: Dataset | None) -> tuple[str, ...]:
    """``Nearness.text``, where training photos are known."""
    found = Nearness.of(truth, train)
    return () if found is None else (found.text,)
