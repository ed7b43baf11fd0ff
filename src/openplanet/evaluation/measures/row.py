"""From one contestant's answers to a row of figures with intervals, whatever it is measured for.

Shapes: N photos, K guesses, D distances, X columns, M figures.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from openplanet.evaluation.answers import Answers, Truth
from openplanet.evaluation.measures import bootstrap, metrics, paired
from openplanet.evaluation.measures.bootstrap import Groups, Statistic
from openplanet.evaluation.measures.cell_scores import CellScores
from openplanet.evaluation.measures.distribution import Distribution, distribution_of
from openplanet.evaluation.measures.labels import label_accuracy
from openplanet.evaluation.measures.paired import Difference

Floats = NDArray[np.float64]

GEOSCORE, COUNTRY, REGION, CITY = "GeoScore", "country", "region", "city"
MEDIAN, MEAN, NLL, ECE = "median km", "mean km", "NLL", "ECE"
LESS_IS_BETTER = (MEDIAN, MEAN, NLL, ECE)


def within(km: float) -> str:
    """Name of the share of photos that are placed within ``km``."""
    return f"within {km:g} km"


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval, where it has one. Shares are 0 to 1."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def interval(self) -> list[float | None] | None:
        """Its ends, JSON-safe: an infinite one is None."""
        ends = (self.low, self.high)
        return None if None in ends else [each if math.isfinite(each) else None for each in ends if each is not None]


@dataclass(frozen=True)
class Columns:
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
        part, values = groups.part(index), self.values_NX[index]
        statistic = self.statistic(values, part)
        if self.statistic is bootstrap.means:
            value_M = np.array([column.mean() for column in values.T])  # in pairs, which loses no digits
        else:
            value_M = statistic(np.ones((1, part.count)))[0]
        low_M, high_M = bootstrap.interval(statistic, part)
        triples = zip(value_M.tolist(), low_M.tolist(), high_M.tolist(), strict=True)
        return {name: Figure(*triple) for name, triple in zip(self.names, triples, strict=True)}

    def less(self, other: "Columns", groups: Groups, exchanges: int) -> list[Difference]:
        """These figures less the other's, on the photos that count for both; none where they are of other cells."""
        index = np.flatnonzero(self.counted_N & other.counted_N)
        if len(index) == 0 or not _alike(self.cells, other.cells):
            return []
        values = self.values_NX[index], other.values_NX[index]
        return paired.compare(self.names, *values, groups.part(index), exchanges=exchanges, statistic=self.statistic)


@dataclass(frozen=True)
class Row:
    """One contestant's answers on the photos of ``truth``, and its figures by the name of the measure."""

    answers: Answers
    truth: Truth
    distances_km: tuple[float, ...]
    figures: Mapping[str, Figure]
    labels: tuple[tuple[str, float], ...] = ()  # accuracy by the names that the set's authors give

    @property
    def name(self) -> str:
        """The contestant's."""
        return self.answers.name

    @property
    def photos(self) -> int:
        """How many were asked about."""
        return len(self.truth.lat)

    @property
    def failed(self) -> int:
        """Photos without any guess, which are wrong in every measure."""
        return int(np.isnan(self.answers.lat).all(axis=1).sum())

    @property
    def per_distance(self) -> bool:
        """Whether it answers each distance by itself, so that no one guess need reach all."""
        return self.answers.points_DNK2 is not None

    @cached_property
    def distribution(self) -> Distribution | None:
        """What its probabilities are worth, where it gives any."""
        return None if self.answers.scores is None else distribution_of(self.answers.scores)

    @cached_property
    def km(self) -> Floats:
        """How far each guess lies from the truth [N, K]; infinite where there is none."""
        return metrics.distances(self.answers.lat, self.answers.lng, self.truth.lat, self.truth.lng)

    @cached_property
    def hits(self) -> NDArray[np.bool_]:
        """Whether the first guess, or the first point for the distance, lies within each distance [N, D]."""
        found = [km_NK[:, 0] <= km for km_NK, km in _km(self.answers, self.truth, self.distances_km)]
        return np.stack(found, axis=1)

    @cached_property
    def same_country(self) -> NDArray[np.bool_]:
        """Whether the first guess lies in the right country [N]."""
        return metrics.same_country(self.answers.lat[:, 0], self.answers.lng[:, 0], self.truth.lat, self.truth.lng)

    @cached_property
    def best_of(self) -> tuple[tuple[float, ...], ...]:
        """Share within each distance of the best of the first 1, 2, ... 5 guesses, or of the points for it."""
        km = _km(self.answers, self.truth, self.distances_km)
        shares = [
            [metrics.share_within(metrics.best_of(km_NK, k), [limit])[0] for km_NK, limit in km]
            for k in range(1, metrics.TOP_K + 1)
        ]
        return tuple(tuple(map(float, each)) for each in shares)

    @property
    def shares(self) -> tuple[float, ...]:
        """Share within each distance of the first guesses, or of the first points."""
        return tuple(self.value(within(km)) for km in self.distances_km)

    def value(self, measure: str) -> float:
        """The figure without its interval."""
        return self.figures[measure].value


@dataclass(frozen=True)
class Measure:
    """What all rows of one table have in common: photos, distances, what is drawn together."""

    truth: Truth
    distances_km: tuple[float, ...]
    groups: Groups
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def row(self, answers: Answers, columns: Sequence[Columns] | None = None) -> Row:
        """The row of a contestant. ``columns``: its ``columns``, where they are at hand."""
        figures: dict[str, Figure] = {}
        for each in columns or self.columns(answers):
            figures |= each.figures(self.groups)
        km_N = metrics.distances(answers.lat, answers.lng, self.truth.lat, self.truth.lng)[:, 0]
        figures[MEAN] = Figure(float(np.minimum(km_N, metrics.FARTHEST_KM).mean()))
        if answers.country_N2 is not None:  # another answer than the guess: its interval would be another figure's
            lat_N, lng_N = answers.country_N2.T
            right_N = metrics.same_country(lat_N, lng_N, self.truth.lat, self.truth.lng)
            figures[COUNTRY] = Figure(float(right_N.mean()))
        labels = {} if answers.points_DNK2 is not None else self.labels
        named = label_accuracy(labels, answers.lat[:, 0], answers.lng[:, 0])
        return Row(answers, self.truth, self.distances_km, figures, named)

    def columns(self, answers: Answers, farthest_km: float = math.inf) -> tuple[Columns, ...]:
        """All that a contestant can be measured by. A photo without a guess is wrong, and ``farthest_km`` off.

        NLL is of the photos taken in a cell and answered; without one, or where one of them was given probability 0,
        there is none. Calibration is of the likeliest cell, over all photos.
        """
        return tuple(self._columns(answers, farthest_km))

    def part(self, index: NDArray[np.int64]) -> "Measure":
        """The same for some of the photos."""
        truth = self.truth.part(index)
        return Measure(truth, self.distances_km, truth.groups())

    def _columns(self, answers: Answers, farthest_km: float) -> Iterator[Columns]:
        truth = self.truth
        everywhere = np.ones(len(truth.lat), dtype=bool)
        km_N = metrics.distances(answers.lat, answers.lng, truth.lat, truth.lng)[:, 0]
        right_3N = metrics.same_place(answers.lat[:, 0], answers.lng[:, 0], truth.lat, truth.lng)
        inside = [km_NK[:, 0] <= km for km_NK, km in _km(answers, truth, self.distances_km)]
        names = (*map(within, self.distances_km), GEOSCORE, COUNTRY, REGION, CITY)
        values_NX = np.stack([*inside, metrics.geoscore(km_N), *right_3N], axis=1).astype(np.float64)
        yield Columns(names, bootstrap.means, values_NX, everywhere)
        yield Columns((MEDIAN,), bootstrap.median, np.minimum(km_N, farthest_km)[:, None], everywhere)
        scores = answers.scores
        if scores is None:
            return
        cells = None if answers.partition is None else answers.partition.cell_id
        lost_N1, counted_N = _likelihood(scores)
        if counted_N.any() and np.isfinite(lost_N1[counted_N]).all():
            yield Columns((NLL,), bootstrap.means, lost_N1, counted_N, cells)
        yield Columns((ECE,), bootstrap.calibration, _sureness(scores), everywhere, cells)


def _km(answers: Answers, truth: Truth, distances_km: Sequence[float]) -> list[tuple[Floats, float]]:
    """For each distance, how far [N, K] the guesses, or the points named for it, lie from the truth."""
    if answers.points_DNK2 is None:
        km_NK = metrics.distances(answers.lat, answers.lng, truth.lat, truth.lng)
        return [(km_NK, km) for km in distances_km]
    points = zip(answers.points_DNK2, distances_km, strict=True)
    return [(metrics.distances(each[..., 0], each[..., 1], truth.lat, truth.lng), km) for each, km in points]


def _likelihood(scores: CellScores) -> tuple[Floats, NDArray[np.bool_]]:
    """-ln p of each true cell [N, 1], infinite where that was given nothing; and the photos that count [N]: those taken
    in a cell and answered."""
    return -scores.log_prob_LN[0].astype(np.float64)[:, None], scores.known_LN[0] & scores.answered_N


def _sureness(scores: CellScores) -> Floats:
    """Probability of the likeliest cell, and whether it was right (0 or 1): [N, 2]."""
    return np.column_stack([scores.confidence_LN[0], scores.right_LN[0]]).astype(np.float64)


def _alike(one: NDArray[np.uint64] | None, other: NDArray[np.uint64] | None) -> bool:
    return (one is None and other is None) or (one is not None and other is not None and np.array_equal(one, other))
