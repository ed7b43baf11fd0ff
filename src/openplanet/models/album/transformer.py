"""Attention over the album, not in the paper: each photo asks all others, wherever they stand in it.

Time tells whom to ask: each head has learned how much a photo counts that was taken so much earlier or later, in steps
from a minute to a year, and one more where either time is not known (after the relative positions of T5: Raffel et
al. 2020, arXiv 1910.10683, section 2.1). The order of the photos is not used.

Shapes: B albums, T photos of the longest, N heads, H hidden units, K steps of time.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import RecipeError
from openplanet.models.album.base import AlbumConfig, Albums
from openplanet.models.album.neural import NeuralAlbumModel

HOUR, DAY = 3600.0, 86400.0
GAPS = (60.0, 600.0, HOUR, 3 * HOUR, 12 * HOUR, 1.5 * DAY, 2.5 * DAY, 3.5 * DAY, 5 * DAY, 8 * DAY, 30 * DAY, 365 * DAY)
"""Seconds between two photos, at which the next step of time begins; each photo and itself have a step of their own."""


class Transformer(NeuralAlbumModel):
    """``layers`` blocks of attention and a small network, normalised before (GPT-2's order)."""

    reads_times = True

    def __init__(self, partition: Partition, embedding_dim: int, config: AlbumConfig, heads: int = 4) -> None:
        super().__init__(partition, embedding_dim, config, state_dim=config.width)
        if heads < 1 or config.width % heads:
            raise RecipeError(f"Album model {config.variant}: width {config.width} cannot be cut into {heads} heads")
        self.first = nn.Linear(embedding_dim, config.width)
        self.blocks = nn.ModuleList(_Block(config.width, heads, config.dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def states(self, step_BTD: Tensor, albums: Albums) -> Tensor:
        """As the contract says."""
        gap_BTT = gaps(albums.seconds_BT).to(step_BTD.device)
        state_BTH = self.first(step_BTD)
        for block in self.blocks:
            state_BTH = block(state_BTH, gap_BTT, albums.present_BT)
        return self.norm(state_BTH)  # type: ignore[no-any-return]


def gaps(seconds_BT: Tensor) -> Tensor:
    """The step of time between each two photos, int64 [B, T, T]: 0 unknown, 1 itself, 2.. by GAPS."""
    seconds_BTT = (seconds_BT[:, :, None] - seconds_BT[:, None, :]).abs()
    edges = torch.tensor(GAPS, dtype=seconds_BTT.dtype)
    gap_BTT = 2 + torch.bucketize(seconds_BTT.nan_to_num(), edges, right=True)
    gap_BTT = gap_BTT.masked_fill(seconds_BTT.isnan(), 0)
    itself = torch.eye(seconds_BT.shape[1], dtype=torch.bool)
    return gap_BTT.masked_fill(itself, 1)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.behind = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask, self.tell = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.network = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.counts = nn.Embedding(3 + len(GAPS), heads)  # how much a photo counts by the step of time, [K, N]
        nn.init.zeros_(self.counts.weight)
        self.dropout = nn.Dropout(dropout)

    def forward(self, state_BTH: Tensor, gap_BTT: Tensor, present_BT: Tensor) -> Tensor:
        batch, photos, width = state_BTH.shape
        asked = self.ask(self.before(state_BTH)).view(batch, photos, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        count_BNTT = self.counts(gap_BTT).permute(0, 3, 1, 2)
        count_BNTT = count_BNTT.masked_fill(~present_BT[:, None, None, :], -torch.inf)
        told = functional.scaled_dot_product_attention(asked[0], asked[1], asked[2], attn_mask=count_BNTT)
        state_BTH = state_BTH + self.dropout(self.tell(told.transpose(1, 2).reshape(batch, photos, width)))
        return state_BTH + self.dropout(self.network(self.behind(state_BTH)))  # type: ignore[no-any-return]
