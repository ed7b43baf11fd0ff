"""How far people get in how long: the statistics behind the transitions of ``travel``.

A histogram of where the next photo of an album lies: in the same cell, or in a cell whose centroid is so far away.
There is one for each length of time between the photos (and one for steps of unknown length), and for each size of the
cell that is left: from a street one is gone in minutes, from a desert in a day.

Shapes: T photos of an album, C cells, S buckets of time (the last: not known), Z sizes of cells, R rings (the first:
the same cell).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openplanet.earth.geo import distance_km
from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Steps = tuple[Ints, Floats]  # cell_T, -1 where not known or none; seconds_T, NaN where not known

HOUR_EDGES = (1 / 60, 1 / 6, 1.0, 6.0, 24.0, 72.0, 336.0)
KM_EDGES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
RADIUS_EDGES_KM = (1.0, 3.0, 10.0, 30.0, 100.0)  # of a disc of the cell's area
BUCKETS, SIZES, RINGS = len(HOUR_EDGES) + 2, len(RADIUS_EDGES_KM) + 1, len(KM_EDGES) + 2
SHAPE = (BUCKETS, SIZES, RINGS)
UNTIMED = BUCKETS - 1
"""The bucket of steps whose length in time is not known."""
SAME = 0
"""The ring of the cell itself; ring r + 1 holds centroids up to KM_EDGES[r]."""

PULL = 20.0  # steps that ``usual`` counts for: a time and size with few of its own follows it

# Of ``usual``. P(farther than r) falls as r to the power of -TAIL. Calls of mobile phones have 0.75 (Gonzalez et al.
# 2008); albums, in five folds of real photos and the val split of the synthetic planet, are better served by a steeper
# one. The scales where it sets in, by bucket, are our choice.
TAIL = 1.5
SCALES_KM = (0.05, 0.2, 1.0, 4.0, 12.0, 30.0, 60.0, 120.0, 0.5)
RADIUS_KM = np.array([0.5, *(float(np.sqrt(a * b)) for a, b in pairwise(RADIUS_EDGES_KM)), 200.0])
RING_KM = np.array([KM_EDGES[0] / 2, *(float(np.sqrt(a * b)) for a, b in pairwise(KM_EDGES)), 6000.0])


@dataclass(frozen=True)
class Movement:
    """``share_SZR``: probability of each ring by time and size. ``steps_S``: how many steps taught it."""

    share_SZR: Floats
    steps_S: tuple[int, ...] = (0,) * BUCKETS

    @classmethod
    def fit(cls, albums: Iterable[Steps], partition: Partition) -> "Movement":
        """Count the steps of albums, photos in order of capture; photos in no cell are passed over.

        Steps of unknown time are described by all steps together. What was seen of one time and size is mixed with PULL
        steps of ``usual``, so that where training photos tell no times a gap of a year is none of a minute.
        """
        size_C, count_SZR = sizes(partition), np.zeros(SHAPE)
        for cell_T, seconds_T in albums:
            known = np.flatnonzero(cell_T >= 0)
            here, there = cell_T[known][:-1], cell_T[known][1:]
            ring = rings(partition, here, there)
            np.add.at(count_SZR, (buckets(seconds_T[known]), size_C[here], ring), 1.0)
        steps_S = tuple(int(count) for count in count_SZR.sum(axis=(1, 2)))
        count_SZR[UNTIMED] = count_SZR.sum(axis=0)
        return cls(_shares(count_SZR + PULL * cls.usual().share_SZR), steps_S)

    @classmethod
    def usual(cls) -> "Movement":
        """For who has no albums to learn from: a heavy tail whose scale grows with time (see TAIL, SCALES_KM)."""
        beyond_SR = (1.0 + np.array([0.0, *KM_EDGES, np.inf]) / np.array(SCALES_KM)[:, None]) ** -TAIL
        step_SR = beyond_SR[:, :-1] - beyond_SR[:, 1:]
        kept_ZR = stay(RING_KM / RADIUS_KM[:, None])
        same_SZ1 = (step_SR[:, None] * kept_ZR).sum(axis=2, keepdims=True)
        return cls(np.concatenate([same_SZ1, step_SR[:, None] * (1.0 - kept_ZR)], axis=2))

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, with the edges that the histogram was counted by."""
        return {
            "hour_edges": list(HOUR_EDGES),
            "km_edges": list(KM_EDGES),
            "radius_edges_km": list(RADIUS_EDGES_KM),
            "share": self.share_SZR.tolist(),
            "steps": list(self.steps_S),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Movement":
        """The inverse of ``to_dict``. Raises InputError for other edges or what is no histogram."""
        try:
            edges = [tuple(values[name]) for name in ("hour_edges", "km_edges", "radius_edges_km")]
            share_SZR, steps_S = np.array(values["share"], np.float64), tuple(int(n) for n in values["steps"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"the statistics of travel are incomplete ({error}): learn them again") from error
        if edges != [HOUR_EDGES, KM_EDGES, RADIUS_EDGES_KM] or (share_SZR.shape, len(steps_S)) != (SHAPE, BUCKETS):
            raise InputError("the statistics of travel are of another version: learn them again")
        if not (share_SZR >= 0).all() or not np.allclose(share_SZR.sum(axis=2), 1.0):
            raise InputError("the statistics of travel are no probabilities: learn them again")
        return cls(share_SZR, steps_S)


def _shares(count_R: Floats) -> Floats:
    return np.asarray(count_R / count_R.sum(axis=-1, keepdims=True))


def buckets(seconds_T: Floats) -> Ints:
    """Bucket of time [T-1] of each step; UNTIMED where either time is not known. Time is taken to run forward."""
    hours = np.abs(np.diff(seconds_T)) / 3600
    return np.where(np.isnan(hours), UNTIMED, np.digitize(hours, HOUR_EDGES)).astype(np.int64)


def sizes(partition: Partition) -> Ints:
    """Size class [C] of each cell."""
    return np.digitize(np.sqrt(partition.area_km2 / np.pi), RADIUS_EDGES_KM).astype(np.int64)


def rings(partition: Partition, here_N: Ints, there_N: Ints) -> Ints:
    """Ring [N] in which cells ``there_N`` lie about ``here_N``."""
    lat_C, lng_C = partition.centroid_lat, partition.centroid_lng
    km_N = distance_km(lat_C[here_N], lng_C[here_N], lat_C[there_N], lng_C[there_N])
    return np.where(here_N == there_N, SAME, np.digitize(km_N, KM_EDGES) + 1).astype(np.int64)


def stay(steps: Floats) -> Floats:
    """How often a step of so many radii, from a random point of a disc in a random direction, ends in the disc.

    The disc's covariogram over its area: the overlap of two discs so far apart.
    """
    half = np.minimum(steps / 2, 1.0)
    return np.asarray(2 / np.pi * (np.arccos(half) - half * np.sqrt(1 - half * half)))
