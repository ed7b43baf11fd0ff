"""Seconds and memory for scoring distributions over many cells in a stream, and for the intervals.

python benchmarks/evaluation.py --photos 1000000 --cells 26263     (one thread; figures go to docs/results.md)
Distributions are made up in batches; making them is not counted.
"""

import argparse
import resource
import time

import numpy as np

from openplanet.earth import partition
from openplanet.evaluation.bootstrap import Groups, mean_intervals, median_interval
from openplanet.evaluation.cell_scores import CellScorer
from openplanet.evaluation.distribution import distribution_of

BATCH = 64


def cells_of(wanted: int, rng: np.random.Generator) -> partition.Partition:
    """A partition of about ``wanted`` cells, small where photos are many."""
    middle = rng.normal(size=(3000, 3))
    which = rng.choice(3000, wanted * 20, p=np.arange(3000, 0, -1) / np.arange(3001).sum())
    xyz = middle[which] + rng.normal(0, 0.02, (len(which), 3))
    lat = np.degrees(np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1])))
    return partition.build([(lat, np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])))], max_photos=32, min_photos=1)


def memory_gb() -> float:
    """The most that the process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--cells", type=int, default=26_263)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    cells = cells_of(int(args.cells * 0.646), rng)  # the rule makes more than are asked for
    scorer = CellScorer(cells)
    drawn = rng.normal(0, 3, (BATCH + 997, len(cells))).astype(np.float32)
    before = memory_gb()
    spent = 0.0
    for start in range(0, args.photos, BATCH):
        count = min(BATCH, args.photos - start)
        true = rng.integers(len(cells), size=count)
        scores = drawn[start % 997 : start % 997 + count].copy()
        scores[np.arange(count), true] += 8
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        lat, lng = cells.centroid_lat[true], cells.centroid_lng[true]
        begun = time.perf_counter()
        scorer.add(scores, lat, lng)
        spent += time.perf_counter() - begun
    begun = time.perf_counter()
    found = scorer.finish()
    distribution_of(found)
    summed = time.perf_counter() - begun
    each = spent / args.photos * 1e3
    print(f"{args.photos:,} distributions over {len(cells):,} cells: {spent:.0f} s, {each:.2f} ms each")
    print(f"summary {summed:.1f} s; memory {memory_gb():.2f} GB, of which {memory_gb() - before:.2f} GB while scoring")
    groups = Groups(rng.integers(args.photos // 10, size=args.photos), args.photos // 10, "albums")
    begun = time.perf_counter()
    mean_intervals(rng.random((args.photos, 7)), groups)
    print(f"1,000 bootstrap replicates of 7 measures, {groups.count:,} albums: {time.perf_counter() - begun:.1f} s")
    begun = time.perf_counter()
    median_interval(rng.random(args.photos), groups)
    print(f"the same of the median: {time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    main()
