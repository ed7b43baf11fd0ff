"""An album model from outside the package: all photos are where the surest of them is."""

import torch
from torch import Tensor

from openplanet.models.album.base import AlbumModel, Albums


class Surest(AlbumModel):
    needs_training = False

    def forward(self, albums: Albums) -> Tensor:
        top_BT = albums.log_probs_BTC.amax(dim=2).masked_fill(~albums.present_BT, -torch.inf)
        surest_B = top_BT.argmax(dim=1)
        chosen_BC = albums.log_probs_BTC[torch.arange(len(surest_B), device=surest_B.device), surest_B]
        return chosen_BC[:, None].expand_as(albums.log_probs_BTC)
