"""PlaNet's bidirectional LSTM (paper, section 4, "BLSTM"): forward and backward, joined before the softmax.

The paper cuts albums to 25 photos. Here a longer album is covered by windows of that many, which overlap by half; a
photo takes its answer from the window that shows most photos on its poorer side, the earlier one of two alike.

Shapes: B albums, T photos of the longest, M windows of all albums, W photos of a window, D embedding, H hidden units
(of both directions).
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import RecipeError
from openplanet.models.album.base import AlbumConfig, Albums
from openplanet.models.album.neural import NeuralAlbumModel

WINDOW = 25
"""Photos; the paper's."""


class BidirectionalLSTM(NeuralAlbumModel):
    """Two LSTMs over windows of ``window`` photos (2 at least)."""

    def __init__(self, partition: Partition, embedding_dim: int, config: AlbumConfig, window: int = WINDOW) -> None:
        super().__init__(partition, embedding_dim, config, state_dim=2 * config.width)
        if window < 2:
            raise RecipeError(f"Album model {config.variant}: window must be at least 2, not {window}")
        self.window = window
        self.lstm = nn.LSTM(embedding_dim, config.width, config.layers, batch_first=True, bidirectional=True)

    def states(self, step_BTD: Tensor, albums: Albums) -> Tensor:
        """As the contract says."""
        lengths = albums.present_BT.sum(dim=1).tolist()
        windows = [(album, start) for album, length in enumerate(lengths) for start in starts(length, self.window)]
        sizes = [min(self.window, lengths[album]) for album, _ in windows]
        step_MWD = step_BTD.new_zeros(len(windows), max(sizes), step_BTD.shape[2])
        for row, ((album, start), size) in enumerate(zip(windows, sizes, strict=True)):
            step_MWD[row, :size] = step_BTD[album, start : start + size]
        packed, _ = self.lstm(pack_padded_sequence(step_MWD, torch.tensor(sizes), True, enforce_sorted=False))
        states_MWH, _ = pad_packed_sequence(packed, batch_first=True)
        window_BT = torch.zeros(albums.present_BT.shape, dtype=torch.int64)
        place_BT = torch.zeros(albums.present_BT.shape, dtype=torch.int64)
        first = 0
        for album, length in enumerate(lengths):
            at = starts(length, self.window)
            chosen_T = chosen(length, self.window)
            window_BT[album, :length] = torch.from_numpy(first + chosen_T)
            place_BT[album, :length] = torch.from_numpy(np.arange(length) - np.array(at)[chosen_T])
            first += len(at)
        return states_MWH[window_BT, place_BT]


def starts(length: int, window: int) -> list[int]:
    """Where windows begin that cover an album, overlapping by half; the last ends with the album."""
    last = max(0, length - window)
    return [*range(0, last, max(1, window // 2)), last]


def chosen(length: int, window: int) -> npt.NDArray[np.int64]:
    """For each photo of an album the window [T] in which its distance to the nearer end is largest.

    An end of the album is no end: beyond it nothing is hidden.
    """
    start_M = np.array(starts(length, window))
    end_M = np.minimum(start_M + window, length) - 1
    place_T1 = np.arange(length)[:, None]
    before_TM = np.where(start_M == 0, length, place_T1 - start_M)
    after_TM = np.where(end_M == length - 1, length, end_M - place_T1)
    inside_TM = (place_T1 >= start_M) & (place_T1 <= end_M)
    poorer_TM = np.where(inside_TM, np.minimum(before_TM, after_TM), -1)
    chosen_T: npt.NDArray[np.int64] = poorer_TM.argmax(axis=1)
    return chosen_T
