"""How many photos each cell of S2's tree holds, and the choice of cells and thresholds from these counts alone.

A tree is grown while a cell holds more than ``floor`` photos; from it the cells of any threshold from
``floor`` up follow exactly, without the photos.

K nodes of the tree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import s2
from openplanet.earth.partition.leaf_runs import LeafRuns
from openplanet.errors import PartitionError

Ids = NDArray[np.uint64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ENDLESS = np.iinfo(np.int64).max
PAPER_SHARE = 200  # max_photos / min_photos of the paper: 10,000 / 50


@dataclass(frozen=True)
class Thresholds:
    """The paper's rule: split a cell that holds more than ``max_photos``, drop one below ``min_photos``."""

    max_photos: int
    min_photos: int
    max_level: int = s2.MAX_LEVEL

    def __post_init__(self) -> None:
        if self.max_photos < 1:
            raise PartitionError(f"max_photos={self.max_photos}: a cell is split when it holds more; give 1 or more")
        _check_min(self.min_photos)
        if self.min_photos > self.max_photos:
            raise PartitionError(
                f"min_photos={self.min_photos} is above max_photos={self.max_photos}: "
                "every cell would be dropped; lower it"
            )
        _check_level(self.max_level)


@dataclass(frozen=True)
class TargetCells:
    """As many cells as near to ``cells`` as a threshold gives; min_photos None: max_photos / 200, as the paper's."""

    cells: int
    min_photos: int | None = None
    max_level: int = s2.MAX_LEVEL

    def __post_init__(self) -> None:
        if self.cells < 1:
            raise PartitionError(f"a partition of {self.cells} cells cannot be; give 1 or more")
        if self.min_photos is not None:
            _check_min(self.min_photos)
        _check_level(self.max_level)


def _check_min(min_photos: int) -> None:
    if min_photos < 1:
        raise PartitionError(f"min_photos={min_photos}: no cell is learned without photos; give 1 or more")


def _check_level(max_level: int) -> None:
    if not 0 <= max_level <= s2.MAX_LEVEL:
        raise PartitionError(f"max_level={max_level}: S2 has levels 0 to {s2.MAX_LEVEL}")


@dataclass(frozen=True, eq=False)
class CountTree:
    """All cells that hold photos and whose parent holds more than ``floor``, ascending by id; arrays [K]."""

    cell_id: Ids
    count: Ints
    parent_count: Ints  # of a face: endless
    level: Ints
    floor: int
    max_level: int

    @staticmethod
    def grow(runs: LeafRuns, floor: int, max_level: int) -> "CountTree":
        """Count downwards from the six faces."""
        cells = s2.face_cells()
        parent_count = np.full(6, ENDLESS)
        nodes = []
        for level in range(max_level + 1):
            count = runs.below(s2.range_max(cells) + np.uint64(1)) - runs.below(s2.range_min(cells) - np.uint64(1))
            nodes.append((cells, count, parent_count, np.full(len(cells), level)))
            split = (count > floor) & (level < max_level)
            cells, parent_count = s2.children(cells[split]).ravel(), np.repeat(count[split], 4)
            if len(cells) == 0:
                break
        cell_id, count, parent_count, levels = (np.concatenate(column) for column in zip(*nodes, strict=True))
        order = np.argsort(cell_id)[count[np.argsort(cell_id)] > 0]
        return CountTree(cell_id[order], count[order], parent_count[order], levels[order], floor, max_level)

    def cells(self, max_photos: int, max_level: int) -> Bools:
        """bool[K]: the cells that are split no further, for max_photos from ``floor`` up."""
        if max_photos < self.floor or max_level > self.max_level:
            raise ValueError(f"the tree was grown down to {self.floor} photos and level {self.max_level}")
        final = (self.count <= max_photos) | (self.level == max_level)
        return np.asarray((self.parent_count > max_photos) & (self.level <= max_level) & final)

    def most_cells(self, target: TargetCells) -> int:
        """The number of cells at the lowest threshold that the tree knows."""
        max_photos = max(self.floor, target.min_photos or 1)
        kept = self.count >= _min_photos(target, max_photos)
        return int((self.cells(max_photos, target.max_level) & kept).sum())

    def nearest(self, target: TargetCells, within: Bools | None = None) -> Thresholds:
        """The thresholds, from ``floor`` up, that give the nearest number of cells; of equals, the highest.

        within: bool[K], the nodes that may be cells; None: all.

        Exact: a node is a cell for the max_photos of one interval, from its own count to below its parent's,
        so that sweeping over the intervals' ends gives the number of cells for every threshold there is.
        """
        lowest = max(self.floor, target.min_photos or 1)
        known = self.level <= target.max_level
        highest = self.count[self.level == 0].max() + 1  # past the fullest face nothing is split
        if within is not None:
            known &= within
        count, parent_count, level = self.count[known], self.parent_count[known], self.level[known]
        first = np.maximum(np.where(level == target.max_level, 1, count), lowest)
        if target.min_photos is None:  # max_photos // share <= count
            end = np.minimum(parent_count, PAPER_SHARE * (count + 1))
        else:
            end = np.where(count >= target.min_photos, parent_count, 0)
        end = np.minimum(end, highest)
        alive = end > first
        at, where = np.unique(np.concatenate([first[alive], end[alive]]), return_inverse=True)
        change = np.bincount(where[: alive.sum()], minlength=len(at)) - np.bincount(
            where[alive.sum() :], minlength=len(at)
        )
        cells = np.cumsum(change)
        if not (cells > 0).any():
            raise PartitionError(
                f"no cell holds min_photos={target.min_photos} photos, whatever max_photos is; lower min_photos"
            )
        away = np.where(cells > 0, np.abs(cells - target.cells), ENDLESS)
        best = int(at[len(at) - 1 - np.argmin(away[::-1])])
        return Thresholds(best, _min_photos(target, best), target.max_level)


def _min_photos(target: TargetCells, max_photos: int) -> int:
    return max(1, max_photos // PAPER_SHARE) if target.min_photos is None else target.min_photos


def grow_for(runs: LeafRuns, wanted: Sequence[Thresholds | TargetCells]) -> CountTree:
    """A tree that knows all that is wanted.

    For a number of cells the tree is grown until its lowest threshold gives that many (or is min_photos): the
    answer (``CountTree.nearest``) is the best of all thresholds from there up.
    """
    given = [each.max_photos for each in wanted if isinstance(each, Thresholds)]
    targets = [each for each in wanted if isinstance(each, TargetCells)]
    max_level = max(each.max_level for each in wanted)
    start = [max(runs.total // (4 * each.cells), each.min_photos or 1) for each in targets]
    floor = max(1, min(given + start))
    while True:
        tree = CountTree.grow(runs, floor, max_level)
        short = [each for each in targets if tree.most_cells(each) < each.cells and floor > (each.min_photos or 1)]
        if not short:
            return tree
        floor = max(floor // 4, min(each.min_photos or 1 for each in short))
