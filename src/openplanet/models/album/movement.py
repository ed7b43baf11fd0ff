"""How far people get in how long: the statistics behind the transitions of ``travel``.

A histogram of the distance from one photo of an album to the next, for each length of time between them, and one for
steps of unknown length. It knows nothing of cells, so that it is learnt once and serves any partition.

Shapes: T photos of an album, B buckets of time (the last: not known), R rings of distance.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openplanet.earth.geo import distance_km
from openplanet.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Steps = tuple[Floats, Floats, Floats]  # lat_T, lng_T in degrees, seconds_T; NaN where not known

HOUR_EDGES = (1 / 60, 1 / 6, 1.0, 6.0, 24.0, 72.0, 336.0)
KM_EDGES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
BUCKETS, RINGS = len(HOUR_EDGES) + 2, len(KM_EDGES) + 1
UNTIMED = BUCKETS - 1
"""The bucket of steps whose length in time is not known."""
RING_KM = np.array([KM_EDGES[0] / 2, *(float(np.sqrt(a * b)) for a, b in pairwise(KM_EDGES)), 6000.0])
"""The distance that stands for each ring [R]."""

PULL = 20.0  # steps that count for all lengths of time together: a bucket with few of its own follows them
LEAST = 0.5  # steps granted to every ring beforehand (Jeffreys): nothing is impossible
TAIL = 0.75  # P(farther than r) falls as r to this power: the tail of calls of mobile phones (Gonzalez et al. 2008)
SCALES_KM = (0.05, 0.2, 1.0, 4.0, 12.0, 30.0, 60.0, 120.0, 2.0)  # of ``usual``, by bucket: our choice


@dataclass(frozen=True)
class Movement:
    """``share_BR``: probability of each ring for each bucket, rows sum to 1. ``steps_B``: how many taught it."""

    share_BR: Floats
    steps_B: tuple[int, ...] = (0,) * BUCKETS

    @classmethod
    def fit(cls, albums: Iterable[Steps]) -> "Movement":
        """Count the steps of albums, photos in order of capture; photos without a position are passed over.

        Steps of unknown time are described by all steps together. Few steps of one length of time are mixed with
        PULL steps of all. Without any step: ``usual``.
        """
        count_BR = np.zeros((BUCKETS, RINGS))
        for lat_T, lng_T, seconds_T in albums:
            known = np.flatnonzero(np.isfinite(lat_T))
            lat, lng = lat_T[known], lng_T[known]
            ring = np.digitize(distance_km(lat[:-1], lng[:-1], lat[1:], lng[1:]), KM_EDGES)
            np.add.at(count_BR, (buckets(seconds_T[known]), ring), 1.0)
        steps_B = tuple(int(count) for count in count_BR.sum(axis=1))
        if not sum(steps_B):
            return cls.usual()
        all_R = count_BR.sum(axis=0) + LEAST
        all_R /= all_R.sum()
        count_BR[UNTIMED] = 0.0
        count_BR += PULL * all_R
        return cls(count_BR / count_BR.sum(axis=1, keepdims=True), steps_B)

    @classmethod
    def usual(cls) -> "Movement":
        """For who has no albums to learn from: a heavy tail whose scale grows with time (see TAIL, SCALES_KM)."""
        beyond_BR = (1.0 + np.array([0.0, *KM_EDGES]) / np.array(SCALES_KM)[:, None]) ** -TAIL
        share_BR = beyond_BR - np.concatenate([beyond_BR[:, 1:], np.zeros((BUCKETS, 1))], axis=1)
        return cls(share_BR)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, with the edges that the histogram was counted by."""
        return {
            "hour_edges": list(HOUR_EDGES),
            "km_edges": list(KM_EDGES),
            "share": self.share_BR.tolist(),
            "steps": list(self.steps_B),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Movement":
        """The inverse of ``to_dict``. Raises InputError for other edges or what is no histogram."""
        try:
            same = (*values["hour_edges"],) == HOUR_EDGES and (*values["km_edges"],) == KM_EDGES
            share_BR, steps_B = np.array(values["share"], np.float64), tuple(int(n) for n in values["steps"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"the statistics of travel are incomplete ({error}): learn them again") from error
        if not same or share_BR.shape != (BUCKETS, RINGS) or len(steps_B) != BUCKETS:
            raise InputError("the statistics of travel are of another version: learn them again")
        if not (share_BR >= 0).all() or not np.allclose(share_BR.sum(axis=1), 1.0):
            raise InputError("the statistics of travel are no probabilities: learn them again")
        return cls(share_BR, steps_B)


def buckets(seconds_T: Floats) -> Ints:
    """Bucket of time [T-1] of each step; UNTIMED where either time is not known. Time is taken to run forward."""
    hours = np.abs(np.diff(seconds_T)) / 3600
    return np.where(np.isnan(hours), UNTIMED, np.digitize(hours, HOUR_EDGES)).astype(np.int64)
