"""A planted offset of a second camera's clock is found again; none is claimed where nothing tells."""

import numpy as np
import pytest
import torch

from openplanet.earth.partition.adaptive import build
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
    return Travel.over(partition, Movement.fit([route(seed)[:2] for seed in range(20)], partition), exponent=0.5)


def route(seed):
    """Towns entered after three to nine hours, a photo every twenty minutes or so: town_T, seconds_T."""
    rng = np.random.default_rng(seed)
    seconds_T = np.cumsum(rng.exponential(HOUR / 3, 150))
    left = np.cumsum(rng.uniform(3, 9, 40)) * HOUR
    towns = np.cumsum(rng.integers(1, len(TOWNS), 41)) % len(TOWNS)
    return towns[np.searchsorted(left, seconds_T)], seconds_T


def journey(offset_hours):
    """A phone with positions, and a camera whose model is little more than guessing."""
    town_T, seconds_T = route(100)
    rng = np.random.default_rng(0)
    second_T = rng.random(len(town_T)) < 0.4
    scores_TC = rng.normal(0, 1, (len(town_T), len(TOWNS)))
    scores_TC[np.arange(len(town_T)), town_T] += 1.5
    anchor_T = torch.from_numpy(np.where(second_T, UNKNOWN, town_T))
    log_probs_TC = torch.log_softmax(torch.from_numpy(scores_TC).float(), 1)
    return log_probs_TC, seconds_T - second_T * offset_hours * HOUR, anchor_T, second_T


@pytest.mark.parametrize("hours", [-7.0, 1.5, 24.0])
def test_a_planted_offset_is_found(model, hours):
    found = estimate(model, *journey(hours))
    assert found.seconds == pytest.approx(hours * HOUR, abs=HOUR / 2)
    assert found.low <= hours * HOUR <= found.high
    assert found.high - found.low < HOUR
    assert found.clear
    assert found.to_dict()["photos"] == found.photos > 40


def test_no_offset_is_reported_as_none(model):
    found = estimate(model, *journey(0.0))
    assert found.low <= 0.0 <= found.high
    assert not found.clear


def test_one_camera_or_no_times_tell_nothing(model):
    log_probs_TC, seconds_T, anchor_T, second_T = journey(3.0)
    for nothing in (np.zeros_like(second_T), np.ones_like(second_T)):
        assert not estimate(model, log_probs_TC, seconds_T, anchor_T, nothing).clear
    assert estimate(model, log_probs_TC, np.full(len(seconds_T), np.nan), anchor_T, second_T).photos == 0
