"""The photos that a report shows: which, with what the model said of each.

Shapes: N photos of the result.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from openplanet.earth import places
from openplanet.earth.geo import distance_km
from openplanet.evaluation.contestants.asking import predicted
from openplanet.evaluation.result import Result
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.inference.locator import Locator
from openplanet.inference.output.prediction_map import prediction_map
from openplanet.inference.prediction import Prediction
from openplanet.maps.page import answer, embedded
from openplanet.photos.files import images

THUMBNAIL = 170  # short side, pixels
MOST_CELLS = 600  # of a photo's map: some twenty photos are on the page
MOST_CONSIDERED = 200
LEAST_TORN = 0.1
SURE, TORN, HOPELESS = "The surest", "The most torn", "The least sure"


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
            f"(seed {seed}). The stronger the colour, the more probability an area holds for its size; the green "
            "square is where the photo was taken.",
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


def story(result: Result, predictor: Locator, photoset: PhotoSet, seed: int) -> dict[int, str]:
    """Three photos with what they stand for: of which the model is surest, most torn between two countries (unless
    none is), least sure. They are chosen by its probabilities, right or not, among some drawn by chance."""
    readable = np.flatnonzero(np.isfinite(result.model.km[:, 0]))
    pool = np.random.default_rng(seed).permutation(readable)[:MOST_CONSIDERED].tolist()
    sure, torn, spread = dict[int, float](), dict[int, float](), dict[int, float]()
    for row, prediction in _predictions(predictor, photoset, pool).items():
        shares = [*prediction.country_probabilities().values(), 0.0]
        sure[row] = prediction.best_point().probability
        if shares[1] >= LEAST_TORN:
            torn[row] = shares[1]  # of the second country
        spread[row] = -float(np.sum(prediction.probabilities * np.maximum(prediction.log_probs, -1e3)))
    chosen: dict[int, str] = {}
    for words, scores in ((SURE, sure), (TORN, torn), (HOPELESS, spread)):
        left = {row: score for row, score in scores.items() if row not in chosen}
        if left:
            chosen[max(sorted(left), key=left.__getitem__)] = words
    return chosen


def describe(result: Result, predictor: Locator, photoset: PhotoSet, indices: Iterable[int]) -> dict[int, Markup]:
    """Locate the photos of these indices, all of which have an answer, again and draw each; the images are read in one
    pass."""
    wanted = sorted(set(indices))
    predictions = _predictions(predictor, photoset, wanted)
    return {row: _sample(result, row, photo, predictions[row]) for row, photo in photoset.some(wanted)}


def _predictions(predictor: Locator, photoset: PhotoSet, wanted: Sequence[int]) -> dict[int, Prediction]:
    found = dict[int, Prediction]()
    for rows, answers in predicted(predictor, photoset, sorted(wanted)):
        found |= {row: each for row, each in zip(rows, answers, strict=True) if each is not None}
    return found


def _sample(result: Result, index: int, photo: bytes, prediction: Prediction) -> Markup:
    truth, point = result.truth, prediction.best_point()
    lat, lng = float(truth.lat[index]), float(truth.lng[index])
    guess_km = float(result.model.km[index, 0])
    point_km = float(distance_km(point.lat, point.lng, lat, lng))
    jpeg = images.encode_jpeg(images.load(photo, short_side=THUMBNAIL), quality=80)
    record = {"flag": None, "error": None, "source": "model", "evidence": None, **prediction.to_dict(1)}
    return embedded(
        answer(
            truth.source[index],
            record,
            map=prediction_map(prediction, (lat, lng), most_cells=MOST_CELLS),
            thumbnail="data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii"),
            note=f"Taken near {places.nearest([lat], [lng])[0].name}: the first guess is {km_words(guess_km)} off, "
            f"the best point {km_words(point_km)}.",
        ),
        "op-answer",
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
