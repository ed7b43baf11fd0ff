"""A planted offset of a second camera's clock is found again; none is claimed where nothing tells."""

import numpy as np
import pytest
import torch

from openplanet.earth.partition import build
from openplanet.inference.clock_offset import estimate
from openplanet.models.album.base import UNKNOWN
from openplanet.models.album.movement import Movement
from openplanet.models.album.travel import Travel

TOWNS = [(48.86, 2.35), (50.85, 4.35), (52.37, 4.90), (53.55, 9.99), (55.68, 12.57), (59.33, 18.07)]
HOUR = 3600.0


@pytest.fixture(scope="module")
def model():
    lat_N, lng_N = (np.repeat([town[axis] for town in TOWNS], 3) for axis in (0, 1))
    partition = build([(lat_N, lng_N)], max_photos=3, min_photos=1)
    days = [(np.repeat(np.arange(6), 30), np.arange(180) * 0.4 * HOUR)]  # twelve hours in each town
    return Travel.over(partition, Movement.fit(days, partition), exponent=0.5)


def journey(model, offset_hours):
    """A phone with positions and a camera that knows a little: a town each day, photos all day long."""
    partition = model.transitions
    hours = np.arange(0.0, 6 * 24, 1.7)
    hours = hours[(hours % 24 > 8) & (hours % 24 < 20)]
    town_T = (hours // 24).astype(int)
    second_T = np.arange(len(hours)) % 2 == 1
    seconds_T = hours * HOUR - second_T * offset_hours * HOUR
    rng = np.random.default_rng(0)
    scores_TC = rng.normal(0, 1, (len(hours), len(partition.prior_C)))
    scores_TC[np.arange(len(hours)), town_T] += 1.5
    anchor_T = torch.from_numpy(np.where(second_T, UNKNOWN, town_T))
    return torch.log_softmax(torch.from_numpy(scores_TC).float(), 1), seconds_T, anchor_T, second_T


@pytest.mark.parametrize("hours", [-7.0, 5.5, 24.0])
def test_a_planted_offset_is_found(model, hours):
    found = estimate(model, *journey(model, hours))
    # days are parted by nights of twelve hours, in which nobody sees when the towns change
    assert found.low <= hours * HOUR <= found.high
    assert abs(found.seconds - hours * HOUR) <= 6.5 * HOUR
    assert found.high - found.low <= 14 * HOUR
    assert found.gain >= 0
    assert found.clear == (abs(hours) > 7.0)
    assert found.to_dict()["photos"] == found.photos > 20


def test_no_offset_is_reported_as_none(model):
    found = estimate(model, *journey(model, 0.0))
    assert found.low <= 0.0 <= found.high
    assert not found.clear


def test_one_camera_or_no_times_tell_nothing(model):
    log_probs_TC, seconds_T, anchor_T, second_T = journey(model, 3.0)
    for nothing in (np.zeros_like(second_T), np.ones_like(second_T)):
        assert not estimate(model, log_probs_TC, seconds_T, anchor_T, nothing).clear
    assert estimate(model, log_probs_TC, np.full(len(seconds_T), np.nan), anchor_T, second_T).photos == 0
