"""The generative model: its chain keeps the prior, its tables are probabilities, its posterior is Bayes' rule."""

import numpy as np
import pytest

from openplanet.earth.geo import distance_km
from openplanet.errors import InputError
from openplanet.synthetic.cultures import CUES, STREET
from openplanet.synthetic.world import (
    DAYS,
    JITTER_KM,
    SLOTS,
    World,
    log_p_cues_given_site,
    p_light,
    posterior,
    sample_albums,
    sample_cues,
    snow_probability,
    sun_elevation_deg,
)


@pytest.fixture(scope="module")
def world() -> World:
    return World.make(seed=3, sites=120)


def test_tables_are_probabilities(world):
    assert set(world.log_p) == set(CUES)
    for name, values in CUES.items():
        assert world.log_p[name].shape == (len(world), len(values))
        np.testing.assert_allclose(np.exp(world.log_p[name]).sum(axis=1), 1.0, atol=1e-12)
    assert world.weight_S.sum() == pytest.approx(1.0)
    assert (world.weight_S > 0).all()


def test_chain_leaves_the_prior_unchanged_and_is_reversible(world):
    np.testing.assert_allclose(world.transition_SS.sum(axis=1), 1.0, atol=1e-12)
    assert (world.transition_SS >= 0).all()
    np.testing.assert_allclose(world.weight_S @ world.transition_SS, world.weight_S, atol=1e-14)
    flow_SS = world.weight_S[:, None] * world.transition_SS
    np.testing.assert_allclose(flow_SS, flow_SS.T, atol=1e-15)


def test_photos_late_in_albums_follow_the_prior_too(world):
    photos = sample_albums(world, 40_000, np.random.default_rng(0))
    late_N = photos.order_N >= 3
    provinces = world.province_S.max() + 1
    expected = np.bincount(world.province_S, world.weight_S)
    seen = np.bincount(world.province_S[photos.site_N[late_N]], minlength=provinces) / late_N.sum()
    # photos of one trip stand together: the effective number is about that of trips, some 3,000
    assert np.abs(seen - expected).max() < 5 * np.sqrt(expected.max() / 3000)
    assert 0.5 * np.abs(seen - expected).sum() < 0.1


def test_albums_travel_in_order(world):
    photos = sample_albums(world, 3000, np.random.default_rng(1))
    assert len(photos) == 3000
    follows_N = photos.album_N[1:] == photos.album_N[:-1]
    assert (np.diff(photos.order_N)[follows_N] == 1).all()
    assert (np.diff(photos.day_N)[follows_N] >= 1).all()
    assert (np.bincount(photos.album_N) <= 25).all()
    assert (np.bincount(photos.album_N)[:-1] >= 5).all()
    assert len(np.unique(photos.owner_N)) > 150
    # one owner has an album or a few, and an album one owner
    assert len(np.unique(photos.album_N)) > len(np.unique(photos.owner_N))
    moved_N = follows_N & (np.diff(photos.site_N) != 0)
    assert 0.25 < moved_N.sum() / follows_N.sum() < 0.6
    taken = [photos.taken_at(index)[0] for index in range(40)]
    assert all(a < b for a, b, same in zip(taken, taken[1:], follows_N[:39], strict=False) if same)


def test_photos_lie_about_their_site(world):
    photos = sample_albums(world, 5000, np.random.default_rng(2))
    km_N = distance_km(photos.lat_N, photos.lng_N, world.lat_S[photos.site_N], world.lng_S[photos.site_N])
    # Rayleigh: mean sigma * sqrt(pi / 2)
    assert km_N.mean() == pytest.approx(JITTER_KM * np.sqrt(np.pi / 2), rel=0.03)


def test_posterior_is_bayes_rule_by_hand(world):
    photos = sample_albums(world, 200, np.random.default_rng(4))
    log_posterior_NS = posterior(world, photos.cues)
    np.testing.assert_allclose(np.exp(log_posterior_NS).sum(axis=1), 1.0, atol=1e-12)
    for index in range(60):
        p_S = world.weight_S.copy()
        for name in CUES:
            value = photos.cues[name][index]
            if value >= 0:
                p_S *= np.exp(world.log_p[name][:, value])
        np.testing.assert_allclose(np.exp(log_posterior_NS[index]), p_S / p_S.sum(), atol=1e-12)


def test_posterior_is_calibrated(world):
    photos = sample_albums(world, 20_000, np.random.default_rng(5))
    probability_NS = np.exp(posterior(world, photos.cues))
    chosen_N = probability_NS.argmax(axis=1)
    said_N = probability_NS.max(axis=1)
    right_N = chosen_N == photos.site_N
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.01)):
        bin_N = (said_N >= low) & (said_N < high)
        assert bin_N.sum() > 200
        assert right_N[bin_N].mean() == pytest.approx(said_N[bin_N].mean(), abs=0.04)


def test_ambiguous_photos_tell_only_the_coast(world):
    photos = sample_albums(world, 2000, np.random.default_rng(6))
    closed_N = photos.cues["scene"] != STREET
    assert 0.15 < closed_N.mean() < 0.3
    for name in CUES:
        if name != "scene":
            assert (photos.cues[name][closed_N] == -1).all()
            assert (photos.cues[name][~closed_N] >= 0).all()
    indoors = {name: np.full(1, -1) for name in CUES} | {"scene": np.array([CUES["scene"].index("indoors")])}
    np.testing.assert_allclose(np.exp(posterior(world, indoors))[0], world.weight_S, atol=1e-12)


def test_impossible_cues_are_excluded(world):
    beach = {name: np.full(1, -1) for name in CUES} | {"scene": np.array([CUES["scene"].index("beach")])}
    log_p_S = log_p_cues_given_site(world, beach)[0]
    inland_S = np.isneginf(world.log_p["scene"][:, CUES["scene"].index("beach")])
    assert 0 < inland_S.sum() < len(world)
    assert np.isneginf(log_p_S[inland_S]).all()
    assert np.isfinite(log_p_S[~inland_S]).all()


def test_sun_stands_where_astronomy_says():
    equinox, solstice = 79, 171  # 21 March, 21 June
    assert sun_elevation_deg(0.0, equinox, 12.0) == pytest.approx(90, abs=2)
    assert sun_elevation_deg(51.5, solstice, 12.0) == pytest.approx(90 - 51.5 + 23.4, abs=0.5)
    assert sun_elevation_deg(-34.0, solstice, 12.0) == pytest.approx(90 - 34 - 23.4, abs=0.5)
    assert sun_elevation_deg(65.0, 355, 9.0) < 0
    assert snow_probability(60.0, 15) > 0.5 > snow_probability(60.0, 200)
    assert snow_probability(0.0, 15) < 0.001


def test_light_table_is_the_mean_over_dates_and_hours(world):
    for site in (0, 50, len(world) - 1):
        by_hand = np.zeros(len(CUES["light"]))
        for day in range(DAYS):
            by_hand += p_light(world.lat_S[site], day, np.arange(SLOTS)).mean(axis=0) / DAYS
        np.testing.assert_allclose(np.exp(world.log_p["light"][site]), by_hand, atol=1e-12)


def test_cues_are_drawn_as_the_tables_say(world):
    count = 20_000
    rng = np.random.default_rng(7)
    day_N, slot_N = rng.integers(DAYS, size=count), rng.integers(SLOTS, size=count)
    cues = sample_cues(world, np.full(count, 9), day_N, slot_N, rng)
    street_N = cues["scene"] == STREET
    for name, values in CUES.items():
        drawn = cues[name] if name == "scene" else cues[name][street_N]
        seen = np.bincount(drawn, minlength=len(values)) / len(drawn)
        np.testing.assert_allclose(seen, np.exp(world.log_p[name][9]), atol=0.015)


def test_same_seed_same_world_other_seed_other_world(world):
    again, other = World.make(seed=3, sites=120), World.make(seed=4, sites=120)
    for name in CUES:
        np.testing.assert_array_equal(world.log_p[name], again.log_p[name])
    assert any((world.log_p[name] != other.log_p[name]).any() for name in CUES)


def test_too_few_sites_are_refused():
    with pytest.raises(InputError, match="sites"):
        World.make(seed=0, sites=5)
