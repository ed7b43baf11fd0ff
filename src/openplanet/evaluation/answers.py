"""The photos of a set, and what one contestant answers for them.

Shapes: N photos, K guesses per photo, D distances.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openplanet.earth.partition.adaptive import Partition
from openplanet.evaluation.measures.bootstrap import Groups, groups_of
from openplanet.evaluation.measures.cell_scores import CellScores
from openplanet.evaluation.measures.naming import Naming

Floats = NDArray[np.float64]

PRIOR, RANDOM, NEAREST, MODEL, BAYES = "prior", "random", "nearest neighbour", "model", "Bayes limit"
DENSITY, EMBEDDED = "k nearest, density", "embedding, density"
EMBEDDED_NEAREST = "embedding, nearest"
BEST_POINT, CELL_CENTRE = ", best point", ", cell centre"
POINTS, PRIOR_POINTS = f"{MODEL}{BEST_POINT}", f"{PRIOR}{BEST_POINT}"
CENTRES = f"{MODEL}{CELL_CENTRE}"
RIGHT_CELL = "right cell"


@dataclass(frozen=True)
class Truth:
    """The photos of a set and where they were taken (degrees, [N])."""

    photo_id: tuple[str, ...]
    source: tuple[str, ...]  # where ingest found the file: untrusted text
    lat: Floats
    lng: Floats
    owner: tuple[str | None, ...] = ()  # who took it, as far as is known; () says nothing of all
    album: tuple[str | None, ...] = ()

    def groups(self) -> Groups:
        """Which photos are alike, and so are drawn together when a figure's luck is measured."""
        unknown = (None,) * len(self.photo_id)
        return groups_of(self.owner or unknown, self.album or unknown, self.photo_id)

    def part(self, index: NDArray[np.int64]) -> "Truth":
        """Some of the photos."""

        def pick(values: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(values[i] for i in index.tolist()) if values else ()

        lists = (pick(each) for each in (self.owner, self.album))
        return Truth(pick(self.photo_id), pick(self.source), self.lat[index], self.lng[index], *lists)


@dataclass(frozen=True)
class Answers:
    """One contestant's guesses ``lat``, ``lng`` (degrees, [N, K]), most likely first, NaN for none."""

    name: str
    what: str  # in a sentence
    lat: Floats
    lng: Floats
    points_DNK2: Floats | None = None  # lat, lng of the points named for each distance; they count in place of guesses
    scores: CellScores | None = None  # what its probabilities are worth, where it gives any
    partition: Partition | None = None  # the cells that these are over
    cell_NK: NDArray[np.int64] | None = None  # the cells that the guesses stand for; -1 for none
    entropy_N: Floats | None = None  # of the distributions, in nats; NaN for a photo without one
    country_N2: Floats | None = None  # lat, lng in the country that it names, where it names that by itself
    is_limit: bool = False  # the best that anyone could do, not a contestant's own
    reads_times: bool = False  # it knows when photos were taken, which a limit of the pictures does not
    naming: Naming | None = None  # how right the places are that it names, and how wide its regions
    shown_N: NDArray[np.int64] | None = None  # the photos that a player was shown; None: all

    def apart(self, what: str) -> "list[Answers]":
        """The guesses and the points as two contestants, ``what`` being the second; all of the points that is not by
        distance is that of the guesses."""
        if self.points_DNK2 is None:
            return [self]
        points = replace(self, name=f"{self.name}{BEST_POINT}", what=what, scores=None, naming=None)
        return [replace(self, points_DNK2=None), points]

    def at_centres(self, what: str) -> "list[Answers]":
        """The guesses again, each at the centre of its cell and not at the mean position of the cell's photos, as one
        contestant; none where guesses stand for no cells."""
        if self.cell_NK is None or self.partition is None:
            return []
        lat_NK, lng_NK = (
            np.where(self.cell_NK < 0, np.nan, at_C[self.cell_NK]) for at_C in (self.partition.lat, self.partition.lng)
        )
        return [Answers(f"{self.name}{CELL_CENTRE}", what, lat_NK, lng_NK)]

    def part(self, index: NDArray[np.int64], name: str, what: str) -> "Answers":
        """The guesses of some of the photos."""
        return Answers(name, what, self.lat[index], self.lng[index])
