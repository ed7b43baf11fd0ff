"""What it costs to score many distributions over many cells in a stream, and to measure and draw again.

python benchmarks/evaluation.py --photos 1000000 --cells 26263     (one thread; figures go to notes/results.md)

Distributions are made up in batches; making them is not counted. ``--asked`` photos also go through all of what
``evaluate`` does with a locator's answers, but the network and the best points, which are timed first.
"""

import argparse
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import geo
from openplanet.earth.partition import adaptive
from openplanet.earth.partition.best_point import PointFinder
from openplanet.evaluation.answers import Answers, Truth
from openplanet.evaluation.contestants import asking
from openplanet.evaluation.measures import breakdown, metrics
from openplanet.evaluation.measures.bootstrap import Groups
from openplanet.evaluation.measures.cell_scores import CellScorer
from openplanet.evaluation.measures.distribution import distribution_of
from openplanet.evaluation.measures.row import Measure
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.inference.located import Located
from openplanet.inference.prediction import Prediction

Floats = NDArray[np.float64]

BATCH = 64
SHIFTS = 997  # the made-up distributions are windows of one table, so that batches differ


def cells_of(wanted: int, rng: np.random.Generator) -> adaptive.Partition:
    """A partition of about ``wanted`` cells, small where photos are many."""
    middle = rng.normal(size=(3000, 3))
    which = rng.choice(3000, wanted * 20, p=np.arange(3000, 0, -1) / np.arange(3001).sum())
    xyz = middle[which] + rng.normal(0, 0.02, (len(which), 3))
    lat = np.degrees(np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1])))
    lng = np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0]))
    return adaptive.build([(lat, lng)], max_photos=32, min_photos=1)


def held_mb() -> float:
    """What the process holds now (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def peak_mb() -> float:
    """The most that it has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class MadeUp:
    """Distributions over the cells of photos whose true cell is drawn by chance; a locator that never looks."""

    def __init__(self, cells: adaptive.Partition, rng: np.random.Generator) -> None:
        self.partition, self.coarser, self._rng = cells, (), rng
        self._drawn = rng.normal(0, 3, (BATCH + SHIFTS, len(cells))).astype(np.float32)

    def batch(self, start: int, true_B: NDArray[np.int64]) -> NDArray[np.float32]:
        """Log-probabilities [B, C], the true cell likelier than most."""
        first = start % SHIFTS
        scores = self._drawn[first : first + len(true_B)].copy()
        scores[np.arange(len(true_B)), true_B] += 8
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return scores

    def locate_many(self, photos: Iterable[bytes]) -> Iterator[Located]:
        """An answer for each photo, whatever it shows."""
        for number, photo in enumerate(photos):
            true = self._rng.integers(len(self.partition), size=1)
            yield Located(photo, Prediction(self.partition, self.batch(number, true)[0]), None)

    def locate(self, photo: bytes) -> Prediction:
        """The answer for one."""
        return Prediction(self.partition, self.batch(0, np.zeros(1, np.int64))[0])


def timed(what: str, work: Callable[[], object]) -> object:
    """Do the work; print its seconds and how much more the process holds at most."""
    before, wall, cpu = peak_mb(), time.perf_counter(), time.process_time()
    found = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what}: {wall:.1f} s ({cpu:.1f} s of CPU), peak +{peak_mb() - before:.0f} MB", flush=True)
    return found


def stream(cells: adaptive.Partition, made: MadeUp, photos: int, rng: np.random.Generator) -> None:
    """Score ``photos`` distributions, saying every tenth how much is held."""
    scorer = CellScorer(cells)
    begun, wall, cpu = held_mb(), 0.0, 0.0
    for start in range(0, photos, BATCH):
        true_B = rng.integers(len(cells), size=min(BATCH, photos - start))
        scores = made.batch(start, true_B)
        clocks = time.perf_counter(), time.process_time()
        scorer.add(scores, cells.centroid_lat[true_B], cells.centroid_lng[true_B])
        wall, cpu = wall + time.perf_counter() - clocks[0], cpu + time.process_time() - clocks[1]
        done = start + len(true_B)
        if done * 10 // photos != start * 10 // photos:
            grown = held_mb() - begun
            print(f"  {done:,}: {1e3 * wall / done:.2f} ms each ({1e3 * cpu / done:.2f} of CPU), +{grown:.0f} MB")
    print(f"{photos:,} distributions over {len(cells):,} cells: {wall:.0f} s ({cpu:.0f} s of CPU)", flush=True)
    timed("their summary", lambda: distribution_of(scorer.finish()))


def measures(cells: adaptive.Partition, photos: int, rng: np.random.Generator) -> None:
    """The table's row of so many guesses, with intervals, and its breakdowns."""
    ids = tuple(map(str, range(photos)))
    true_N, guess_N5 = rng.integers(len(cells), size=photos), rng.integers(len(cells), size=(photos, 5))
    truth = Truth(ids, ids, cells.centroid_lat[true_N], cells.centroid_lng[true_N])
    groups = Groups(rng.integers(photos // 10, size=photos), photos // 10, "albums")
    guesses = cells.centroid_lat[guess_N5], cells.centroid_lng[guess_N5]
    measure = Measure(truth, metrics.DISTANCES_KM, groups)
    what = f"row of {photos:,} photos, 1,000 replicates of {groups.count:,} albums"
    row = timed(what, lambda: measure.row(Answers("", "", *guesses)))
    divided = timed("divided by continent, country, town, cell", lambda: breakdown.divide(cells, truth.lat, truth.lng))
    timed("measured by part", lambda: breakdown.break_down(divided, row))  # type: ignore[arg-type]


def asked(cells: adaptive.Partition, made: MadeUp, photos: int, rng: np.random.Generator) -> None:
    """All that is done with a locator's answers (making them is in the time)."""
    ids = tuple(map(str, range(photos)))
    true_N = rng.integers(len(cells), size=photos)
    truth = Truth(ids, ids, cells.centroid_lat[true_N], cells.centroid_lng[true_N])
    photoset = PhotoSet("made up", truth, lambda: iter([b""] * photos))
    timed(f"a locator asked of {photos:,} photos", lambda: asking.ask(made, photoset, ()))


def points(cells: adaptive.Partition, rng: np.random.Generator) -> None:
    """Best points, one and five, of 20 distributions that gather about one to five places."""
    xyz_C3, finder, drawn = geo.to_xyz(cells.centroid_lat, cells.centroid_lng), PointFinder.of(cells), []
    for _ in range(20):
        score_C = np.full(len(cells), -12.0)
        for place in rng.integers(len(cells), size=rng.integers(1, 6)):
            km_C = np.arccos(np.clip(xyz_C3 @ xyz_C3[place], -1, 1)) * geo.EARTH_RADIUS_KM
            score_C = np.maximum(score_C, rng.normal() - km_C / rng.choice([30, 300, 2000]))
        probability_C = np.exp(score_C + rng.normal(0, 1.5, len(cells)))
        drawn.append(probability_C / probability_C.sum())
    for km in metrics.DISTANCES_KM:
        finder.best_within(drawn[0], km)  # looks for neighbours
        told = []
        for k in (1, 5):
            started = time.process_time()
            for probability_C in drawn:
                finder.best_within(probability_C, km, k)
            told.append(f"{(time.process_time() - started) / len(drawn) * 1e3:.2f} ms for {k}")
        print(f"best points within {km:g} km: {', '.join(told)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--cells", type=int, default=26_263)
    parser.add_argument("--asked", type=int, default=10_000)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    cells = cells_of(int(args.cells * 0.64), rng)  # the rule makes more than are asked for
    made = MadeUp(cells, rng)
    points(cells, np.random.default_rng(1))
    stream(cells, made, args.photos, rng)
    asked(cells, made, args.asked, rng)
    measures(cells, args.photos, rng)


if __name__ == "__main__":
    main()
