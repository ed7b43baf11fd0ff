"""Places that are named and regions that are told, against counting by hand."""

import numpy as np
import pytest

from openplanet.earth.partition.adaptive import Partition, build
from openplanet.evaluation.measures.naming import Namer, Naming
from openplanet.inference.prediction import Prediction

PARIS, LYON, TOKYO = (48.8566, 2.3522), (45.764, 4.8357), (35.6762, 139.6503)


@pytest.fixture(scope="module")
def cells() -> Partition:
    around = np.array([(0, 0), (0.4, 0.4), (-0.4, 0.4), (0.4, -0.4), (-0.4, -0.4)])  # so that the cells are small
    lat, lng = np.concatenate([around + at for at in (PARIS, LYON, TOKYO)]).T
    return build([(lat, lng)], max_photos=1, min_photos=1)


def told(cells: Partition, truth: list[tuple[float, float]], answers: list[tuple[float, float, float]]) -> Naming:
    """Photos taken at ``truth``, with probabilities for Paris, Lyon and Tokyo."""
    lat, lng = np.array(truth).T
    order = cells.assign(*np.array([PARIS, LYON, TOKYO]).T)
    namer = Namer(lat, lng)
    for row, answer in enumerate(answers):
        probability_C = np.full(len(cells), 1e-12)
        probability_C[order] = np.maximum(answer, 1e-12)
        cell = int(cells.assign(lat[row : row + 1], lng[row : row + 1])[0])
        namer.add(row, Prediction(cells, np.log(probability_C)), cell)
    return namer.finish()


def test_the_finest_place_that_is_likely_enough_is_counted(cells: Partition) -> None:
    found = told(
        cells,
        [PARIS, PARIS, LYON, TOKYO, TOKYO],
        [(0.9, 0.05, 0.05), (0.1, 0.85, 0.05), (0.45, 0.4, 0.15), (0.4, 0.25, 0.35), (0.34, 0.33, 0.33)],
    )
    city, region, country, nothing = found.told(0.7)
    assert city == ("city", 0.4, 0.5)  # Paris rightly; Lyon, which is Paris
    assert region == ("region", 0.0, None)  # no region holds more than its one city
    assert country == ("country", 0.2, 1.0)  # 0.85 for France
    assert nothing == ("nothing", pytest.approx(0.4), None)
    assert [share for _, share, _ in found.told(0.0)] == [1.0, 0.0, 0.0, 0.0]


def test_the_curve_starts_with_the_surest(cells: Partition) -> None:
    found = told(cells, [PARIS, LYON, TOKYO], [(0.6, 0.3, 0.1), (0.8, 0.1, 0.1), (0.0, 0.1, 0.9)])
    shares, right = found.curve("city")  # Tokyo rightly at 0.9, Paris for Lyon at 0.8, Paris rightly at 0.6
    np.testing.assert_allclose(shares, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(right, [1, 1 / 2, 2 / 3])


def test_a_photo_in_no_cell_is_in_no_set_and_one_without_an_answer_is_wrong(cells: Partition) -> None:
    lat, lng = np.array([PARIS, (-60.0, 100.0), PARIS]).T
    namer = Namer(lat, lng)
    sure = Prediction(cells, np.log(np.where(np.arange(len(cells)) == cells.assign(lat[:1], lng[:1])[0], 1.0, 1e-9)))
    namer.add(0, sure, int(cells.assign(lat[:1], lng[:1])[0]))
    namer.add(1, sure, -1)
    found = namer.finish()
    assert found.cells_SN.T.tolist() == [[True] * 4, [False] * 4, [False] * 4]
    assert found.radius_SN[:, 0].all() and not found.radius_SN[:, 1:].any()
    assert not found.right_LN[:, 1:].any() and found.told(0.5)[-1] == ("nothing", pytest.approx(1 / 3), None)
    assert found.to_dict()["coverage"][0] == {
        "share": 0.5,
        "radius": pytest.approx(1 / 3),
        "cells": pytest.approx(1 / 3),
    }
