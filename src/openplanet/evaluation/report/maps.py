"""The maps of a report: the cells by density of training photos, and where the guesses err.

Shapes: N photos, C cells, X centres tried.
"""

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from openplanet.earth.geo import distance_km
from openplanet.evaluation.report import samples
from openplanet.evaluation.result import Result
from openplanet.inference.locator import Locator
from openplanet.maps import description
from openplanet.maps.description import Description
from openplanet.maps.page import embedded

Floats = NDArray[np.float64]

MOST_CELLS = 30_000  # sent: 16 bytes each
MOST_TITLED = 2000  # cells with a name each
MOST_ERRORS = 300  # photos on the map of errors
LINES_FROM_KM = 750.0  # smaller errors have no line: they are a dot's width
ERRORS = ((25.0, "#0a8f55"), (200.0, "#d9a400"), (750.0, "#e0653a"), (np.inf, "#7c2680"))
DETAIL_KM = 300.0  # what the second map shows: all within so far of one point
KM_PER_DEGREE = 111.2
WORLD: Description = {"lat": 15.0, "lng": 10.0, "degrees": 180.0, "flat": True}
LEAST_SHARE = 0.5  # of the photos: on a map of the world a region's are one dot
MOST_CENTRES = 500  # points tried as its middle
SEED = 0


def cells(locator: Locator) -> Markup:
    """The cells, coloured by training photos per area; the largest in number where they are too many for a page."""
    p = locator.partition
    sent = np.sort(np.argsort(-p.count / p.area_km2, kind="stable")[:MOST_CELLS])
    titles = None
    if len(p) <= MOST_TITLED:
        names = zip(p.city, p.country, p.count.tolist(), strict=True)
        titles = [f"{', '.join(filter(None, (city, country)))}: {count:,} photos" for city, country, count in names]
    what = "training photos per km²"
    drawn: Description = {
        "label": "The cells, coloured by how many training photos each holds per area",
        "flat": True,
        **description.turned(p.turn),
        "cells": description.cells(p.cell_id[sent], p.count[sent], "density", what=what, titles=titles),
    }
    return embedded(drawn)


def errors(result: Result) -> Markup:
    """A dot where each photo was taken, coloured by how far off the first guess is; lines of the large errors. It opens
    where most photos were taken, where those are most of them."""
    truth, guess = result.truth, result.model.answers
    points, lines, counts = list[Description](), list[Description](), [0] * len(ERRORS)
    for index in samples.errors_shown(result, MOST_ERRORS, SEED).tolist():
        lat, lng = float(truth.lat[index]), float(truth.lng[index])
        to_lat, to_lng = float(guess.lat[index, 0]), float(guess.lng[index, 0])
        km = float(distance_km(lat, lng, to_lat, to_lng))
        kind = next(k for k, (most, _) in enumerate(ERRORS) if km <= most)
        title, ink = f"{truth.source[index]}: {samples.km_words(km)} off", ERRORS[kind][1]
        counts[kind] += 1
        points.append(description.point(lat, lng, title=title, colour=ink, radius=4))
        if km > LINES_FROM_KM:
            ends = {"from": description.point(lat, lng), "to": description.point(to_lat, to_lng)}
            lines.append({**ends, "title": title, "colour": ink, "opacity": 0.35, "width": 1})
    keys = [
        {"colour": ink, "text": f"{f'within {most:g} km' if np.isfinite(most) else 'farther off'}: {count}"}
        for (most, ink), count in zip(ERRORS, counts, strict=True)
    ]
    found: Description = {"label": "Where photos were taken, by how far off the first guess is", "view": WORLD}
    found |= {"points": points, "lines": lines, "keys": keys}
    near = _crowd(truth.lat, truth.lng)
    if near.mean() >= LEAST_SHARE:
        middle = description.point(np.median(truth.lat[near]), np.median(truth.lng[near]))
        found |= {"view": {**middle, "degrees": DETAIL_KM / KM_PER_DEGREE}}
        found["labels"] = description.labels(truth.lat[near], truth.lng[near])
    return embedded(found)


def errors_text(result: Result) -> str:
    """Which photos the map of errors shows."""
    shown = len(samples.errors_shown(result, MOST_ERRORS, SEED))
    if shown < len(result.truth.lat):
        return f"{shown:,} photos, drawn by chance, so that single ones can be seen."
    return "All photos are shown."


def _crowd(lat_N: Floats, lng_N: Floats) -> NDArray[np.bool_]:
    """The positions within DETAIL_KM of the one that most others lie near: [N]."""
    some = np.linspace(0, len(lat_N) - 1, min(len(lat_N), MOST_CENTRES)).astype(np.int64)
    counts = [int((distance_km(lat_N[x], lng_N[x], lat_N, lng_N) <= DETAIL_KM).sum()) for x in some]
    middle = some[int(np.argmax(counts))]
    return np.asarray(distance_km(lat_N[middle], lng_N[middle], lat_N, lng_N) <= DETAIL_KM)
