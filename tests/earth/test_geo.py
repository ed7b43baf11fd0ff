"""Distances against an independent formula in plain Python; means; refusals."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openplanet.earth import geo
from openplanet.errors import InputError

LATS = st.floats(-90, 90)
LNGS = st.floats(-180, 180)


def chord_distance_km(lat1: float, lng1: float, lat2: float, lng2: float) -> float:
    """Another way: the angle between unit vectors is 2 atan2(|a - b|, |a + b|), stable at 0 and at 180°."""
    a, b = (
        (
            math.cos(math.radians(lat)) * math.cos(math.radians(lng)),
            math.cos(math.radians(lat)) * math.sin(math.radians(lng)),
            math.sin(math.radians(lat)),
        )
        for lat, lng in ((lat1, lng1), (lat2, lng2))
    )
    difference = math.hypot(*(p - q for p, q in zip(a, b, strict=True)))
    together = math.hypot(*(p + q for p, q in zip(a, b, strict=True)))
    return 2 * 6371.0088 * math.atan2(difference, together)


@given(LATS, LNGS, LATS, LNGS)
def test_distance_is_that_of_an_independent_formula(lat1, lng1, lat2, lng2):
    expected = chord_distance_km(lat1, lng1, lat2, lng2)
    assert geo.distance_km(lat1, lng1, lat2, lng2) == pytest.approx(expected, rel=1e-12, abs=1e-8)


@given(LATS, LNGS)
def test_distance_to_itself_is_zero_and_to_the_antipode_half_the_circle(lat, lng):
    assert geo.distance_km(lat, lng, lat, lng) == 0
    opposite = lng - 180 if lng > 0 else lng + 180
    assert geo.distance_km(lat, lng, -lat, opposite) == pytest.approx(math.pi * 6371.0088, abs=1e-8)


@pytest.mark.parametrize("lat", [0.0, 45.0, -89.0, 89.9])
def test_distance_is_right_to_a_part_in_a_billion_at_one_metre_and_at_one_millimetre(lat):
    km_per_degree = Fraction(6371.0088) * Fraction(math.pi) / 180
    for km in (1e-3, 1e-6):
        north = lat - km / float(km_per_degree)
        exact = float(abs(Fraction(lat) - Fraction(north)) * km_per_degree)  # of the rounded inputs
        assert geo.distance_km(lat, 10.0, north, 10.0) == pytest.approx(exact, rel=1e-9)
        east = 10.0 + km / float(km_per_degree) / math.cos(math.radians(lat))
        exact = float((Fraction(east) - 10) * km_per_degree) * math.cos(math.radians(lat))
        assert geo.distance_km(lat, 10.0, lat, east) == pytest.approx(exact, rel=1e-9)


def test_distance_broadcasts_and_carries_nan():
    found = geo.distance_km(np.zeros((2, 1)), 0.0, 0.0, np.array([0.0, 90.0, np.nan]))
    assert found.shape == (2, 3) and found.dtype == np.float64
    assert found[:, 0].tolist() == [0, 0]
    assert found[:, 1] == pytest.approx(math.pi / 2 * 6371.0088)
    assert np.isnan(found[:, 2]).all()


def test_distance_does_not_see_the_antimeridian():
    assert geo.distance_km(10, 179.5, 10, -179.5) == pytest.approx(float(geo.distance_km(10, 0.5, 10, -0.5)))


@given(LATS, LNGS)
def test_xyz_there_and_back(lat, lng):
    xyz = geo.to_xyz(lat, lng)
    assert np.linalg.norm(xyz) == pytest.approx(1)
    back = geo.from_xyz(xyz * 7)
    assert float(geo.distance_km(lat, lng, *back)) < 1e-7


def test_xyz_axes_and_poles():
    assert geo.to_xyz([0, 0, 90], [0, 90, 0]) == pytest.approx(np.eye(3))
    lat, lng = geo.from_xyz([[-0.0, -0.0, 1], [-0.0, 0.0, -2], [-1, -0.0, 0]])
    assert lat.tolist() == [90, -90, 0] and lng.tolist() == [0, 0, 180]


def test_mean_across_the_antimeridian_and_at_the_pole():
    lat, lng = geo.mean_position([10, 10], [179, -179])
    assert abs(lng) == pytest.approx(180) and lat == pytest.approx(10, abs=0.01)
    assert geo.mean_position([80, 80, 80], [0, 120, -120])[0] == pytest.approx(90)
    assert geo.mean_position([0, 0], [0, 90], [3, 0]) == pytest.approx((0, 0))
    assert geo.mean_position([0, 0], [0, 90], [1, 1]) == pytest.approx((0, 45))
    assert geo.mean_position(12.5, -30) == pytest.approx((12.5, -30))


@pytest.mark.parametrize(
    ("lat", "lng", "weights"),
    [
        ([], [], None),
        ([0, 0], [0, 180], None),
        ([90, -90], [0, 0], None),
        ([30, -30], [50, -130], [2, 2]),
        ([1, 2], [3, 4], [0, 0]),
        ([1, 2], [3, 4], [1, -1]),
        ([1, 2], [3, 4], [1]),
        ([1, math.nan], [3, 4], None),
    ],
)
def test_no_mean_where_there_is_none(lat, lng, weights):
    with pytest.raises(InputError, match="positions"):
        geo.mean_position(lat, lng, weights)


def test_coordinates_are_checked():
    geo.check_coordinates([90, -90], [180, -180], "x.csv")
    geo.check_coordinates([], [], "x.csv")
    for bad in ((90.1, 0), (-91, 0), (0, 180.01), (0, -181), (math.nan, 0), (0, math.nan), (math.inf, 0)):
        with pytest.raises(InputError, match=r"x\.csv: row 12: lat"):
            geo.check_coordinates([0, 1, bad[0]], [0, 1, bad[1]], "x.csv", first_row=10)
    with pytest.raises(InputError, match="2 values of lat do not go with 3"):
        geo.check_coordinates([0, 1], [0, 1, 2], "x.csv")


TURNS = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: math.hypot(*q) > 0.1)


@given(LATS, LNGS, LATS, LNGS, TURNS)
def test_a_turn_keeps_distances_and_can_be_undone(lat1, lng1, lat2, lng2, quaternion):
    by = tuple(part / math.hypot(*quaternion) for part in quaternion)
    lat, lng = geo.turn([lat1, lat2], [lng1, lng2], by)
    before, after = geo.distance_km(lat1, lng1, lat2, lng2), geo.distance_km(lat[0], lng[0], lat[1], lng[1])
    assert after == pytest.approx(before, abs=1e-6)
    back_lat, back_lng = geo.turn(lat, lng, by, back=True)
    assert geo.distance_km(back_lat, back_lng, [lat1, lat2], [lng1, lng2]).max() < 1e-6


def test_a_turn_known_by_hand():
    quarter_east = (math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5))
    lat, lng = geo.turn([10.0, -90.0], [20.0, 0.0], quarter_east)
    assert lat == pytest.approx([10, -90]) and lng[0] == pytest.approx(110)
    pole_to_equator = (math.sqrt(0.5), 0.0, math.sqrt(0.5), 0.0)
    assert [float(value) for value in geo.turn(90.0, 0.0, pole_to_equator)] == pytest.approx([0, 0], abs=1e-9)
