"""The contract of a head: from an embedding to scores over the cells, by one or several rows of classes.

A head is one file here and one line in registry.py. Nothing outside this folder asks which one it is.

Shapes: B photos in a batch, C cells of the answer, D embedding, R rows of classes (each has a softmax of its own).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openplanet.earth.partition.adaptive import Partition, Thresholds
from openplanet.errors import CheckpointError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Photos = Iterable[tuple[Floats, Floats]]
"""Positions (lat, lng in degrees), a few at a time; read once."""


@dataclass(frozen=True, eq=False)
class ClassMap:
    """How the C cells of the answer lie in the classes of further partitions (levels above them, or others)."""

    sizes: tuple[int, ...]
    """Number of classes of each further partition."""
    class_LC: Tensor
    """int64 [L, C]: the class of each cell in each of them."""
    log_share_C: Tensor | None = None
    """float32 [C], where classes alone cannot tell all cells apart: logarithm of each cell's share of the training
    photos of those cells that have its classes."""

    @classmethod
    def flat(cls, cells: int) -> "ClassMap":
        """Of ``cells`` cells with no further partition: the paper's."""
        return cls((), torch.empty(0, cells, dtype=torch.int64))

    @property
    def cells(self) -> int:
        """C."""
        return self.class_LC.shape[1]

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        share = {} if self.log_share_C is None else {"log_share": self.log_share_C.tolist()}
        return {"level_sizes": list(self.sizes), "ancestors": self.class_LC.tolist(), **share}

    @classmethod
    def from_dict(cls, values: Any, cells: int) -> "ClassMap":
        """What ``to_dict`` gave, of ``cells`` cells; CheckpointError for anything else."""
        try:
            sizes = tuple(int(size) for size in values["level_sizes"])
            class_LC = torch.tensor(values["ancestors"], dtype=torch.int64).reshape(len(sizes), cells)
            share = values.get("log_share")
            log_share_C = None if share is None else torch.tensor(share, dtype=torch.float32).reshape(cells)
            for size, row_C in zip(sizes, class_LC, strict=True):
                if not (int(row_C.min()) >= 0 and int(row_C.max()) < size <= cells):
                    raise ValueError(f"a class of {size} does not exist")
        except (KeyError, TypeError, ValueError, RuntimeError, OverflowError, AttributeError) as error:
            raise CheckpointError(f"merged classes cannot be read ({' '.join(str(error).split())[:200]})") from error
        return cls(sizes, class_LC, log_share_C)


class Head(nn.Module, ABC):
    """Scores over C cells from an embedding of ``features`` numbers, with the classes of ``classes``.

    Weights start at random. Buffers that follow from ``classes`` are not saved with the weights.
    """

    trained: ClassVar[bool] = True
    """Whether a recipe can train one."""
    nested: ClassVar[bool] = True
    """Whether every further partition holds each cell of the answer in one of its own, coarse to fine."""

    sizes: tuple[int, ...]
    """Classes of each row, [R], in the order of ``logits``."""

    @abstractmethod
    def __init__(self, features: int, classes: ClassMap) -> None:
        super().__init__()

    @classmethod
    @abstractmethod
    def class_map(cls, further: Sequence[Partition], cells: Partition) -> ClassMap:
        """How ``cells`` lie in the ``further`` partitions. Raises PartitionError where they do not fit each other."""

    @classmethod
    @abstractmethod
    def partitions(cls, photos: Photos, further: Sequence[Thresholds], cells: Thresholds, seed: int) -> list[Partition]:
        """The partitions to train with, from the positions of training photos: the further ones, then the answer's."""

    @classmethod
    @abstractmethod
    def describe(cls, sizes: Sequence[int]) -> str:
        """What follows "N cells" in the model card, with further partitions of ``sizes``."""

    @abstractmethod
    def classes_of(self, cell_B: Tensor) -> list[Tensor]:
        """The right class of each row, [R] of int64 [B], for photos in cells ``cell_B``."""

    @abstractmethod
    def centres(self, partitions: Sequence[Partition]) -> list[tuple[Ints, Floats, Floats]]:
        """Of the classes of each row: training photos, and lat, lng of their centroid (degrees).

        ``partitions``: the answer's, then the further ones.
        """

    @abstractmethod
    def forward(self, embedding_BD: Tensor) -> list[Tensor]:
        """The logits of each row, [R] of [B, sizes[r]]."""

    @abstractmethod
    def combine(self, logits: Sequence[Tensor]) -> Tensor:
        """Logits of each row → scores [B, C], whose softmax is the answer."""


def sum_by_cell(log_BF: Tensor, cell_F: Tensor, cells: int) -> Tensor:
    """Log-probabilities [B, cells]: of each cell the logarithm of the sum over what lies in it (``cell_F``, int64);
    minus infinity for a cell that nothing lies in."""
    index_BF = cell_F.to(log_BF.device).expand_as(log_BF)
    most_BC = log_BF.new_full((len(log_BF), cells), -torch.inf).scatter_reduce(1, index_BF, log_BF, "amax")
    share_BF = (log_BF - most_BC.gather(1, index_BF)).exp()
    return most_BC + torch.zeros_like(most_BC).scatter_add(1, index_BF, share_BF).log()
