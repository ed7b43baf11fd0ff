"""Asking a contestant about every photo of a set, a few in memory at a time: single photos, or album by album.

Shapes: N photos, B in a batch, K guesses, C cells, D distances.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from openplanet.earth.partition.adaptive import Partition
from openplanet.earth.partition.best_point import PointFinder
from openplanet.evaluation.answers import MODEL, PRIOR, RIGHT_CELL, Answers, Truth
from openplanet.evaluation.contestants import baselines
from openplanet.evaluation.measures.cell_scores import CellScorer
from openplanet.evaluation.measures.metrics import TOP_K
from openplanet.evaluation.measures.naming import Namer
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.inference.locator import Locator, reads_features
from openplanet.inference.prediction import Prediction
from openplanet.inference.predictor import Predictor
from openplanet.models import features
from openplanet.photos.dataset import Dataset
from openplanet.progress import track

Floats = NDArray[np.float64]
Told = Iterable[tuple[Sequence[int], Sequence[Prediction | None]]]
"""Some rows of a set at a time, each row once, with the prediction of each; None for a photo without one."""

SCORED_AT_A_TIME = 64  # 64 x 26,263 numbers fit in the cache's neighbourhood
MOST_POINTS = 300_000_000  # photos x cells up to which points are sought for each distance: hours beyond


def ask(
    locator: Locator, photoset: PhotoSet, distances_km: Sequence[float] = (), name: str = "", what: str = ""
) -> Answers:
    """Locate all photos of a set, each by itself; a photo that cannot be read has no answer."""
    wanted = len(photoset) * len(locator.partition) <= MOST_POINTS
    answers = predicted(locator, photoset)
    points_km = distances_km if wanted else ()
    asked = collect(
        answers, photoset.truth, locator.partition, points_km, locator.coarser, name_places=wanted and name == MODEL
    )
    return replace(asked, name=name, what=what)


def collect(
    told: Told,
    truth: Truth,
    partition: Partition,
    distances_km: Sequence[float] = (),
    coarser: Sequence[Partition] | None = None,
    k: int = TOP_K,
    name_places: bool = False,
) -> Answers:
    """The answers, in the order of the set, of predictions that come in any order; a photo that never comes has none.

    A guess is the mean position of a cell's training photos. ``distances_km``: also the ``k`` best points for each.
    ``coarser``: the levels at which the probabilities are scored, beside the cells; None does not score them.
    ``name_places``: also measure the places that are named, and the regions.
    """
    count, finder = len(truth.lat), PointFinder.of(partition)
    scorer = None if coarser is None else CellScorer(partition, coarser)
    cell_NK, entropy_N = np.full((count, k), -1, np.int64), np.full(count, np.nan)
    points_DNK2 = np.full((len(distances_km), count, k, 2), np.nan)
    namer = Namer(truth.lat, truth.lng) if name_places else None
    true_N = partition.assign(truth.lat, truth.lng)
    order: list[int] = []
    for rows, predictions in _all_rows(told, count):
        order += rows
        if scorer is not None:
            nothing = np.full(len(partition), -np.inf, np.float32)
            log_probs_BC = np.stack([nothing if each is None else each.log_probs for each in predictions])
            scorer.add(log_probs_BC, truth.lat[list(rows)], truth.lng[list(rows)])
        for row, each in zip(rows, predictions, strict=True):
            if each is None:
                continue
            cells = each.top_cells(k)
            cell_NK[row, : len(cells)] = cells
            entropy_N[row] = -(each.probabilities * np.maximum(each.log_probs, -1e3)).sum(dtype=np.float64)
            if namer is not None:
                namer.add(row, each, int(true_N[row]))
            for points_NK2, km in zip(points_DNK2, distances_km, strict=True):
                lat_K, lng_K, _ = finder.best_within(each.probabilities, km, k)
                points_NK2[row, : len(lat_K)] = np.column_stack([lat_K, lng_K])
    scores = None if scorer is None else scorer.finish().take(np.argsort(order))
    points = points_DNK2 if distances_km else None
    centroids = (partition.centroid_lat, partition.centroid_lng)
    lat_NK, lng_NK = (np.where(cell_NK < 0, np.nan, at_C[cell_NK]) for at_C in centroids)
    naming = None if namer is None else namer.finish()
    return Answers("", "", lat_NK, lng_NK, points, scores, partition, cell_NK, entropy_N, naming=naming)


def right_cells(partition: Partition, truth: Truth, what: str = "") -> Answers:
    """Each photo's own cell, by the mean position of its training photos; no guess for a photo in no cell."""
    cell_N = partition.assign(truth.lat, truth.lng)
    centroids = (partition.centroid_lat, partition.centroid_lng)
    lat_N, lng_N = (np.where(cell_N < 0, np.nan, at_C[cell_N]) for at_C in centroids)
    return Answers(RIGHT_CELL, what, lat_N[:, None], lng_N[:, None])


def prior(
    locator: Locator, lat_M: Floats, lng_M: Floats, truth: Truth, distances_km: Sequence[float] = (), what: str = ""
) -> Answers:
    """The baseline that gives every photo the distribution of the training photos at ``lat_M``, ``lng_M``."""
    partition, count = locator.partition, len(truth.lat)
    log_prob_C = baselines.prior_log_probs(partition, lat_M, lng_M)
    scorer = CellScorer(partition, locator.coarser)
    for start in range(0, count, SCORED_AT_A_TIME):
        lat_B, lng_B = (each[start : start + SCORED_AT_A_TIME] for each in (truth.lat, truth.lng))
        scorer.add(np.broadcast_to(log_prob_C, (len(lat_B), len(log_prob_C))), lat_B, lng_B)
    guesses = baselines.prior_guesses(partition, lat_M, lng_M, count, TOP_K)
    points = baselines.prior_points(partition, log_prob_C, count, TOP_K, distances_km) if distances_km else None
    return Answers(PRIOR, what, *guesses, points, scorer.finish(), partition)


def predicted(locator: Locator, photoset: PhotoSet, rows: Sequence[int] | None = None) -> Told:
    """What a locator says of the photos of these rows (ascending), each by itself; None: of all.

    Of a dataset's photos the features are kept (models/features.py): the network sees each of them once.
    """
    rows = range(len(photoset)) if rows is None else rows
    if photoset.dataset is not None and reads_features(locator):
        yield from _by_features(locator, photoset, photoset.dataset, rows)
        return
    located = iter(track(locator.locate_many(photo for _, photo in photoset.some(rows)), "locating", total=len(rows)))
    for start in range(0, len(rows), SCORED_AT_A_TIME):
        part = rows[start : start + SCORED_AT_A_TIME]
        yield part, [each.prediction for each in islice(located, len(part))]


def _by_features(predictor: Predictor, photoset: PhotoSet, dataset: Dataset, rows: Sequence[int]) -> Told:
    row_of = {photoset.truth.photo_id[row]: row for row in rows}
    seen = features.of_backbone(dataset, photoset.split, predictor.model, photo_ids=row_of)
    for start in range(0, len(seen.photo_ids), features.BATCH):
        part = slice(start, start + features.BATCH)
        yield [row_of[name] for name in seen.photo_ids[part]], predictor.locate_features(seen.features_NF[part])


def _all_rows(told: Told, count: int) -> Iterator[tuple[Sequence[int], Sequence[Prediction | None]]]:
    """The predictions as they come, then the rows that none came for."""
    missing = set(range(count))
    for rows, predictions in told:
        missing -= set(rows)
        yield rows, predictions
    rest = sorted(missing)
    for start in range(0, len(rest), SCORED_AT_A_TIME):
        part = rest[start : start + SCORED_AT_A_TIME]
        yield part, [None] * len(part)
