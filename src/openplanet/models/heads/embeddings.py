"""Learned embeddings of the cells; the logit is a cosine.

Shapes: B photos in a batch, C cells of the answer, L coarser levels, D embedding.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from openplanet.models.heads.head import ClassMap
from openplanet.models.heads.levels import LevelsHead

FIRST_SCALE = 1 / 0.07
"""Cosines lie in -1..1: times this, a softmax over them can be sure. CLIP's value, learned from there."""
LARGEST_SCALE = 100.0


class CellEmbeddings(LevelsHead):
    """A learned embedding for each cell of each level; the logit is its scaled cosine with the photo's embedding.

    After the idea of GeoSURGE (Daruna et al. 2025, arXiv 2510.01448): a hierarchy of learned geographic embeddings
    that the photo's is aligned with. What we make of it is simpler and our own: a cell's embedding is the sum of
    what is learned for it and for its ancestors, so that cells of a region start alike and a cell with few photos
    still knows where it is. One scale is learned for each level; there is no bias, and so no prior over cells
    beside what the cosine says.
    """

    def __init__(self, features: int, classes: ClassMap) -> None:
        super().__init__(features, classes)
        # finest first, as everywhere where logits of levels stand in a row
        self.own = nn.ParameterList([nn.Parameter(torch.empty(count, features)) for count in self.sizes])
        for table in self.own:
            nn.init.normal_(table, std=features**-0.5)
        self.log_scale = nn.Parameter(torch.full((len(self.sizes),), math.log(FIRST_SCALE)))

    def tables(self) -> list[Tensor]:
        """Embeddings of the cells, finest level first: [C, D], then [cells of the level, D] coarse to fine."""
        finest_CD = self.own[0]
        coarser: list[Tensor] = []
        for index, row_C in enumerate(self.ancestors_LC):
            finest_CD = finest_CD + self.own[index + 1][row_C]
            coarser.append(self._with_ancestors(index))
        return [finest_CD, *coarser]

    def _with_ancestors(self, index: int) -> Tensor:
        """The cells of coarser level ``index`` with what stands above them."""
        table: Tensor = self.own[index + 1]
        for above in range(index):
            # every finest cell knows its ancestors at both levels; cells that hold none keep their own alone
            child_C, parent_C = self.ancestors_LC[index], self.ancestors_LC[above]
            parent = torch.full((len(table),), -1, dtype=torch.int64, device=table.device)
            parent[child_C] = parent_C
            table = table + self.own[above + 1][parent.clamp(min=0)] * (parent >= 0)[:, None]
        return table

    def forward(self, embedding_BD: Tensor) -> list[Tensor]:
        photo_BD: Tensor = functional.normalize(embedding_BD, dim=1)
        scales = self.log_scale.exp().clamp(max=LARGEST_SCALE)
        logits: list[Tensor] = []
        for scale, table in zip(scales, self.tables(), strict=True):
            cells: Tensor = functional.normalize(table, dim=1)
            logits.append(scale * photo_BD @ cells.T)
        return logits
