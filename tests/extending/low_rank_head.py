"""A head from outside the package: each row of classes reads a few numbers that all of them share."""

from torch import Tensor, nn

from openplanet.models.heads.head import ClassMap
from openplanet.models.heads.levels import LevelsHead

RANK = 6


class LowRank(LevelsHead):
    def __init__(self, features: int, classes: ClassMap) -> None:
        super().__init__(features, classes)
        self.shared = nn.Linear(features, RANK, bias=False)
        self.rows = nn.ModuleList(nn.Linear(RANK, size) for size in self.sizes)

    def forward(self, embedding_BD: Tensor) -> list[Tensor]:
        shared_BR = self.shared(embedding_BD)
        return [row(shared_BR) for row in self.rows]
