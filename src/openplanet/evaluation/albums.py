"""All album variants on the same albums, beside the image model that sees one photo at a time and beside the limits.

Shapes: N located photos of the split, T photos of an album, D distances.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from openplanet.errors import InputError
from openplanet.evaluation.answers import Answers, Floats, Truth
from openplanet.evaluation.contestants import travel_choice
from openplanet.evaluation.contestants.album_asking import AlbumAnswer, AlbumSet, first_guesses, single
from openplanet.evaluation.contestants.album_bayes import of_albums
from openplanet.evaluation.contestants.bayes import limit_of, rows_of
from openplanet.evaluation.measures import metrics
from openplanet.evaluation.measures.bootstrap import Groups
from openplanet.evaluation.measures.breakdown import Breakdown, part_of
from openplanet.evaluation.measures.row import Measure, Row
from openplanet.evaluation.report.album_tables import ALBUMS, AMBIGUOUS, PLACES
from openplanet.evaluation.result import Result
from openplanet.evaluation.testsets import leakage, nearness
from openplanet.inference.between import CLOSE_KM, interpolate
from openplanet.models import hub
from openplanet.models.album.anchors import Mask
from openplanet.models.album.base import AlbumConfig
from openplanet.models.album.checkpoint import AlbumCheckpoint
from openplanet.models.album.registry import build
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.features import weights_sha256
from openplanet.photos.dataset import ALL, Dataset
from openplanet.progress import say
from openplanet.stores.location import Location
from openplanet.synthetic.planet import load_world

ONE_PHOTO, TRAVEL, INTERPOLATED, OR_BETWEEN = "one photo", "travel", "between anchors", ", or between close anchors"
LIMIT = "the best that anyone could do from the pictures; for each distance another point"
PHOTO_LIMIT, ALBUM_LIMIT = "Bayes limit, one photo", "Bayes limit, album, without times"
UNTRAINED = {"average": "average", "geometric_mean": "geometric mean"}
Trained = tuple[Path, AlbumCheckpoint]  # the folder, and what is in it
LEAST_LONG = 5  # photos of an album whose places are compared
PLACE_RULE = f"place in the album, of albums of {LEAST_LONG} photos and more"
UNSURE = 0.25  # of real photos, those of which the image model is least sure are called ambiguous


def evaluate_albums(
    dataset: Dataset,
    checkpoint: Checkpoint,
    split: str = "test",
    album_checkpoints: Sequence[Location] = (),
    world: Path | None = None,
    extra_distances: Sequence[float] = (),
    anchor_shares: Sequence[float] = (),
    strict: bool = False,
) -> Result:
    """Measure average, geometric mean, travel and the trained ``album_checkpoints`` on the albums of a split.

    ``travel`` is learnt on the train split and set on the val split. ``world``: folder of the synthetic planet, for the
    Bayes limits of a photo and of its album. ``anchor_shares`` (0..1): how well the rest is placed when so many photos
    of each album have a position. Raises DatasetError where the split has no located photo, InputError where an album
    checkpoint reads the embeddings of another image model or shares its name with another row, and, with ``strict``,
    where one was trained on other data.
    """
    distances_km = metrics.with_standard(extra_distances)
    albums = AlbumSet.of(dataset, split, checkpoint, distances_km)
    trained = load_trained(album_checkpoints, checkpoint)
    blind = _blind(dataset, split, trained)
    if strict:
        leakage.refuse((), blind)
    models, notes = _models(dataset, checkpoint, trained, distances_km)
    truth, groups = albums.truth, _groups(albums)
    measure = Measure(truth, distances_km, groups)
    rows: list[Row] = []
    for name, (answer, what) in models.items():
        say(f"albums: {name}")
        timed = getattr(answer, "reads_times", False)
        answers = replace(first_guesses(albums, answer), name=name, what=what, reads_times=timed)
        rows += map(measure.row, answers.apart(what))
    unsure_N, rule = _unsure(rows[0].answers)
    if world is not None:
        limits = ((PHOTO_LIMIT, None), (ALBUM_LIMIT, of_albums))
        rows += [measure.row(limit_of(world, truth.photo_id, distances_km, of, name, LIMIT)) for name, of in limits]
        unsure_N, rule = _ambiguous(world, truth)
    places, alone = _places(albums)
    shown = [row for row in rows if row.answers.is_limit or not row.per_distance]
    return Result(
        layout=ALBUMS,
        where=f"the {split} split",
        truth=truth,
        distances_km=distances_km,
        rows=tuple(rows),
        groups=groups,
        notes=(
            f"{len(truth.lat):,} located photos of the {split} split in {len(albums.albums):,} albums; intervals by "
            f"drawing {groups.text} again{': few, and so too narrow' if groups.few else ''}",
            f"ambiguous: {rule}",
            *(nearness.notes(truth, dataset) if split not in ("train", ALL) else ()),
            *notes,
            *_on_set(alone, rows[0].failed, len(truth.lat)),
            *(["travel was set on the photos that it is measured on"] if split == "val" else []),
            *(f"leakage guard: not sure: {reason}" for reason in blind),
        ),
        split=split,
        subject=ONE_PHOTO,
        cells=len(albums.partition),
        albums=len(albums.albums),
        breakdowns=(
            _of_some(AMBIGUOUS, rule, shown, unsure_N),
            *(_of_some(name, PLACE_RULE, shown, mask_N) for name, mask_N in places.items()),
            *(_anchored(albums, models, share) for share in anchor_shares),
        ),
    )


def _of_some(title: str, rule: str, rows: Sequence[Row], inside_N: Mask, anchors: float | None = None) -> Breakdown:
    """Some of the photos, by every row."""
    parts = tuple(part for row in rows for part in part_of(row, inside_N, row.name))
    return Breakdown(title, rule, parts, anchors)


def _models(
    dataset: Dataset, checkpoint: Checkpoint, albums: Mapping[str, Trained], distances_km: tuple[float, ...]
) -> tuple[dict[str, tuple[AlbumAnswer, str]], list[str]]:
    """Each variant's name, and with it how to ask it and what it is in a sentence; and notes."""
    partition, width = checkpoint.partition, checkpoint.model.embedding_dim
    found: dict[str, tuple[AlbumAnswer, str]] = {ONE_PHOTO: (single, "the image model, each photo by itself")}
    for variant, name in UNTRAINED.items():
        model = build(AlbumConfig(variant), partition, width)
        found[name] = (model, f"the {name} of what the image model says of the album's photos")
    travel, how = travel_choice.learnt_on(dataset, checkpoint, distances_km)
    found[TRAVEL] = (travel, "a hidden Markov model: how far people get in how long")
    for name, (folder, trained) in albums.items():
        found[name] = (trained.model, f"album checkpoint {folder.name}")
    return found, [f"travel: {how}"]


def load_trained(folders: Sequence[Location], checkpoint: Checkpoint) -> dict[str, Trained]:
    """The album checkpoints by the names of their rows: the variant, or, where that is taken, the folder's name.

    Raises InputError where one reads the embeddings of another image model, or two rows would be called the same.
    """
    found: dict[str, Trained] = {}
    taken = {ONE_PHOTO, *UNTRAINED.values(), TRAVEL}
    for folder in dict.fromkeys(map(hub.resolve, folders)):
        trained = _trained(folder, checkpoint)
        name = trained.config.variant if trained.config.variant not in taken else folder.resolve().name
        if name in taken:
            raise InputError(f"{folder}: another row of the table is called {name}: rename the folder")
        taken.add(name)
        found[name] = (folder, trained)
    return found


def _trained(folder: Path, checkpoint: Checkpoint) -> AlbumCheckpoint:
    trained = AlbumCheckpoint.load(folder, next(checkpoint.model.parameters()).device)
    if weights_sha256(trained.image.model) != weights_sha256(checkpoint.model):
        raise InputError(
            f"{folder} was trained on the embeddings of another image model: give the --checkpoint that"
            " `openplanet train-albums` was given"
        )
    return trained


def _blind(dataset: Dataset, split: str, albums: Mapping[str, Trained]) -> tuple[str, ...]:
    """Why nobody can say whether the album checkpoints have seen these photos."""
    found = []
    for folder, checkpoint in albums.values():
        reasons = leakage.blind_spots(dataset, split not in ("train", ALL), True, [checkpoint.training])
        found += [f"{folder}: {reason}" for reason in reasons]
    return tuple(found)


def _unsure(answers: Answers) -> tuple[Mask, str]:
    assert answers.entropy_N is not None, "a model was asked"
    entropy_N = np.nan_to_num(answers.entropy_N, nan=np.inf)  # an unreadable photo tells nothing
    count = max(1, round(UNSURE * len(entropy_N)))
    unsure_N = np.zeros(len(entropy_N), dtype=bool)
    unsure_N[np.argsort(-entropy_N, kind="stable")[:count]] = True
    return unsure_N, f"the {100 * UNSURE:g} % of the photos of which the image model is least sure (highest entropy)"


def _ambiguous(world: Path, truth: Truth) -> tuple[Mask, str]:
    folder = world.parent if world.is_file() else world
    rows = rows_of(load_world(folder)[1], truth.photo_id, folder)
    return rows["ambiguous"].to_numpy(), "indoors, a beach or a meadow: nothing but the scene shows where it is"


def _places(albums: AlbumSet) -> tuple[dict[str, Mask], int]:
    """Masks [N] of photos by their place in albums of LEAST_LONG photos and more; and photos alone in their album."""
    count = len(albums.truth.lat)
    masks = {name: np.zeros(count, dtype=bool) for name in PLACES}
    alone = 0
    for album in albums.albums:
        places, rows = albums.rows(album)
        alone += len(rows) if len(album) == 1 else 0
        if len(album) < LEAST_LONG:
            continue
        third_T = np.minimum(places * 3 // len(album), 2)
        chosen = (places == 0, places == 1, third_T == 0, third_T == 1, third_T == 2, places == len(album) - 1)
        for name, which in zip(PLACES, chosen, strict=True):
            masks[name][rows[which]] = True
    return masks, alone


def _anchored(albums: AlbumSet, models: Mapping[str, tuple[AlbumAnswer, str]], share: float) -> Breakdown:
    """How well the photos without an anchor are placed: by each variant, by interpolation, and by both as ``locate
    --album --anchors`` has them."""
    masks, quick = albums.anchors(share), replace(albums, distances_km=())
    rest_N = np.ones(len(albums.truth.lat), dtype=bool)
    for album, mask in zip(albums.albums, masks, strict=True):
        places, rows = albums.rows(album)
        rest_N[rows[mask[places]]] = False
    guessed: dict[str, Floats] = {}
    for name, (answer, _) in models.items():
        guesses = first_guesses(quick, answer, masks)
        guessed[name] = np.stack([guesses.lat[:, 0], guesses.lng[:, 0]])
    if share > 0:
        near_2N = _interpolated(albums, masks, CLOSE_KM)
        both = {f"{name}{OR_BETWEEN}": np.where(np.isnan(near_2N), at_2N, near_2N) for name, at_2N in guessed.items()}
        guessed |= {INTERPOLATED: _interpolated(albums, masks)} | both
    answers = [Answers(name, "", *at_2N[:, :, None]) for name, at_2N in guessed.items()]
    rows_of_all = [Row(each, albums.truth, albums.distances_km, {}) for each in answers]
    photos = f"{rest_N.sum():,}"
    title = f"{100 * share:g} % are anchors: the other {photos}" if share else f"no anchors: all {photos}"
    return _of_some(title, "photos without a position, where others of the album have one", rows_of_all, rest_N, share)


def _interpolated(albums: AlbumSet, masks: Sequence[Mask], most_km: float = np.inf) -> Floats:
    """lat and lng [2, N] of the photos between anchors; NaN for others."""
    found_2N = np.full((2, len(albums.truth.lat)), np.nan)
    for album, mask in zip(albums.albums, masks, strict=True):
        places, rows = albums.rows(album)
        found_2N[:, rows] = np.stack(interpolate(album, mask, most_km))[:, places]
    return found_2N


def _groups(albums: AlbumSet) -> Groups:
    """Photos of one album are drawn together; unreadable photos, which are in no album, each by itself."""
    group_N = np.full(len(albums.truth.lat), -1, dtype=np.int64)
    for number, album in enumerate(albums.albums):
        group_N[albums.rows(album)[1]] = number
    lost = np.flatnonzero(group_N < 0)
    group_N[lost] = len(albums.albums) + np.arange(len(lost))
    _, group_N = np.unique(group_N, return_inverse=True)
    return Groups(group_N.astype(np.int64), int(group_N.max()) + 1, "albums")


def _on_set(alone: int, failed: int, photos: int) -> list[str]:
    found = []
    if alone:
        found.append(f"{alone:,} of {photos:,} photos are alone in their album: no variant knows more of them than one")
    if failed:
        found.append(f"{failed:,} photos could not be read and count as wrong")
    return found
