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
MOST_AROUND = 64 << 20  # bytes of what lies around groups, kept once it was looked for
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
        left_C = probability_C.astype(np.float64, copy=True)
        found = self._search(km).best(left_C, min(k, len(left_C)))
        cells = np.array([cell for cell, _ in found], dtype=np.int64)
        return self._lat_C[cells], self._lng_C[cells], np.array([mass for _, mass in found])

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

    def best(self, left_C: Floats, k: int) -> list[tuple[int, float]]:
        """The ``k`` cells whose centroids have most of ``left_C`` near them, and how much: each of what those before
        it leave. ``left_C`` is changed."""


class _Listed:
    """By a list of all neighbours of each cell."""

    def __init__(self, tree: cKDTree, chord: float) -> None:
        pairs = tree.query_pairs(chord, output_type="ndarray").astype(np.int32)
        own = np.arange(tree.n, dtype=np.int32)
        row_N = np.concatenate([pairs[:, 0], pairs[:, 1], own])
        order = np.argsort(row_N, kind="stable")
        self._near_N = np.concatenate([pairs[:, 1], pairs[:, 0], own])[order]
        self._start_C = np.searchsorted(row_N[order], np.arange(tree.n + 1))

    def best(self, left_C: Floats, k: int) -> list[tuple[int, float]]:
        """Of masses only those are added up again that a cell taken counts in."""
        mass_C, stale_C, found = np.zeros(len(left_C)), np.ones(len(left_C), np.bool_), []
        for number in range(k):
            cells = self._possible(left_C)
            asked = cells[stale_C[cells]] if number else cells
            if len(asked):
                near_N, start_P = self._lists(asked)
                mass_C[asked], stale_C[asked] = np.add.reduceat(left_C[near_N], start_P), False
            found.append(_likeliest(cells, mass_C[cells], left_C))
            if number < k - 1:
                taken, _ = self._lists(np.array(found[-1][:1]))
                left_C[taken] = 0.0
                stale_C[self._lists(taken)[0]] = True
        return found

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
        self._around: dict[int, tuple[Ints, Ints, NDArray[np.bool_]]] = {}
        self._room = MOST_AROUND

    def best(self, left_C: Floats, k: int) -> list[tuple[int, float]]:
        """What is known of a group stays known until something near it is taken: masses only fall."""
        count, found = len(self._members), []
        most_G, known_G = np.full(count, np.inf), np.zeros(count, np.bool_)
        cell_G, changed_G = np.zeros(count, np.int64), np.zeros(count, np.bool_)
        for number in range(k):
            mass_G: Floats = np.bincount(self._group_C, left_C, minlength=count).astype(np.float64, copy=False)
            known_G &= ~(self._partly_GG[changed_G] > 0).any(axis=0)
            around_G = self._partly_GG @ mass_G.astype(np.float32) * (1 + 1e-5)  # for the rounding of float32
            most_G = np.where(known_G, most_G, np.minimum(most_G, around_G))
            cell, best = 0, -1.0
            for group in np.argsort(-most_G, kind="stable").tolist():
                if most_G[group] < best + (SHORT if number else 0.0):
                    break
                if not known_G[group]:
                    cell_G[group], most_G[group] = self._within(group, left_C, mass_G)
                    known_G[group] = True
                mass = float(most_G[group])
                if mass > best + EQUAL or (mass > best - EQUAL and left_C[cell_G[group]] > left_C[cell]):
                    best, cell = max(mass, best), int(cell_G[group])
            found.append((cell, best))
            taken = np.flatnonzero(self._xyz_C3 @ self._xyz_C3[cell] >= self._cosine)
            changed_G = np.bincount(self._group_C[taken], left_C[taken], minlength=count) > 0
            left_C[taken] = 0.0
        return found

    def _within(self, group: int, left_C: Floats, mass_G: Floats) -> tuple[int, float]:
        """The best cell of a group, looked at point by point, and the mass around it."""
        inside, asked, near_PN = self._around.get(group) or self._look_around(group)
        return _likeliest(self._members[group], mass_G[inside].sum() + near_PN @ left_C[asked], left_C)

    def _look_around(self, group: int) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        """The groups wholly near, the cells of those partly near, and whether each is near each of the group's."""
        inside = self._wholly_GG[group] > 0
        edge = np.flatnonzero(~inside & (self._partly_GG[group] > 0))
        asked = np.concatenate([np.zeros(0, np.int64), *(self._members[other] for other in edge)])
        near_PN = self._xyz_C3[self._members[group]] @ self._xyz_C3[asked].T >= self._cosine
        found = np.flatnonzero(inside), asked, near_PN
        if near_PN.nbytes + asked.nbytes <= self._room:
            self._around[group] = found
            self._room -= near_PN.nbytes + asked.nbytes
        return found


def _likeliest(cells: Ints, mass_P: Floats, left_C: Floats) -> tuple[int, float]:
    """Of the cells with most mass around them the likeliest, and the mass."""
    most = float(mass_P.max())
    equal = cells[mass_P >= most - EQUAL]
    return int(equal[left_C[equal].argmax()]), most
