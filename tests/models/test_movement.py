"""How far people get: counted right, mixed where little is known, kept through JSON."""

import json

import numpy as np
import pytest

from openplanet.earth.partition.adaptive import build
from openplanet.errors import InputError
from openplanet.models.album.movement import (
    KM_EDGES,
    PULL,
    SAME,
    SHAPE,
    UNTIMED,
    Movement,
    buckets,
    rings,
    sizes,
    stay,
)


@pytest.fixture(scope="module")
def partition():
    """A street's worth of cells in one city, and a cell in each of three far away."""
    rng = np.random.default_rng(0)
    lat = np.concatenate([rng.normal(48.0, 0.02, 300), np.repeat([10.0, 20.0, -30.0], 20)])
    lng = np.concatenate([rng.normal(2.0, 0.03, 300), np.repeat([10.0, 60.0, 100.0], 20)])
    return build([(lat, lng)], max_photos=25, min_photos=2)


def steps(cell_T, minutes):
    return np.array(cell_T), np.arange(len(cell_T)) * minutes * 60.0


def test_buckets_of_time():
    seconds = np.array([0.0, 30.0, 30.0 + 3600 * 2, np.nan, 30.0 + 3600 * 200, 30.0 + 3600 * 190])
    assert buckets(seconds).tolist() == [0, 3, UNTIMED, UNTIMED, 4]


def test_steps_are_counted_by_time_size_and_ring(partition):
    small, other = np.argsort(partition.area_km2)[:2]
    movement = Movement.fit([steps([small] * 101, 0.5), steps([small, other] * 50, 30.0)], partition)
    size = sizes(partition)[small]
    ring = int(rings(partition, np.array([small]), np.array([other]))[0])
    assert ring > SAME
    usual = Movement.usual().share_SZR
    assert movement.share_SZR[0, size, SAME] == pytest.approx((100 + PULL * usual[0, size, SAME]) / (100 + PULL))
    gone = np.sum(sizes(partition)[[small] * 50 + [other] * 49] == size)
    assert movement.share_SZR[2, size, ring] == pytest.approx((gone + PULL * usual[2, size, ring]) / (gone + PULL))
    # steps of unknown length in time are all of them
    assert movement.share_SZR[UNTIMED, size, [SAME, ring]] == pytest.approx([0.49, 0.47], abs=0.03)
    assert sum(movement.steps_S) == 199
    np.testing.assert_allclose(movement.share_SZR.sum(axis=2), 1.0)
    assert (movement.share_SZR > 0).all()


def test_rings_hold_centroids_up_to_their_edge(partition):
    far = int(partition.assign([-30.0], [100.0])[0])
    city = int(np.argmin(partition.area_km2))
    assert rings(partition, np.array([city, city]), np.array([city, far])).tolist() == [SAME, len(KM_EDGES) + 1]


def test_photos_in_no_cell_are_passed_over_and_their_time_with_them(partition):
    movement = Movement.fit([steps([0, -1, 0], 40.0)], partition)
    assert movement.steps_S[buckets(np.array([0.0, 80 * 60.0]))[0]] == 1
    assert sum(movement.steps_S) == 1


def test_a_time_without_steps_is_as_usual_whatever_steps_of_unknown_time_say(partition):
    untimed = np.zeros(500, np.int64), np.full(500, np.nan)
    movement, usual = Movement.fit([steps([0] * 50, 5.0), untimed], partition), Movement.usual()
    size = sizes(partition)[0]
    np.testing.assert_allclose(movement.share_SZR[[0, 3, 4, 5, 6, 7]], usual.share_SZR[[0, 3, 4, 5, 6, 7]])
    assert movement.share_SZR[1, size, SAME] > 0.9 and movement.share_SZR[UNTIMED, size, SAME] > 0.95


def test_usual_movement_stays_less_in_more_time_and_more_in_larger_cells(partition):
    for movement in (Movement.usual(), Movement.fit([], partition)):
        assert movement.share_SZR.shape == SHAPE
        assert (np.diff(movement.share_SZR[:UNTIMED, :, SAME], axis=0) < 0).all()
        assert (np.diff(movement.share_SZR[:, :, SAME], axis=1) > 0).all()
        np.testing.assert_allclose(movement.share_SZR.sum(axis=2), 1.0)


def test_stay_is_the_share_of_steps_that_end_in_the_disc():
    rng = np.random.default_rng(0)
    radius, angle = np.sqrt(rng.random(200_000)), rng.random(200_000) * 2 * np.pi
    for step in (0.0, 0.3, 1.0, 1.9, 2.0, 5.0):
        inside = np.hypot(radius + step * np.cos(angle), step * np.sin(angle)) <= 1
        assert stay(np.array(step)) == pytest.approx(inside.mean(), abs=0.005)


def test_json_brings_it_back_and_nonsense_is_refused(partition):
    movement = Movement.fit([steps([0, 1, 1, 2], 30.0)], partition)
    values = json.loads(json.dumps(movement.to_dict()))
    again = Movement.from_dict(values)
    np.testing.assert_array_equal(again.share_SZR, movement.share_SZR)
    assert again.steps_S == movement.steps_S
    for damaged in (
        {},
        values | {"km_edges": [1.0]},
        values | {"share": values["share"][:-1]},
        values | {"share": (-np.array(values["share"])).tolist()},
    ):
        with pytest.raises(InputError, match="again"):
            Movement.from_dict(damaged)
