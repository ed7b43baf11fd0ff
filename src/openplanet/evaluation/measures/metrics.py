"""The measures: how far guesses lie from the truth, and what that is worth.

Shapes: N photos, K guesses per photo (most likely first), D distances.
A guess that is NaN is no guess: its distance is infinite, it is within nothing and scores 0. A photo
without any guess (it could not be read) therefore counts as wrong and stays in every denominator.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import geo, places

Floats = NDArray[np.float64]

# street, city, region, country, continent
DISTANCES_KM: tuple[float, ...] = (1.0, 25.0, 200.0, 750.0, 2500.0)
TOP_K = 5  # the paper reports the best of 1 and the best of 5
FARTHEST_KM = math.pi * geo.EARTH_RADIUS_KM  # no guess can be farther off than the antipode
GEOSCORE_KM = 1492.7  # GeoGuessr's scale on its world map, as OSV-5M and PIGEON use it
NAMING = "the country of the nearest GeoNames city"
COUNTRY_METHOD = (
    "country, region and city of the nearest GeoNames city, for the guess and for the true position alike; "
    "near a border that can be the neighbour's (of photos on land in Im2GPS3k and YFCC4k, 1 % are nearest to a city of "
    "a country other than the one around them: benchmarks/naming.py)"
)


def with_standard(extra_km: Sequence[float]) -> tuple[float, ...]:
    """The standard distances and some more, ascending."""
    return tuple(sorted({*DISTANCES_KM, *map(float, extra_km)}))


def geoscore(km: Floats) -> Floats:
    """GeoGuessr points, 0 to 5000, of guesses ``km`` off (any shape; infinite gives 0)."""
    return np.asarray(5000.0 * np.exp(-np.asarray(km, dtype=np.float64) / GEOSCORE_KM))


def distances(top_lat_NK: Floats, top_lng_NK: Floats, lat_N: Floats, lng_N: Floats) -> Floats:
    """Great-circle km [N, K] from each guess to the true position; infinite where there is no guess."""
    km_NK = geo.distance_km(top_lat_NK, top_lng_NK, lat_N[:, None], lng_N[:, None])
    return np.where(np.isnan(km_NK), np.inf, km_NK)


def best_of(km_NK: Floats, k: int) -> Floats:
    """Distance [N] of the best among each photo's first ``k`` guesses (paper, section 4)."""
    return np.asarray(km_NK[:, :k].min(axis=1))


def share_within(km_N: Floats, distances_km: Sequence[float]) -> Floats:
    """Share of photos, 0 to 1, whose guess is at most each distance off: [D]. NaN for no photos."""
    if len(km_N) == 0:
        return np.full(len(distances_km), np.nan)
    return np.asarray((km_N[:, None] <= np.asarray(distances_km, dtype=np.float64)).mean(axis=0))


def median_km(km_N: Floats) -> float:
    """Median distance; infinite where half of the photos or more have no guess."""
    # the mean of the two middle values, taken by hand: numpy's would warn and give NaN from two infinities
    ordered = np.sort(km_N)
    low, high = float(ordered[(len(ordered) - 1) // 2]), float(ordered[len(ordered) // 2])
    return high if math.isinf(high) else (low + high) / 2


def same_place(guess_lat_N: Floats, guess_lng_N: Floats, lat_N: Floats, lng_N: Floats) -> NDArray[np.bool_]:
    """Whether guess and truth lie in one country, in one region, nearest to one city: [3, N], by
    ``COUNTRY_METHOD``; no guess is wrong."""
    guess, truth = places.codes(guess_lat_N, guess_lng_N), places.codes(lat_N, lng_N)
    pairs = ((guess.country_N, truth.country_N), (guess.region_N, truth.region_N), (guess.city_N, truth.city_N))
    return np.stack([(one == other) & (one >= 0) for one, other in pairs])


def same_country(guess_lat_N: Floats, guess_lng_N: Floats, lat_N: Floats, lng_N: Floats) -> NDArray[np.bool_]:
    """Whether guess and truth lie in one country [N], each by ``COUNTRY_METHOD``; no guess is wrong."""
    return np.asarray(same_place(guess_lat_N, guess_lng_N, lat_N, lng_N)[0])
