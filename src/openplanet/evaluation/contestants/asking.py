"""Asking a locator about every photo of a set, a few in memory at a time.

Shapes: N photos, B in a batch, K guesses, C cells, D distances.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from openplanet.earth.partition.adaptive import Partition
from openplanet.evaluation.measures.cell_scores import CellScorer, CellScores
from openplanet.evaluation.measures.metrics import TOP_K
from openplanet.evaluation.rows import Truth
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.inference.best_point import PointFinder
from openplanet.inference.locator import Locator
from openplanet.inference.prediction import Prediction
from openplanet.progress import track

Floats = NDArray[np.float64]

SCORED_AT_A_TIME = 64  # 64 x 26,263 numbers fit in the cache's neighbourhood
MOST_POINTS = 300_000_000  # photos x cells up to which points are sought for each distance: hours beyond


@dataclass(frozen=True)
class Answers:
    """A locator's guesses [N, K] by likeliest cells, its scores, guesses [D, N, K, 2] for each distance, its cells."""

    lat: Floats
    lng: Floats
    scores: CellScores
    points: Floats | None
    partition: Partition


class Collector:
    """Makes ``Answers`` of distributions over cells that come a few photos at a time, in any order."""

    def __init__(
        self, partition: Partition, coarser: Sequence[Partition], truth: Truth, distances_km: Sequence[float]
    ) -> None:
        count = len(truth.lat)
        self._partition, self._truth, self._distances_km = partition, truth, distances_km
        self._finder, self._scorer = PointFinder(partition), CellScorer(partition, coarser)
        self._rows: list[int] = []
        self._cells_NK2 = np.full((count, TOP_K, 2), np.nan)
        self._points_DNK2 = np.full((len(distances_km), count, TOP_K, 2), np.nan)

    def add(self, rows: Sequence[int], predictions: Sequence[Prediction | None]) -> None:
        """Take the answers for the photos ``rows`` of the set, each once; None for one that has none."""
        nothing = np.full(len(self._partition), -np.inf, np.float32)
        log_probs_BC = np.stack([nothing if each is None else each.log_probs for each in predictions])
        self._scorer.add(log_probs_BC, self._truth.lat[list(rows)], self._truth.lng[list(rows)])
        self._rows += rows
        for row, each in zip(rows, predictions, strict=True):
            if each is None:
                continue
            cells = each.top_cells(TOP_K)
            self._cells_NK2[row, : len(cells), 0] = self._partition.centroid_lat[cells]
            self._cells_NK2[row, : len(cells), 1] = self._partition.centroid_lng[cells]
            for distance, km in enumerate(self._distances_km):
                lat_K, lng_K, _ = self._finder.best_within(each.probabilities, km, TOP_K)
                self._points_DNK2[distance, row, : len(lat_K), 0] = lat_K
                self._points_DNK2[distance, row, : len(lat_K), 1] = lng_K

    def finish(self) -> Answers:
        """The answers in the order of the set; a photo that never came has none."""
        missing = sorted(set(range(len(self._truth.lat))) - set(self._rows))
        for start in range(0, len(missing), SCORED_AT_A_TIME):
            part = missing[start : start + SCORED_AT_A_TIME]
            self.add(part, [None] * len(part))
        scores = self._scorer.finish().take(np.argsort(self._rows))
        lat_NK, lng_NK = self._cells_NK2[..., 0], self._cells_NK2[..., 1]
        points = self._points_DNK2 if self._distances_km else None
        return Answers(lat_NK, lng_NK, scores, points, self._partition)


def ask(locator: Locator, photoset: PhotoSet, distances_km: Sequence[float]) -> Answers:
    """Locate all photos. A guess is the mean position of a cell's training photos; NaN for an unreadable photo."""
    count = len(photoset)
    wanted = count * len(locator.partition) <= MOST_POINTS
    answers = Collector(locator.partition, locator.coarser, photoset.truth, distances_km if wanted else ())
    located = iter(track(locator.locate_many(photoset.images()), "locating", total=count))
    for start in range(0, count, SCORED_AT_A_TIME):
        batch = list(islice(located, SCORED_AT_A_TIME))
        answers.add(range(start, start + len(batch)), [each.prediction for each in batch])
    return answers.finish()


def constant_scores(locator: Locator, log_prob_C: NDArray[np.float32], truth: Truth) -> CellScores:
    """What one distribution is worth that is given for every photo, whatever it shows."""
    scorer = CellScorer(locator.partition, locator.coarser)
    for start in range(0, len(truth.lat), SCORED_AT_A_TIME):
        rows = slice(start, start + SCORED_AT_A_TIME)
        lat_B = truth.lat[rows]
        scorer.add(np.broadcast_to(log_prob_C, (len(lat_B), len(log_prob_C))), lat_B, truth.lng[rows])
    return scorer.finish()
