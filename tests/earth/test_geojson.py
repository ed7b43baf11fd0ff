import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
import s2geometry

from openplanet.earth import geo, geojson, s2


def s2_cell(cell_id):
    return s2geometry.S2Cell(s2geometry.S2CellId(int(cell_id)))


def s2_point(lat, lng):
    return s2geometry.S2LatLng.FromDegrees(float(lat), float(lng)).ToPoint()


def drawn_inside(rings, lat_N, lng_N):
    """Even-odd rule in the plane of the map, written apart from the code under test."""
    inside_N = np.zeros(len(lat_N), bool)
    for ring in rings:
        for (lat1, lng1), (lat2, lng2) in itertools.pairwise(ring):
            if lng1 == lng2:
                continue
            between = (lng1 > lng_N) != (lng2 > lng_N)
            inside_N ^= between & (lat_N < lat1 + (lng_N - lng1) * (lat2 - lat1) / (lng2 - lng1))
    return inside_N


def points_around(cell_id, rng, count=400):
    """Points within and about a cell: directions about its centre, up to three of its widths away."""
    lat, lng = s2.center([cell_id])
    (level,) = s2.level_of([cell_id])
    width = np.pi / 2 / 2.0**level
    from_centre = rng.normal(size=(count, 3)) * width / 2
    xyz = geojson.to_xyz(lat, lng) + from_centre
    lat_N, lng_N = geojson.from_xyz(xyz)
    return lat_N, lng_N


def signed_area(ring):
    lat, lng = ring[:, 0], ring[:, 1]
    return 0.5 * float(np.sum(lng[:-1] * lat[1:] - lng[1:] * lat[:-1]))


def at(lat, lng, level):
    return int(s2.parent(s2.leaf_ids(np.array([lat]), np.array([lng])), level)[0])


FACES = [int(cell_id) for cell_id in s2.face_cells()]
POLES = [at(lat, lng, level) for lat in (90, -90) for lng in (45, 135) for level in (1, 3, 10, 20)]
ANTIMERIDIAN = [at(lat, lng, level) for lat in (-70, 0.1, 20, 66) for lng in (180, -180, 179.9) for level in (1, 4, 9)]
RANDOM = [
    at(lat, lng, level)
    for lat, lng, level in zip(
        np.random.default_rng(0).uniform(-90, 90, 60),
        np.random.default_rng(1).uniform(-180, 180, 60),
        np.arange(60) % 25,
        strict=True,
    )
]


@pytest.mark.parametrize(
    "cells", [FACES, POLES, ANTIMERIDIAN, RANDOM], ids=["faces", "poles", "antimeridian", "random"]
)
def test_drawn_polygon_holds_the_points_of_the_cell_and_no_others(cells):
    rng = np.random.default_rng(2)
    for cell_id in cells:
        cell, rings = s2_cell(cell_id), geojson.cell_rings(cell_id)
        width = 90.0 / 2 ** cell.level()
        lat_N, lng_N = points_around(cell_id, rng)
        true_N = np.array([cell.Contains(s2_point(*point)) for point in zip(lat_N, lng_N, strict=True)])
        drawn_N = drawn_inside(rings, lat_N, lng_N)
        assert 0.05 < true_N.mean() < 0.95
        for lat, lng in zip(lat_N[true_N != drawn_N], lng_N[true_N != drawn_N], strict=True):
            off = cell.GetBoundaryDistance(s2_point(lat, lng)).degrees()
            assert off < min(0.03, 0.01 * width), (s2.to_token(cell_id), lat, lng)


@pytest.mark.parametrize("cell_id", [*FACES, *POLES, *ANTIMERIDIAN, *RANDOM])
def test_rings_are_closed_counter_clockwise_and_on_the_map(cell_id):
    for ring in geojson.cell_rings(cell_id):
        assert (ring[0] == ring[-1]).all()
        assert len(ring) >= 4
        assert signed_area(ring) > 0
        assert np.abs(ring[:, 0]).max() <= 90
        assert np.abs(ring[:, 1]).max() <= 180
        assert not (ring[1:] == ring[:-1]).all(axis=1).any()


def test_only_cells_across_the_antimeridian_have_two_rings():
    assert [len(geojson.cell_rings(cell_id)) for cell_id in FACES] == [1, 1, 1, 2, 1, 1]
    assert all(len(geojson.cell_rings(cell_id)) == 1 for cell_id in ANTIMERIDIAN if s2.level_of([cell_id])[0] > 0)


def test_face_with_a_pole_goes_along_it_over_the_whole_map():
    (ring,) = geojson.cell_rings(FACES[2])
    assert {(90.0, 180.0), (90.0, -180.0)} <= set(map(tuple, ring.tolist()))
    (ring,) = geojson.cell_rings(FACES[5])
    assert {(-90.0, 180.0), (-90.0, -180.0)} <= set(map(tuple, ring.tolist()))


def test_six_faces_cover_the_map_once():
    rng = np.random.default_rng(3)
    lat_N, lng_N = rng.uniform(-90, 90, 5000), rng.uniform(-180, 180, 5000)
    times = sum(drawn_inside(geojson.cell_rings(face), lat_N, lng_N).astype(int) for face in FACES)
    assert (times != 1).mean() < 0.002


def test_rings_of_many_are_those_of_each():
    together = geojson.rings_of_cells(np.array(RANDOM, np.uint64))
    for cell_id, rings in zip(RANDOM, together, strict=True):
        alone = geojson.cell_rings(cell_id)
        assert len(rings) == len(alone)
        assert all(np.array_equal(a, b) for a, b in zip(rings, alone, strict=True))


def test_face_features_as_json():
    features = geojson.cell_features(np.array(FACES, np.uint64), [{"face": np.int64(f)} for f in range(6)])
    collection = json.loads(json.dumps(geojson.feature_collection(features), allow_nan=False))
    assert collection["type"] == "FeatureCollection"
    kinds = [feature["geometry"]["type"] for feature in collection["features"]]
    assert kinds == ["Polygon", "Polygon", "Polygon", "MultiPolygon", "Polygon", "Polygon"]
    face_1 = collection["features"][1]
    assert face_1["properties"] == {"face": 1}
    lngs = [lng for lng, lat in face_1["geometry"]["coordinates"][0]]
    assert (min(lngs), max(lngs)) == (45, 135)  # lng first: face 1 lies about 90 east


def test_partition_becomes_features_with_all_its_properties():
    cells = np.array(FACES[:2], np.uint64)
    partition = SimpleNamespace(
        cell_id=cells,
        cell_token=s2.to_token(cells),
        level=s2.level_of(cells),
        count=np.array([7, 9]),
        area_km2=np.array([1.23456, 2.0]),
        country=("France", "Türkiye"),
        region=("", "İzmir"),
        city=("Paris", "İzmir"),
        turn=geo.NO_TURN,
    )
    collection = geojson.cells_feature_collection(partition, probability=np.array([0.25, np.nan], np.float64))
    first, second = (feature["properties"] for feature in collection["features"])
    assert first == {
        "cell_token": "1",
        "level": 0,
        "count": 7,
        "area_km2": 1.235,
        "country": "France",
        "region": "",
        "city": "Paris",
        "probability": 0.25,
    }
    assert second["probability"] is None
    json.dumps(collection, allow_nan=False)


def test_point_feature_has_longitude_first():
    feature = geojson.point_feature(48.5, 2.25, {"name": "Paris"})
    assert feature["geometry"] == {"type": "Point", "coordinates": [2.25, 48.5]}
    assert feature["properties"] == {"name": "Paris"}


def test_a_map_of_the_pacific_has_no_seam():
    """Cells of a turned sphere that cross the antimeridian are whole there, and cut on the other side instead."""
    turn = (0.6, 0.48, 0.64, 0.0)
    level4 = s2.face_cells()
    for _ in range(4):
        level4 = s2.children(level4).ravel()
    cut, whole = geojson.rings_of_cells(level4, turn), geojson.rings_of_cells(level4, turn, middle=175.0)
    crossing = [k for k, rings in enumerate(cut) if len(rings) == 2]
    assert len(crossing) > 10 and all(len(whole[k]) == 1 for k in crossing)
    assert sum(len(rings) == 2 for rings in whole) > 10
    for k in crossing:
        assert whole[k][0][:, 1].min() < 180 < whole[k][0][:, 1].max()
        assert sum(map(signed_area, whole[k])) == pytest.approx(sum(map(signed_area, cut[k])), rel=1e-6)
