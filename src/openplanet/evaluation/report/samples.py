"""The photos that a report shows: which, with what the model said of each.

Shapes: N photos of the result.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from openplanet.earth import places
from openplanet.earth.geo import distance_km
from openplanet.evaluation.contestants.asking import predicted
from openplanet.evaluation.result import Result
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.inference.locator import Locator
from openplanet.inference.output.prediction_map import CANDIDATES, prediction_map
from openplanet.inference.prediction import Prediction
from openplanet.photos.files import images

THUMBNAIL = 240  # short side, pixels


@dataclass(frozen=True)
class Sample:
    """One photo as the page shows it. ``source`` is untrusted text; ``image`` a data URI."""

    source: str
    image: str
    place: str
    error: str
    map: Markup
    candidates: tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Group:
    """Photos under one heading, and how they were chosen."""

    title: str
    text: str
    indices: tuple[int, ...]


def choose(result: Result, drawn: int, extremes: int, seed: int) -> list[Group]:
    """Photos drawn at random, then the best and the worst: none that the model could not read."""
    km_N = result.model.km[:, 0]
    readable = np.flatnonzero(np.isfinite(km_N))
    order = readable[np.argsort(km_N[readable], kind="stable")]
    rng = np.random.default_rng(seed)
    at_random = rng.permutation(readable)[:drawn]
    groups = [
        Group(
            "Photos drawn at random",
            f"{len(at_random)} photos of {result.where}, not picked by hand: drawn by chance "
            f"(seed {seed}). The darker a cell, the more probable the model holds it that the photo was "
            "taken there; the target is where it was.",
            tuple(at_random.tolist()),
        ),
        Group(
            "The best",
            "The photos whose first guess is nearest to the truth: picked for that, so they say what the "
            "model knows well, not how good it is.",
            tuple(order[:extremes].tolist()),
        ),
        Group(
            "The worst",
            "The photos whose first guess is farthest off: what misleads the model.",
            tuple(order[::-1][:extremes].tolist()),
        ),
    ]
    return [group for group in groups if group.indices]


def describe(result: Result, predictor: Locator, photoset: PhotoSet, indices: Iterable[int]) -> dict[int, Sample]:
    """Locate the photos of these indices, all of which have an answer, again and draw each; the images are read in one
    pass."""
    wanted, predictions = sorted(set(indices)), dict[int, Prediction]()
    for rows, answers in predicted(predictor, photoset, wanted):
        predictions |= {row: each for row, each in zip(rows, answers, strict=True) if each is not None}
    return {row: _sample(result, row, photo, predictions[row]) for row, photo in photoset.some(wanted)}


def _sample(result: Result, index: int, photo: bytes, prediction: Prediction) -> Sample:
    truth = result.truth
    lat, lng = float(truth.lat[index]), float(truth.lng[index])
    top = prediction.top(CANDIDATES)
    km = distance_km([c.lat for c in top], [c.lng for c in top], lat, lng)
    candidates = tuple(
        {
            "place": c.place.text,
            "probability": f"{100 * c.probability:.1f}%",
            "width": f"{100 * c.probability / top[0].probability:.0f}",
            "km": km_words(float(off)),
        }
        for c, off in zip(top, km, strict=True)
    )
    jpeg = images.encode_jpeg(images.load(photo, short_side=THUMBNAIL), quality=84)
    return Sample(
        source=truth.source[index],
        image="data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii"),
        place=places.nearest([lat], [lng])[0].name,
        error=km_words(float(km[0])),
        map=Markup(prediction_map(prediction, (lat, lng)).html(shared_land=True)),
        candidates=candidates,
    )


def km_words(km: float) -> str:
    """A distance for a reader: ``850 m``, ``7.2 km``, ``1,234 km``."""
    if km < 1:
        return f"{1000 * km:.0f} m"
    return f"{km:.1f} km" if km < 10 else f"{km:,.0f} km"


def errors_shown(result: Result, most: int, seed: int) -> np.ndarray:
    """Indices of at most ``most`` photos with a guess, drawn at random, for the map of errors."""
    readable = np.flatnonzero(np.isfinite(result.model.km[:, 0]))
    return np.sort(np.random.default_rng(seed).permutation(readable)[:most])
