"""Seconds for the S2 leaf ids, the partition and the assignment of photos, and each as a ratio of the first.

python benchmarks/partition.py --points 1000000     (one thread; figures go to notes/LOG.md)
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import partition, s2

Floats = NDArray[np.float64]


def towns(points: int, seed: int = 0) -> tuple[Floats, Floats]:
    """(lat_N, lng_N) in 10,000 towns whose sizes fall off as photos' do."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, 10_001)
    town = rng.choice(10_000, points, p=weights / weights.sum())
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, 10_000)))[town] + rng.normal(0, 0.1, points)
    lng = rng.uniform(-180, 180, 10_000)[town] + rng.normal(0, 0.1, points)
    return np.clip(lat, -90, 90), (lng + 180) % 360 - 180


def best_of(repeats: int, work: Callable[[], object]) -> float:
    """The least seconds that ``work`` took."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--max-photos", type=int, default=1000)
    parser.add_argument("--min-photos", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()

    lat, lng = towns(args.points)
    cells = partition.build([(lat, lng)], args.max_photos, args.min_photos)  # also loads the names of places
    seconds = {
        "leaf ids": best_of(args.repeats, lambda: s2.leaf_ids(lat, lng)),
        "build": best_of(
            args.repeats, lambda: partition.build([(lat, lng)], args.max_photos, args.min_photos)
        ),
        "assign": best_of(args.repeats, lambda: cells.assign(lat, lng)),
    }
    print(f"{args.points:,} photos, {len(cells):,} cells, best of {args.repeats}")
    for what, least in seconds.items():
        rate = args.points / least / 1e6
        print(f"{what:10}{least:8.3f} s {rate:8.2f} M photos/s {least / seconds['leaf ids']:6.2f} x leaf ids")


if __name__ == "__main__":
    main()
