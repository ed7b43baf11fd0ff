"""The Bayes limit: right by simulation, above any guess that sees as much, and fair to each distance."""

import numpy as np
import pyarrow as pa
import pytest

from openplanet.earth.geo import distance_km
from openplanet.earth.partition.adaptive import build
from openplanet.errors import DatasetError
from openplanet.evaluation.contestants.bayes import bayes_limit, candidates, cell_posterior, rows_of, within_probability
from openplanet.evaluation.measures import metrics
from openplanet.evaluation.measures.metrics import DISTANCES_KM
from openplanet.synthetic.world import JITTER_KM, World, displaced, posterior, sample_albums


@pytest.fixture(scope="module")
def world():
    return World.make(seed=2, sites=100)


@pytest.fixture(scope="module")
def photos(world):
    return sample_albums(world, 800, np.random.default_rng(0))


@pytest.fixture(scope="module")
def limit(world, photos):
    return bayes_limit(world, photos.cues)


def test_within_probability_agrees_with_simulation():
    rng = np.random.default_rng(0)
    north, east = rng.normal(scale=JITTER_KM, size=(2, 200_000))
    for off in (0.0, 20.0, 25.0, 28.0, 60.0):
        lat, lng = displaced(np.full(len(north), 40.0), np.full(len(north), 10.0), north + off, east)
        simulated = (distance_km(lat, lng, 40.0, 10.0) <= 25.0).mean()
        assert within_probability(np.array([off]), 25.0)[0] == pytest.approx(simulated, abs=0.005)


def test_realised_share_is_what_was_expected(photos, limit):
    # 800 photos of some 90 trips: the spread is that of trips
    answers, expected = limit
    lat, lng = answers.points_DNK2[..., 0], answers.points_DNK2[..., 1]
    km = [metrics.distances(*at, photos.lat_N, photos.lng_N) for at in zip(lat, lng, strict=True)]
    shares = [(each[:, 0] <= limit_km).mean() for each, limit_km in zip(km, DISTANCES_KM, strict=True)]
    assert shares == pytest.approx(expected, abs=0.08)
    assert shares == sorted(shares)
    five = [(each.min(axis=1) <= limit_km).mean() for each, limit_km in zip(km, DISTANCES_KM, strict=True)]
    assert all(more >= one for one, more in zip(shares, five, strict=True))


def test_no_point_on_earth_beats_the_limit(world, photos, limit):
    """Expected shares of any rule of guessing stay below: tried with most probable sites, the prior and noise."""
    probability_NS = np.exp(posterior(world, photos.cues))
    km_SS = distance_km(world.lat_S[:, None], world.lng_S[:, None], world.lat_S, world.lng_S)
    rng = np.random.default_rng(1)
    rules = {
        "most probable site": probability_NS.argmax(axis=1),
        "prior": np.full(len(photos), world.weight_S.argmax()),
        "noise": rng.integers(len(world), size=len(photos)),
        "truth blurred": photos.site_N,
    }
    for name, guess_N in rules.items():
        for distance, best in zip(DISTANCES_KM, limit[1], strict=True):
            achieved = (probability_NS * within_probability(km_SS, distance)[guess_N]).sum(axis=1).mean()
            assert achieved <= best + 1e-9, f"{name} at {distance} km"


def test_points_between_sites_are_tried_where_they_can_help(world):
    assert len(candidates(world, 25.0)[0]) == len(world)
    lat_P, lng_P = candidates(world, 750.0)
    assert len(lat_P) > 5 * len(world)
    # no point of a disc about a site is farther from the next candidate than the stated spacing
    lat, lng = displaced(world.lat_S[:1], world.lng_S[:1], 200.0, 100.0)
    assert distance_km(lat, lng, lat_P, lng_P).min() < 750 / 6


def test_no_cues_give_the_prior(world, photos):
    blind = {name: np.full(len(photos), -1) for name in photos.cues}
    blind["scene"] = np.full(len(photos), 1)  # indoors
    limit = bayes_limit(world, blind)
    assert limit[1][1] == pytest.approx(world.weight_S.max(), abs=0.001)


def test_cell_posterior_agrees_with_where_photos_lie(world, photos):
    partition = build([(photos.lat_N, photos.lng_N)], max_photos=40, min_photos=1)
    log_probs_NC = cell_posterior(world, photos.cues, partition)
    assert log_probs_NC.shape == (len(photos), len(partition))
    np.testing.assert_allclose(np.exp(log_probs_NC).sum(axis=1), 1.0, atol=1e-9)
    true_N = partition.assign(photos.lat_N, photos.lng_N)
    assert (true_N >= 0).all()
    # calibrated: the probability of its first answer is how often that is right
    probability_NC = np.exp(log_probs_NC)
    right = (probability_NC.argmax(axis=1) == true_N).mean()
    assert right == pytest.approx(probability_NC.max(axis=1).mean(), abs=0.06)


def test_strangers_are_named(tmp_path):
    truth = pa.table({"photo_id": ["a", "b"], "site": [1, 2]})
    assert rows_of(truth, ["b", "a"], tmp_path)["site"].to_pylist() == [2, 1]
    with pytest.raises(DatasetError, match="first: c"):
        rows_of(truth, ["a", "c"], tmp_path)
