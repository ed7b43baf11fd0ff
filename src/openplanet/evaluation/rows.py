"""The photos of a set, and one locator's guesses of them with what they are worth.

Shapes: N photos, K guesses per photo.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openplanet.evaluation.measures.bootstrap import Groups, groups_of
from openplanet.evaluation.measures.distribution import Distribution
from openplanet.evaluation.measures.metrics import Summary

Floats = NDArray[np.float64]

PRIOR, RANDOM, NEAREST, MODEL, BAYES = "prior", "random", "nearest neighbour", "model", "Bayes limit"
DENSITY, EMBEDDED = "k nearest, density", "embedding, density"
POINTS, PRIOR_POINTS = "model, best point", "prior, best point"


@dataclass(frozen=True)
class Truth:
    """The photos of a set and where they were taken (degrees, [N])."""

    photo_id: tuple[str, ...]
    source: tuple[str, ...]  # where ingest found the file: untrusted text
    lat: Floats
    lng: Floats
    owner: tuple[str | None, ...] = ()  # who took it, as far as is known; () says nothing of all
    album: tuple[str | None, ...] = ()

    def groups(self) -> Groups:
        """Which photos are alike, and so are drawn together when a figure's luck is measured."""
        unknown = (None,) * len(self.photo_id)
        return groups_of(self.owner or unknown, self.album or unknown, self.photo_id)

    def part(self, index: NDArray[np.int64]) -> "Truth":
        """Some of the photos."""

        def pick(values: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(values[i] for i in index.tolist()) if values else ()

        lists = (pick(each) for each in (self.owner, self.album))
        return Truth(pick(self.photo_id), pick(self.source), self.lat[index], self.lng[index], *lists)


@dataclass(frozen=True)
class Intervals:
    """95 % intervals (low, high), by drawing groups of photos again: of a row's first guesses, ``within`` of its points
    where it names one for each distance."""

    within: tuple[tuple[float, float], ...]
    median_km: tuple[float, float]
    geoscore: tuple[float, float]
    country: tuple[float, float] | None
    region: tuple[float, float]
    city: tuple[float, float]
    nll: tuple[float, float] | None = None  # of the cells, where it gives probabilities
    ece: tuple[float, float] | None = None


@dataclass(frozen=True)
class Row:
    """One locator's guesses [N, K], most likely first (NaN for none), and what they are worth."""

    name: str
    what: str  # in a sentence
    lat: Floats
    lng: Floats
    summary: Summary
    per_distance: bool = False  # a limit of its own for each distance, which no one guess need reach at all
    distribution: Distribution | None = None  # where it gives probabilities
    intervals: Intervals | None = None
    labels: tuple[tuple[str, float], ...] = ()  # accuracy by the names that the set's authors give

    def to_dict(self) -> dict[str, Any]:
        """All figures of the row, JSON-safe."""
        found = {"name": self.name, "what": self.what, **self.summary.to_dict()}
        if self.per_distance:
            found["best_of"] = None  # each distance has guesses of its own
        found["probabilities"] = None if self.distribution is None else self.distribution.to_dict()
        found["label_accuracy"] = dict(self.labels)
        found["interval_95"] = None
        if self.intervals is not None:
            each = self.intervals
            for entry, interval in zip(found["within_km"], each.within, strict=True):
                entry["top1_interval_95"] = list(interval)
            found["interval_95"] = {
                "median_km": [km if math.isfinite(km) else None for km in each.median_km],
                "geoscore": list(each.geoscore),
                "country_accuracy": None if each.country is None else list(each.country),
                "region_accuracy": list(each.region),
                "city_accuracy": list(each.city),
                "nll": None if each.nll is None else list(each.nll),
                "ece": None if each.ece is None else list(each.ece),
            }
        return found
