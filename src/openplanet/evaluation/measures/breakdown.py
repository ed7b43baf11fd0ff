"""The same measures for parts of a set: by continent, country, town or country, and how much was seen of the place.

Shapes: N photos.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import places
from openplanet.earth.continents import CONTINENTS, continent_of
from openplanet.earth.partition.adaptive import Partition
from openplanet.evaluation.measures import metrics
from openplanet.evaluation.measures.row import Row

Floats = NDArray[np.float64]

CITY_PEOPLE = 50_000
CITY_KM = 10.0
URBAN_RULE = f"urban: within {CITY_KM:g} km of the centre of a city of {CITY_PEOPLE:,} people or more (GeoNames)"
SEEN = (1, 10, 100, 1_000, 10_000)  # training photos in the true cell, lower ends
MOST_COUNTRIES = 25  # listed by name, those with most photos; the others together
FEWEST_PHOTOS = 10  # of a country that is listed by name


@dataclass(frozen=True)
class Part:
    """The measures of one part, at the first guess. Shares are 0 to 1, in the order of the table's distances."""

    name: str
    photos: int
    within: tuple[float, ...]
    median_km: float | None  # None: half or more have no guess
    geoscore: float
    country: float


@dataclass(frozen=True)
class Breakdown:
    """The parts of a set by one contestant, or one part of it by several contestants."""

    title: str
    rule: str
    parts: tuple[Part, ...]
    anchors: float | None = None  # share of each album's photos whose positions were given

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-safe."""
        return {"title": self.title, "rule": self.rule, "parts": [asdict(part) for part in self.parts]}


@dataclass(frozen=True)
class Division:
    """A way of dividing: the part of each photo [N] as an index into ``names``."""

    title: str
    rule: str
    names: tuple[str, ...]
    part_N: NDArray[np.int64]


def divide(partition: Partition | None, lat_N: Floats, lng_N: Floats) -> tuple[Division, ...]:
    """The divisions of photos truly at ``lat_N``, ``lng_N`` (degrees); without cells, none by cell."""
    country_N = places.codes(lat_N, lng_N).country_N
    by_cell = () if partition is None else (_by_cell(partition, lat_N, lng_N),)
    return (_by_continent(country_N), _by_country(country_N), _by_town(lat_N, lng_N), *by_cell)


def break_down(divisions: Sequence[Division], row: Row) -> tuple[Breakdown, ...]:
    """The measures of a row's first guesses in every part that has a photo."""
    return tuple(
        Breakdown(
            each.title,
            each.rule,
            tuple(part for index, name in enumerate(each.names) for part in part_of(row, each.part_N == index, name)),
        )
        for each in divisions
    )


def part_of(row: Row, inside_N: NDArray[np.bool_], name: str) -> list[Part]:
    """The measures of a row on some of its photos, as one part; nothing where there are none of these."""
    if not inside_N.any():
        return []
    km_N = row.km[inside_N, 0]
    median = metrics.median_km(km_N)
    return [
        Part(
            name=name,
            photos=int(inside_N.sum()),
            within=tuple(row.hits[inside_N].mean(axis=0).tolist()),
            median_km=median if np.isfinite(median) else None,
            geoscore=float(metrics.geoscore(km_N).mean()),
            country=float(row.same_country[inside_N].mean()),
        )
    ]


def _by_continent(country_N: NDArray[np.int64]) -> Division:
    numbers, inverse_N = np.unique(country_N, return_inverse=True)
    names = (*CONTINENTS, "not known")
    of_country = [continent_of(places.country_code(number)) or "not known" for number in numbers.tolist()]
    index = np.array([names.index(name) for name in of_country], np.int64)
    return Division("Continent", f"of {metrics.NAMING}", names, index[inverse_N])


def _by_country(country_N: NDArray[np.int64]) -> Division:
    numbers, inverse_N, counts = np.unique(country_N, return_inverse=True, return_counts=True)
    order = [i for i in np.argsort(-counts, kind="stable").tolist() if counts[i] >= FEWEST_PHOTOS][:MOST_COUNTRIES]
    names = (*(places.country_name(int(numbers[i])) for i in order), "all other countries")
    index = np.full(len(numbers), len(order), np.int64)
    index[order] = np.arange(len(order))
    rule = f"{metrics.NAMING}; the {MOST_COUNTRIES} with most photos, of {FEWEST_PHOTOS} photos or more"
    return Division("Country", rule, names, index[inverse_N])


def _by_town(lat_N: Floats, lng_N: Floats) -> Division:
    rural_N = places.km_to_city(lat_N, lng_N, CITY_PEOPLE) > CITY_KM
    return Division("Town or country", URBAN_RULE, ("urban", "rural"), rural_N.astype(np.int64))


def _by_cell(partition: Partition, lat_N: Floats, lng_N: Floats) -> Division:
    cell_N = partition.assign(lat_N, lng_N)
    count_N = np.where(cell_N >= 0, partition.count[cell_N], 0)
    ends = [*(f"{low:,} to {high - 1:,}" for low, high in pairwise(SEEN)), f"{SEEN[-1]:,} or more"]
    rule = "photos that the true cell was made from; none: the photo was taken in no cell"
    part_N = np.searchsorted(SEEN, count_N, side="right")
    return Division("Training photos in the true cell", rule, ("none", *ends), part_N.astype(np.int64))
