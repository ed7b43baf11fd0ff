"""What a contestant of a comparison is measured by: numbers of each photo, and what is made of them.

Shapes: N photos, X columns, M measures, L levels of coarseness.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openplanet.evaluation.contestants.contestants import Entry
from openplanet.evaluation.measures import bootstrap, metrics, paired
from openplanet.evaluation.measures.bootstrap import Groups, Statistic
from openplanet.evaluation.measures.paired import Difference
from openplanet.evaluation.measures.scoring import likelihood, measure_names, per_photo, sureness
from openplanet.evaluation.rows import Truth

Floats = NDArray[np.float64]

MEDIAN, NLL, ECE = "median km", "NLL", "ECE"
LESS_IS_BETTER = (MEDIAN, NLL, ECE)


@dataclass(frozen=True)
class Figure:
    """One contestant's figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Measured:
    """Columns of numbers from which ``statistic`` makes the figures ``names``, over the photos ``counted_N``.

    ``cells``: ids of the cells that probabilities are over; figures over other cells cannot be compared with these.
    """

    names: tuple[str, ...]
    statistic: Callable[[Floats, Groups], Statistic]
    values_NX: Floats
    counted_N: NDArray[np.bool_]
    cells: NDArray[np.uint64] | None = None

    def figures(self, groups: Groups) -> dict[str, Figure]:
        """The figures by name, with intervals."""
        index = np.flatnonzero(self.counted_N)
        part = groups.part(index)
        statistic = self.statistic(self.values_NX[index], part)
        value_M = statistic(np.ones((1, part.count)))[0]
        low_M, high_M = bootstrap.interval(statistic, part)
        triples = zip(value_M.tolist(), low_M.tolist(), high_M.tolist(), strict=True)
        return {name: Figure(*triple) for name, triple in zip(self.names, triples, strict=True)}

    def less(self, other: "Measured", groups: Groups, exchanges: int) -> list[Difference]:
        """These figures less the other's, on the photos that count for both; none where they are of other cells."""
        index = np.flatnonzero(self.counted_N & other.counted_N)
        if len(index) == 0 or not _alike(self.cells, other.cells):
            return []
        values = self.values_NX[index], other.values_NX[index]
        return paired.compare(self.names, *values, groups.part(index), exchanges=exchanges, statistic=self.statistic)


def measured(entry: Entry, truth: Truth, distances_km: Sequence[float]) -> tuple[Measured, ...]:
    """All that ``entry`` can be measured by. A photo without a guess is wrong, and half way round the Earth off.

    NLL is of the photos taken in a cell and answered; without one, or where one of them was given probability 0, there
    is none. Calibration is of the likeliest cell, over all photos.
    """
    return tuple(_all(entry, truth, distances_km))


def _all(entry: Entry, truth: Truth, distances_km: Sequence[float]) -> Iterator[Measured]:
    guesses = entry.lat, entry.lng
    everywhere = np.ones(len(truth.lat), dtype=bool)
    names = tuple(measure_names(distances_km))
    yield Measured(names, bootstrap.means, per_photo(guesses, truth, distances_km), everywhere)
    km_N = metrics.distances(*guesses, truth.lat, truth.lng)[:, 0]
    yield Measured((MEDIAN,), bootstrap.median, np.minimum(km_N, metrics.FARTHEST_KM)[:, None], everywhere)
    scores = entry.scores
    if scores is None or entry.partition is None:
        return
    cells = entry.partition.cell_id
    lost_N1, counted_N = likelihood(scores)
    if counted_N.any() and np.isfinite(lost_N1[counted_N]).all():
        yield Measured((NLL,), bootstrap.means, lost_N1, counted_N, cells)
    yield Measured((ECE,), bootstrap.calibration, sureness(scores), everywhere, cells)


def _alike(one: NDArray[np.uint64] | None, other: NDArray[np.uint64] | None) -> bool:
    return (one is None and other is None) or (one is not None and other is not None and np.array_equal(one, other))
