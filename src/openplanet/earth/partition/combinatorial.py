"""Combinatorial partitions: several coarse ones that lie askew, whose overlay is finer than each.

CPlaNet (Seo, Weyand, Sim and Han 2018): a model with one small softmax for each of several partitions tells
apart as many places as the partitions' cells cut each other into, with fewer parameters and more photos a
class than one fine partition. There the partitions are different mergings of S2 cells; here each is the
paper's rule on S2 cells of a sphere that is turned at random, so that all are ``Partition``s with the same
``assign``. (Thresholds alone would not do: cells of one S2 tree lie within each other or apart.)
"""

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from openplanet.earth import geo
from openplanet.earth.partition.adaptive import Batches, Partition, from_runs
from openplanet.earth.partition.count_tree import TargetCells, Thresholds
from openplanet.earth.partition.leaf_runs import LeafRuns
from openplanet.errors import PartitionError


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
    with ExitStack() as stack:
        all_runs = [stack.enter_context(LeafRuns(turn, threads)) for turn in turns]
        for lat_N, lng_N in batches:
            for runs in all_runs:
                runs.add(lat_N, lng_N)
        return from_turned_runs(all_runs, wanted, turns)


def from_turned_runs(
    all_runs: Sequence[LeafRuns], wanted: Sequence[Thresholds | TargetCells], turns: Sequence[geo.Turn]
) -> list[Partition]:
    """``build_turned`` for positions that are in runs already, which it finishes."""
    wanted = list(wanted) * len(turns) if len(wanted) == 1 else list(wanted)
    if len(wanted) != len(turns):
        raise PartitionError(f"{len(wanted)} thresholds do not go with {len(turns)} turns; give 1, or one each")
    return [from_runs(runs, [each], turn=turn)[0] for runs, each, turn in zip(all_runs, wanted, turns, strict=True)]
