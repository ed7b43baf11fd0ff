"""How far people get: counted right, mixed where little is known, kept through JSON."""

import json

import numpy as np
import pytest

from openplanet.errors import InputError
from openplanet.models.album.movement import BUCKETS, KM_EDGES, RINGS, UNTIMED, Movement, buckets

DEGREE_KM = 111.195


def walk(km, hours, steps=200):
    """An album of equal steps to the north."""
    lat_T = np.arange(steps + 1) * km / DEGREE_KM - 40.0
    return lat_T, np.zeros(steps + 1), np.arange(steps + 1) * hours * 3600.0


def test_buckets_of_time():
    seconds = np.array([0.0, 30.0, 30.0 + 3600 * 2, np.nan, 30.0 + 3600 * 200, 30.0 + 3600 * 190])
    assert buckets(seconds).tolist() == [0, 3, UNTIMED, UNTIMED, 4]


def test_steps_are_counted_in_their_ring_and_bucket():
    movement = Movement.fit([walk(0.5, 0.5), walk(5.0, 12.0)])
    ring = {km: int(np.digitize(km, KM_EDGES)) for km in (0.5, 5.0)}
    assert movement.share_BR[buckets(np.array([0.0, 1800.0]))[0]].argmax() == ring[0.5]
    assert movement.share_BR[buckets(np.array([0.0, 12 * 3600.0]))[0]].argmax() == ring[5.0]
    # of steps of unknown length in time, half are of either kind
    assert movement.share_BR[UNTIMED, [ring[0.5], ring[5.0]]] == pytest.approx([0.49, 0.49], abs=0.02)
    assert sum(movement.steps_B) == 400
    np.testing.assert_allclose(movement.share_BR.sum(axis=1), 1.0)
    assert (movement.share_BR > 0).all()


def test_photos_without_a_position_are_passed_over_and_their_time_with_them():
    lat_T, lng_T, seconds_T = walk(5.0, 0.5, steps=2)
    lat_T[1] = np.nan
    movement = Movement.fit([(lat_T, lng_T, seconds_T)])
    assert movement.steps_B[buckets(np.array([0.0, 3600.0]))[0]] == 1
    assert sum(movement.steps_B) == 1


def test_a_bucket_without_steps_follows_all_the_others():
    movement = Movement.fit([walk(0.5, 0.5)])
    np.testing.assert_allclose(movement.share_BR[0], movement.share_BR[UNTIMED])


def test_usual_movement_gets_farther_in_more_time():
    for movement in (Movement.usual(), Movement.fit([])):
        assert movement.share_BR.shape == (BUCKETS, RINGS)
        far_B = movement.share_BR[:UNTIMED, 6:].sum(axis=1)
        assert (np.diff(far_B) > 0).all()
        np.testing.assert_allclose(movement.share_BR.sum(axis=1), 1.0)


def test_json_brings_it_back_and_nonsense_is_refused():
    movement = Movement.fit([walk(0.5, 0.5)])
    values = json.loads(json.dumps(movement.to_dict()))
    again = Movement.from_dict(values)
    np.testing.assert_array_equal(again.share_BR, movement.share_BR)
    assert again.steps_B == movement.steps_B
    for damaged in (
        {},
        values | {"km_edges": [1.0]},
        values | {"share": values["share"][:-1]},
        values | {"share": (-np.array(values["share"])).tolist()},
    ):
        with pytest.raises(InputError, match="again"):
            Movement.from_dict(damaged)
