import numpy as np
import pytest

from openplanet.earth.partition import adaptive as partitions
from openplanet.evaluation.measures import breakdown

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
    km = np.array([0.5, 100.0, 10.0, np.inf, 3000.0, 1.0])
    right = np.array([True, True, False, False, False, True])
    for found in breakdown.break_down(list(divisions.values()), km, right, (1.0, 200.0)):
        assert sum(part.photos for part in found.parts) == 6  # every photo once
    (europe,) = [
        part
        for found in breakdown.break_down([divisions["Continent"]], km, right, (1.0, 200.0))
        for part in found.parts
        if part.name == "Europe"
    ]
    assert europe.photos == 3 and europe.within == pytest.approx((1 / 3, 1.0)) and europe.median_km == 10
    assert europe.country == pytest.approx(2 / 3)
    assert europe.geoscore == pytest.approx(5000 * np.exp(-np.array([0.5, 100, 10]) / 1492.7).mean())


def test_no_cells_no_division_by_cell() -> None:
    titles = [each.title for each in breakdown.divide(None, LAT, LNG)]
    assert titles == ["Continent", "Country", "Town or country"]
