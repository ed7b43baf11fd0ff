"""The measures: how far guesses lie from the truth, and what that is worth.

Shapes: N photos, K guesses per photo (most likely first), D distances.
A guess that is NaN is no guess: its distance is infinite, it is within nothing and scores 0. A photo
without any guess (it could not be read) therefore counts as wrong and stays in every denominator.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Summary:
    """The measures of one locator on one set. Shares are 0 to 1, in the order of ``distances_km``."""

    photos: int
    failed: int  # photos without any guess, wrong in every measure
    distances_km: tuple[float, ...]
    within_top1: tuple[float, ...]
    within_top5: tuple[float, ...]
    best_of: tuple[tuple[float, ...], ...]  # share within each distance of the best of 1, 2, ... 5 guesses
    median_km: float  # infinite where half of the photos failed
    mean_km: float  # a failed photo counts as half way round the Earth, so that the mean stays a number
    geoscore: float
    country: float  # of the first guess, as are region and city
    region: float
    city: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-safe: an infinite median is None."""
        return {
            "photos": self.photos,
            "failed": self.failed,
            "within_km": [
                {"km": km, "top1": one, "top5": five}
                for km, one, five in zip(self.distances_km, self.within_top1, self.within_top5, strict=True)
            ],
            "median_km": self.median_km if math.isfinite(self.median_km) else None,
            "mean_km": self.mean_km,
            "geoscore": self.geoscore,
            "country_accuracy": self.country,
            "region_accuracy": self.region,
            "city_accuracy": self.city,
            "best_of": [{"guesses": k, "within": list(shares)} for k, shares in enumerate(self.best_of, 1)],
        }


def summarise(
    top_lat_NK: Floats,
    top_lng_NK: Floats,
    lat_N: Floats,
    lng_N: Floats,
    distances_km: Sequence[float] = DISTANCES_KM,
) -> Summary:
    """All measures of the guesses [N, K] (most likely first, NaN for none) against the truth [N], N > 0."""
    km_NK = distances(top_lat_NK, top_lng_NK, lat_N, lng_N)
    km_N = best_of(km_NK, 1)
    best = [tuple(share_within(best_of(km_NK, k), distances_km).tolist()) for k in range(1, TOP_K + 1)]
    country, region, city = same_place(top_lat_NK[:, 0], top_lng_NK[:, 0], lat_N, lng_N).mean(axis=1).tolist()
    return Summary(
        photos=len(km_N),
        failed=int(np.isinf(km_NK).all(axis=1).sum()),
        distances_km=tuple(float(km) for km in distances_km),
        within_top1=best[0],
        within_top5=best[-1],
        best_of=tuple(best),
        median_km=median_km(km_N),
        mean_km=float(np.minimum(km_N, FARTHEST_KM).mean()),
        geoscore=float(geoscore(km_N).mean()),
        country=country,
        region=region,
        city=city,
    )
