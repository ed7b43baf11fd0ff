"""One answer for the whole album: the mean of what the image model says of its photos.

Paper, "PlaNet avg" (section 4): the arithmetic mean of the distributions. The geometric mean is the posterior of an
album all of whose photos were taken in one cell and say independent things of it, tempered by their number.

Anchors: an anchor stands in the mean as a photo whose cell is certain. In the geometric mean a certain photo would
leave nothing to the others, so there it is given the probability ``SURE`` and the rest is spread evenly.

Shapes: B albums, T photos of the longest, C cells.
"""

import math

import torch
from torch import Tensor

from openplanet.models.album.base import AlbumModel, Albums

SURE = 0.99
LEAST = -1e4
"""Log-probability in place of minus infinity: of a cell that no photo of the album gives anything."""


class Average(AlbumModel):
    """The arithmetic mean of the album's distributions, the same for all its photos."""

    needs_training = False

    def forward(self, albums: Albums) -> Tensor:
        """As the contract says; log p = log mean_t p_t."""
        with_anchors_BTC = _anchored(albums, LEAST, 0.0)
        absent_BT1 = ~albums.present_BT[..., None]
        total_BC = with_anchors_BTC.masked_fill(absent_BT1, -torch.inf).logsumexp(dim=1)
        return _for_all(total_BC, albums)


class GeometricMean(AlbumModel):
    """The geometric mean of the album's distributions, normalised, the same for all its photos."""

    needs_training = False

    def forward(self, albums: Albums) -> Tensor:
        """As the contract says; log p = mean_t log p_t + constant."""
        cells = albums.log_probs_BTC.shape[2]
        with_anchors_BTC = _anchored(albums, math.log((1 - SURE) / max(1, cells - 1)), math.log(SURE))
        present_BT1 = albums.present_BT[..., None]
        total_BC = with_anchors_BTC.masked_fill(~present_BT1, 0.0).sum(dim=1)
        return _for_all(total_BC / present_BT1.sum(dim=1), albums)


def _anchored(albums: Albums, elsewhere: float, there: float) -> Tensor:
    """What is said of each photo [B, T, C]; of anchors, that they are there and not elsewhere."""
    log_probs_BTC = albums.log_probs_BTC
    given_BT = albums.anchor_BT >= 0
    if not given_BT.any():
        return log_probs_BTC
    log_probs_BTC = log_probs_BTC.masked_fill(given_BT[..., None], elsewhere)
    album_N, photo_N = given_BT.nonzero(as_tuple=True)
    log_probs_BTC[album_N, photo_N, albums.anchor_BT[given_BT]] = there
    return log_probs_BTC


def _for_all(log_total_BC: Tensor, albums: Albums) -> Tensor:
    return torch.log_softmax(log_total_BC, dim=1)[:, None].expand(-1, albums.present_BT.shape[1], -1)
