"""The description of a prediction's map: cells by density, regions, the best point, places, the truth if known.

What draws it is maps/static/globe.js, in files and on the page of the server. Shapes: C cells, S cells sent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from openplanet.inference.evidence import Alike
from openplanet.inference.place_tree import CellPlace, Node, place_of
from openplanet.inference.prediction import Prediction
from openplanet.maps import description
from openplanet.maps.description import Description
from openplanet.models.regions import WITHIN_KM

MOST_CELLS = 4000
"""Cells sent of one answer: 17 bytes each."""
SHOWN = 0.995  # of the probability: the rest would be one pale wash
REGIONS = (0.9, 0.5)
LEAST_PLACE = 0.03  # less likely places get no mark, unless nothing is likelier
MOST_PLACES = 12  # the page puts together those that meet
ALIKE_INK = "#c2700a"
MOST_TRIED = 500  # cells, the likeliest first, among which a place's mark is looked for


def prediction_map(
    prediction: Prediction,
    truth: tuple[float, float] | None = None,
    within_km: float = WITHIN_KM,
    most_cells: int = MOST_CELLS,
    alike: Iterable[Alike] = (),
) -> Description:
    """``truth``: (lat, lng) in degrees, where known. ``within_km``: the distance that the best point is for.
    ``alike``: photos of a reference that are most like it."""
    point = prediction.best_point(within_km)
    named = prediction.answer().text
    marked = places(prediction)
    near = [
        (point.lat, point.lng),
        *((each["lat"], each["lng"]) for each in marked),
        *([] if truth is None else [truth]),
    ]
    found: Description = {
        "label": f"Where the model looks for this photo: {named}",
        **description.turned(prediction.partition.turn),
        "cells": _cells(prediction, most_cells),
        "best": description.point(
            point.lat,
            point.lng,
            title="best point",
            radii=[{"share": float(share), "km": round(km, 3)} for share, km in point.radius_km.items()],
        ),
        "places": marked,
        "labels": description.labels([lat for lat, _ in near], [lng for _, lng in near]),
    }
    if truth is not None:
        found["truth"] = description.point(*truth)
    if likely := list(alike):
        found["points"] = [
            description.point(each.lat, each.lng, title=f"like {each.source}", far=True, colour=ALIKE_INK)
            for each in likely
        ]
        found["keys"] = [{"text": "photos most like it", "colour": ALIKE_INK}]
    return found


def _cells(prediction: Prediction, most: int) -> Description:
    """The cells with most probability per area, and those of the regions where they are few enough to send."""
    p, probability_C = prediction.partition, prediction.probabilities
    densest_C = np.argsort(-probability_C / p.area_km2, kind="stable")
    count = int(np.searchsorted(np.cumsum(probability_C[densest_C]), SHOWN)) + 1
    sent = densest_C[: min(count, most)]
    held_C = np.zeros(len(p), np.uint8)
    regions = [share for share in REGIONS if len(prediction.region(share)) <= min(most, len(p) - 1)]
    for share in regions:
        held_C[prediction.region(share)] += 1
    sent = np.unique(np.concatenate([sent, np.flatnonzero(held_C)]))
    return description.cells(
        p.cell_id[sent], probability_C[sent], "mass", regions=regions, held_N=held_C[sent] if regions else None
    )


def finest_places(countries: Iterable[Node], least: float = LEAST_PLACE) -> list[Node]:
    """The finest places of a tree that have ``least``, the likeliest first; what is left of a place beside those in it
    is one too."""
    found: list[Node] = []

    def walk(node: Node) -> float:
        """How much of the place's probability is told."""
        told = sum(map(walk, node.inside))
        if node.probability - told >= least:
            found.append(replace(node, probability=node.probability - told))
            told = node.probability
        return told

    for country in countries:
        walk(country)
    return sorted(found, key=lambda node: -node.probability)


def places(prediction: Prediction) -> list[Description]:
    """The likeliest places, each with a mark at the centroid of its likeliest cell."""
    tree = prediction.places()
    likely = finest_places(tree) or list(tree[:1])
    p = prediction.partition
    called = [(cell, place_of(p, cell)) for cell in prediction.top_cells(MOST_TRIED).tolist()]
    marks = list[Description]()
    for node in likely[:MOST_PLACES]:
        cell = _cell_of(node, called)
        if cell is not None:
            at = description.point(p.centroid_lat[cell], p.centroid_lng[cell])
            said = {"name": node.place.text, "probability": round(node.probability, 4)}
            marks.append({"rank": len(marks) + 1, **said, **at})
    return marks


def _cell_of(node: Node, called: Sequence[tuple[int, CellPlace]]) -> int | None:
    """The likeliest cell of a place, of cells with what they are called: one that is called just so, else one in it."""
    exact = [cell for cell, place in called if place == node.place]
    inside = [cell for cell, place in called if place.at(node.level) == node.place]
    return next(iter([*exact, *inside]), None)
