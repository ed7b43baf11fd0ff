import numpy as np
import pytest

from openplanet.earth.partition import adaptive as partitions
from openplanet.evaluation.answers import Answers, Truth
from openplanet.evaluation.measures import breakdown
from openplanet.evaluation.measures.row import Row

LAT = np.array([48.86, 48.80, 44.5, 35.68, -23.5, -80.0])
LNG = np.array([2.35, 2.40, 3.5, 139.69, -46.6, 0.0])  # Paris twice, rural France, Tokyo, São Paulo, Antarctica


@pytest.fixture(scope="module")
def divisions() -> dict[str, breakdown.Division]:
    cells = partitions.build([(np.repeat(LAT[[0, 3]], [12, 3]), np.repeat(LNG[[0, 3]], [12, 3]))], 100, 1)
    return {each.title: each for each in breakdown.divide(cells, LAT, LNG)}


def parts(division: breakdown.Division) -> list[str]:
    return [division.names[i] for i in division.part_N.tolist()]


def test_each_photo_is_in_its_part(divisions: dict[str, breakdown.Division]) -> None:
    assert parts(divisions["Continent"])[:5] == ["Europe", "Europe", "Europe", "Asia", "South America"]
    assert parts(divisions["Town or country"])[:5] == ["urban", "urban", "rural", "urban", "urban"]
    assert "10 km" in divisions["Town or country"].rule and "50,000" in divisions["Town or country"].rule
    seen = parts(divisions["Training photos in the true cell"])
    assert seen[0] == "10 to 99" and seen[3] == "1 to 9" and seen[5] == "none"


def test_countries_of_few_photos_are_put_together() -> None:
    lat, lng = np.repeat(LAT[[0, 3, 4]], [30, 12, 2]), np.repeat(LNG[[0, 3, 4]], [30, 12, 2])
    division = next(each for each in breakdown.divide(None, lat, lng) if each.title == "Country")
    assert division.names == ("France", "Japan", "all other countries")
    assert np.bincount(division.part_N).tolist() == [30, 12, 2]


def test_parts_are_the_measures_of_their_photos(divisions: dict[str, breakdown.Division]) -> None:
    guess_lat, guess_lng = LAT + np.array([0.5, 0, 10, np.nan, 3000, 1]) / 111.195, LNG.copy()
    guess_lat[1], guess_lng[1] = 50.85, 4.35  # Brussels for Paris
    answers = Answers("", "", guess_lat[:, None], guess_lng[:, None])
    row = Row(answers, Truth(("",) * 6, ("",) * 6, LAT, LNG), (1.0, 300.0), {})
    for found in breakdown.break_down(list(divisions.values()), row):
        assert sum(part.photos for part in found.parts) == 6  # every photo once
    (europe,) = [
        part
        for found in breakdown.break_down([divisions["Continent"]], row)
        for part in found.parts
        if part.name == "Europe"
    ]
    assert europe.photos == 3 and europe.within == pytest.approx((1 / 3, 1.0))
    assert europe.median_km == pytest.approx(10, rel=1e-3)
    assert europe.country == pytest.approx(2 / 3)
    assert europe.geoscore == pytest.approx(5000 * np.exp(-np.array([0.5, 265.9, 10]) / 1492.7).mean(), rel=1e-3)


def test_no_cells_no_division_by_cell() -> None:
    titles = [each.title for each in breakdown.divide(None, LAT, LNG)]
    assert titles == ["Continent", "Country", "Town or country"]
