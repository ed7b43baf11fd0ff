"""The positions of a dataset in pieces, which workers read: whole shards."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from openplanet.earth.partition.positions import PIECE
from openplanet.photos.dataset import Dataset

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ShardPositions:
    """Those of the located photos of ``split`` in some shards; ``key`` says what the shards are."""

    shards: Dataset
    split: str
    key: str

    def positions(self) -> Iterator[tuple[Floats, Floats]]:
        """Stream (lat_N, lng_N) in degrees."""
        return self.shards.coordinates(self.split)


def pieces_of(dataset: Dataset, split: str = "train", rows: int = PIECE) -> list[ShardPositions]:
    """All positions of ``split``, in pieces of shards with about ``rows`` photos."""
    entries = dataset.manifest["shards"]
    piece_of = np.cumsum([entry["rows"] for entry in entries]) // (rows + 1)
    pieces = []
    for piece in np.unique(piece_of):
        chosen = np.flatnonzero(piece_of == piece).tolist()
        key = json.dumps([split, *(entries[index]["sha256"] for index in chosen)])
        # without the manifest: workers need not have what is said of all the others
        shards = replace(dataset, manifest={}, shards=[dataset.shards[index] for index in chosen])
        pieces.append(ShardPositions(shards, split, key))
    return pieces
