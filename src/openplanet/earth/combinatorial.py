"""Combinatorial partitions: several coarse ones that lie askew, whose overlay is finer than each.

CPlaNet (Seo, Weyand, Sim and Han 2018): a model with one small softmax for each of several partitions tells
apart as many places as the partitions' cells cut each other into, with fewer parameters and more photos a
class than one fine partition. There the partitions are different mergings of S2 cells; here each is the
paper's rule on S2 cells of a sphere that is turned at random, so that all are ``Partition``s with the same
``assign``. (Thresholds alone would not do: cells of one S2 tree lie within each other or apart.)

P partitions, N photos, F fine cells: the different tuples of cells that photos are in.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openplanet.earth import geo, s2
from openplanet.earth.counttree import TargetCells, Thresholds
from openplanet.earth.leafruns import RUN, LeafRuns
from openplanet.earth.partition import Batches, Partition, from_runs
from openplanet.errors import PartitionError

Ids = NDArray[np.uint64]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def random_turns(number: int, seed: int = 0) -> list[geo.Turn]:
    """``number`` turns of the sphere: none for the first, so that it has true S2 cells, then random ones.

    All turns are equally likely (a normal vector in four dimensions has no preferred direction).
    """
    rng = np.random.default_rng(seed)
    turns = [geo.NO_TURN]
    while len(turns) < number:
        vector = rng.normal(size=4)
        w, x, y, z = (vector / np.linalg.norm(vector)).tolist()
        turns.append((w, x, y, z))
    return turns[:number]


def build_turned(
    batches: Batches,
    wanted: Sequence[Thresholds | TargetCells],
    turns: Sequence[geo.Turn],
    threads: int | None = None,
) -> list[Partition]:
    """One partition for each turn, of the same photos, read once; ``wanted`` one for all, or one for each.

    Raises as ``partition.build_many``.
    """
    wanted = list(wanted) * len(turns) if len(wanted) == 1 else list(wanted)
    if len(wanted) != len(turns):
        raise PartitionError(f"{len(wanted)} thresholds do not go with {len(turns)} turns; give 1, or one each")
    with ExitStack() as stack:
        all_runs = [stack.enter_context(LeafRuns(turn, threads)) for turn in turns]
        for lat_N, lng_N in batches:
            for runs in all_runs:
                runs.add(lat_N, lng_N)
        return [from_runs(runs, [each], turn=turn)[0] for runs, each, turn in zip(all_runs, wanted, turns, strict=True)]


@dataclass(frozen=True, eq=False)
class Overlay:
    """The fine cells that partitions cut each other into, where there are photos; ascending by tuple.

    The score of a fine cell is the sum of its partitions' log-probabilities: ``sum_p log_probs[p][cells[:, p]]``.
    """

    partitions: tuple[Partition, ...]
    cells: Ints  # [F, P]: the cell_index in each partition; -1 where the photos are in none of its cells
    count: Ints  # photos of each fine cell
    centroid_lat: Floats
    centroid_lng: Floats

    def __len__(self) -> int:
        return len(self.count)

    @cached_property
    def _codes(self) -> Ids:
        return _codes(self.partitions, list(self.cells.T))

    def assign(self, lat_N: ArrayLike, lng_N: ArrayLike) -> Ints:
        """The fine cell int64[N] of each position, -1 where no photo had the same tuple; raises as Partition's."""
        code_N = _codes(self.partitions, [each.assign(lat_N, lng_N) for each in self.partitions])
        index_N = np.minimum(np.searchsorted(self._codes, code_N), len(self) - 1)
        return np.where(self._codes[index_N] == code_N, index_N, -1)


def overlay(partitions: Sequence[Partition], batches: Batches, least: int = 1) -> Overlay:
    """The overlay of partitions, as photos fill it, in one pass.

    least: fine cells with fewer photos are left out, as are those in no cell of any partition. Memory holds
    the fine cells, not the photos. Raises PartitionError where nothing is left, and where the partitions have
    so many cells together that a tuple does not fit in 64 bits (4 of 26,000 do).
    """
    sizes = [len(each) + 1 for each in partitions]
    if not partitions or np.prod(sizes, dtype=float) >= 2.0**64:
        raise PartitionError(
            f"{len(partitions)} partitions of {', '.join(f'{size - 1:,}' for size in sizes)} cells cannot be "
            "overlaid: their tuples are numbered in 64 bits; give fewer, or coarser ones"
        )
    code_F, sums_F7 = np.zeros(0, np.uint64), np.zeros((0, 7), np.int64)
    for lat_B, lng_B in batches:
        lat, lng = np.atleast_1d(np.asarray(lat_B, float)), np.atleast_1d(np.asarray(lng_B, float))
        for start in range(0, len(lat), RUN):
            code_N, sums_N = _summed(partitions, lat[start : start + RUN], lng[start : start + RUN])
            code_F, sums_F7 = _merged(np.concatenate([code_F, code_N]), np.concatenate([sums_F7, sums_N]))
    nowhere = _codes(partitions, [np.array([-1])] * len(partitions))[0]
    kept = (sums_F7[:, 0] >= least) & (code_F != nowhere)
    if not kept.any():
        raise PartitionError(f"no cell of the overlay holds least={least} photos; lower it, or give photos")
    code_F, sums_F7 = code_F[kept], sums_F7[kept]
    high, low = sums_F7[:, 1:4], sums_F7[:, 4:]
    mean_F3 = (high * 2.0 ** (32 - s2.FIXED_BITS) + low * 2.0**-s2.FIXED_BITS) / sums_F7[:, :1]
    return Overlay(tuple(partitions), _cells(partitions, code_F), sums_F7[:, 0].copy(), *geo.from_xyz(mean_F3))


def _summed(partitions: Sequence[Partition], lat: Floats, lng: Floats) -> tuple[Ids, Ints]:
    """Codes, and for each: photos, and sums of their positions in two words (as in LeafRuns.sums)."""
    with ThreadPoolExecutor(2) as pool:
        fixed = pool.submit(lambda: np.rint(geo.to_xyz(lat, lng) * 2.0**s2.FIXED_BITS).astype(np.int64))
        code_N = _codes(partitions, [each.assign(lat, lng) for each in partitions])
        fixed_N3 = fixed.result()
    ones = np.ones((len(lat), 1), np.int64)
    return _merged(code_N, np.concatenate([ones, fixed_N3 >> 32, fixed_N3 & 0xFFFFFFFF], axis=1))


def _merged(code_N: Ids, sums_N: Ints) -> tuple[Ids, Ints]:
    """One row for each code, ascending."""
    if len(code_N) == 0:
        return code_N, sums_N
    order = np.argsort(code_N)
    code_N = code_N[order]
    start = np.flatnonzero(np.append(True, code_N[1:] != code_N[:-1]))
    return code_N[start], np.add.reduceat(sums_N[order], start, axis=0)


def _codes(partitions: Sequence[Partition], index_PN: Sequence[Ints]) -> Ids:
    """Tuples as numbers: one digit for each partition, to the base of its cells and "none" (0)."""
    code_N = np.zeros(len(index_PN[0]), np.uint64)
    for each, index_N in zip(partitions, index_PN, strict=True):
        code_N = code_N * np.uint64(len(each) + 1) + (index_N + 1).astype(np.uint64)
    return code_N


def _cells(partitions: Sequence[Partition], code_F: Ids) -> Ints:
    columns = []
    for each in reversed(partitions):
        base = np.uint64(len(each) + 1)
        columns.append((code_F % base).astype(np.int64) - 1)
        code_F = code_F // base
    return np.stack(columns[::-1], axis=1)
