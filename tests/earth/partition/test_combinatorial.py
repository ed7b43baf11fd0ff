"""Turned partitions are partitions like any other, and their overlay is what counting tuples by hand gives."""

import numpy as np
import pytest

from openplanet.earth import geo, geojson, s2
from openplanet.earth.partition import adaptive, leaf_runs
from openplanet.earth.partition.adaptive import Partition, TargetCells, Thresholds
from openplanet.earth.partition.combinatorial import build_turned, random_turns
from openplanet.errors import InputError, PartitionError


@pytest.fixture(scope="module")
def photos():
    """(lat, lng) of 40,000 photos in 200 towns, some at the antimeridian and at a pole."""
    rng = np.random.default_rng(0)
    town = rng.zipf(1.3, 40_000) % 200
    town_lat = np.append(np.degrees(np.arcsin(rng.uniform(-1, 1, 198))), [89.9, -17.0])
    town_lng = np.append(rng.uniform(-180, 180, 198), [0.0, 180.0])
    lat = np.clip(town_lat[town] + rng.normal(0, 0.3, 40_000), -90, 90)
    return lat, (town_lng[town] + rng.normal(0, 0.3, 40_000) + 180) % 360 - 180


@pytest.fixture(scope="module")
def three(photos):
    return build_turned([photos], [Thresholds(500, 10)], random_turns(3))


def test_the_first_is_not_turned_and_none_are_alike(photos, three):
    plain = adaptive.build([photos], 500, 10)
    assert three[0].cell_id.tolist() == plain.cell_id.tolist() and three[0].turn == geo.NO_TURN
    assert three[1].cell_id.tolist() != three[2].cell_id.tolist()
    assert random_turns(3) == random_turns(3) and random_turns(2, seed=1) != random_turns(2)


def test_a_turned_partition_keeps_what_a_partition_promises(photos, three):
    for found in three[1:]:
        everywhere = np.arange(len(found)).tolist()
        assert found.assign(found.centroid_lat, found.centroid_lng).tolist() == everywhere
        assert found.assign(found.lat, found.lng).tolist() == everywhere
        index = found.assign(*photos)
        assert np.bincount(index[index >= 0], minlength=len(found)).tolist() == found.count.tolist()
        assert (index == -1).sum() == found.dropped_photos
        for cell in (0, len(found) // 2, len(found) - 1):
            mean = geo.mean_position(photos[0][index == cell], photos[1][index == cell])
            here = found.centroid_lat[cell], found.centroid_lng[cell]
            assert geo.distance_km(*mean, *here) < 2e-5
        assert [found.assign(a, b)[0] for a, b in zip(*(c[:50] for c in photos), strict=True)] == index[:50].tolist()
    with pytest.raises(InputError, match="lat 91"):
        three[1].assign(91, 0)


def test_order_batches_and_threads_do_not_matter(photos, three, monkeypatch):
    monkeypatch.setattr(leaf_runs, "RUN", 5000)
    order = np.random.default_rng(1).permutation(len(photos[0]))
    batches = ((photos[0][order][k : k + 777], photos[1][order][k : k + 777]) for k in range(0, 40_000, 777))
    again = build_turned(batches, [Thresholds(500, 10)], random_turns(3), threads=3)
    for a, b in zip(again, three, strict=True):
        assert a.cell_id.tolist() == b.cell_id.tolist() and a.centroid_lat.tolist() == b.centroid_lat.tolist()


def test_the_turn_is_saved(three, tmp_path):
    three[1].save(tmp_path / "turned.parquet")
    loaded = Partition.load(tmp_path / "turned.parquet")
    assert loaded.turn == three[1].turn
    assert loaded.assign(three[1].lat, three[1].lng).tolist() == list(range(len(loaded)))


def test_turned_cells_are_drawn_where_they_are(three):
    """Ray casting in the plane of the map finds each cell's centre in its rings, and in no other cell's."""
    found = three[1]
    rings = geojson.rings_of_cells(found.cell_id, found.turn)
    for cell in range(0, len(found), 7):
        inside = [k for k in range(len(found)) if any(_inside(r, found.lat[cell], found.lng[cell]) for r in rings[k])]
        assert inside == [cell]
    faces = geojson.rings_of_cells(s2.face_cells(), random_turns(2)[1])
    rng = np.random.default_rng(2)
    for lat, lng in zip(rng.uniform(-89, 89, 200), rng.uniform(-180, 180, 200), strict=True):
        assert sum(_inside(ring, lat, lng) for face in faces for ring in face) in (0, 1, 2)
    features = geojson.cells_feature_collection(found)["features"]
    assert np.allclose(features[0]["geometry"]["coordinates"][0][0], rings[0][0][0][::-1])


def _inside(ring, lat, lng):
    (a_lat, a_lng), (b_lat, b_lng) = ring[:-1].T, ring[1:].T
    crosses = (a_lng > lng) != (b_lng > lng)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = a_lat + (lng - a_lng) / (b_lng - a_lng) * (b_lat - a_lat)
    return bool((crosses & (at > lat)).sum() % 2)


def test_one_rule_or_one_each(photos):
    found = build_turned([photos], [TargetCells(50, 5), TargetCells(100, 5)], random_turns(2))
    assert [abs(len(p) - n) <= 2 for p, n in zip(found, (50, 100), strict=True)] == [True, True]
    with pytest.raises(PartitionError, match="2 thresholds do not go with 3 turns"):
        build_turned([photos], [Thresholds(5, 1)] * 2, random_turns(3))
