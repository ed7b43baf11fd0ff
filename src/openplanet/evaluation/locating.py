"""Asking a locator about every photo of a set, a few in memory at a time.

Shapes: N photos, B in a batch, K guesses, C cells, D distances.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from openplanet.earth.partition import Partition
from openplanet.evaluation import metrics
from openplanet.evaluation.cell_scores import CellScorer, CellScores
from openplanet.evaluation.metrics import TOP_K
from openplanet.evaluation.photoset import PhotoSet
from openplanet.evaluation.rows import POINTS, Row, Truth
from openplanet.inference.best_point import PointFinder
from openplanet.inference.prediction import Prediction
from openplanet.inference.predictor import Located
from openplanet.progress import track

Floats = NDArray[np.float64]

SCORED_AT_A_TIME = 64  # 64 x 26,263 numbers fit in the cache's neighbourhood
MOST_POINTS = 300_000_000  # photos x cells up to which points are sought for each distance: hours beyond


class Locator(Protocol):
    """What can be evaluated: ``Predictor``, or another system's model in its clothes."""

    @property
    def partition(self) -> Partition:
        """The cells that its predictions are over."""

    @property
    def coarser(self) -> Sequence[Partition]:
        """The partitions of its coarser levels, coarse to fine; none for a locator of one level."""

    def locate_many(self, photos: Iterable[bytes]) -> Iterator[Located]:
        """An answer for each photo, in order; one that cannot be read has none."""

    def locate(self, photo: bytes) -> Prediction:
        """The answer for one photo that can be read."""


@dataclass(frozen=True)
class Answers:
    """A locator's guesses [N, K] by likeliest cells, its scores, and guesses [D, N, K, 2] for each distance."""

    lat: Floats
    lng: Floats
    scores: CellScores
    points: Floats | None


def ask(locator: Locator, photoset: PhotoSet, distances_km: Sequence[float]) -> Answers:
    """Locate all photos. A guess is the mean position of a cell's training photos; NaN for an unreadable photo."""
    partition, count = locator.partition, len(photoset)
    wanted = count * len(partition) <= MOST_POINTS
    finder, scorer = PointFinder(partition), CellScorer(partition, locator.coarser)
    cells_NK2 = np.full((count, TOP_K, 2), np.nan)
    points_DNK2 = np.full((len(distances_km), count, TOP_K, 2), np.nan) if wanted else None
    batch: list[Prediction | None] = []
    located = locator.locate_many(photoset.images())
    for row, each in enumerate(track(located, "locating", total=count)):
        batch.append(each.prediction)
        if each.prediction is not None:
            cells = each.prediction.top_cells(TOP_K)
            cells_NK2[row, : len(cells), 0] = partition.centroid_lat[cells]
            cells_NK2[row, : len(cells), 1] = partition.centroid_lng[cells]
            for distance, km in enumerate(distances_km if points_DNK2 is not None else ()):
                lat_K, lng_K, _ = finder.best_within(each.prediction.probabilities, km, TOP_K)
                points_DNK2[distance, row, : len(lat_K), 0] = lat_K  # type: ignore[index]
                points_DNK2[distance, row, : len(lat_K), 1] = lng_K  # type: ignore[index]
        if len(batch) == SCORED_AT_A_TIME or row == count - 1:
            _score(scorer, batch, photoset.truth, row + 1)
            batch = []
    return Answers(cells_NK2[..., 0], cells_NK2[..., 1], scorer.finish(), points_DNK2)


def _score(scorer: CellScorer, batch: list[Prediction | None], truth: Truth, end: int) -> None:
    nothing = np.full(len(scorer.partition), -np.inf, np.float32)
    log_probs_BC = np.stack([nothing if each is None else each.log_probs for each in batch])
    rows = slice(end - len(batch), end)
    scorer.add(log_probs_BC, truth.lat[rows], truth.lng[rows])


def points_row(row: Row, points_DNK2: Floats, truth: Truth, what: str, name: str = POINTS) -> Row:
    """The row of best points, from the row of the likeliest cells: each distance has guesses of its own."""
    within = [
        metrics.summarise(points_NK2[..., 0], points_NK2[..., 1], truth.lat, truth.lng, [km])
        for points_NK2, km in zip(points_DNK2, row.summary.distances_km, strict=True)
    ]
    summary = replace(
        row.summary,
        within_top1=tuple(each.within_top1[0] for each in within),
        within_top5=tuple(each.within_top5[0] for each in within),
    )
    return Row(name, what, row.lat, row.lng, summary, per_distance=True)
