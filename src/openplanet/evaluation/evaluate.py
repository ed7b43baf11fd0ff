"""One table for one set: the model between what it has to beat and what nobody can beat.

Shapes: N photos, M training photos, K guesses per photo, C cells.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openplanet.errors import InputError
from openplanet.evaluation.answers import (
    BAYES,
    CENTRES,
    MODEL,
    POINTS,
    PRIOR,
    PRIOR_POINTS,
    RANDOM,
    RIGHT_CELL,
    Answers,
)
from openplanet.evaluation.contestants import asking, baselines, retrieval
from openplanet.evaluation.contestants.bayes import limit_of
from openplanet.evaluation.contestants.predictions import read_predictions
from openplanet.evaluation.measures import metrics
from openplanet.evaluation.measures.breakdown import break_down, divide
from openplanet.evaluation.measures.metrics import TOP_K
from openplanet.evaluation.measures.row import Measure, Row
from openplanet.evaluation.report.headline import headline
from openplanet.evaluation.report.notes import FAR, KERNELS, WHAT, notes
from openplanet.evaluation.report.photo_tables import PHOTOS
from openplanet.evaluation.result import Result
from openplanet.evaluation.testsets import leakage
from openplanet.evaluation.testsets.leakage import Leak
from openplanet.evaluation.testsets.nearness import FAR_KM, Nearness
from openplanet.evaluation.testsets.photoset import PhotoSet, of_dataset
from openplanet.evaluation.testsets.published import published_on
from openplanet.inference.locator import Locator, embeds, places_albums, trained_on
from openplanet.photos.dataset import ALL, Dataset


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
) -> Result:
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
    held_out = split not in ("train", ALL)
    truth, groups = photoset.truth, photoset.truth.groups()
    distances_km = metrics.with_standard(extra_distances)
    # what can be wrong is read first: to be told before the model has looked at every photo
    measure = Measure(truth, distances_km, groups, photoset.labels)
    limit = [] if world is None else [limit_of(world, truth.photo_id, distances_km, what=WHAT[BAYES])]
    guessed = [each for path in predictions for each in read_predictions(path, truth)]
    gallery = retrieval.Gallery(train) if train is not None else None
    looked_at = predictor is not None or strict or isinstance(asked, Dataset)
    leaks = _leaks(photoset, train, gallery, looked_at) if held_out else ()
    blind = leakage.blind_spots(train, held_out, looked_at, [] if predictor is None else trained_on(predictor))
    if strict:
        leakage.refuse(leaks, blind)

    asked_all: list[Answers] = []
    if predictor is not None:
        asked_all += _baselines(photoset, predictor, gallery, distances_km, held_out, neighbours)
        asked_model = asking.ask(predictor, photoset, distances_km, MODEL, WHAT[MODEL])
        asked_all += [*asked_model.apart(WHAT[POINTS]), *asked_model.at_centres(WHAT[CENTRES])]
        asked_all.append(asking.right_cells(predictor.partition, truth, WHAT[RIGHT_CELL]))
    rows = [measure.row(each) for each in asked_all]
    model = next((each for each in asked_all if each.name == MODEL), None)
    near = Nearness.of(truth, train) if held_out else None
    if model is not None and near is not None and 0 < len(near.far) < len(truth.lat):
        rows.append(_far(measure, model, near))
    for each in guessed:
        rows += [measure.row(each)] if each.shown_N is None else _played(measure, each, each.shown_N, model)
    rows += [measure.row(each) for each in limit]

    published = published_on(photoset.key)
    first = next((row for row in rows if row.name == MODEL), rows[0])
    partition = None if predictor is None else predictor.partition
    cells = 0 if partition is None else len(partition)
    outside = 0 if partition is None else int((partition.assign(truth.lat, truth.lng) < 0).sum())
    whole = first.photos == len(truth.lat)  # not some rounds of a player
    found = Result(
        layout=PHOTOS,
        where=photoset.name,
        truth=truth,
        distances_km=distances_km,
        rows=tuple(rows),
        groups=groups,
        notes=notes(photoset, rows, first, outside, cells, groups, leaks, blind, published, neighbours, near),
        split=split,
        subject=first.name,
        cells=cells,
        outside=outside,
        breakdowns=break_down(divide(partition, truth.lat, truth.lng), first) if whole else (),
        published=published,
        leaks=leaks,
        near=near,
    )
    return replace(found, verdicts=(headline(found),))


def _leaks(
    photoset: PhotoSet, train: Dataset | None, gallery: retrieval.Gallery | None, looked_at: bool
) -> tuple[Leak, ...]:
    if train is None or gallery is None:
        return ()
    found = leakage.check(photoset, train, looked_at)
    return (*found, leakage.check_gallery(photoset, gallery.lat, gallery.lng))


def _baselines(
    photoset: PhotoSet,
    predictor: Locator,
    gallery: retrieval.Gallery | None,
    distances_km: Sequence[float],
    held_out: bool,
    neighbours: bool,
) -> list[Answers]:
    """Random, prior, and what retrieval on the train split gives: by hand-made features and by the embedding."""
    lat_M, lng_M = (gallery.lat, gallery.lng) if gallery is not None else (np.zeros(0), np.zeros(0))
    prior = asking.prior(predictor, lat_M, lng_M, photoset.truth, distances_km, WHAT[PRIOR])
    found = prior.apart(WHAT[PRIOR_POINTS])
    if gallery is None or len(gallery) == 0 or not held_out:
        return found
    random = baselines.random_guesses(lat_M, lng_M, len(photoset), TOP_K)
    found.insert(0, Answers(RANDOM, WHAT[RANDOM], *random))
    if not neighbours:
        return found
    near = retrieval.by_features(gallery, photoset, distances_km)
    if embeds(predictor):
        near |= retrieval.by_embedding(gallery, photoset, predictor, distances_km)
    for name, each in near.items():
        found += replace(each, what=f"{WHAT[name]} ({each.what})").apart(KERNELS)
    return found


def _far(measure: Measure, model: Answers, near: Nearness) -> Row:
    """The model's row on the photos far from all training photos."""
    name = f"{model.name}, over {FAR_KM:g} km from train ({len(near.far):,} photos)"
    return measure.part(near.far).row(model.part(near.far, name, FAR.format(km=FAR_KM)))


def _played(measure: Measure, player: Answers, shown_N: NDArray[np.int64], model: Answers | None) -> list[Row]:
    """A player's row, then the model's on the same photos."""
    part = measure.part(shown_N)
    played = f"{len(shown_N):,} of {len(measure.truth.lat):,} photos"
    rows = [part.row(player.part(shown_N, f"{player.name}, {played}", player.what))]
    if model is not None:
        same = part.row(model.part(shown_N, f"model, those of {player.name}", ""))
        won = f"nearer than {player.name} in {(same.km < rows[0].km)[:, 0].sum()} of {len(shown_N)} rounds"
        what = f"the model on the photos that were played: {won}"
        rows.append(replace(same, answers=replace(same.answers, what=what)))
    return rows
