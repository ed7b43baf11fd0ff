"""What all album models that are trained share: what goes into each step, and the softmax over the cells behind it.

Paper, section 4: the image model is frozen, and its embedding of each photo is the input at each step; what comes out
goes to a softmax over the cells, one prediction a photo. Ours: the embedding is standardised first; an anchor enters
as the row of the softmax matrix of its cell (what the model itself holds of that place), added to the step's input;
``residual`` starts from what the image model says of the photo, instead of from nothing: it is seen in the same way,
as the mean row of the softmax matrix, and its log-probabilities are added to the scores.

Shapes: B albums, T photos of the longest, N photos, C cells, D embedding, H hidden units behind a step.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from openplanet.earth.partition.adaptive import Partition
from openplanet.models.album.base import AlbumConfig, AlbumModel, Albums
from openplanet.models.heads.softmax import softmax_layer

if TYPE_CHECKING:
    from openplanet.models.album.embedded import EmbeddedAlbum
    from openplanet.models.checkpoint import Checkpoint

LEAST_STD = 1e-6
"""Of a feature over the training photos: below it the feature says nothing, and is not blown up."""


class NeuralAlbumModel(AlbumModel):
    """Steps in, states out (``states``, which a variant fills in), and a softmax over them."""

    mean_D: Tensor
    std_D: Tensor

    def __init__(self, partition: Partition, embedding_dim: int, config: AlbumConfig, state_dim: int) -> None:
        super().__init__(partition, embedding_dim, config)
        self.reads_log_probs = config.residual
        self.head = softmax_layer(state_dim, self.num_cells, std=0.01)
        self.place = nn.Linear(state_dim, embedding_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.own_weight = nn.Parameter(torch.ones(())) if config.residual else None
        self.register_buffer("mean_D", torch.zeros(embedding_dim))
        self.register_buffer("std_D", torch.ones(embedding_dim))

    def fit_statistics(self, albums: "Sequence[EmbeddedAlbum]", image: "Checkpoint") -> None:
        """Mean and standard deviation of each feature over the photos of the training albums."""
        embedding_ND = torch.cat([album.embedding_TD for album in albums])
        std_D = embedding_ND.std(dim=0, correction=0)
        self.mean_D.copy_(embedding_ND.mean(dim=0))
        self.std_D.copy_(torch.where(std_D < LEAST_STD, 1.0, std_D))

    @abstractmethod
    def states(self, step_BTD: Tensor, albums: Albums) -> Tensor:
        """What the album makes of each photo, [B, T, H]; any value at padding. ``step_BTD`` is 0 there."""

    def steps(self, albums: Albums) -> Tensor:
        """The input at each step, [B, T, D]: the standardised embedding, and the place where there is one to add."""
        step_BTD = (albums.embedding_BTD - self.mean_D) / self.std_D
        given_BT = albums.anchor_BT >= 0
        if self.own_weight is not None:
            seen_BTH = albums.log_probs_BTC.exp() @ self.head.weight
            anchor_BTH = self.head.weight[albums.anchor_BT.clamp(min=0)]
            step_BTD = step_BTD + self.place(torch.where(given_BT[..., None], anchor_BTH, seen_BTH))
        elif self.training or given_BT.any():  # in training always: processes wait for each other's gradients
            anchor_BTH = self.head.weight[albums.anchor_BT.clamp(min=0)]
            step_BTD = step_BTD + self.place(anchor_BTH) * given_BT[..., None]
        dropped_BTD: Tensor = self.dropout(step_BTD)
        return dropped_BTD * albums.present_BT[..., None]

    def scores(self, state_NH: Tensor, log_probs_NC: Tensor | None) -> Tensor:
        """States → [..., C], whose softmax is the answer; ``log_probs_NC`` of the image model where residual."""
        scores_NC: Tensor = self.head(self.dropout(state_NH))
        if self.own_weight is None or log_probs_NC is None:
            return scores_NC
        return scores_NC + self.own_weight * log_probs_NC

    def forward(self, albums: Albums) -> Tensor:
        """As the contract says."""
        states_BTH = self.states(self.steps(albums), albums)
        return torch.log_softmax(self.scores(states_BTH, albums.log_probs_BTC).float(), dim=2)
