"""What an album model is trained on: stretches of albums, with anchors dropped in, in a known order.

Shapes: B albums in a batch, T photos of an album.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from openplanet.earth.partition.adaptive import Partition
from openplanet.models.album.embedded import EmbeddedAlbum, Mask
from openplanet.training.album.recipe import AlbumRecipe

MOST_ANCHORS = 0.5
"""Share of an album's photos whose position is given, at most."""


@dataclass
class AlbumRows(TorchDataset[dict[str, Tensor]]):
    """Numbers of albums in batches; a long album comes as often as ``crop`` goes into it (``crop`` None: once)."""

    albums: Sequence[EmbeddedAlbum]
    crop: int | None

    def __post_init__(self) -> None:
        times = [1 if self.crop is None else math.ceil(len(album) / self.crop) for album in self.albums]
        self._row_N = torch.repeat_interleave(torch.arange(len(self.albums)), torch.tensor(times, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self._row_N)

    def __getitem__(self, rows: Sequence[int]) -> dict[str, Tensor]:
        return {"row": self._row_N[torch.tensor(rows, dtype=torch.int64)]}


def stretch(album: EmbeddedAlbum, recipe: AlbumRecipe, rng: np.random.Generator) -> EmbeddedAlbum:
    """The album, or a random run of its photos where it is long or is to be cut short."""
    length = min(len(album), recipe.crop)
    if length > 1 and rng.random() < recipe.shorten:
        length = int(rng.integers(1, length + 1))
    first = int(rng.integers(len(album) - length + 1))
    return album if length == len(album) else album.part(slice(first, first + length))


class Swaps:
    """The photos of all training albums by their cells."""

    def __init__(self, albums: Sequence[EmbeddedAlbum], partition: Partition) -> None:
        self.partition = partition
        self._embedding_ND = torch.cat([album.embedding_TD for album in albums])
        self._at_N2 = np.concatenate([np.stack([album.lat_T, album.lng_T], axis=1) for album in albums])
        cell_N = np.concatenate([album.cells(partition) for album in albums])
        self._by_cell_N = np.argsort(cell_N, kind="stable")
        self._ends = np.searchsorted(cell_N[self._by_cell_N], np.arange(len(partition) + 1))

    def swapped(self, album: EmbeddedAlbum, share: float, rng: np.random.Generator) -> EmbeddedAlbum:
        """The album with a random share of its photos that lie in cells replaced by others of their cells, position
        and all; order, times and names stay."""
        cell_T = album.cells(self.partition)
        chosen = np.flatnonzero((cell_T >= 0) & (rng.random(len(album)) < share))
        if not len(chosen):
            return album
        first, last = self._ends[cell_T[chosen]], self._ends[cell_T[chosen] + 1]
        other = self._by_cell_N[rng.integers(first, last)]
        embedding_TD, lat_T, lng_T = album.embedding_TD.clone(), album.lat_T.copy(), album.lng_T.copy()
        embedding_TD[torch.from_numpy(chosen)] = self._embedding_ND[torch.from_numpy(other)]
        lat_T[chosen], lng_T[chosen] = self._at_N2[other].T
        return dataclasses.replace(album, embedding_TD=embedding_TD, lat_T=lat_T, lng_T=lng_T)


def draw_anchors(album: EmbeddedAlbum, recipe: AlbumRecipe, rng: np.random.Generator) -> Mask:
    """Whose position is given, [T]: of some albums a random share of the photos, of the others none."""
    share = rng.uniform(0, MOST_ANCHORS) if rng.random() < recipe.anchors else 0.0
    return np.asarray(album.located & (rng.random(len(album)) < share), dtype=np.bool_)
