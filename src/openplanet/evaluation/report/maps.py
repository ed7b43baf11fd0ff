"""The maps of a report: the cells, and where the guesses err, each also where most of them lie.

Shapes: N photos, C cells, X centres tried.
"""

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from openplanet.earth.geo import distance_km
from openplanet.evaluation.report import samples
from openplanet.evaluation.result import Result
from openplanet.inference.locator import Locator
from openplanet.maps.world_map import Bounds, WorldMap, bounds_of

Floats = NDArray[np.float64]

WIDTH = 1000
MOST_ERRORS = 150  # lines on the map of errors: with more nobody sees one
DETAIL_KM = 300.0  # what the second map of each kind shows: all within so far of one point
LEAST_CELLS = 12  # that make a second map of cells worth it
LEAST_SHARE = 0.5  # of the photos, the same for errors: on a map of the world a region's are one dot
MOST_CENTRES = 500  # points tried as its middle
SEED = 0


def cells(locator: Locator, bounds: Bounds | None = None) -> Markup:
    """The cells, coloured by their training photos; of the world, or of a region."""
    p = locator.partition
    names = zip(p.city, p.country, p.count.tolist(), strict=True)
    titles = [f"{city}, {country}: {count:,} photos" for city, country, count in names]
    drawn = WorldMap(WIDTH, bounds, title="The cells, coloured by how many training photos each holds").cells(
        p.cell_id, p.count, what="training photos in the cell", log=True, titles=titles, turn=p.turn
    )
    return Markup(drawn.html(shared_land=True))


def cells_detail(locator: Locator) -> Markup | None:
    """The cells around the point that most others lie near; None where they are no more than a few."""
    p = locator.partition
    near = _crowd(p.lat, p.lng)
    return None if near.sum() < LEAST_CELLS else cells(locator, bounds_of(p.lat[near], p.lng[near]))


def errors(result: Result, bounds: Bounds | None = None) -> Markup:
    """Lines from the truth to the subject's first guess; of the world, or of a region."""
    truth, guess = result.truth, result.model.answers
    drawn = WorldMap(WIDTH, bounds, title="From where photos were taken to where the model puts them")
    chosen = samples.errors_shown(result, MOST_ERRORS, SEED)
    for index in chosen.tolist():
        lat, lng = float(truth.lat[index]), float(truth.lng[index])
        to_lat, to_lng = float(guess.lat[index, 0]), float(guess.lng[index, 0])
        off = samples.km_words(float(distance_km(lat, lng, to_lat, to_lng)))
        drawn.line(lat, lng, to_lat, to_lng, title=f"{truth.source[index]}: {off} off")
    drawn.points(truth.lat[chosen], truth.lng[chosen], kind="photo", key="where it was taken")
    return Markup(drawn.html(shared_land=True))


def errors_detail(result: Result) -> Markup | None:
    """The same around the point that most photos lie near; None where those are less than half of them."""
    truth = result.truth
    near = _crowd(truth.lat, truth.lng)
    return None if near.mean() < LEAST_SHARE else errors(result, bounds_of(truth.lat[near], truth.lng[near]))


def errors_text(result: Result) -> str:
    """Which photos the map of errors shows."""
    shown = len(samples.errors_shown(result, MOST_ERRORS, SEED))
    if shown < len(result.truth.lat):
        return f"{shown:,} photos, drawn by chance, so that single lines can be seen."
    return "All photos are shown."


def _crowd(lat_N: Floats, lng_N: Floats) -> NDArray[np.bool_]:
    """The positions within DETAIL_KM of the one that most others lie near: [N]."""
    some = np.linspace(0, len(lat_N) - 1, min(len(lat_N), MOST_CENTRES)).astype(np.int64)
    counts = [int((distance_km(lat_N[x], lng_N[x], lat_N, lng_N) <= DETAIL_KM).sum()) for x in some]
    middle = some[int(np.argmax(counts))]
    return np.asarray(distance_km(lat_N[middle], lng_N[middle], lat_N, lng_N) <= DETAIL_KM)
