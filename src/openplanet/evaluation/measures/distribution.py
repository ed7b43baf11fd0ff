"""What the probabilities of a locator are worth over a set: likelihood, calibration, regions, area searched.

Shapes: N photos, L levels of coarseness.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openplanet.evaluation.measures.cell_scores import MASSES, CellScores

BINS = 15  # of equal width, as in Guo et al. 2017
AREAS_KM2 = tuple(float(area) for area in np.geomspace(1, 5.101e8, 60))  # the last is the whole Earth


@dataclass(frozen=True)
class Bin:
    """Photos whose highest probability is in one interval: how often the answer was right. 0 to 1."""

    low: float
    high: float
    photos: int
    confidence: float  # mean
    accuracy: float


@dataclass(frozen=True)
class Level:
    """The measures at one level of coarseness. All photos count, but in ``nll``."""

    name: str
    groups: int
    outside: int  # photos whose true position is in no group of this level
    nll: float | None  # mean -log p of the true group, in nats, over photos in a group and answered
    brier: float  # mean sum of squared differences, 0 (perfect) to 2; no answer gives 1
    ece: float  # expected calibration error: mean |accuracy - confidence| over bins, weighted by photos
    accuracy: float
    confidence: float
    bins: tuple[Bin, ...]  # those that hold a photo


@dataclass(frozen=True)
class Region:
    """The smallest sets of cells that should hold the truth with probability ``mass``."""

    mass: float
    covered: float  # share of photos of which it does; one in no cell or without an answer is not covered
    median_cells: float | None
    median_km2: float | None


@dataclass(frozen=True)
class Distribution:
    """All of it. ``recall``: (km2, share of photos whose true cell is among the first cells of that area)."""

    levels: tuple[Level, ...]
    regions: tuple[Region, ...]
    recall: tuple[tuple[float, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-safe."""
        found = asdict(self)
        found["recall"] = [{"km2": km2, "share": share} for km2, share in self.recall]
        return found


def distribution_of(scores: CellScores) -> Distribution:
    """Summarise the scores of N > 0 photos."""
    return Distribution(
        levels=tuple(_level(scores, row) for row in range(len(scores.levels))),
        regions=tuple(_region(scores, row) for row in range(len(MASSES))),
        recall=tuple(zip(AREAS_KM2, recall_at(scores, AREAS_KM2), strict=True)),
    )


def recall_at(scores: CellScores, areas_km2: Sequence[float]) -> list[float]:
    """Share of all photos found by searching each area, the cells with most probability per km2 first."""
    ordered = np.sort(scores.searched_km2_N)
    found = np.searchsorted(ordered, np.asarray(areas_km2, np.float32), side="right")
    return [float(share) for share in found / len(ordered)]


def bin_of(confidence_N: NDArray[Any]) -> NDArray[np.int64]:
    """Which bin of equal width each confidence is in [N]."""
    return np.minimum((confidence_N * BINS).astype(np.int64), BINS - 1)


def reliability(confidence_N: NDArray[np.float32], right_N: NDArray[np.bool_]) -> tuple[Bin, ...]:
    """Bins of equal width with how often they were right; a confidence of 1 is in the last one."""
    bin_N = bin_of(confidence_N)
    counts = np.bincount(bin_N, minlength=BINS)
    sure = np.bincount(bin_N, weights=confidence_N, minlength=BINS)
    right = np.bincount(bin_N, weights=right_N, minlength=BINS)
    return tuple(
        Bin(i / BINS, (i + 1) / BINS, int(counts[i]), float(sure[i] / counts[i]), float(right[i] / counts[i]))
        for i in np.flatnonzero(counts).tolist()
    )


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error (Guo et al. 2017), 0 to 1."""
    total = sum(each.photos for each in bins)
    return sum(each.photos * abs(each.accuracy - each.confidence) for each in bins) / total


def _level(scores: CellScores, row: int) -> Level:
    counted = scores.known_LN[row] & scores.answered_N
    bins = reliability(scores.confidence_LN[row], scores.right_LN[row])
    log_prob = scores.log_prob_LN[row, counted].astype(np.float64)
    return Level(
        name=scores.levels[row],
        groups=scores.groups[row],
        outside=int((~scores.known_LN[row]).sum()),
        # a probability of exactly 0 for what was true makes the mean infinite: that is no number for JSON
        nll=float(-log_prob.mean()) if counted.any() and np.isfinite(log_prob).all() else None,
        brier=float(scores.brier_LN[row].mean(dtype=np.float64)),
        ece=calibration_error(bins),
        accuracy=float(scores.right_LN[row].mean()),
        confidence=float(scores.confidence_LN[row].mean(dtype=np.float64)),
        bins=bins,
    )


def _region(scores: CellScores, row: int) -> Region:
    answered = scores.answered_N
    median_cells = median_km2 = None
    if answered.any():
        median_cells = float(np.median(scores.region_cells_XN[row, answered]))
        median_km2 = float(np.median(scores.region_km2_XN[row, answered]))
    # compared as 32-bit numbers, as they were added up
    covered = float((scores.before_N < np.float32(MASSES[row])).mean())
    return Region(MASSES[row], covered, median_cells, median_km2)
