"""How far a figure may be off by the luck of the draw.

Photos of one album or one photographer are alike, so they are drawn together: groups are drawn again with replacement
(cluster bootstrap), and a figure of a draw is that of its photos, each as often as it was drawn.

Shapes: N photos, G groups, M measures, R draws, K bins of confidence.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openplanet.evaluation.measures.distribution import BINS, bin_of
from openplanet.photos.ingest.split import group_keys

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REPLICATES = 1000
LEVEL = 0.95
TOGETHER = 1 << 20  # numbers of a matrix of draws: one of all draws would not fit for a million groups
FEW_GROUPS = 20  # worth fewer of one size, intervals come out too narrow
MOST_OF_ALL = 0.5  # an owner of more photos than this share says nothing about others: albums are drawn then

Statistic = Callable[[Floats], Floats]
"""From how often each group was drawn, [R, G], to the figures of each draw, [R, M]."""


@dataclass(frozen=True)
class Groups:
    """``group_N``: 0 to G-1, which photos are drawn together; ``what`` they are, in the plural."""

    group_N: Ints
    count: int
    what: str

    @property
    def effective(self) -> float:
        """How many groups of one size these are worth: (Σn)²/Σn² of their photos."""
        size_G = _sizes(self)
        return float(size_G.sum() ** 2 / np.square(size_G).sum())

    @property
    def few(self) -> bool:
        """Whether intervals come out too narrow."""
        return self.effective < FEW_GROUPS

    @property
    def text(self) -> str:
        """How many, in words."""
        if self.what == "photos":
            return f"{self.count:,} photos"
        return f"{self.count:,} {self.what} (worth {self.effective:.1f} of one size)"

    def part(self, index: Ints) -> "Groups":
        """Those of some of the photos; groups without one are gone."""
        left, group_N = np.unique(self.group_N[index], return_inverse=True)
        return Groups(group_N.astype(np.int64), len(left), self.what)


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


def means(values_NM: Floats, groups: Groups) -> Statistic:
    """The mean of each column."""
    columns = [np.bincount(groups.group_N, weights=column, minlength=groups.count) for column in values_NM.T]
    sums_GM, sizes_G = np.stack(columns, axis=1), _sizes(groups)
    return lambda times_RG: times_RG @ sums_GM / (times_RG @ sizes_G)[:, None]


def median(values_N1: Floats, groups: Groups) -> Statistic:
    """The median of the one column: the mean of the two in the middle. Infinite values are allowed."""
    order = np.argsort(values_N1[:, 0], kind="stable")
    sorted_N, group_N = values_N1[order, 0], groups.group_N[order]

    def of(times_RG: Floats) -> Floats:
        found_R = np.empty(len(times_RG))
        for r, times_G in enumerate(times_RG):
            reached_N = np.cumsum(times_G[group_N])
            count = reached_N[-1]
            found_R[r] = sorted_N[np.searchsorted(reached_N, [(count - 1) // 2 + 1, count // 2 + 1])].mean()
        return found_R[:, None]

    return of


def calibration(values_N2: Floats, groups: Groups) -> Statistic:
    """The expected calibration error of columns confidence (0 to 1) and right (0 or 1); see ``distribution``."""
    confidence_N, right_N = values_N2.T
    code_N = groups.group_N * BINS + bin_of(confidence_N)
    gap = np.bincount(code_N, weights=right_N - confidence_N, minlength=groups.count * BINS)
    gap_GK, sizes_G = gap.reshape(groups.count, BINS), _sizes(groups)
    return lambda times_RG: (np.abs(times_RG @ gap_GK).sum(axis=1) / (times_RG @ sizes_G))[:, None]


def draws(groups: Groups, replicates: int, seed: int) -> Iterator[Floats]:
    """How often each group comes in each of ``replicates`` draws, [R, G], some at a time."""
    rng = np.random.default_rng(seed)
    step = max(1, TOGETHER // groups.count)
    for start in range(0, replicates, step):
        drawn_RG = rng.integers(groups.count, size=(min(step, replicates - start), groups.count))
        yield np.stack([np.bincount(drawn_G, minlength=groups.count) for drawn_G in drawn_RG]).astype(np.float64)


def percentiles(values_RM: Floats) -> tuple[Floats, Floats]:
    """The interval (low [M], high [M]) that holds ``LEVEL`` of the draws; infinite values are allowed."""
    ordered = np.sort(values_RM, axis=0)
    low, high = (round(q * (len(ordered) - 1)) for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return ordered[low], ordered[high]


def interval(
    statistic: Statistic, groups: Groups, replicates: int = REPLICATES, seed: int = 0
) -> tuple[Floats, Floats]:
    """95 % percentile intervals (low [M], high [M]) of a statistic of the photos of ``groups``."""
    return percentiles(np.concatenate([statistic(times_RG) for times_RG in draws(groups, replicates, seed)]))


def _sizes(groups: Groups) -> Floats:
    return np.bincount(groups.group_N, minlength=groups.count).astype(np.float64)
