"""What lies between photos whose position is known."""

from datetime import datetime, timedelta

import numpy as np
import pytest
import torch

from openplanet.inference.between import by_anchors, interpolate, on_track, radius_km
from openplanet.models.album.embedded import EmbeddedAlbum
from openplanet.photos.albums.tracks import Tracks

NAN = np.nan
HOUR = 3600.0


def album(lat_T, seconds_T, lng_T=None):
    lat_T = np.array(lat_T, float)
    lng_T = np.where(np.isnan(lat_T), NAN, 0.0) if lng_T is None else np.array(lng_T, float)
    names = [f"{place}" for place in range(len(lat_T))]
    return EmbeddedAlbum("a", names, torch.zeros(len(lat_T), 1), lat_T, lng_T, np.array(seconds_T, float))


def mask(count, *at):
    found = np.zeros(count, bool)
    found[list(at)] = True
    return found


def test_between_two_anchors_in_proportion_to_time():
    one = album([0.0, 9.0, 9.0, 8.0], [0.0, 1 * HOUR, 3 * HOUR, 4 * HOUR])
    lat_T, lng_T = interpolate(one, mask(4, 0, 3))
    np.testing.assert_allclose(lat_T, [0.0, 2.0, 6.0, 8.0], atol=1e-9)
    np.testing.assert_allclose(lng_T, 0.0, atol=1e-9)


def test_the_way_goes_over_the_antimeridian():
    one = album([0.0, 0.0, 0.0], [0.0, HOUR, 2 * HOUR], [179.0, 0.0, -179.0])
    assert abs(interpolate(one, mask(3, 0, 2))[1][1]) == pytest.approx(180.0)


def test_an_anchor_more_than_36_hours_off_says_nothing():
    one = album([5.0, 0.0, 0.0, 0.0], [0.0, 35 * HOUR, 37 * HOUR, 90 * HOUR])
    np.testing.assert_allclose(interpolate(one, mask(4, 0))[0], [5.0, 5.0, NAN, NAN])
    far = album([5.0, 0.0, 9.0], [0.0, 30 * HOUR, 80 * HOUR])  # only the one before is near enough
    assert interpolate(far, mask(3, 0, 2))[0][1] == 5.0


def test_without_times_the_order_stands_for_them():
    one = album([0.0, 9.0, 9.0, 6.0, 9.0], [NAN] * 5)
    np.testing.assert_allclose(interpolate(one, mask(5, 0, 3))[0], [0.0, 2.0, 4.0, 6.0, 6.0], atol=1e-9)
    half = album([0.0, 9.0, 6.0], [NAN, HOUR, NAN])  # the anchors have no time
    assert interpolate(half, mask(3, 0, 2))[0][1] == pytest.approx(3.0)


def test_without_anchors_nothing_is_known():
    assert np.isnan(interpolate(album([1.0, 2.0], [0.0, HOUR]), mask(2))[0]).all()


def test_far_apart_anchors_leave_what_lies_between_to_a_model():
    one = album([0.0, 9.0, 0.5, 9.0, 6.0, 9.0], [NAN] * 6)  # 56 km, then 612 km, then one alone
    lat_T, lng_T = interpolate(one, mask(6, 0, 2, 4), most_km=100.0)
    np.testing.assert_allclose(lat_T, [0.0, 0.25, 0.5, NAN, 6.0, 6.0], atol=1e-9)
    assert np.isnan(lng_T[3])


def test_among_anchors_of_the_same_moment_order_decides():
    one = album([0.0, 9.0, 2.0, 9.0, 4.0, 5.0], [HOUR] * 5 + [2 * HOUR])  # a clock that tells the hour alone
    np.testing.assert_allclose(interpolate(one, mask(6, 0, 2, 4, 5))[0], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], atol=1e-9)


def test_radii_grow_with_time_and_distance_and_with_what_order_leaves_open():
    near, between = (lambda hours: radius_km("near", 0.0, hours)), (lambda km, hours: radius_km("between", km, hours))
    assert near(0.01) < near(0.1) < near(1) < near(10) and between(1, 1) < between(10, 1) < between(10, 5)
    # without times a photo may lie wherever the album does
    one = album([0.0, NAN, 0.1, 5.0], [NAN] * 4)
    (found,) = [
        each for each in by_anchors(one.lat_T, one.lng_T, one.seconds_T, mask(4, 0, 2, 3)) if each and each.lat == 0.05
    ]
    assert found.kind == "between" and found.radius_km > 400 and found.hours is None
    # a burst: the same second, and that of a clock that tells no seconds
    burst, minute = ([1e9 + 1, 1e9 + 1], [6e9, 6e9])
    radii = [by_anchors(np.zeros(2), np.zeros(2), np.array(t), mask(2, 0))[1].radius_km for t in (burst, minute)]
    assert radii[0] < 1 < radii[1]


def test_a_clock_that_knows_the_day_alone_is_on_no_track():
    tracks = Tracks(np.array([0.0, 60.0]), np.zeros(2), np.zeros(2), "UTC")
    day = datetime(1970, 1, 1)
    assert on_track(tracks, day, False, NAN) is None
    assert on_track(tracks, day + timedelta(seconds=1), False, NAN).kind == "track"
