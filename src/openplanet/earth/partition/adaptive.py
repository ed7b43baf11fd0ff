"""The adaptive partition of the Earth: S2 cells with about equally many photos, the classes of the model.

Paper, section 3: start at the 6 faces, split every cell that holds more than ``max_photos``, then drop every
cell with fewer than ``min_photos``, and the photos in it.

Shapes: N photos, C cells, K nodes of the tree of cells. ``cell_index`` is 0..C-1, cells ascending by id; -1 is
no cell.
"""

import math
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openplanet.earth import geo, places, s2
from openplanet.earth.partition import count_tree, file, positions
from openplanet.earth.partition.count_tree import CountTree, TargetCells, Thresholds
from openplanet.earth.partition.leaf_runs import LeafRuns
from openplanet.errors import PartitionError
from openplanet.stores.location import Location

__all__ = ["Partition", "TargetCells", "Thresholds", "build", "build_from_file", "build_many"]

Ids = NDArray[np.uint64]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Batches = Iterable[tuple[ArrayLike, ArrayLike]]

CHUNK = 1 << 18  # photos that a thread assigns at a time


@dataclass(frozen=True, eq=False)
class Partition:
    """Disjoint cells, ascending by id, and what is known of each. Position in degrees, arrays [C].

    Where ``turn`` is not ``geo.NO_TURN``, cell_id and cell_token are those of the turned sphere; all positions
    are true ones in any case.
    """

    cell_id: Ids
    count: Ints  # photos in each
    lat: Floats  # the cell's centre
    lng: Floats
    centroid_lat: Floats  # the mean on the sphere of its photos; lies in the cell
    centroid_lng: Floats
    area_km2: Floats
    country_code: tuple[str, ...]  # ISO 3166-1 alpha-2, of the city nearest to the centroid; tells countries apart
    country: tuple[str, ...]  # its name
    region: tuple[str, ...]
    city: tuple[str, ...]
    max_photos: int
    min_photos: int
    max_level: int
    total_photos: int  # all that were given: count.sum() + dropped_photos
    dropped_photos: int
    dropped_cells: int  # that had photos, but too few, or lay outside a coarser partition's; empty ones not counted
    dropped_area_km2: float = 0.0  # of those cells
    turn: geo.Turn = geo.NO_TURN  # of the sphere before S2 numbers its cells: see earth/partition/combinatorial.py

    def __len__(self) -> int:
        return len(self.cell_id)

    @cached_property
    def cell_token(self) -> list[str]:
        """Each cell's id in hexadecimal, for files, JSON and the browser."""
        return s2.to_token(self.cell_id)

    @cached_property
    def level(self) -> Ints:
        """Each cell's level, 0 (a face of the cube) to 30 (1 cm)."""
        return s2.level_of(self.cell_id)

    @cached_property
    def _ranges(self) -> tuple[Ids, Ids]:
        return s2.range_min(self.cell_id), s2.range_max(self.cell_id)

    def mostly(self) -> tuple[str, float]:
        """The country with most of the photos that the cells were built from, and its share of them (0..1)."""
        names, index_C = np.unique(np.array(self.country), return_inverse=True)
        photos = np.bincount(index_C, weights=self.count)
        return str(names[photos.argmax()]), float(photos.max() / photos.sum())

    def assign(self, lat_N: ArrayLike, lng_N: ArrayLike) -> Ints:
        """The cell_index int64[N] of the cell that holds each position, -1 where none does.

        Every position, on an edge too, is in one leaf and so in one cell at most. Large arrays are worked on in
        threads, in chunks. Raises InputError on NaN and on coordinates out of range.
        """
        lat, lng = np.asarray(lat_N, np.float64), np.asarray(lng_N, np.float64)
        if lat.size == 1 == lng.size and self.turn == geo.NO_TURN:
            return np.array([self._index_of(s2.leaf_id(lat.item(), lng.item()))])
        lat, lng = np.atleast_1d(lat), np.atleast_1d(lng)
        if lat.shape != lng.shape:
            geo.check_coordinates(lat, lng, "coordinates")
        index_N = np.empty(len(lat), np.int64)

        def work(start: int) -> None:
            part = slice(start, start + CHUNK)
            index_N[part] = self.assign_leaves(self.leaf_ids(lat[part], lng[part]))

        starts = range(0, len(lat), CHUNK)
        if len(starts) > 1:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(work, starts))
        elif len(starts):
            work(0)
        return index_N

    def assign_leaves(self, leaf_N: ArrayLike) -> Ints:
        """As ``assign``, for leaf cell ids (of the turned sphere, where there is a turn)."""
        leaf = np.atleast_1d(np.asarray(leaf_N, np.uint64))
        first_C, last_C = self._ranges
        index = np.searchsorted(first_C, leaf, side="right") - 1
        return np.where((index >= 0) & (leaf <= last_C[index]), index, -1).astype(np.int64, copy=False)

    def _index_of(self, leaf: int) -> int:
        first_C, last_C = self._ranges
        index = int(first_C.searchsorted(np.uint64(leaf), side="right")) - 1
        return index if index >= 0 and leaf <= int(last_C[index]) else -1

    def leaf_ids(self, lat_N: ArrayLike, lng_N: ArrayLike) -> Ids:
        """Leaf cell ids uint64[N] of positions as this partition numbers them: with its turn."""
        if self.turn == geo.NO_TURN:
            return s2.leaf_ids(lat_N, lng_N)
        geo.check_coordinates(lat_N, lng_N, "coordinates")
        return s2.leaf_ids(*geo.turn(np.atleast_1d(lat_N), np.atleast_1d(lng_N), self.turn))

    def save(self, path: Location) -> None:
        """Write one Parquet file, atomically; the same partition gives the same bytes."""
        columns = {name: getattr(self, name) for name in file.SCHEMA.names}
        names = (*file.WHOLE_NUMBERS, "dropped_area_km2", "turn")
        file.write(path, columns, {name: getattr(self, name) for name in names})

    @staticmethod
    def load(path: Location) -> "Partition":
        """Read what ``save`` wrote.

        Raises PartitionError, naming the file, where it is missing, damaged, or no partition.
        """
        return Partition(**file.read(path))


def build(
    batches: Batches, max_photos: int, min_photos: int, max_level: int = s2.MAX_LEVEL, threads: int | None = None
) -> Partition:
    """The partition of photos whose positions come in batches (lat_N, lng_N), by the paper's rule.

    Memory does not grow with the number of photos (see leaf_runs.py). Their order, how they are cut into
    batches and the number of threads do not matter: the result is the same to the last bit. A cell of
    ``max_level`` may hold more than ``max_photos``.
    Raises InputError on NaN or coordinates out of range, PartitionError for thresholds that make no sense,
    for no photos and where no cell is left.
    """
    return build_many(batches, [Thresholds(int(max_photos), int(min_photos), int(max_level))], threads=threads)[0]


def build_from_file(path: Path, max_photos: int, min_photos: int, max_level: int = s2.MAX_LEVEL) -> Partition:
    """``build`` for all rows of a Parquet or CSV file with columns lat and lng; raises as both parts do."""
    return build(positions.from_file(path), max_photos, min_photos, max_level)


def build_many(
    batches: Batches,
    wanted: Sequence[Thresholds | TargetCells],
    nested: bool = False,
    turn: geo.Turn = geo.NO_TURN,
    threads: int | None = None,
) -> list[Partition]:
    """Several partitions of the same photos, read once.

    nested: given from coarse to fine; cells (and their photos) that lie in no cell of the coarser one are
    dropped too, so that every cell lies in exactly one cell of each coarser partition; a number of cells is met
    as nearly as it can be within the coarser one. Raises as ``build``, and PartitionError where nested ones do
    not become finer.
    """
    with LeafRuns(turn, threads) as runs:
        for lat_N, lng_N in batches:
            runs.add(lat_N, lng_N)
        return from_runs(runs, wanted, nested, turn)


def from_runs(
    runs: LeafRuns, wanted: Sequence[Thresholds | TargetCells], nested: bool = False, turn: geo.Turn = geo.NO_TURN
) -> list[Partition]:
    """``build_many`` for positions that are in runs already, which it finishes."""
    runs.finish()
    if runs.total == 0:
        raise PartitionError("there are no photos with a position to make a partition from; give some")
    tree = count_tree.grow_for(runs, wanted)
    rules: list[Thresholds] = []
    chosen: list[tuple[Bools, Bools]] = []
    for each in wanted:
        allowed = _within(tree.cell_id, tree.cell_id[chosen[-1][1]]) if nested and chosen else None
        rule = tree.nearest(each, allowed) if isinstance(each, TargetCells) else each
        if nested and rules:
            _check_nested(rules[-1], rule)
        rules.append(rule)
        cells = tree.cells(rule.max_photos, rule.max_level)
        kept = cells & (tree.count >= rule.min_photos)
        if allowed is not None:
            kept &= allowed
        if not kept.any():
            raise PartitionError(
                f"none of the {cells.sum()} cells holds min_photos={rule.min_photos} of the {runs.total} photos "
                f"(the fullest has {tree.count[cells].max()}); lower min_photos"
            )
        chosen.append((cells, kept))
    means = _centroids(runs, tree, [kept for _, kept in chosen])
    return [
        _partition(tree, rule, cells, kept, mean_C3, runs.total, turn)
        for rule, (cells, kept), mean_C3 in zip(rules, chosen, means, strict=True)
    ]


def _check_nested(coarse: Thresholds, fine: Thresholds) -> None:
    if fine.max_photos > coarse.max_photos or fine.max_level < coarse.max_level:
        raise PartitionError(
            f"nested partitions are given from coarse to fine: max_photos={fine.max_photos} at level "
            f"{fine.max_level} cannot follow max_photos={coarse.max_photos} at level {coarse.max_level}"
        )


def _within(cell_id_K: Ids, coarse_C: Ids) -> Bools:
    """bool[K]: does each cell lie in one of the coarse ones (ascending, disjoint)?"""
    index = np.searchsorted(s2.range_min(coarse_C), s2.range_min(cell_id_K), side="right") - 1
    return np.asarray((index >= 0) & (s2.range_max(cell_id_K) <= s2.range_max(coarse_C)[index]))


def _centroids(runs: LeafRuns, tree: CountTree, kept: Sequence[Bools]) -> list[Floats]:
    """For each choice of cells, the mean [C, 3] of the centres of its photos' leaves, in one pass.

    Summed as whole numbers, for the same result in any order. Means cannot cancel out: a cell lies within one
    face, which spans less than a hemisphere; and a hundredth of a leaf's width is the most they are off.
    """
    known = np.logical_or.reduce(kept)
    first, end = s2.range_min(tree.cell_id[known]) - np.uint64(1), s2.range_max(tree.cell_id[known]) + np.uint64(1)
    edge_E = np.unique(np.concatenate([first, end]))
    sums = [np.pad(word, ((0, 0), (1, 0))).cumsum(axis=1) for word in runs.sums(edge_E)]
    means = []
    for cells in kept:
        cell_id = tree.cell_id[cells]
        low = np.searchsorted(edge_E, s2.range_min(cell_id) - np.uint64(1))
        high = np.searchsorted(edge_E, s2.range_max(cell_id) + np.uint64(1))
        upper, lower = (word[:, high] - word[:, low] for word in sums)
        total_3C = upper * 2.0 ** (32 - s2.FIXED_BITS) + lower * 2.0**-s2.FIXED_BITS
        means.append((total_3C / tree.count[cells]).T)
    return means


def _partition(
    tree: CountTree, rule: Thresholds, cells: Bools, kept: Bools, mean_C3: Floats, total: int, turn: geo.Turn
) -> Partition:
    cell_id, dropped = tree.cell_id[kept], cells & ~kept
    lat, lng = s2.center(cell_id)
    centroid_lat, centroid_lng = geo.from_xyz(mean_C3)
    if turn != geo.NO_TURN:
        lat, lng = geo.turn(lat, lng, turn, back=True)
        centroid_lat, centroid_lng = geo.turn(centroid_lat, centroid_lng, turn, back=True)
    found = places.named(centroid_lat, centroid_lng)
    return Partition(
        cell_id=cell_id,
        count=tree.count[kept],
        lat=lat,
        lng=lng,
        centroid_lat=centroid_lat,
        centroid_lng=centroid_lng,
        area_km2=s2.area_km2(cell_id),
        country_code=tuple(place.country_code for place in found),
        country=tuple(place.country for place in found),
        region=tuple(place.region if place.distance_km <= places.REGION_KM else "" for place in found),
        city=tuple(place.city if place.distance_km <= places.CITY_KM else "" for place in found),
        max_photos=rule.max_photos,
        min_photos=rule.min_photos,
        max_level=rule.max_level,
        total_photos=total,
        dropped_photos=int(tree.count[dropped].sum()),
        dropped_cells=int(dropped.sum()),
        dropped_area_km2=math.fsum(s2.area_km2(tree.cell_id[dropped]).tolist()),
        turn=turn,
    )
