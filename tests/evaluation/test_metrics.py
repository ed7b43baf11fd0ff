"""Each measure against a slow, obvious reimplementation."""

import math

import numpy as np
import pytest

from openplanet.evaluation import metrics

DISTANCES = (1.0, 25.0, 200.0, 750.0, 2500.0)


def haversine(lat1: float, lng1: float, lat2: float, lng2: float) -> float:
    a, b = math.radians(lat1), math.radians(lat2)
    h = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(lng2 - lng1) / 2) ** 2
    return 2 * 6371.0088 * math.asin(math.sqrt(min(1.0, h)))


def slow_summary(guesses, truth) -> dict:
    """``guesses``: for each photo a list of (lat, lng) or None; ``truth``: (lat, lng) for each photo."""
    firsts, fives = [], []
    for photo, (lat, lng) in zip(guesses, truth, strict=True):
        km = [math.inf if guess is None else haversine(*guess, lat, lng) for guess in photo]
        firsts.append(km[0])
        fives.append(min(km[:5]))
    ordered, n = sorted(firsts), len(firsts)
    median = ordered[n // 2] if n % 2 else (ordered[n // 2 - 1] + ordered[n // 2]) / 2
    return {
        "top1": [sum(km <= d for km in firsts) / n for d in DISTANCES],
        "top5": [sum(km <= d for km in fives) / n for d in DISTANCES],
        "median": median,
        "mean": sum(min(km, math.pi * 6371.0088) for km in firsts) / n,
        "geoscore": sum(5000 * math.exp(-km / 1492.7) for km in firsts) / n,
    }


@pytest.mark.parametrize("photos", [1, 2, 40, 41])
@pytest.mark.parametrize("failed_share", [0.0, 0.2, 0.7])
def test_summary_is_the_obvious_one(photos: int, failed_share: float) -> None:
    rng = np.random.default_rng(photos)
    truth = np.stack([rng.uniform(-89, 89, photos), rng.uniform(-180, 180, photos)])
    spread = 10.0 ** rng.uniform(-3, 2, (photos, 7))  # from 100 m to beyond the pole's distance
    lat_NK = np.clip(truth[0][:, None] + spread * rng.normal(size=(photos, 7)), -90, 90)
    lng_NK = (truth[1][:, None] + spread * rng.normal(size=(photos, 7)) + 180) % 360 - 180
    failed = rng.random(photos) < failed_share
    lat_NK[failed] = lng_NK[failed] = np.nan
    lat_NK[:, 6] = lng_NK[:, 6] = np.nan  # fewer guesses than columns
    got = metrics.summarise(lat_NK, lng_NK, *truth)
    guesses = [
        [None if math.isnan(lat) else (lat, lng) for lat, lng in zip(*pair, strict=True)]
        for pair in zip(lat_NK.tolist(), lng_NK.tolist(), strict=True)
    ]
    slow = slow_summary(guesses, truth.T.tolist())
    assert got.within_top1 == pytest.approx(slow["top1"])
    assert got.within_top5 == pytest.approx(slow["top5"])
    assert got.median_km == pytest.approx(slow["median"])
    assert got.mean_km == pytest.approx(slow["mean"])
    assert got.geoscore == pytest.approx(slow["geoscore"])
    assert (got.photos, got.failed) == (photos, int(failed.sum()))


def test_within_means_at_most() -> None:
    assert metrics.share_within(np.array([25.0, np.nextafter(25.0, 26.0)]), [25.0]).tolist() == [0.5]


def test_only_the_first_five_guesses_count() -> None:
    lat_NK, lng_NK = np.full((1, 6), 80.0), np.zeros((1, 6))
    lat_NK[0, 5] = 0.0  # the sixth guess is right
    got = metrics.summarise(lat_NK, lng_NK, np.zeros(1), np.zeros(1))
    assert got.within_top5 == (0, 0, 0, 0, 0)


def test_failed_photo_is_wrong_and_stays_in_the_denominator() -> None:
    lat_NK = np.array([[10.0], [np.nan]])
    got = metrics.summarise(lat_NK, lat_NK.copy(), np.array([10.0, 10.0]), np.array([10.0, 10.0]))
    assert got.within_top1 == (0.5,) * 5
    assert got.geoscore == pytest.approx(2500)
    assert got.country == 0.5
    assert got.median_km == math.inf and got.to_dict()["median_km"] is None
    assert got.mean_km == pytest.approx(math.pi * 6371.0088 / 2)


def test_geoscore_of_known_distances() -> None:
    assert metrics.geoscore(np.array([0.0, 1492.7, np.inf])) == pytest.approx([5000, 5000 / math.e, 0])


def test_country_is_that_of_the_nearest_city_on_both_sides() -> None:
    # Lyon for Paris is right, Brussels for Paris is wrong, no guess is wrong
    guess_lat, guess_lng = np.array([45.76, 50.85, np.nan]), np.array([4.84, 4.35, np.nan])
    right = metrics.same_country(guess_lat, guess_lng, np.full(3, 48.857), np.full(3, 2.352))
    assert right.tolist() == [True, False, False]


@pytest.mark.parametrize("share, count", [(0.0, 10), (0.5, 100), (1.0, 3)])
def test_wilson_interval_solves_its_equation(share: float, count: int) -> None:
    for bound in metrics.wilson(share, count):
        # each bound p is a share whose own standard error just reaches the measured one, unless cut at 0 or 1
        reach = 1.96 * math.sqrt(bound * (1 - bound) / count)
        assert abs(share - bound) == pytest.approx(reach, abs=1e-9)
