"""Probabilities by place: the cells of a country, of its regions, of their cities, put together.

A cell counts for no finer place than it can tell: one of a million square kilometres names a country at most. What a
place is called is ``earth.places.named``: the city in whose reach a cell's centroid lies, so that all of Sydney's cells
are Sydney.

Shapes: C cells.
"""

from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import languages
from openplanet.earth.partition.adaptive import Partition
from openplanet.earth.places import CITY_KM, REGION_KM

Level = Literal["country", "region", "city"]
LEVELS: tuple[Level, ...] = ("country", "region", "city")
COUNTRY_KM = 1000.0
"""A cell whose disc has a larger radius is called after no country; CITY_KM and REGION_KM likewise."""
LEAST = 0.01
"""Places less likely are not listed."""


@dataclass(frozen=True)
class CellPlace:
    """Name of a place; "" where it is not named that finely."""

    country: str
    region: str
    city: str
    country_code: str = ""  # ISO 3166-1 alpha-2

    @property
    def text(self) -> str:
        """City, region and country in one line, without empty or repeated parts."""
        return ", ".join(dict.fromkeys(part for part in (self.city, self.region, self.country) if part))

    def at(self, level: Level) -> "CellPlace":
        """No finer than ``level``."""
        region = "" if level == "country" else self.region
        return CellPlace(self.country, region, self.city if level == "city" else "", self.country_code)


@dataclass(frozen=True)
class Node:
    """A place with its probability, 0 to 1, and the finer places in it, the likeliest first."""

    level: Level
    place: CellPlace
    probability: float
    inside: tuple["Node", ...] = ()

    @property
    def name(self) -> str:
        """Of this level alone."""
        return str(getattr(self.place, self.level))

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        inside = [node.to_dict() for node in self.inside]
        code = {"country_code": self.place.country_code} if self.level == "country" else {}
        return {"level": self.level, "name": self.name, **code, "probability": self.probability, "places": inside}


def place_of(partition: Partition, cell: int) -> CellPlace:
    """What a cell is called, no finer than its size allows."""
    return CellPlace(*_names(partition, cell, int(_depths(partition.area_km2[cell : cell + 1])[0])))


def _depths(area_km2_C: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many of LEVELS cells of these areas are named by, 0 to 3."""
    radius_C = np.sqrt(area_km2_C / np.pi)
    return sum((radius_C <= km).astype(np.int64) for km in (COUNTRY_KM, REGION_KM, CITY_KM))  # type: ignore[return-value]


def _names(p: Partition, cell: int, depth: int) -> tuple[str, str, str, str]:
    """Country, region, city and country code of a cell, of the first ``depth`` LEVELS; "" beyond."""
    if depth == 0:
        return "", "", "", ""
    country = languages.country(p.country_code[cell], p.country[cell])
    return country, p.region[cell] if depth > 1 else "", p.city[cell] if depth > 2 else "", p.country_code[cell]


def tree(
    partition: Partition, probability_C: NDArray[np.float64], finest: Level = "city", least: float = LEAST
) -> tuple[Node, ...]:
    """The countries with what is in them, the likeliest first, of at least ``least``; no finer than ``finest``."""
    numbers = _numbers(partition)
    sums = [np.bincount(of_C, probability_C, minlength=len(names)) for of_C, names in numbers.levels]

    def nodes(depth: int, within: int) -> tuple[Node, ...]:
        if depth > LEVELS.index(finest):
            return ()
        places, parents = numbers.levels[depth][1], numbers.parents[depth]
        chosen = [
            index for index in np.flatnonzero(parents == within).tolist()
            if sums[depth][index] >= least and getattr(places[index], LEVELS[depth])
        ]  # fmt: skip
        chosen.sort(key=lambda index: -sums[depth][index])
        return tuple(
            Node(LEVELS[depth], places[index], float(sums[depth][index]), nodes(depth + 1, index)) for index in chosen
        )

    return nodes(0, -1)


def likeliest(partition: Partition, probability_C: NDArray[np.float64], level: Level) -> Node | None:
    """The likeliest place of a level; None where no cell is named so finely."""
    of_C, places = _numbers(partition).levels[LEVELS.index(level)]
    sums = np.bincount(of_C, probability_C, minlength=len(places))
    named = np.array([bool(getattr(place, level)) for place in places])
    if not named.any():
        return None
    best = int(np.where(named, sums, -1.0).argmax())
    return Node(level, places[best], float(sums[best]))


@dataclass(frozen=True, eq=False)
class _Numbers:
    """For each level the number of each cell's place, and the places; and in which of the level above each lies."""

    levels: list[tuple[NDArray[np.int64], list[CellPlace]]]
    parents: list[NDArray[np.int64]]


_KNOWN: WeakKeyDictionary[Partition, tuple[str, _Numbers]] = WeakKeyDictionary()
"""By partition, with the language of the names."""


def _numbers(partition: Partition) -> _Numbers:
    if partition not in _KNOWN or _KNOWN[partition][0] != languages.chosen():
        depth_C = _depths(partition.area_km2).tolist()
        levels, parents, above = list[tuple[NDArray[np.int64], list[CellPlace]]](), list[NDArray[np.int64]](), None
        for most in range(1, len(LEVELS) + 1):
            # the code tells countries apart, whatever they are called
            keys = [_names(partition, cell, min(depth, most)) for cell, depth in enumerate(depth_C)]
            index = {names: number for number, names in enumerate(dict.fromkeys(keys))}
            of_C = np.array([index[names] for names in keys], np.int64)
            parent = np.full(len(index), -1, np.int64)
            if above is not None:
                parent[of_C] = above
            levels.append((of_C, [CellPlace(*names) for names in index]))
            parents.append(parent)
            above = of_C
        _KNOWN[partition] = languages.chosen(), _Numbers(levels, parents)
    return _KNOWN[partition][1]
