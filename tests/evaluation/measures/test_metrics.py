"""Each measure against a slow, obvious reimplementation."""

import math

import numpy as np
import pytest
from geographiclib.geodesic import Geodesic

from openplanet.earth import geo
from openplanet.evaluation.answers import Answers, Truth
from openplanet.evaluation.measures import metrics
from openplanet.evaluation.measures.row import COUNTRY, GEOSCORE, MEAN, MEDIAN, Measure, Row
from openplanet.evaluation.report.photo_tables import row_dict

DISTANCES = (1.0, 25.0, 200.0, 750.0, 2500.0)


def summarise(lat_NK, lng_NK, lat, lng, distances_km=DISTANCES) -> Row:
    ids = tuple(map(str, range(len(lat))))
    truth = Truth(ids, ids, lat, lng)
    return Measure(truth, tuple(distances_km), truth.groups()).row(Answers("", "", lat_NK, lng_NK))


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
    got = summarise(lat_NK, lng_NK, *truth)
    guesses = [
        [None if math.isnan(lat) else (lat, lng) for lat, lng in zip(*pair, strict=True)]
        for pair in zip(lat_NK.tolist(), lng_NK.tolist(), strict=True)
    ]
    slow = slow_summary(guesses, truth.T.tolist())
    assert got.shares == pytest.approx(slow["top1"])
    assert got.best_of[-1] == pytest.approx(slow["top5"])
    assert got.value(MEDIAN) == pytest.approx(slow["median"])
    assert got.value(MEAN) == pytest.approx(slow["mean"])
    assert got.value(GEOSCORE) == pytest.approx(slow["geoscore"])
    assert (got.photos, got.failed) == (photos, int(failed.sum()))


def test_within_means_at_most() -> None:
    assert metrics.share_within(np.array([25.0, np.nextafter(25.0, 26.0)]), [25.0]).tolist() == [0.5]


def test_only_the_first_five_guesses_count() -> None:
    lat_NK, lng_NK = np.full((1, 6), 80.0), np.zeros((1, 6))
    lat_NK[0, 5] = 0.0  # the sixth guess is right
    got = summarise(lat_NK, lng_NK, np.zeros(1), np.zeros(1))
    assert got.best_of[-1] == (0, 0, 0, 0, 0)


def test_failed_photo_is_wrong_and_stays_in_the_denominator() -> None:
    lat_NK = np.array([[10.0], [np.nan]])
    got = summarise(lat_NK, lat_NK.copy(), np.array([10.0, 10.0]), np.array([10.0, 10.0]))
    assert got.shares == (0.5,) * 5
    assert got.value(GEOSCORE) == pytest.approx(2500)
    assert got.value(COUNTRY) == 0.5
    assert got.value(MEDIAN) == math.inf and row_dict(got)["median_km"] is None
    assert got.value(MEAN) == pytest.approx(math.pi * 6371.0088 / 2)


def test_geoscore_of_known_distances() -> None:
    assert metrics.geoscore(np.array([0.0, 1492.7, np.inf])) == pytest.approx([5000, 5000 / math.e, 0])


def test_country_is_that_of_the_nearest_city_on_both_sides() -> None:
    # Lyon for Paris is right, Brussels for Paris is wrong, no guess is wrong
    guess_lat, guess_lng = np.array([45.76, 50.85, np.nan]), np.array([4.84, 4.35, np.nan])
    right = metrics.same_country(guess_lat, guess_lng, np.full(3, 48.857), np.full(3, 2.352))
    assert right.tolist() == [True, False, False]


def test_best_of_k_is_the_loop() -> None:
    rng = np.random.default_rng(8)
    lat_NK, lng_NK = rng.uniform(-60, 60, (40, 5)), rng.uniform(-180, 180, (40, 5))
    lat, lng = rng.uniform(-60, 60, 40), rng.uniform(-180, 180, 40)
    got = summarise(lat_NK, lng_NK, lat, lng, [2500.0, 8000.0])
    for k in range(1, 6):
        for column, km in enumerate([2500.0, 8000.0]):
            hits = 0
            for n in range(40):
                off = [float(geo.distance_km(lat_NK[n, i], lng_NK[n, i], lat[n], lng[n])) for i in range(k)]
                hits += min(off) <= km
            assert got.best_of[k - 1][column] == pytest.approx(hits / 40)
    assert got.best_of[0] == got.shares


def test_same_place_is_by_names() -> None:
    lat = np.array([48.86, 48.86, 48.86, 48.86])
    guesses = np.array([[48.861, 2.351], [48.60, 2.30], [43.3, 5.37], [np.nan, np.nan]])
    got = metrics.same_place(guesses[:, 0], guesses[:, 1], lat, np.full(4, 2.35))
    # the same quarter; Île-de-France; France; no guess
    np.testing.assert_array_equal(got, [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]])


def test_distance_is_geographiclibs() -> None:
    """An independent geodesic code, on a sphere: its ellipsoid with no flattening."""
    sphere = Geodesic(geo.EARTH_RADIUS_KM * 1000, 0)
    rng = np.random.default_rng(9)
    lat1, lat2 = rng.uniform(-90, 90, (2, 500))
    lng1, lng2 = rng.uniform(-180, 180, (2, 500))
    lat2[:50], lng2[:50] = lat1[:50] + 1e-5, lng1[:50] - 1e-5  # a metre apart
    lat2[50:100], lng2[50:100] = -lat1[50:100] + 1e-4, lng1[50:100] + 180  # all but antipodes
    lat1[100], lng1[100], lat2[100], lng2[100] = 90, 0, -90, 77
    lng1[101:120], lng2[101:120] = 179.9, -179.9  # over the antimeridian
    got = geo.distance_km(lat1, lng1, lat2, lng2)
    expected = [sphere.Inverse(a, b, c, d)["s12"] / 1000 for a, b, c, d in zip(lat1, lng1, lat2, lng2, strict=True)]
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)
