"""A gallery of places: the photo's embedding is compared with that of each, and each place speaks for its cell.

GeoCLIP (Vivanco Cepeda, Nayak, Shah 2023, arXiv 2309.16020, section 3) learns to embed photos and places alike; a
photo's likeness to 100,000 places, as a softmax, summed by cell, is an answer like any other. The embeddings of the
places are part of the weights: nothing here learns.

Shapes: B photos in a batch, P places, C cells of the answer, D embedding.
"""

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional

from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import RecipeError
from openplanet.models.heads.head import ClassMap, Floats, Ints, sum_by_cell
from openplanet.models.heads.levels import LevelsHead

PRIOR_SHARE = 1e-3
"""Probability that is dealt out by the share of places in each cell, so that nothing is impossible."""
AT_ONCE = 16_384  # places that are turned from float16 into what is multiplied


class Gallery(LevelsHead):
    """``places`` embeddings of unit length, and the cell of each. ``classes`` says nothing of them but how many cells
    there are; coarser partitions, where the checkpoint has some, hold the cells."""

    trained = False
    place_PD: Tensor
    """float16: takes half the room, and moves no logit of GeoCLIP by more than 0.01."""
    log_weight_P: Tensor
    """Logarithm of how often the place is in the gallery: photos are many where it is often."""
    cell_P: Tensor

    def __init__(self, features: int, classes: ClassMap, places: int) -> None:
        super().__init__(features, classes)
        self.cells, self.sizes = classes.cells, (places,)
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("place_PD", torch.zeros(places, features, dtype=torch.float16))
        self.register_buffer("log_weight_P", torch.zeros(places))
        self.register_buffer("cell_P", torch.zeros(places, dtype=torch.int64))

    def classes_of(self, cell_B: Tensor) -> list[Tensor]:
        self._refuse()

    def centres(self, partitions: Sequence[Partition]) -> list[tuple[Ints, Floats, Floats]]:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise RecipeError("head=gallery holds places that somebody else trained: train another head on its features")

    def forward(self, embedding_BD: Tensor) -> list[Tensor]:
        photo_BD = functional.normalize(embedding_BD.float(), dim=1)
        parts = [photo_BD @ some_PD.float().T for some_PD in torch.split(self.place_PD, AT_ONCE)]
        return [self.log_scale.exp() * torch.cat(parts, dim=1)]

    def combine(self, logits: Sequence[Tensor]) -> Tensor:
        log_BC = sum_by_cell(torch.log_softmax(logits[0] + self.log_weight_P, dim=1), self.cell_P, self.cells)
        log_prior_C = sum_by_cell(torch.log_softmax(self.log_weight_P, dim=0)[None], self.cell_P, self.cells)[0]
        share = torch.tensor(PRIOR_SHARE, device=log_BC.device)
        return torch.logaddexp(log_BC + torch.log1p(-share), log_prior_C + share.log())
