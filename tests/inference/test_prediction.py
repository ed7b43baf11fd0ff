import itertools
import json

import numpy as np
import pytest

from openplanet.earth.partition import adaptive as partitions
from openplanet.errors import InputError
from openplanet.inference.prediction import Prediction


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
    assert best.place.country == cells.country[best.cell_index]
    assert best.place.text.endswith(best.place.country)


def test_to_dict_has_exactly_the_agreed_keys(cells: partitions.Partition) -> None:
    got = json.loads(json.dumps(predict(cells).to_dict(2), allow_nan=False))
    assert set(got) == {"best", "top"} and set(got["best"]) == {"lat", "lng"} and len(got["top"]) == 2
    for candidate in got["top"]:
        assert set(candidate) == {"rank", "lat", "lng", "probability", "cell_token", "place"}
        assert set(candidate["place"]) == {"country", "region", "city"}
    assert got["best"] == {"lat": got["top"][0]["lat"], "lng": got["top"][0]["lng"]}


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
    assert point["geometry"]["coordinates"] == pytest.approx([p.best.lng, p.best.lat], abs=1e-6)
