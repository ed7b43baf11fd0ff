import json
import math

import numpy as np
import pytest

from openplanet.earth.partition import adaptive as partitions
from openplanet.evaluation.measures import distribution
from openplanet.evaluation.measures.cell_scores import CellScorer, CellScores


@pytest.fixture(scope="module")
def cells() -> partitions.Partition:
    rng = np.random.default_rng(0)
    return partitions.build([(rng.uniform(40, 55, 3000), rng.uniform(-10, 30, 3000))], max_photos=60, min_photos=5)


def drawn(cells: partitions.Partition, photos: int, sharpness: float, seed: int = 0) -> CellScores:
    """Photos whose true cell is drawn from p, and is told as p to the power of ``sharpness``: 1 is calibrated."""
    rng = np.random.default_rng(seed)
    scorer = CellScorer(cells)
    scores = rng.normal(0, 2.5, (photos, len(cells)))
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    true = np.array([rng.choice(len(cells), p=row) for row in p])
    told = scores * sharpness
    log_probs = told - np.log(np.exp(told).sum(axis=1, keepdims=True))
    scorer.add(log_probs.astype(np.float32), cells.lat[true], cells.lng[true])
    return scorer.finish()


def test_calibrated_probabilities_are_found_calibrated(cells: partitions.Partition) -> None:
    found = distribution.distribution_of(drawn(cells, 4000, sharpness=1.0))
    for level in found.levels[:-1]:  # a cell's country is that of its photos' mean, not of its centre
        assert level.ece < 0.03 and level.accuracy == pytest.approx(level.confidence, abs=0.03), level.name
    for region in found.regions:
        assert region.mass - 0.02 <= region.covered <= region.mass + 0.07  # a whole cell more than is needed


def test_too_sure_is_found_too_sure(cells: partitions.Partition) -> None:
    fair = distribution.distribution_of(drawn(cells, 2000, sharpness=1.0))
    sure = distribution.distribution_of(drawn(cells, 2000, sharpness=3.0))
    assert sure.levels[0].ece > 0.2 > fair.levels[0].ece
    assert sure.levels[0].nll > fair.levels[0].nll and sure.levels[0].brier > fair.levels[0].brier
    assert sure.regions[2].covered < 0.7 < fair.regions[2].covered
    assert sure.regions[2].median_cells < fair.regions[2].median_cells


def test_measures_are_the_obvious_loops(cells: partitions.Partition) -> None:
    scores = drawn(cells, 300, sharpness=1.5)
    found = distribution.distribution_of(scores)
    for row, level in enumerate(found.levels):
        sure, right = scores.confidence_LN[row].tolist(), scores.right_LN[row].tolist()
        error = 0.0
        for b in range(15):
            inside = [n for n in range(300) if b / 15 <= sure[n] < (b + 1) / 15 or (b == 14 and sure[n] == 1)]
            if inside:
                gap = sum(right[n] for n in inside) / len(inside) - sum(sure[n] for n in inside) / len(inside)
                error += len(inside) / 300 * abs(gap)
        assert level.ece == pytest.approx(error, abs=1e-6)
        known = [float(x) for x, k in zip(scores.log_prob_LN[row], scores.known_LN[row], strict=True) if k]
        assert level.nll == pytest.approx(-sum(known) / len(known), abs=1e-5)
        assert level.outside == 300 - len(known)
    for km2, share in found.recall[::7]:
        assert share == pytest.approx(sum(float(x) <= np.float32(km2) for x in scores.searched_km2_N) / 300)
    assert [share for _, share in found.recall] == sorted(share for _, share in found.recall)


def test_photos_outside_and_unanswered_stay_in_the_denominator(cells: partitions.Partition) -> None:
    scorer = CellScorer(cells)
    log_probs = np.full((4, len(cells)), -np.inf, np.float32)
    log_probs[:3, 5] = 0.0  # sure of one cell; right once, in no cell once, unanswered once
    lat = np.array([cells.lat[5], cells.lat[6], -80.0, cells.lat[5]])
    lng = np.array([cells.lng[5], cells.lng[6], 0.0, cells.lng[5]])
    scorer.add(log_probs, lat, lng)
    found = distribution.distribution_of(scorer.finish())
    cell = found.levels[0]
    assert cell.accuracy == 0.25 and cell.outside == 1
    assert cell.nll is None  # the second was given probability 0
    assert cell.brier == pytest.approx((0 + 2 + 2 + 1) / 4)
    assert cell.ece == pytest.approx(3 / 4 * (1 - 1 / 3))
    assert [region.covered for region in found.regions] == [0.25] * 4
    assert found.recall[-1][1] == 0.25
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["levels"][0]["nll"] is None


def test_a_confidence_of_one_is_in_the_last_bin() -> None:
    bins = distribution.reliability(np.array([0.0, 1.0], np.float32), np.array([False, True]))
    assert [(b.photos, b.accuracy) for b in bins] == [(1, 0.0), (1, 1.0)] and bins[-1].high == 1.0
    assert distribution.calibration_error(bins) == 0.0 and not math.isnan(bins[0].confidence)
