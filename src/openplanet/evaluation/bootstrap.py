"""How far a figure may be off by the luck of the draw, and whether two locators differ by more than that.

Photos of one album or one photographer are alike, so they are drawn together: groups are drawn again with
replacement (cluster bootstrap), and in the test of two locators the labels are exchanged for whole groups.

Shapes: N photos, G groups, M measures, R replicates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openplanet.photos.split import group_keys

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REPLICATES = 1000
LEVEL = 0.95
EXCHANGES_PER_TEST = 200  # 1,000 in all would leave no p of 70 below 5 % once corrected
SIGNS_AT_A_TIME = 1 << 20
FEW_GROUPS = 20  # with fewer, intervals come out too narrow
MOST_OF_ALL = 0.5  # an owner of more photos than this share says nothing about others: albums are drawn then


@dataclass(frozen=True)
class Groups:
    """``group_N``: 0 to G-1, which photos are drawn together; ``what`` they are, in the plural."""

    group_N: Ints
    count: int
    what: str


@dataclass(frozen=True)
class Difference:
    """Locator A less locator B in one measure, on the same photos."""

    measure: str
    a: float
    b: float
    low: float  # 95 % interval of a - b
    high: float
    p: float  # how often exchanging A and B at random gives as large a difference
    p_corrected: float = 1.0  # Holm: for all differences of the table together

    @property
    def difference(self) -> float:
        """a - b"""
        return self.a - self.b

    @property
    def real(self) -> bool:
        """Whether it is more than luck, at 5 % for the whole table."""
        return self.p_corrected < 1 - LEVEL


def groups_of(owners: Sequence[str | None], albums: Sequence[str | None], photo_ids: Sequence[str]) -> Groups:
    """By owner (with the albums that owners share), unless one has most photos: then by album, else by photo."""
    filled = [album or f"photo {photo}" for album, photo in zip(albums, photo_ids, strict=True)]
    for what, keys in (
        ("owners", group_keys(owners, filled, "owner")),
        ("albums", group_keys(owners, filled, "album")),
    ):
        group_N, sizes = np.unique(np.array(keys, dtype=str), return_inverse=True, return_counts=True)[1:]
        if what == "owners" and (not any(owners) or sizes.max(initial=0) > MOST_OF_ALL * len(keys)):
            continue
        alone = len(sizes) == len(keys)
        return Groups(group_N.astype(np.int64), len(sizes), "photos" if alone else what)
    raise AssertionError("unreachable: albums are always taken")


def mean_intervals(
    values_NM: Floats, groups: Groups, replicates: int = REPLICATES, seed: int = 0
) -> tuple[Floats, Floats]:
    """95 % percentile intervals (low [M], high [M]) of the means of M measures over the photos."""
    sums_GM, sizes_G = _sums(values_NM, groups)
    rng = np.random.default_rng(seed)
    means_RM = np.empty((replicates, values_NM.shape[1]))
    for r in range(replicates):  # one at a time: a matrix of all draws would not fit for a million groups
        times_G = np.bincount(rng.integers(groups.count, size=groups.count), minlength=groups.count)
        means_RM[r] = times_G @ sums_GM / (times_G @ sizes_G)
    return _percentiles(means_RM)


def median_interval(
    values_N: Floats, groups: Groups, replicates: int = REPLICATES, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of the median; infinite values are allowed."""
    order = np.argsort(values_N, kind="stable")
    sorted_N, group_N = values_N[order], groups.group_N[order]
    rng = np.random.default_rng(seed)
    found_R = np.empty(replicates)
    for r in range(replicates):
        times_G = np.bincount(rng.integers(groups.count, size=groups.count), minlength=groups.count)
        reached_N = np.cumsum(times_G[group_N])
        found_R[r] = sorted_N[np.searchsorted(reached_N, reached_N[-1] / 2)]
    found_R.sort()
    low, high = (found_R[round(q * (replicates - 1))] for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def compare(
    names: Sequence[str],
    a_NM: Floats,
    b_NM: Floats,
    groups: Groups,
    replicates: int = REPLICATES,
    seed: int = 0,
    exchanges: int = REPLICATES,
) -> list[Difference]:
    """Paired differences of the means of M measures, with interval and p by exchanging labels of groups.

    p is two-sided and never 0. Where there are no more than ``exchanges`` ways to exchange, all are tried; else so
    many are drawn, and p is at least 1 / (exchanges + 1).
    """
    low_M, high_M = mean_intervals(a_NM - b_NM, groups, replicates, seed)
    sums_GM, _ = _sums(a_NM - b_NM, groups)
    p_M = _exchange(sums_GM[(sums_GM != 0).any(axis=1)], exchanges, seed + 1)
    return [
        Difference(name, float(a), float(b), float(low), float(high), float(p))
        for name, a, b, low, high, p in zip(names, a_NM.mean(0), b_NM.mean(0), low_M, high_M, p_M, strict=True)
    ]


def exchanges_for(tests: int) -> int:
    """How many exchanges to draw, so that a clear difference stays clear when corrected for ``tests`` of them."""
    return max(REPLICATES, EXCHANGES_PER_TEST * tests)


def smallest_p(groups: Groups, exchanges: int) -> float:
    """The least p that so many groups and exchanges can give."""
    return max(2.0 ** (1 - groups.count), 1 / (exchanges + 1))


def _exchange(sums_GM: Floats, exchanges: int, seed: int) -> Floats:
    """How often exchanging A and B on whole groups gives sums as large: [M]."""
    count, measures = sums_GM.shape
    least_M = np.abs(sums_GM.sum(axis=0)) * (1 - 1e-9)  # sums in another order differ in the last digits
    if count < 60 and 2**count <= exchanges:
        sign_RG = (np.arange(2**count)[:, None] >> np.arange(count) & 1) * 2.0 - 1
        return np.asarray((np.abs(sign_RG @ sums_GM) >= least_M).mean(axis=0))
    rng = np.random.default_rng(seed)
    as_large_M = np.zeros(measures)
    step = max(1, SIGNS_AT_A_TIME // count)
    for start in range(0, exchanges, step):
        sign_RG = rng.integers(2, size=(min(step, exchanges - start), count), dtype=np.int8) * 2.0 - 1
        as_large_M += (np.abs(sign_RG @ sums_GM) >= least_M).sum(axis=0)
    return np.asarray((as_large_M + 1) / (exchanges + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for being many (Holm 1979), in the given order."""
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(len(p_values))
    highest = 0.0
    for rank, index in enumerate(order.tolist()):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - rank)))
        corrected[index] = highest
    return [float(p) for p in corrected]


def _sums(values_NM: Floats, groups: Groups) -> tuple[Floats, Ints]:
    columns = [np.bincount(groups.group_N, weights=column, minlength=groups.count) for column in values_NM.T]
    return np.stack(columns, axis=1), np.bincount(groups.group_N, minlength=groups.count)


def _percentiles(values_RM: Floats) -> tuple[Floats, Floats]:
    low, high = np.quantile(values_RM, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high
