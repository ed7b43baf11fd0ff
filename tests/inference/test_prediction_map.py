import base64
import json

import numpy as np
import pytest

from openplanet.earth.partition import adaptive
from openplanet.earth.partition.adaptive import Partition
from openplanet.inference.output.prediction_map import finest_places, prediction_map
from openplanet.inference.place_tree import CellPlace, Node
from openplanet.inference.prediction import Prediction
from openplanet.models.regions import Regions

CITIES = [(48.86, 2.35), (51.51, -0.13), (-33.87, 151.21), (40.71, -74.0)]


@pytest.fixture(scope="module")
def partition() -> Partition:
    rng = np.random.default_rng(0)
    lat, lng = (np.concatenate([at + rng.normal(0, 0.05, 50) for at in axis]) for axis in zip(*CITIES, strict=True))
    return adaptive.build([(lat, lng)], max_photos=20, min_photos=1)


def about(partition: Partition, shares: dict[tuple[float, float], float]) -> Prediction:
    """All of each share in the cells that lie within a degree of its city, evenly."""
    probability_C = np.full(len(partition), 1e-9)
    for (lat, lng), share in shares.items():
        near = np.hypot(partition.centroid_lat - lat, partition.centroid_lng - lng) < 1
        probability_C[near] += share / near.sum()
    return Prediction(partition, np.log(probability_C), Regions())


def test_the_densest_cells_are_sent_with_the_regions_they_lie_in(partition: Partition) -> None:
    prediction = about(partition, {CITIES[0]: 0.7, CITIES[2]: 0.3})
    found = prediction_map(prediction, truth=CITIES[2])
    json.dumps(found, allow_nan=False)
    cells = found["cells"]
    ids = np.frombuffer(base64.b64decode(cells["ids"]), "<u8")
    values = np.frombuffer(base64.b64decode(cells["values"]), "<f4")
    held = np.frombuffer(base64.b64decode(cells["held"]), "u1")
    assert values.sum() == pytest.approx(1, abs=0.01) and len(ids) < len(partition)
    assert cells["regions"] == [0.9, 0.5] and values[held == 2].sum() >= 0.5
    assert values[held > 0].sum() >= 0.9
    assert found["truth"] == {"lat": CITIES[2][0], "lng": CITIES[2][1]}
    few = prediction_map(prediction, most_cells=2)["cells"]
    assert len(base64.b64decode(few["ids"])) == 16 and "held" not in few  # a region too large is not drawn in part


def test_all_likely_places_are_marked_where_they_are(partition: Partition) -> None:
    marks = prediction_map(about(partition, {CITIES[0]: 0.5, CITIES[2]: 0.3, CITIES[3]: 0.2}))["places"]
    for lat, lng in (CITIES[0], CITIES[2], CITIES[3]):
        assert any(np.hypot(mark["lat"] - lat, mark["lng"] - lng) < 1 for mark in marks)
    assert [mark["rank"] for mark in marks] == list(range(1, len(marks) + 1))
    assert 0.7 < sum(mark["probability"] for mark in marks) <= 1.0001


def test_what_is_left_of_a_country_is_a_place_and_small_parts_are_none() -> None:
    """Australia has 92 %: no town of 3.4 % may stand for it."""
    town = Node("city", CellPlace("Australia", "New South Wales", "Mittagong"), 0.034)
    state = Node("region", CellPlace("Australia", "New South Wales", ""), 0.4, (town,))
    country = Node("country", CellPlace("Australia", "", ""), 0.92, (state,))
    told = finest_places([country], least=0.05)
    assert [(node.name, round(node.probability, 3)) for node in told] == [("Australia", 0.52), ("New South Wales", 0.4)]
