"""The exact posterior of albums: equal to the sum over all paths, calibrated, and worth more than one photo's."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from openplanet.evaluation.answers import Truth
from openplanet.evaluation.contestants import album_bayes
from openplanet.evaluation.contestants.album_bayes import album_posterior
from openplanet.evaluation.contestants.bayes import bayes_limit, limit_of_posterior
from openplanet.evaluation.measures.metrics import DISTANCES_KM
from openplanet.evaluation.measures.row import Row
from openplanet.synthetic import world as worlds
from openplanet.synthetic.world import World, log_p_cues_given_site, posterior, sample_albums


@pytest.fixture(scope="module")
def world():
    return World.make(seed=2, sites=70)


@pytest.fixture(scope="module")
def photos(world):
    return sample_albums(world, 400, np.random.default_rng(0))


def tiny(world, sites):
    """Some sites of a world as a planet of their own, moving as they did (with what left them shared out)."""
    moves_SS = world.transition_SS[np.ix_(sites, sites)]
    weight_S = world.weight_S[sites] / world.weight_S[sites].sum()
    return replace(
        world,
        lat_S=world.lat_S[sites],
        lng_S=world.lng_S[sites],
        weight_S=weight_S,
        transition_SS=moves_SS / moves_SS.sum(axis=1, keepdims=True),
        log_p={name: table[sites] for name, table in world.log_p.items()},
    )


def test_equals_the_sum_over_all_paths_and_days(world, monkeypatch):
    monkeypatch.setattr(album_bayes, "DAYS", 3)  # seasons of a day each: a year that can be summed by hand
    seasons = np.array([10, 130, 250])
    small = tiny(world, [0, 9, 33])
    rng = np.random.default_rng(1)
    light_KSD = np.stack([worlds.p_light(lat, seasons[:, None], np.arange(20)).mean(axis=1) for lat in small.lat_S])
    light_KSD = np.ascontiguousarray(light_KSD.transpose(2, 0, 1))
    monkeypatch.setattr(album_bayes, "light_by_day", lambda world: light_KSD)
    order_N = np.array([0, 1, 3])  # the third photo is not at hand
    cues = worlds.sample_cues(small, np.array([0, 1, 1]), np.array([10, 10, 130]), np.array([3, 9, 15]), rng)
    cues["scene"][:] = worlds.STREET
    cues = {name: np.maximum(values, 0) for name, values in cues.items()}
    cues["light"][:] = [4, 6, 1]
    seen_NS = np.exp(log_p_cues_given_site(small, {**cues, "light": np.full(3, -1)}))
    marginal_NS = np.zeros((3, 3))
    states = list(itertools.product(range(3), range(3)))  # site, day
    for path in itertools.product(states, repeat=4):
        weight = small.weight_S[path[0][0]] / 3
        for (site, day), (to_site, to_day) in itertools.pairwise(path):
            days_on = (to_day - day) % 3  # one, two or, once round, three days
            weight *= small.transition_SS[site, to_site] * album_bayes.DAY_STEPS[(days_on - 1) % 3]
        for photo, order in enumerate(order_N):
            site, day = path[order]
            weight *= seen_NS[photo, site] * light_KSD[cues["light"][photo], site, day]
        for photo, order in enumerate(order_N):
            marginal_NS[photo, path[order][0]] += weight
    found_NS = album_posterior(small, cues, np.zeros(3, np.int64), order_N)
    np.testing.assert_allclose(found_NS, marginal_NS / marginal_NS.sum(axis=1, keepdims=True), rtol=1e-9)


def test_photos_alone_have_their_own_posterior(world, photos):
    """With a day that nobody knows, the light of one photo is what the table of the world says."""
    alone_NS = album_posterior(world, photos.cues, np.arange(len(photos))[::-1], photos.order_N)
    np.testing.assert_allclose(alone_NS, np.exp(posterior(world, photos.cues)), atol=1e-10)


def test_the_posterior_is_calibrated_and_worth_more_than_that_of_one_photo(world, photos):
    album_NS = album_posterior(world, photos.cues, photos.album_N, photos.order_N)
    np.testing.assert_allclose(album_NS.sum(axis=1), 1.0)
    right_N = album_NS.argmax(axis=1) == photos.site_N
    # 400 photos of some 45 albums: what it is sure of is as often right as it says
    assert album_NS.max(axis=1).mean() == pytest.approx(right_N.mean(), abs=0.07)
    album_nll = -np.log(album_NS[np.arange(len(photos)), photos.site_N]).mean()
    single_nll = -posterior(world, photos.cues)[np.arange(len(photos)), photos.site_N].mean()
    assert album_nll < single_nll - 0.5
    album, album_expected = limit_of_posterior(world, album_NS, DISTANCES_KM)
    single, single_expected = bayes_limit(world, photos.cues)
    ids = tuple(map(str, range(len(photos))))
    truth = Truth(ids, ids, photos.lat_N, photos.lng_N)
    rows = [Row(each, truth, DISTANCES_KM, {}) for each in (album, single)]
    assert (rows[0].hits.mean(axis=0) >= rows[1].hits.mean(axis=0) - 0.02).all()
    assert album_expected[1] > single_expected[1] + 0.1
