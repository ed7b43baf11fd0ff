"""Where the photos of the synthetic planet are taken: real cities, in provinces of cultures, and how often each.

Shapes: S sites, P provinces.
"""

from typing import Any

import numpy as np
import reverse_geocode
from numpy.typing import NDArray

from openplanet.earth.geo import distance_km
from openplanet.errors import InputError
from openplanet.synthetic.cultures import CULTURES

SITE_SPACING_KM = 80.0  # sites must be tellable apart at city level (25 km)
PROVINCE_KM = 350.0  # around the heart of a province all build alike: this is what decides 750 km
HEARTS_KM = 800.0
PROVINCE_SHARE = 3.5  # per cent of all photos: below it, 2,400 training photos would show too little of a province
CITY_POWER = 0.75  # photos of a city by its population: the big ones lead, the small ones are not forgotten

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def choose_sites(sites: int) -> tuple[list[dict[str, Any]], Ints, Ints]:
    """Cities [S] with their culture and province: hearts far apart, each with the biggest cities around it."""
    if not 2 * len(CULTURES) <= sites <= 1000:
        raise InputError(f"a synthetic planet has {2 * len(CULTURES)} to 1000 sites, not {sites}")
    by_country: dict[str, list[dict[str, Any]]] = {}
    for place in reverse_geocode.GeocodeData()._locations:
        if place.get("population", 0) >= 20_000:
            by_country.setdefault(place["country_code"], []).append(place)
    chosen: list[dict[str, Any]] = []
    culture_index: list[int] = []
    province_index: list[int] = []
    share_total = sum(culture.share for culture in CULTURES)
    for index, culture in enumerate(CULTURES):
        cities = [place for code in culture.countries.split() for place in by_country.get(code, [])]
        cities.sort(key=lambda place: (-place["population"], place["latitude"], place["longitude"]))
        lat, lng = (np.array([city[name] for city in cities], np.float64) for name in ("latitude", "longitude"))
        hearts = _spaced(cities, max(1, round(culture.share / PROVINCE_SHARE)), HEARTS_KM)
        for heart in hearts:
            near = distance_km(heart["latitude"], heart["longitude"], lat, lng) <= PROVINCE_KM
            around = [cities[index] for index in np.flatnonzero(near)]
            quota = max(2, round(sites * culture.share / len(hearts) / share_total))
            members = _spaced(around, quota, SITE_SPACING_KM)
            culture_index += [index] * len(members)
            province_index += [max(province_index, default=-1) + 1] * len(members)
            chosen += members
    return chosen, np.array(culture_index, dtype=np.int64), np.array(province_index, dtype=np.int64)


def _spaced(cities: list[dict[str, Any]], wanted: int, spacing_km: float) -> list[dict[str, Any]]:
    """The first ``wanted`` of ``cities`` that keep ``spacing_km`` from each other (fewer where there are no more)."""
    kept: list[dict[str, Any]] = []
    lat, lng = np.empty(0), np.empty(0)
    for city in cities:
        if len(kept) < wanted and (distance_km(city["latitude"], city["longitude"], lat, lng) >= spacing_km).all():
            kept.append(city)
            lat, lng = np.append(lat, city["latitude"]), np.append(lng, city["longitude"])
    return kept


def weights(population_S: Floats, culture_S: Ints, province_S: Ints) -> Floats:
    """The share of a culture, spread over its provinces (fairly evenly) and there over cities by population."""
    heart_P = np.zeros(province_S.max() + 1)
    np.maximum.at(heart_P, province_S, population_S**0.25)
    weight_S = population_S**CITY_POWER
    weight_S *= (heart_P / np.bincount(province_S, weight_S))[province_S]
    share = np.array([culture.share for culture in CULTURES], dtype=np.float64)
    weight_S *= (share / np.bincount(culture_S, weight_S, minlength=len(share)))[culture_S]
    return np.asarray(weight_S / weight_S.sum(), dtype=np.float64)
