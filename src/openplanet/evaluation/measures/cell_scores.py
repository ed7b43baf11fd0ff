"""What a distribution over cells is worth, photo by photo: taken in batches, a few numbers kept of each photo.

One million distributions over 26,263 cells are 105 GB; what is kept of them here is 0.1 GB.

Shapes: B photos in a batch, N photos in all, C cells, L levels of coarseness, G groups of a level, X masses.
A photo without an answer is a row of minus infinity: the empty distribution, which is wrong everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import places, s2
from openplanet.earth.partition.adaptive import Partition

Floats = NDArray[np.float64]
Float32s = NDArray[np.float32]
Ints = NDArray[np.int64]

CELL, COUNTRY = "cell", "country"
S2_LEVELS = (6, 4, 2)  # about 110, 450 and 1,800 km across
MASSES = (0.5, 0.8, 0.9, 0.95)
BLOCK = 256  # cells whose probabilities are added up at once, to find where a region ends


@dataclass(frozen=True)
class CellScores:
    """One number a photo and measure. ``levels`` name the rows of arrays [L, N], the finest first."""

    levels: tuple[str, ...]
    groups: tuple[int, ...]  # how many cells, parents or countries there are at each level
    cell_N: Ints  # cell of the true position; -1: in none
    answered_N: NDArray[np.bool_]
    known_LN: NDArray[np.bool_]  # the true position is in one of the level's groups
    log_prob_LN: Float32s  # natural logarithm of the probability given to the true group; -inf where none
    brier_LN: Float32s  # sum of squared differences over all groups, 0 to 2
    confidence_LN: Float32s  # probability of the likeliest group
    right_LN: NDArray[np.bool_]  # the likeliest group is the true one
    before_N: Float32s  # probability of the cells ranked before the true one; 1 where it is in none
    searched_km2_N: Float32s  # area searched until the true cell is reached, densest cells first; inf where never
    region_cells_XN: Float32s  # size of the smallest set of cells that holds each of MASSES; NaN unanswered
    region_km2_XN: Float32s

    def __len__(self) -> int:
        return len(self.cell_N)

    def take(self, index_N: Ints) -> "CellScores":
        """The scores of the photos of these indices, in this order."""
        by_photo = [each.name for each in fields(self) if each.name not in ("levels", "groups")]
        return replace(self, **{name: getattr(self, name)[..., index_N] for name in by_photo})


class CellScorer:
    """Scores distributions over the cells of one partition as they come; order of photos is kept.

    Levels: the cells themselves, those of ``coarser`` (partitions that the cells are nested in: a model's own
    levels), their S2 parents (a cell coarser than the level stands for itself) and the countries of the cells.
    A photo in no cell is in no S2 parent either; its country is known, and its cell of a coarser level may be.
    """

    def __init__(self, partition: Partition, coarser: Sequence[Partition] = ()) -> None:
        self.partition = partition
        self._log_area_C = np.log(partition.area_km2).astype(np.float32)
        self._area_C = partition.area_km2.astype(np.float32)
        finest = _Groups(np.arange(len(partition)))
        found: dict[str, _Groups] = {}
        for own in coarser:
            of_C = own.assign_leaves(s2.range_min(partition.cell_id))
            found[f"level of {len(own):,} cells"] = _Groups(
                np.unique(of_C, return_inverse=True)[1], own, np.unique(of_C)
            )
        parents_before = len(partition)
        for level in S2_LEVELS:
            parents = s2.parent(partition.cell_id, np.minimum(level, partition.level))
            groups = _Groups(np.unique(parents, return_inverse=True)[1])
            if 1 < len(groups) < parents_before:
                found[f"S2 level {level}"] = groups
                parents_before = len(groups)
        self._levels = {CELL: finest, **dict(sorted(found.items(), key=lambda each: -len(each[1])))}
        # codes tell countries apart; the order of their names is that in which earlier figures were added up
        by_name = sorted(dict(zip(partition.country_code, partition.country, strict=True)).items(), key=lambda c: c[1])
        self._country_index = {code: index for index, (code, _) in enumerate(by_name)}
        self._levels[COUNTRY] = _Groups(np.array([self._country_index[code] for code in partition.country_code]))
        self._done: list[dict[str, NDArray[np.generic]]] = []

    def add(self, log_probs_BC: Float32s, lat_B: Floats, lng_B: Floats) -> None:
        """Score natural log-probabilities [B, C] of photos truly at ``lat_B``, ``lng_B`` (degrees)."""
        log_probs_BC = np.asarray(log_probs_BC, np.float32)
        p_BC = np.exp(log_probs_BC)
        cell_B = self.partition.assign(lat_B, lng_B)
        inside_B = cell_B >= 0
        true_log_B = np.where(inside_B, log_probs_BC[np.arange(len(cell_B)), cell_B], -np.inf).astype(np.float32)
        columns: dict[str, NDArray[np.generic]] = {
            "cell": cell_B,
            "answered": np.isfinite(log_probs_BC.max(axis=1)),
            "before": _mass_before(log_probs_BC, p_BC, cell_B, true_log_B),
            "searched_km2": self._searched(log_probs_BC, cell_B, true_log_B),
        }
        columns |= self._regions(p_BC)
        for name, groups in self._levels.items():
            true_B = self._country(lat_B, lng_B) if name == COUNTRY else groups.true(cell_B, lat_B, lng_B)
            # where the true cell lies in the true group, that has at least the cell's probability; a cell on a border
            # may be called after another country than the photo's
            inside_B = (cell_B >= 0) & (groups.of_C[cell_B] == true_B)
            within_log_B = np.where(inside_B, true_log_B, -np.inf)
            for key, column in _level_scores(groups.sums(p_BC), true_B, within_log_B).items():
                columns[f"{name} {key}"] = column
        self._done.append(columns)

    def finish(self) -> CellScores:
        """The scores of all photos that were added."""
        if not self._done:
            nowhere = np.zeros(0)
            self.add(np.zeros((0, len(self.partition)), np.float32), nowhere, nowhere)

        def column(name: str) -> NDArray[np.generic]:
            return np.concatenate([each[name] for each in self._done], axis=-1)

        names = tuple(self._levels)

        def levels(key: str) -> NDArray[np.generic]:
            return np.stack([column(f"{name} {key}") for name in names])

        return CellScores(
            names,
            tuple(len(groups) for groups in self._levels.values()),
            *(column(name) for name in ("cell", "answered")),  # type: ignore[arg-type]
            *(levels(key) for key in ("known", "log_prob", "brier", "confidence", "right")),
            *(column(name) for name in ("before", "searched_km2", "region_cells", "region_km2")),
        )

    def _country(self, lat_B: Floats, lng_B: Floats) -> Ints:
        numbers = places.codes(lat_B, lng_B).country_N.tolist()
        return np.array([self._country_index.get(places.country_code(number), -1) for number in numbers], np.int64)

    def _searched(self, log_probs_BC: Float32s, cell_B: Ints, true_log_B: Float32s) -> Float32s:
        """Area of the cells denser in probability than the true one, and of that one."""
        density_BC = log_probs_BC - self._log_area_C
        true_B = np.where(cell_B >= 0, true_log_B - self._log_area_C[cell_B], np.inf)
        denser_BC = density_BC > true_B[:, None]
        searched_B = denser_BC @ self._area_C + np.where(cell_B >= 0, self._area_C[cell_B], np.inf)
        return np.where(np.isneginf(true_log_B), np.inf, searched_B).astype(np.float32)

    def _regions(self, p_BC: Float32s) -> dict[str, Float32s]:
        """Number of cells and area of the smallest sets of cells that hold each of MASSES: [X, B]."""
        cells_XB, km2_XB = (np.full((len(MASSES), len(p_BC)), np.nan, np.float32) for _ in range(2))
        ascending_BC = np.sort(p_BC, axis=1)  # of values: five times as fast as of indices
        starts = np.arange(0, p_BC.shape[1], BLOCK)
        mass_BX = np.add.reduceat(ascending_BC[:, ::-1], starts, axis=1, dtype=np.float64).cumsum(axis=1)
        for row, (p_C, ascending_C) in enumerate(zip(p_BC, ascending_BC, strict=True)):
            if not ascending_C[-1]:
                continue
            descending_C, mass = ascending_C[::-1], mass_BX[row]
            for x, wanted in enumerate(MASSES):
                block = min(int(mass.searchsorted(wanted)), len(starts) - 1)
                held = descending_C[block * BLOCK : (block + 1) * BLOCK].cumsum(dtype=np.float64)
                within = min(int(held.searchsorted(wanted - (mass[block - 1] if block else 0.0))), len(held) - 1)
                needed = block * BLOCK + within + 1
                last = descending_C[needed - 1]
                above_C = p_C > last
                equal = (p_C == last).nonzero()[0][: needed - np.count_nonzero(above_C)]
                cells_XB[x, row] = needed
                km2_XB[x, row] = above_C @ self._area_C + self._area_C[equal].sum()
        return {"region_cells": cells_XB, "region_km2": km2_XB}


class _Groups:
    """Cells put together: ``of_C`` is the group of each cell, 0 to G-1; where the groups are cells of a coarser
    partition, ``own`` is that and ``own_G`` their indices in it."""

    def __init__(self, of_C: Ints, own: Partition | None = None, own_G: Ints | None = None) -> None:
        self.of_C = of_C.astype(np.int64)
        self._own, self._own_G = own, own_G
        self._order = np.argsort(self.of_C, kind="stable")
        self._sorted = bool((np.diff(self.of_C) >= 0).all())
        self._starts = np.unique(self.of_C[self._order], return_index=True)[1]

    def __len__(self) -> int:
        return len(self._starts)

    def true(self, cell_B: Ints, lat_B: Floats, lng_B: Floats) -> Ints:
        """The group of each true position; -1 where it is in none."""
        if self._own is None or self._own_G is None:
            return np.where(cell_B >= 0, self.of_C[cell_B], -1)
        own_B = self._own.assign(lat_B, lng_B)
        index_B = np.minimum(np.searchsorted(self._own_G, own_B), len(self._own_G) - 1)
        return np.where(self._own_G[index_B] == own_B, index_B, -1)

    def sums(self, p_BC: Float32s) -> Float32s:
        """Probability of each group [B, G]."""
        if len(self) == p_BC.shape[1]:
            return p_BC
        together = p_BC if self._sorted else p_BC[:, self._order]
        return np.add.reduceat(together, self._starts, axis=1)


def _mass_before(log_probs_BC: Float32s, p_BC: Float32s, cell_B: Ints, true_log_B: Float32s) -> Float32s:
    """Probability of the cells that rank before the true one (equals rank by index): it is in the smallest set
    of cells with mass X exactly where this is below X."""
    before_B = np.einsum("bc,bc->b", log_probs_BC > true_log_B[:, None], p_BC)
    ties = (log_probs_BC == true_log_B[:, None]).sum(axis=1)
    for row in np.flatnonzero((ties > 1) & (cell_B >= 0)).tolist():
        equal = log_probs_BC[row, : cell_B[row]] == true_log_B[row]
        before_B[row] += p_BC[row, : cell_B[row]][equal].sum()
    return np.where(np.isneginf(true_log_B), 1.0, np.minimum(before_B, 1.0)).astype(np.float32)


def _level_scores(p_BG: Float32s, true_B: Ints, cell_log_B: Float32s) -> dict[str, NDArray[np.generic]]:
    known_B = true_B >= 0
    true_p_B = np.where(known_B, p_BG[np.arange(len(true_B)), true_B], 0.0)
    with np.errstate(divide="ignore"):
        log_B = np.log(true_p_B)
    squares_B = np.einsum("bg,bg->b", p_BG, p_BG)
    confidence_B = p_BG.max(axis=1)
    return {
        "known": known_B,
        # a probability too small for a float32 still has the logarithm that the model gave its cell
        "log_prob": np.where(known_B, np.maximum(log_B, cell_log_B), -np.inf).astype(np.float32),
        "brier": (squares_B - 2 * true_p_B + 1).astype(np.float32),
        "confidence": confidence_B,
        "right": known_B & (p_BG.argmax(axis=1) == true_B) & (confidence_B > 0),
    }
