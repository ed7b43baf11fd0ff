"""Whether two locators differ by more than luck on the same photos: in means, in the median, in calibration.

Interval: groups of photos are drawn again, the same for both. Test: the two are exchanged on whole groups, as if it
did not matter which of them had answered; p is how often that gives as large a difference.

Shapes: N photos, G groups, L groups in which the two differ, M measures, R draws or exchanges.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from openplanet.evaluation.measures.bootstrap import (
    LEVEL,
    REPLICATES,
    TOGETHER,
    Floats,
    Groups,
    Ints,
    Statistic,
    draws,
    means,
    percentiles,
)

EXCHANGES_PER_TEST = 200  # 1,000 in all would leave no p of 70 below 5 % once corrected
ROUNDING = 1e-9  # of the figures: sums in another order differ in the last digits


@dataclass(frozen=True)
class Difference:
    """Locator A less locator B in one measure, on the same photos."""

    measure: str
    a: float
    b: float
    low: float  # 95 % interval of a - b
    high: float
    p: float  # how often exchanging A and B at random gives as large a difference
    differ: int  # groups in which A and B differ at all: without any there is nothing to test
    p_corrected: float = 1.0  # Holm: for all differences of the table together

    @property
    def difference(self) -> float:
        """a - b"""
        return self.a - self.b

    @property
    def real(self) -> bool:
        """Whether it is more than luck, at 5 % for the whole table."""
        return self.p_corrected < 1 - LEVEL


def compare(
    names: Sequence[str],
    a_NM: Floats,
    b_NM: Floats,
    groups: Groups,
    replicates: int = REPLICATES,
    seed: int = 0,
    exchanges: int = REPLICATES,
    statistic: Callable[[Floats, Groups], Statistic] = means,
) -> list[Difference]:
    """Paired differences of what ``statistic`` makes of the columns of A and of B, with interval and p.

    ``names``: of the figures that the statistic gives. p is two-sided and never 0. Where there are no more than
    ``exchanges`` ways to exchange, all are tried; else so many are drawn, and p is at least 1 / (exchanges + 1).
    """
    together = Groups(np.concatenate([groups.group_N, groups.group_N + groups.count]), 2 * groups.count, groups.what)
    of_both = statistic(np.concatenate([a_NM, b_NM]), together)  # of A's photos in each group, then of B's

    def apart(a_RG: Floats, b_RG: Floats) -> Floats:
        return of_both(np.hstack([a_RG, b_RG])) - of_both(np.hstack([b_RG, a_RG]))

    found = [apart(times_RG, np.zeros_like(times_RG)) for times_RG in draws(groups, replicates, seed)]
    low_M, high_M = percentiles(np.concatenate(found))
    all_G, none_G = np.ones((1, groups.count)), np.zeros((1, groups.count))
    a_M, b_M = of_both(np.hstack([all_G, none_G]))[0], of_both(np.hstack([none_G, all_G]))[0]
    least_M = np.abs(a_M - b_M) - ROUNDING * (np.abs(a_M) + np.abs(b_M))
    unlike_NM = a_NM != b_NM
    live_L = np.unique(groups.group_N[unlike_NM.any(axis=1)])
    p_M = _exchanged(apart, least_M, groups.count, live_L, exchanges, seed + 1)
    if len(names) < unlike_NM.shape[1]:  # one figure of all the columns
        unlike_NM = unlike_NM.any(axis=1, keepdims=True)
    differ_M = [len(np.unique(groups.group_N[unlike_N])) for unlike_N in unlike_NM.T]
    return [
        Difference(name, float(a), float(b), float(low), float(high), float(p), differ)
        for name, a, b, low, high, p, differ in zip(names, a_M, b_M, low_M, high_M, p_M, differ_M, strict=True)
    ]


def exchanges_for(tests: int) -> int:
    """How many exchanges to draw, so that a clear difference stays clear when corrected for ``tests`` of them."""
    return max(REPLICATES, EXCHANGES_PER_TEST * tests)


def smallest_p(groups: Groups, exchanges: int) -> float:
    """The least p that so many groups and exchanges can give."""
    return max(2.0 ** (1 - groups.count), 1 / (exchanges + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for being many (Holm 1979), in the given order."""
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(len(p_values))
    highest = 0.0
    for rank, index in enumerate(order.tolist()):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - rank)))
        corrected[index] = highest
    return [float(p) for p in corrected]


def _exchanged(
    apart: Callable[[Floats, Floats], Floats], least_M: Floats, groups: int, live_L: Ints, exchanges: int, seed: int
) -> Floats:
    """How often exchanging A and B on whole groups puts them ``least_M`` apart: [M]."""

    def as_large(stays_RL: Floats) -> Floats:
        stays_RG = np.ones((len(stays_RL), groups))
        stays_RG[:, live_L] = stays_RL
        return np.asarray((np.abs(apart(stays_RG, 1 - stays_RG)) >= least_M).sum(axis=0))

    count = len(live_L)
    step = max(1, TOGETHER // groups)
    if count < 60 and 2**count <= exchanges:
        parts = np.array_split(np.arange(2**count)[:, None] >> np.arange(count) & 1, -(-(2**count) // step))
        return np.asarray(sum(as_large(part.astype(np.float64)) for part in parts) / 2**count)
    rng = np.random.default_rng(seed)
    found_M = np.ones(len(least_M))  # the answers as they were given are one of the ways
    for start in range(0, exchanges, step):
        rows = min(step, exchanges - start)
        found_M += as_large(rng.integers(2, size=(rows, count), dtype=np.int8).astype(np.float64))
    return np.asarray(found_M / (exchanges + 1))
