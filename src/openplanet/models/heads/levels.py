"""Several partitions at once: how the cells of the finest lie in those of the coarser ones.

Shapes: B photos in a batch, C cells of the finest partition, L coarser levels, from coarse to fine.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from openplanet.earth import s2
from openplanet.earth.partition.adaptive import Partition, Thresholds, build_many
from openplanet.errors import PartitionError
from openplanet.models.heads.head import ClassMap, Floats, Head, Ints, Photos


class LevelsHead(Head):
    """What heads over cells and coarser levels above them share: the rows are the cells, then each level, coarse to
    fine. With no coarser level it is the paper's one softmax."""

    ancestors_LC: Tensor

    def __init__(self, features: int, classes: ClassMap) -> None:
        super().__init__(features, classes)
        self.sizes = (classes.cells, *classes.sizes)
        self.register_buffer("ancestors_LC", classes.class_LC, persistent=False)

    @classmethod
    def class_map(cls, further: Sequence[Partition], cells: Partition) -> ClassMap:
        return ancestors(further, cells)

    @classmethod
    def partitions(cls, photos: Photos, further: Sequence[Thresholds], cells: Thresholds, seed: int) -> list[Partition]:
        return build_many(photos, [*further, cells], nested=True)

    @classmethod
    def describe(cls, sizes: Sequence[int]) -> str:
        return f", below {len(sizes)} coarser levels of {', '.join(map(str, sizes))} cells" if sizes else ""

    def classes_of(self, cell_B: Tensor) -> list[Tensor]:
        return [cell_B, *(row_C[cell_B] for row_C in self.ancestors_LC)]

    def centres(self, partitions: Sequence[Partition]) -> list[tuple[Ints, Floats, Floats]]:
        return [(each.count, each.centroid_lat, each.centroid_lng) for each in partitions]

    def combine(self, logits: Sequence[Tensor]) -> Tensor:
        return logits[0] if len(logits) == 1 else product_log_probs(logits, self.ancestors_LC)


def ancestors(coarser: Sequence[Partition], finest: Partition) -> ClassMap:
    """The levels of nested partitions, as ``earth.partition.build_many(..., nested=True)`` makes them.

    Raises PartitionError where a finest cell does not lie in a cell of every coarser one.
    """
    rows = []
    for index, partition in enumerate(coarser):
        if partition.turn != finest.turn:
            raise PartitionError("levels are cells of one sphere, not of spheres turned apart; build them together")
        first, last = s2.range_min(finest.cell_id), s2.range_max(finest.cell_id)
        row = partition.assign_leaves(first)
        outside = (row < 0) | (row != partition.assign_leaves(last))
        if outside.any():
            raise PartitionError(
                f"{int(outside.sum())} of {len(finest)} cells do not lie in a cell of level {index} "
                f"({len(partition)} cells): build the levels together, nested"
            )
        rows.append(row)
    found = np.stack(rows) if rows else np.empty((0, len(finest)), np.int64)
    return ClassMap(tuple(len(partition) for partition in coarser), torch.from_numpy(found))


def product_log_probs(logits: Sequence[Tensor], ancestors_LC: Tensor) -> Tensor:
    """Log-probabilities [B, C] of the finest cells, by the product along the hierarchy, normalised.

    ``logits``: of the finest level [B, C], then of the L coarser ones, coarse to fine. The score of a cell is
    the sum of the log-probabilities that its level gives it and the coarser levels give its ancestors: PlaNet's
    successors (Müller-Budack et al. 2018, "Geolocation Estimation of Photos using a Hierarchical Model and
    Scene Classification", section 3.3) multiply so, without our normalisation.
    """
    total_BC = torch.log_softmax(logits[0].float(), dim=1)
    for level, row_C in zip(logits[1:], ancestors_LC, strict=True):
        total_BC = total_BC + torch.log_softmax(level.float(), dim=1)[:, row_C]
    return torch.log_softmax(total_BC, dim=1)
