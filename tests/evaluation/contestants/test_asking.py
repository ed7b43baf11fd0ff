"""The one loop that asks: predictions come in any order, and not of every photo."""

import numpy as np
import pytest

from openplanet.earth.partition import adaptive
from openplanet.evaluation.answers import Truth
from openplanet.evaluation.contestants.asking import collect
from openplanet.inference.prediction import Prediction

LAT, LNG = np.array([10.0, -20.0, 50.0]), np.array([5.0, 60.0, -100.0])


@pytest.fixture(scope="module")
def cells() -> adaptive.Partition:
    return adaptive.build([(np.repeat(LAT, 4), np.repeat(LNG, 4))], 4, 1)


def test_answers_stand_in_the_order_of_the_set(cells: adaptive.Partition) -> None:
    ids = tuple("abcd")
    truth = Truth(ids, ids, np.append(LAT, 0.0), np.append(LNG, 0.0))
    cell_N = cells.assign(LAT, LNG).tolist()
    told = [Prediction(cells, np.where(np.arange(len(cells)) == cell, 3.0, 0.0)) for cell in cell_N]
    found = collect([([2, 3], [told[2], None]), ([0], [told[0]])], truth, cells, (25.0,), coarser=())
    assert found.lat[:, 0] == pytest.approx([10, np.nan, 50, np.nan], nan_ok=True)
    assert found.points_DNK2 is not None and found.scores is not None and found.entropy_N is not None
    assert found.points_DNK2[0, :, 0, 1] == pytest.approx([5, np.nan, -100, np.nan], nan_ok=True)
    assert found.scores.answered_N.tolist() == [True, False, True, False]
    assert found.scores.right_LN[0].tolist() == [True, False, True, False]
    assert np.isfinite(found.entropy_N).tolist() == [True, False, True, False]
    assert collect([], truth, cells).scores is None
