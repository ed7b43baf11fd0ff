"""What a person is told, measured: how often the place that is named is right, and whether the regions hold the photo.

A place counts as right where ``earth.places.named`` calls the true position the same, at the level that was named.

Shapes: N photos, L levels (country, region, city), S shares of ``models.regions.SHARES``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import geo, places
from openplanet.inference.place_tree import LEVELS, CellPlace, Level, likeliest
from openplanet.inference.prediction import CONFIDENCE, Prediction
from openplanet.models.regions import SHARES

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

CONFIDENCES = (CONFIDENCE, 0.8, 0.95)


@dataclass(frozen=True, eq=False)
class Naming:
    """Of every photo, at each level: the probability of the likeliest place, NaN where there is none, and whether it is
    right; and whether the radius about the best point, and the set of cells, of each share hold it."""

    probability_LN: Floats
    right_LN: Mask
    radius_SN: Mask
    cells_SN: Mask

    def told(self, confidence: float) -> tuple[tuple[str, float, float | None], ...]:
        """What is told where a place must have ``confidence``, the finest first: the level, the share of photos whose
        answer is of it, and the share of these answers that is right (None: of none). Last, those with no answer."""
        enough_LN = np.nan_to_num(self.probability_LN) >= confidence
        left_N = np.ones(enough_LN.shape[1], dtype=bool)
        found = list[tuple[str, float, float | None]]()
        for level, enough_N, right_N in zip(LEVELS[::-1], enough_LN[::-1], self.right_LN[::-1], strict=True):
            here_N = enough_N & left_N
            found.append((level, float(here_N.mean()), float(right_N[here_N].mean()) if here_N.any() else None))
            left_N &= ~enough_N
        return (*found, ("nothing", float(left_N.mean()), None))

    def curve(self, level: Level) -> tuple[Floats, Floats]:
        """Of the photos of whose place one is surest, as a share of all, the share that is named rightly: the
        risk-coverage curve (El-Yaniv, Wiener 2010, "On the Foundations of Noise-free Selective Classification"), with
        1 - risk."""
        probability_N, right_N = (each[LEVELS.index(level)] for each in (self.probability_LN, self.right_LN))
        order = np.argsort(-np.nan_to_num(probability_N, nan=-1.0), kind="stable")
        count = np.arange(1, len(order) + 1)
        return count / len(order), np.cumsum(right_N[order]) / count

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe; shares are 0 to 1."""
        return {
            "by_confidence": [
                {"confidence": each, "told": [dict(zip(("level", "share", "right"), row, strict=True)) for row in rows]}
                for each in CONFIDENCES
                if (rows := self.told(each))
            ],
            "coverage": [
                {"share": share, "radius": float(radius_N.mean()), "cells": float(cells_N.mean())}
                for share, radius_N, cells_N in zip(SHARES, self.radius_SN, self.cells_SN, strict=True)
            ],
        }


class Namer:
    """Gathers a ``Naming`` of photos truly at ``lat_N``, ``lng_N`` (degrees), whose predictions come in any order."""

    def __init__(self, lat_N: Floats, lng_N: Floats) -> None:
        self._at = lat_N, lng_N
        truly = places.named(lat_N, lng_N)
        self._place_N = [CellPlace(each.country, each.region, each.city, each.country_code) for each in truly]
        count = len(lat_N)
        self._found = Naming(
            np.full((len(LEVELS), count), np.nan),
            *(np.zeros((rows, count), dtype=bool) for rows in (len(LEVELS), len(SHARES), len(SHARES))),
        )

    def add(self, row: int, prediction: Prediction, cell: int) -> None:
        """The prediction of photo ``row``, which was taken in ``cell`` (-1: in none)."""
        found, probabilities = self._found, prediction.probabilities
        for number, level in enumerate(LEVELS):
            node = likeliest(prediction.partition, probabilities, level)
            if node is not None:
                found.probability_LN[number, row] = node.probability
                found.right_LN[number, row] = _same(node.place, self._place_N[row], level)
        best = prediction.best_point()
        radii = prediction.regions.radii_km(prediction.partition, probabilities, best.lat, best.lng)
        far = float(geo.distance_km(best.lat, best.lng, self._at[0][row], self._at[1][row]))
        found.radius_SN[:, row] = [far <= km for km in radii]
        found.cells_SN[:, row] = [cell >= 0 and bool((prediction.region(share) == cell).any()) for share in SHARES]

    def finish(self) -> Naming:
        """What was gathered."""
        return self._found


def _same(named: CellPlace, truly: CellPlace, level: Level) -> bool:
    """Whether two places are one at a level; one without a name there is none."""
    parts: Sequence[str] = LEVELS[1 : LEVELS.index(level) + 1]
    return named.country_code == truly.country_code and all(
        getattr(named, part) and getattr(named, part) == getattr(truly, part) for part in parts
    )
