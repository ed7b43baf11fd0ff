"""One table for one set: the model between what it has to beat and what nobody can beat.

Shapes: N photos, M training photos, K guesses per photo, C cells.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from openplanet.errors import InputError
from openplanet.evaluation.contestants import asking, baselines, retrieval
from openplanet.evaluation.contestants.bayes import limit_of
from openplanet.evaluation.contestants.predictions import read_predictions
from openplanet.evaluation.measures import metrics
from openplanet.evaluation.measures.breakdown import Breakdown, break_down, divide
from openplanet.evaluation.measures.metrics import TOP_K
from openplanet.evaluation.measures.scoring import Measure
from openplanet.evaluation.report.notes import WHAT, notes
from openplanet.evaluation.result import Evaluation
from openplanet.evaluation.rows import (
    BAYES,
    DENSITY,
    EMBEDDED,
    MODEL,
    NEAREST,
    POINTS,
    PRIOR,
    PRIOR_POINTS,
    RANDOM,
    Row,
)
from openplanet.evaluation.testsets import leakage
from openplanet.evaluation.testsets.leakage import Leak
from openplanet.evaluation.testsets.photoset import PhotoSet, of_dataset, read_images, read_truth
from openplanet.evaluation.testsets.published import published_on
from openplanet.inference.locator import Locator, embeds, places_albums, trained_on
from openplanet.photos.dataset import Dataset

__all__ = ["evaluate", "read_images", "read_truth"]


def evaluate(
    asked: Dataset | PhotoSet,
    predictor: Locator | None,
    split: str = "test",
    world: Path | None = None,
    extra_distances: Sequence[float] = (),
    train: Dataset | None = None,
    predictions: Sequence[Path] = (),
    strict: bool = False,
    neighbours: bool = True,
) -> Evaluation:
    """Measure ``predictor`` and the guesses in ``predictions`` on a set, beside baselines and published figures.

    ``asked``: a dataset (its ``split``) or any set of photos. ``train``: the dataset on whose train split baselines
    are fitted, and with which the set must share nothing (default: ``asked``, where it is a dataset). ``world`` (the
    folder of the synthetic planet) adds the Bayes limit; ``extra_distances`` in km join the standard ones.
    ``neighbours``: False leaves out the baselines that look at every training photo.
    Raises DatasetError where the split has no photo with a position, InputError where there is nothing to measure,
    and with ``strict`` where training photos are in the set, or nobody can say whether they are.
    """
    if predictor is None and not predictions:
        raise InputError("there is nothing to measure: give a checkpoint, or a file of predictions")
    if predictor is not None and places_albums(predictor):
        raise InputError(
            "the checkpoint is one of albums, and this measures single photos: give the image checkpoint that it was "
            "trained on, and this one with --albums --album-checkpoint; or use openplanet compare"
        )
    if isinstance(asked, Dataset):
        train = train or asked
        photoset = of_dataset(asked, split)
    else:
        photoset, split = asked, ""
    held_out = split != "train"
    truth, groups = photoset.truth, photoset.truth.groups()
    distances_km = tuple(sorted({*metrics.DISTANCES_KM, *map(float, extra_distances)}))
    # what can be wrong is read first: to be told before the model has looked at every photo
    measure = Measure(truth, distances_km, groups, photoset.labels)
    limit = [] if world is None else [bayes_row(world, measure)]
    for path in predictions:
        read_predictions(path, truth)
    gallery = retrieval.Gallery(train) if train is not None else None
    looked_at = predictor is not None or strict or isinstance(asked, Dataset)
    leaks = _leaks(photoset, train, gallery, looked_at) if held_out else ()
    blind = leakage.blind_spots(train, held_out, looked_at, [] if predictor is None else trained_on(predictor))
    if strict:
        leakage.refuse(leaks, blind)

    rows: list[Row] = []
    if predictor is not None:
        rows += baseline_rows(measure, photoset, predictor, gallery, held_out, neighbours)
        rows += model_rows(measure, photoset, predictor)
    for path in predictions:
        rows += prediction_rows(measure, path, next((row for row in rows if row.name == MODEL), None))
    rows += limit

    published = published_on(photoset.key)
    subject = MODEL if predictor is not None else rows[0].name
    outside = cells = 0
    breakdowns: tuple[Breakdown, ...] = ()
    first = next(row for row in rows if row.name == subject)
    if predictor is not None:
        cells, outside = len(predictor.partition), int((predictor.partition.assign(truth.lat, truth.lng) < 0).sum())
    if len(first.lat) == len(truth.lat):
        km_N = metrics.distances(first.lat, first.lng, truth.lat, truth.lng)[:, 0]
        same_N = metrics.same_country(first.lat[:, 0], first.lng[:, 0], truth.lat, truth.lng)
        partition = predictor.partition if predictor is not None else None
        breakdowns = break_down(divide(partition, truth.lat, truth.lng), km_N, same_N, distances_km)
    return Evaluation(
        split=split,
        truth=truth,
        distances_km=distances_km,
        outside=outside,
        cells=cells,
        rows=tuple(rows),
        notes=notes(photoset, rows, first, outside, cells, groups, leaks, blind, published, neighbours),
        where=photoset.name,
        subject=subject,
        groups=groups,
        breakdowns=breakdowns,
        published=published,
        leaks=leaks,
    )


def _leaks(
    photoset: PhotoSet, train: Dataset | None, gallery: retrieval.Gallery | None, looked_at: bool
) -> tuple[Leak, ...]:
    if train is None or gallery is None:
        return ()
    found = leakage.check(photoset, train, looked_at)
    return (*found, leakage.check_gallery(photoset, gallery.lat, gallery.lng))


def baseline_rows(
    measure: Measure,
    photoset: PhotoSet,
    predictor: Locator,
    gallery: retrieval.Gallery | None,
    held_out: bool,
    neighbours: bool = True,
) -> list[Row]:
    """Random, prior, and what retrieval on the train split gives: by hand-made features and by the embedding."""
    partition, count = predictor.partition, len(photoset)
    lat_M, lng_M = (gallery.lat, gallery.lng) if gallery is not None else (np.zeros(0), np.zeros(0))
    prior = baselines.prior_guesses(partition, lat_M, lng_M, count, TOP_K)
    told_C = baselines.prior_log_probs(partition, lat_M, lng_M)
    row = measure.row(PRIOR, WHAT[PRIOR], prior, asking.constant_scores(predictor, told_C, measure.truth))
    points_DNK2 = baselines.prior_points(partition, told_C, count, TOP_K, measure.distances_km)
    rows = [row, measure.points_row(row, points_DNK2, WHAT[PRIOR_POINTS], PRIOR_POINTS)]
    if gallery is None or len(gallery) == 0 or not held_out:
        return rows
    rows.insert(0, measure.row(RANDOM, WHAT[RANDOM], baselines.random_guesses(lat_M, lng_M, count, TOP_K)))
    if not neighbours:
        return rows
    found = retrieval.by_features(gallery, photoset)
    if embeds(predictor):
        found |= retrieval.by_embedding(gallery, photoset, predictor)
    for name in (NEAREST, DENSITY, EMBEDDED):
        if name in found:
            guesses, how = found[name]
            rows.append(measure.row(name, f"{WHAT[name]}{f' ({how})' if how else ''}", guesses))
    return rows


def model_rows(measure: Measure, photoset: PhotoSet, predictor: Locator, name: str = MODEL) -> list[Row]:
    """The model's likeliest cells and, where there is time for it, the best points for each distance."""
    answers = asking.ask(predictor, photoset, measure.distances_km)
    row = measure.row(name, WHAT[MODEL], (answers.lat, answers.lng), answers.scores)
    if answers.points is None:
        return [row]
    return [row, measure.points_row(row, answers.points, WHAT[POINTS], POINTS)]


def prediction_rows(measure: Measure, path: Path, model: Row | None) -> list[Row]:
    """The rows of a file of guesses. A player's row is followed by the model's on the same photos."""
    rows = []
    for each in read_predictions(path, measure.truth):
        what = f"the guesses in {path.name}, made by others"
        if each.strangers:
            what += f" ({each.strangers:,} of its rows are of photos not in this set)"
        if not each.human:
            rows.append(measure.row(each.name, what, (each.lat, each.lng)))
            continue
        part = measure.part(each.asked)
        played = f"{len(each.asked):,} of {len(measure.truth.lat):,} photos"
        guesses = each.lat[each.asked], each.lng[each.asked]
        rows.append(part.row(f"{each.name}, {played}", what, guesses))
        if model is not None:
            same = model.lat[each.asked], model.lng[each.asked]
            km_N, model_km_N = (metrics.distances(*g, part.truth.lat, part.truth.lng)[:, 0] for g in (guesses, same))
            won = f"nearer than {each.name} in {(model_km_N < km_N).sum()} of {len(km_N)} rounds"
            what = f"the model on the photos that were played: {won}"
            rows.append(part.row(f"model, those of {each.name}", what, same))
    return rows


def bayes_row(world: Path, measure: Measure) -> Row:
    """The Bayes limit on the photos of the synthetic planet in folder ``world`` (or its ``world.parquet``).

    Raises InputError where no planet is there, DatasetError where a photo is not of it.
    """
    folder = world.parent if world.is_file() else world
    truth = measure.truth
    limit = limit_of(folder, truth.photo_id, truth.lat, truth.lng, measure.distances_km)
    row = measure.limit_row(measure.row(BAYES, WHAT[BAYES], (limit.lat_NK, limit.lng_NK)), limit.km_DNK)
    assert row.intervals is not None
    # the country is answered by itself too: the interval of the site's would be another figure's
    return replace(row, summary=limit.summary, intervals=replace(row.intervals, country=None))
