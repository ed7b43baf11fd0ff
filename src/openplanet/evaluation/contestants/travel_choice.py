"""The exponent and the jump of ``travel``, chosen on the val split: nothing here sees the photos that are measured."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from openplanet.evaluation.contestants.album_asking import AlbumSet, first_guesses
from openplanet.evaluation.measures import metrics
from openplanet.models.album.embedded import EmbeddedAlbum, embedded_albums, mean_answer
from openplanet.models.album.movement import Movement
from openplanet.models.album.travel import EXPONENT, JUMP, Travel
from openplanet.models.checkpoint import Checkpoint
from openplanet.photos.dataset import Dataset
from openplanet.training.album.calibrate import calibrate_albums

EXPONENTS = (0.3, 0.5, 0.7, 1.0)
JUMPS = (0.001, 0.01, 0.1)
LEAST_PHOTOS = 20  # of val albums of several photos; with fewer the defaults stand


def learnt_on(dataset: Dataset, image: Checkpoint, distances_km: Sequence[float]) -> tuple[Travel, str]:
    """``learnt`` on the train and val splits of a dataset, as the image model sees them."""
    chosen_on = AlbumSet.of(dataset, "val", image, distances_km, needed=False)
    return learnt(embedded_albums(dataset, "train", image), chosen_on)


def learnt(train: Sequence[EmbeddedAlbum], val: AlbumSet) -> tuple[Travel, str]:
    """The model with movement and prior taken from ``train``, and how its exponent and jump were chosen, in a sentence.

    The best is the one whose first guesses have the largest share within the distances of ``val``, their mean.
    """
    movement = Movement.fit(((album.cells(val.partition), album.seconds_T) for album in train), val.partition)
    general_C = mean_answer(train, val.image)
    several = replace(val, albums=tuple(album for album in val.albums if len(album) > 1))
    steps = f"movement from {sum(movement.steps_S):,} steps of the training albums"
    if sum(len(album) for album in several.albums) < LEAST_PHOTOS:
        model = Travel.over(val.partition, movement, general_C)
        return model, f"{steps}; exponent {EXPONENT:g} and jump {JUMP:g} by default: the val split has too few albums"
    quick = replace(several, distances_km=())
    scores = {}
    for exponent, jump in itertools.product(EXPONENTS, JUMPS):
        guesses = first_guesses(quick, Travel.over(val.partition, movement, general_C, exponent=exponent, jump=jump))
        km_N = metrics.distances(guesses.lat, guesses.lng, val.truth.lat, val.truth.lng)[:, 0]
        scores[exponent, jump] = float(metrics.share_within(km_N, val.distances_km).mean())
    exponent, jump = max(scores, key=lambda pair: scores[pair])
    model = Travel.over(val.partition, movement, general_C, exponent=exponent, jump=jump)
    model.calibration = calibrate_albums(model, val.image, several.albums)
    return model, f"{steps}; exponent {exponent:g} and jump {jump:g} chosen on {len(several.albums)} val albums"
