"""The softmax matrix of the paper, and one more for each coarser level above the cells.

Shapes: B photos in a batch, C cells of the answer, L coarser levels, D embedding.
"""

from torch import Tensor, nn
from torch.nn import functional

from openplanet.models.heads.head import ClassMap
from openplanet.models.heads.levels import LevelsHead


def softmax_layer(features: int, num_cells: int, std: float) -> nn.Linear:
    """The plain softmax matrix of the paper."""
    layer = nn.Linear(features, num_cells)
    nn.init.trunc_normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)
    return layer


class Softmax(LevelsHead):
    """One matrix for the cells, and one for each coarser level."""

    def __init__(self, features: int, classes: ClassMap) -> None:
        super().__init__(features, classes)
        cells = softmax_layer(features, classes.cells, std=0.01)
        self.weight, self.bias = cells.weight, cells.bias
        self.coarser = nn.ModuleList(softmax_layer(features, size, std=0.01) for size in classes.sizes)

    def forward(self, embedding_BD: Tensor) -> list[Tensor]:
        return [
            functional.linear(embedding_BD, self.weight, self.bias),
            *(level(embedding_BD) for level in self.coarser),
        ]
