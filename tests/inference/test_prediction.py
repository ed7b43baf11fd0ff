import itertools
import json

import numpy as np
import pytest

from openplanet.earth.partition import adaptive as partitions
from openplanet.errors import InputError
from openplanet.inference.place_tree import COUNTRY_KM, CellPlace
from openplanet.inference.prediction import Options, Prediction
from openplanet.models.regions import Regions


@pytest.fixture(scope="module")
def cells() -> partitions.Partition:
    """Cells over five cities, two of them in one country."""
    rng = np.random.default_rng(0)
    cities = [(48.86, 2.35), (45.76, 4.84), (35.68, 139.69), (-33.87, 151.21), (-16.5, -179.9)]
    lat = np.concatenate([rng.normal(lat, 0.05, 20) for lat, _ in cities])
    lng = np.concatenate([rng.normal(lng, 0.05, 20) for _, lng in cities])
    return partitions.build([(lat, (lng + 180) % 360 - 180)], max_photos=20, min_photos=3)


def predict(cells: partitions.Partition, seed: int = 0) -> Prediction:
    return Prediction(cells, np.random.default_rng(seed).normal(size=len(cells), scale=3))


def test_log_probs_are_normalised_whatever_the_scores(cells: partitions.Partition) -> None:
    for shift in (-1e4, 0.0, 1e4):
        p = Prediction(cells, np.arange(len(cells)) + shift)
        assert p.log_probs.dtype == np.float32 and p.log_probs.shape == (len(cells),)
        assert p.probabilities.sum() == pytest.approx(1, abs=1e-6)
        assert p.best.cell_index == len(cells) - 1


def test_normalised_input_is_kept(cells: partitions.Partition) -> None:
    p = predict(cells)
    np.testing.assert_allclose(Prediction(cells, p.log_probs).log_probs, p.log_probs, atol=1e-6)


def test_what_is_forgotten_is_computed_again(cells: partitions.Partition) -> None:
    prediction = predict(cells)
    before, best = prediction.probabilities.copy(), prediction.best_point()
    prediction.forget()
    assert not {"log_probs", "probabilities"} & vars(prediction).keys()
    assert prediction.best_point() is best
    np.testing.assert_array_equal(prediction.probabilities, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(cells: partitions.Partition, bad: float) -> None:
    scores = np.zeros(len(cells))
    scores[1] = bad
    with pytest.raises(InputError, match="not numbers"):
        Prediction(cells, scores)
    with pytest.raises(InputError, match="as many scores"):
        Prediction(cells, np.zeros(len(cells) + 1))


def test_top_is_sorted_and_equals_go_by_index(cells: partitions.Partition) -> None:
    p = predict(cells)
    got = p.top(len(cells) + 7)
    assert [c.rank for c in got] == list(range(1, len(cells) + 1))
    assert [c.cell_index for c in got] == sorted(range(len(cells)), key=lambda i: (-p.log_probs[i], i))
    flat = Prediction(cells, np.zeros(len(cells)))
    assert [c.cell_index for c in flat.top(3)] == [0, 1, 2]
    with pytest.raises(InputError):
        p.top(0)


def test_candidate_names_its_cell(cells: partitions.Partition) -> None:
    p = predict(cells, seed=1)
    best = p.best
    assert best == p.top(3)[0]
    assert cells.assign(np.array([best.lat]), np.array([best.lng])).tolist() == [best.cell_index]
    assert best.cell_token == cells.cell_token[best.cell_index]
    assert best.probability == pytest.approx(np.exp(p.log_probs[best.cell_index]), rel=1e-6)
    assert best.area_km2 == cells.area_km2[best.cell_index]
    country = cells.country[best.cell_index]
    assert best.place.country == (country if best.area_km2 <= np.pi * COUNTRY_KM**2 else "")


def test_to_dict_has_exactly_the_agreed_keys(cells: partitions.Partition) -> None:
    got = json.loads(json.dumps(predict(cells).to_dict(2), allow_nan=False))
    assert set(got) == {"best", "answer", "places", "top"} and len(got["top"]) == 2
    assert set(got["best"]) == {"lat", "lng", "within_km", "probability", "radius_km", "calibrated", "in_answer"}
    for candidate in got["top"]:
        assert set(candidate) == {"rank", "lat", "lng", "probability", "cell_token", "area_km2", "place"}
        assert set(candidate["place"]) == {"country", "region", "city", "country_code"}
    capped = predict(cells).to_dict(2, Options(finest="country"))
    assert capped["best"] is None and capped["top"] == [] and capped["answer"]["level"] in ("country", None)
    assert all(node["places"] == [] for node in capped["places"])


def test_country_probabilities_sum_the_cells(cells: partitions.Partition) -> None:
    p = predict(cells)
    got = p.country_probabilities()
    assert sum(got.values()) == pytest.approx(1)
    assert all(a >= b for a, b in itertools.pairwise(got.values()))
    french = [i for i, country in enumerate(cells.country) if country == "France"]
    assert len(french) > 1
    assert got["FR"] == pytest.approx(p.probabilities[french].sum())


def test_geojson_has_cells_and_the_best_point(cells: partitions.Partition) -> None:
    p = predict(cells)
    got = json.loads(json.dumps(p.to_geojson(3), allow_nan=False))
    assert got["type"] == "FeatureCollection"
    *polygons, point = got["features"]
    assert [f["properties"]["cell_token"] for f in polygons] == [c.cell_token for c in p.top(3)]
    assert [f["properties"]["probability"] for f in polygons] == [c.probability for c in p.top(3)]
    assert {f["geometry"]["type"] for f in polygons} <= {"Polygon", "MultiPolygon"}
    assert point["geometry"]["type"] == "Point"
    assert point["geometry"]["coordinates"] == pytest.approx([p.best_point().lng, p.best_point().lat], abs=1e-6)
    assert set(point["properties"]["radius_km"]) == {"0.68", "0.95"}


@pytest.fixture(scope="module")
def sydney() -> partitions.Partition:
    """Small cells in and about Sydney and Newcastle, and a few in Auckland."""
    rng = np.random.default_rng(2)
    spots = [(-33.87, 151.2, 400, 0.08), (-32.93, 151.77, 100, 0.03), (-36.85, 174.76, 60, 0.03)]
    lat = np.concatenate([rng.normal(lat, spread, count) for lat, _, count, spread in spots])
    lng = np.concatenate([rng.normal(lng, spread, count) for _, lng, count, spread in spots])
    return partitions.build([(lat, lng)], max_photos=12, min_photos=1)


def spread_over(cells: partitions.Partition, shares: dict[str, float]) -> Prediction:
    """Evenly over the cells of each city."""
    probability = np.full(len(cells), 1e-9)
    for city, share in shares.items():
        inside = [i for i, name in enumerate(cells.city) if name == city]
        assert inside, city
        probability[inside] += share / len(inside)
    return Prediction(cells, np.log(probability))


def test_cells_of_one_city_are_one_line(sydney: partitions.Partition) -> None:
    assert sydney.city.count("Sydney") > 20
    p = spread_over(sydney, {"Sydney": 0.37, "Newcastle": 0.4, "Auckland": 0.23})
    australia, zealand = p.places()
    assert (australia.name, australia.place.country_code, zealand.name) == ("Australia", "AU", "New Zealand")
    assert australia.probability == pytest.approx(0.77, abs=1e-3)
    (wales,) = australia.inside
    assert wales.name == "New South Wales" and wales.probability == pytest.approx(0.77, abs=1e-3)
    assert [(city.name, round(city.probability, 2)) for city in wales.inside] == [("Newcastle", 0.4), ("Sydney", 0.37)]
    assert wales.inside[1].place.text == "Sydney, New South Wales, Australia"
    assert [node.inside for node in p.places("country")] == [(), ()]


def test_the_answer_is_as_fine_as_it_is_sure(sydney: partitions.Partition) -> None:
    p = spread_over(sydney, {"Sydney": 0.37, "Newcastle": 0.4, "Auckland": 0.23})
    told = {confidence: p.answer(confidence) for confidence in (0.3, 0.5, 0.9)}
    assert [told[each].level for each in (0.3, 0.5, 0.9)] == ["city", "region", None]
    assert told[0.3].text == "Newcastle, New South Wales, Australia" and told[0.5].text == "New South Wales, Australia"
    assert told[0.9].text == "not enough evidence"
    assert p.answer(0.3, finest="country").text == "Australia"


def test_a_point_outside_of_the_place_that_is_named_is_known(sydney: partitions.Partition) -> None:
    p = spread_over(sydney, {"Sydney": 0.6, "Auckland": 0.4})
    assert p.within_answer()
    one = np.zeros(len(sydney))  # one cell of Auckland against many of two Australian cities
    inside = [i for i, name in enumerate(sydney.city) if name == "Auckland"]
    one[inside[0]] = 0.45
    for city, share in (("Sydney", 0.3), ("Newcastle", 0.25)):
        each = [i for i, name in enumerate(sydney.city) if name == city]
        one[each] = share / len(each)
    apart = Prediction(sydney, np.log(np.maximum(one, 1e-12)))
    assert apart.answer().text == "New South Wales, Australia" and not apart.within_answer()
    assert apart.best_point().lat == pytest.approx(-36.85, abs=0.2)
    assert apart.within_answer(confidence=0.9)  # nothing is named
    assert apart.to_dict()["best"]["in_answer"] is False and p.to_dict()["best"]["in_answer"] is True


def test_a_point_in_a_cell_too_large_for_a_name_is_known_to_be_elsewhere() -> None:
    rng = np.random.default_rng(3)
    lat, lng = (np.append(rng.normal(at, 0.5, 60), [far] * 3) for at, far in ((-33.87, 37.07), (151.0, -119.64)))
    cells = partitions.build([(lat, lng)], max_photos=4, min_photos=1)
    (far,) = cells.assign([37.07], [-119.64])
    probability = np.full(len(cells), 0.7 / (len(cells) - 1))
    probability[far] = 0.3
    apart = Prediction(cells, np.log(probability))
    assert apart.top(1)[0].place.text == "" and apart.answer(0.3).place.country == "Australia"
    assert apart.best_point(1.0).lng < 0 and not apart.within_answer(1.0, 0.3)


def test_a_large_cell_names_no_town() -> None:
    """What made "Florence, Oregon 100 %" of a cell of 21 million square kilometres."""
    rng = np.random.default_rng(1)
    whole = partitions.build([(rng.uniform(20, 60, 30), rng.uniform(-130, -70, 30))], max_photos=100, min_photos=1)
    p = Prediction(whole, np.zeros(len(whole)))
    assert whole.area_km2.max() > 2e7 and any(whole.country)
    assert all(c.place == CellPlace("", "", "") for c in p.top(9)) and p.places() == ()
    assert p.answer(0.0).text == "not enough evidence"


def test_radii_and_regions_follow_what_validation_said(sydney: partitions.Partition) -> None:
    p = spread_over(sydney, {"Sydney": 0.6, "Auckland": 0.4})
    best = p.best_point()
    assert best.probability == pytest.approx(0.6, abs=0.02) and not best.calibrated
    near, far = best.radius_km["0.68"], best.radius_km["0.95"]
    assert near > 1500 and far >= near  # Auckland is 2,150 km off
    regions = Regions(99, {"0.68": 0.5, "0.95": 100.0}, {"0.9": 2.0, "0.5": 0.1})
    told = Prediction(sydney, p.log_probs, regions)
    assert told.best_point().radius_km["0.68"] == pytest.approx(near / 2) and told.best_point().calibrated
    other = told.best_point(1.0)  # of another distance's point validation photos were not asked
    assert not other.calibrated and other.radius_km == p.best_point(1.0).radius_km
    assert told.best_point().radius_km["0.95"] == pytest.approx(np.pi * 6371.0088)  # never more than half way round
    assert len(told.region(0.9)) == len(sydney) and len(told.region(0.5)) < len(p.region(0.5))
