"""PlaNet's "LSTM rep" (paper, section 4): the album is fed twice in a row, and answers are read from the second pass.

By then the whole album has been seen, the first photos as well as the last.

Shapes: B albums, T photos of the longest, S steps, D embedding, H hidden units.
"""

import torch
from torch import Tensor

from openplanet.models.album.base import Albums
from openplanet.models.album.lstm import LSTM


class RepeatedLSTM(LSTM):
    """Twice through each album, the second time right behind its own last photo."""

    def states(self, step_BTD: Tensor, albums: Albums) -> Tensor:
        """As the contract says."""
        length_B1 = albums.present_BT.sum(dim=1, keepdim=True)
        longest = step_BTD.shape[1]
        place_S = torch.arange(2 * longest, device=step_BTD.device)
        twice_BSD = _taken(step_BTD, place_S % length_B1)
        states_BSH = super().states(twice_BSD, albums)
        return _taken(states_BSH, (length_B1 + place_S[:longest]).clamp(max=2 * longest - 1))


def _taken(values_BTD: Tensor, place_BS: Tensor) -> Tensor:
    """The values at these places of each album, [B, S, D]."""
    return values_BTD.gather(1, place_BS[..., None].expand(-1, -1, values_BTD.shape[2]))
