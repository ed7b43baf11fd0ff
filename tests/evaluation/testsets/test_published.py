import json

import pytest

from openplanet.evaluation.testsets.known import KNOWN
from openplanet.evaluation.testsets.published import published_on


def test_figures_of_the_paper() -> None:
    planet = published_on("im2gps")[0]
    assert (planet.system, planet.year, planet.confirmed) == ("PlaNet", 2016, True)
    assert planet.at((1.0, 25.0, 100.0, 2500.0)) == pytest.approx((0.084, 0.245, None, 0.713))
    assert planet.to_dict()["status"] == "published, not run"


def test_memory_is_marked() -> None:
    vo = next(each for each in published_on("im2gps3k") if each.system.startswith("Vo"))
    assert not vo.confirmed


@pytest.mark.parametrize("testset", list(KNOWN))
def test_every_row_is_whole(testset: str) -> None:
    for each in published_on(testset):
        assert each.source and len(each.within) == len(each.distances_km)
        assert list(each.within) == sorted(each.within) and all(0 < share < 1 for share in each.within)
        assert each.within or each.geoscore
        json.dumps(each.to_dict(), allow_nan=False)


def test_nobody_reports_on_our_own_photos() -> None:
    assert published_on("") == ()
