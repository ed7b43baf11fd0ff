"""The point to name depends on what it is for: the likeliest cell, or the point with most probability around it.

A photo of a beach may have 5 % for one cell and 3 % each for ten cells of one coast. Whoever wants to be within
1 km names the first; whoever wants the country names the coast.

The search is exact over the centroids of all cells. Where few cells lie near each other, their neighbours are listed
once; else centroids are grouped, and only groups are looked into that can hold a better point than the best so far.

Shapes: C cells, K guesses, G groups of cells, N pairs of neighbours.
"""

from typing import Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from openplanet.earth import geo, s2
from openplanet.earth.partition.adaptive import Partition

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_PAIRS = 2_000_000  # of neighbours that are listed: 8 MB; of more, groups are faster
MOST_GROUPS = 2_000  # their pairs are two matrices of 16 MB each
MANY_NEAR = 16  # neighbours of a cell, from which on it pays to leave some out
SEEDS = 512  # likeliest cells by which those that cannot be the best are left out
ROUNDING = 1e-12
SHORT = 1e-3
EQUAL = 1e-9  # masses that differ by less are equal: then the likelier cell is named


class PointFinder:
    """Finds, for predictions over one partition, the points with most probability within a distance."""

    @classmethod
    def of(cls, partition: Partition) -> "PointFinder":
        """The finder of this partition: made once, for it knows neighbours."""
        if partition not in _FINDERS:
            _FINDERS[partition] = cls(partition)
        return _FINDERS[partition]

    def __init__(self, partition: Partition) -> None:
        self._lat_C, self._lng_C = partition.centroid_lat, partition.centroid_lng
        self._xyz_C3 = geo.to_xyz(partition.centroid_lat, partition.centroid_lng)
        self.reach_km: Floats = np.sqrt(partition.area_km2 / np.pi)
        """How far each cell reaches from its middle, were it a disc [C]."""
        self._tree: cKDTree | None = None
        self._searches: dict[float, _Search] = {}

    def km_from(self, lat: float, lng: float) -> Floats:
        """Great-circle distance of each centroid from a point in degrees [C]: ``geo.distance_km``, six times as fast,
        for the centroids' unit vectors are known."""
        chord_C = np.linalg.norm(self._xyz_C3 - geo.to_xyz(lat, lng), axis=1)
        return np.asarray(2 * geo.EARTH_RADIUS_KM * np.arcsin(np.minimum(chord_C / 2, 1.0)))

    def best_within(self, probability_C: Floats, km: float, k: int = 1) -> tuple[Floats, Floats, Floats]:
        """lat [K], lng [K] and the probability [K] within ``km`` (<=) of each, the best point first.

        Points are centroids of cells; a cell counts where its centroid is near enough, as a whole. Each further point
        is the best for what those before it leave, short of it by SHORT at most where very many cells are near. For a
        ``km`` below the distance between centroids they are the likeliest cells. The first call for a ``km`` looks for
        neighbours, which later ones know.
        """
        search = self._search(km)
        left_C = probability_C.astype(np.float64, copy=True)
        chosen, masses = [], []
        for number in range(min(k, len(left_C))):
            cell, mass = search.best(left_C, short=SHORT if number else 0.0)
            chosen.append(cell)
            masses.append(mass)
            left_C[search.near(cell)] = 0.0
        cells = np.array(chosen, dtype=np.int64)
        return self._lat_C[cells], self._lng_C[cells], np.array(masses)

    def _search(self, km: float) -> "_Search":
        if km not in self._searches:
            if self._tree is None:
                self._tree = cKDTree(self._xyz_C3)
            angle = min(km / geo.EARTH_RADIUS_KM, np.pi)
            # of the chord, with what the cosine's rounding allowed
            chord = float(np.sqrt(4 * np.sin(angle / 2) ** 2 + 2 * ROUNDING))
            pairs = int(self._tree.count_neighbors(self._tree, chord))
            few = pairs <= MOST_PAIRS
            self._searches[km] = _Listed(self._tree, chord) if few else _Grouped(self._lat_C, self._lng_C, angle)
        return self._searches[km]


_FINDERS: WeakKeyDictionary[Partition, PointFinder] = WeakKeyDictionary()


class _Search(Protocol):
    """The way to the best points for one distance."""

    def best(self, left_C: Floats, short: float) -> tuple[int, float]:
        """The cell whose centroid has most of ``left_C`` near it, or ``short`` of it at most, and how much."""

    def near(self, cell: int) -> Ints:
        """The cells whose centroids are near that of ``cell``, itself among them."""


class _Listed:
    """By a list of all neighbours of each cell."""

    def __init__(self, tree: cKDTree, chord: float) -> None:
        pairs = tree.query_pairs(chord, output_type="ndarray").astype(np.int32)
        own = np.arange(tree.n, dtype=np.int32)
        row_N = np.concatenate([pairs[:, 0], pairs[:, 1], own])
        order = np.argsort(row_N, kind="stable")
        self._near_N = np.concatenate([pairs[:, 1], pairs[:, 0], own])[order]
        self._start_C = np.searchsorted(row_N[order], np.arange(tree.n + 1))

    def best(self, left_C: Floats, short: float) -> tuple[int, float]:
        cells = self._possible(left_C)
        near_N, start_P = self._lists(cells)
        return _likeliest(cells, np.add.reduceat(left_C[near_N], start_P), left_C)

    def _possible(self, left_C: Floats) -> Ints:
        """The cells that may be the best: what the SEEDS likeliest cells give, and all the rest besides, is enough."""
        if len(left_C) <= SEEDS or len(self._near_N) < MANY_NEAR * len(left_C):
            return np.arange(len(left_C))
        seeds = np.argpartition(left_C, -SEEDS)[-SEEDS:]
        near_N, start_P = self._lists(seeds)
        counts_P = np.diff(start_P, append=len(near_N))
        least_C = np.bincount(near_N, np.repeat(left_C[seeds], counts_P), minlength=len(left_C))
        rest = float(left_C.sum() - left_C[seeds].sum())
        return np.flatnonzero(least_C >= least_C.max() - rest - 2 * EQUAL)

    def _lists(self, cells: Ints) -> tuple[Ints, Ints]:
        """The neighbours of some cells one after the other, and where those of each begin."""
        if len(cells) == len(self._start_C) - 1:
            return self._near_N, self._start_C[:-1]
        count_P = self._start_C[cells + 1] - self._start_C[cells]
        start_P = np.cumsum(count_P) - count_P
        return self._near_N[np.repeat(self._start_C[cells] - start_P, count_P) + np.arange(count_P.sum())], start_P

    def near(self, cell: int) -> Ints:
        return np.asarray(self._near_N[self._start_C[cell] : self._start_C[cell + 1]], np.int64)


class _Grouped:
    """By branch and bound. What lies in groups that are wholly near a group is near all its points; what lies in groups
    that are partly near it may be. A group is looked into, point by point, while it may hold the best."""

    def __init__(self, lat_C: Floats, lng_C: Floats, angle: float) -> None:
        xyz_C3 = self._xyz_C3 = geo.to_xyz(lat_C, lng_C)
        self._cosine = float(np.cos(angle)) - ROUNDING
        leaf_C = s2.leaf_ids(lat_C, lng_C)
        level = max(0, int(np.ceil(np.log2(4.5 / angle))))  # squares of about a third of the distance
        while True:
            _, self._group_C = np.unique(s2.parent(leaf_C, level), return_inverse=True)
            count = int(self._group_C.max()) + 1
            if count <= MOST_GROUPS or level == 0:
                break
            level -= 1
        order = np.argsort(self._group_C, kind="stable")
        self._members = np.split(order, np.cumsum(np.bincount(self._group_C))[:-1])
        middle_G3 = np.stack([xyz_C3[members].sum(axis=0) for members in self._members])
        middle_G3 /= np.maximum(np.linalg.norm(middle_G3, axis=1, keepdims=True), ROUNDING)
        own_C = np.arccos(np.clip((xyz_C3 * middle_G3[self._group_C]).sum(axis=1), -1, 1))
        radius_G = np.zeros(count)
        np.maximum.at(radius_G, self._group_C, own_C)
        between_GG = np.arccos(np.clip(middle_G3 @ middle_G3.T, -1, 1))
        reach_GG = radius_G[:, None] + radius_G
        slack = 1e-7  # of the arc cosine, near 0 and half a turn
        self._wholly_GG = (between_GG <= angle - reach_GG - slack).astype(np.float32)
        self._partly_GG = (between_GG <= angle + reach_GG + slack).astype(np.float32)

    def best(self, left_C: Floats, short: float) -> tuple[int, float]:
        mass_G = np.bincount(self._group_C, left_C, minlength=len(self._members))
        most_G = self._partly_GG @ mass_G.astype(np.float32) * (1 + 1e-5)  # for the rounding of float32
        best, cell = -1.0, 0
        for group in np.argsort(-most_G, kind="stable"):
            if most_G[group] < best + short:
                break
            inside = self._wholly_GG[group] > 0
            sure = float(mass_G[inside].sum())
            edge = np.flatnonzero(~inside & (self._partly_GG[group] > 0) & (mass_G > 0))
            cells = self._members[group]
            mass_P = np.full(len(cells), sure)
            if len(edge):
                asked = np.concatenate([self._members[other] for other in edge])
                mass_P += (self._xyz_C3[cells] @ self._xyz_C3[asked].T >= self._cosine) @ left_C[asked]
            found, mass = _likeliest(cells, mass_P, left_C)
            if mass > best + EQUAL or (mass > best - EQUAL and left_C[found] > left_C[cell]):
                best, cell = max(mass, best), found
        return cell, best

    def near(self, cell: int) -> Ints:
        return np.flatnonzero(self._xyz_C3 @ self._xyz_C3[cell] >= self._cosine)


def _likeliest(cells: Ints, mass_P: Floats, left_C: Floats) -> tuple[int, float]:
    """Of the cells with most mass around them the likeliest, and the mass."""
    most = float(mass_P.max())
    equal = cells[mass_P >= most - EQUAL]
    return int(equal[left_C[equal].argmax()]), most
