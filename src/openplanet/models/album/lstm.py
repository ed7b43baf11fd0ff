"""PlaNet's LSTM over an album (paper, section 4, "LSTM", and "LSTM off1", "LSTM off2").

Left to right: the first photos are placed before any evidence is seen. With an offset of k the label is delayed by k
steps, so that each answer has seen k photos more; the album is followed by k empty steps (zeros, the mean photo), at
which the last k photos get their answers.

Shapes: B albums, T photos of the longest, D embedding, H hidden units.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from openplanet.earth.partition.adaptive import Partition
from openplanet.models.album.base import AlbumConfig, Albums
from openplanet.models.album.neural import NeuralAlbumModel


class LSTM(NeuralAlbumModel):
    """One direction, in order of capture; the answer for photo t is read at step t + ``delay``."""

    def __init__(self, partition: Partition, embedding_dim: int, config: AlbumConfig, delay: int = 0) -> None:
        super().__init__(partition, embedding_dim, config, state_dim=config.width)
        self.delay = delay
        self.lstm = nn.LSTM(embedding_dim, config.width, config.layers, batch_first=True)

    def states(self, step_BTD: Tensor, albums: Albums) -> Tensor:
        """As the contract says. What follows an album's end is zeros already: padding serves as empty steps."""
        empty_BKD = step_BTD.new_zeros(len(step_BTD), self.delay, step_BTD.shape[2])
        states_BTH, _ = self.lstm(torch.cat([step_BTD, empty_BKD], dim=1))
        return states_BTH[:, self.delay :]  # type: ignore[no-any-return]


def lstm_offset(k: int) -> Callable[[Partition, int, AlbumConfig], LSTM]:
    """The LSTM whose labels are delayed by ``k`` steps."""

    def make(partition: Partition, embedding_dim: int, config: AlbumConfig) -> LSTM:
        return LSTM(partition, embedding_dim, config, delay=k)

    return make
