"""Photos of a split, ready for the trainer: decoded once into memory where they fit, else by worker processes.

Shapes: N photos of the split, B photos in a batch, S the side that photos are kept at, H W pixels.
"""

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from openplanet.earth.partition import Partition
from openplanet.errors import PhotoError
from openplanet.models.preprocess import pixels
from openplanet.photos import images
from openplanet.photos.shards import Dataset
from openplanet.progress import Progress, say

CACHE_BYTES = 4 * 2**30
"""Decoded photos up to this size are kept in memory (at 64 px about 250,000 photos, at 299 px about 12,000).
Above it the encoded photos are, and workers decode them again each epoch."""

CROP_MARGIN = 1.15
"""Training photos are kept this much larger than the model's input, so that a crop still has real detail."""


@dataclass
class SplitPhotos(TorchDataset[dict[str, Any]]):
    """The located photos of one split. Indexed by a whole batch of row numbers at once, gives a batch dict:

    pixels uint8 [B, 3, S, S], cell int64 [B] (-1: in no cell), lat, lng float64 [B] degrees, row int64 [B],
    failed: photo_ids of rows asked for that cannot be decoded (they are not in the batch).
    """

    photo_ids: list[str]
    lat_N: npt.NDArray[np.float64]
    lng_N: npt.NDArray[np.float64]
    cell_N: npt.NDArray[np.int64]
    side: int
    decoded: Tensor | None
    """uint8 [N, 3, S, S], or None where photos are decoded when asked for."""
    encoded: list[bytes]
    undecodable: list[str] = field(default_factory=list)
    """photo_ids of photos left out because their pixels cannot be read."""
    in_no_cell: int = 0
    """Photos left out, or without a class, because no cell of the partition holds them."""

    def __len__(self) -> int:
        return len(self.photo_ids)

    def __getitem__(self, rows: Sequence[int]) -> dict[str, Any]:
        rows_B, failed = np.asarray(rows, dtype=np.int64), []
        if self.decoded is not None:
            pixels_B3SS = self.decoded[torch.from_numpy(rows_B)]
        else:
            results = [_decode(self.encoded[row], self.side) for row in rows_B]
            failed = [self.photo_ids[row] for row, one in zip(rows_B, results, strict=True) if one is None]
            rows_B = rows_B[[one is not None for one in results]]
            good = [one for one in results if one is not None]
            pixels_B3SS = torch.stack(good) if good else torch.empty(0, 3, self.side, self.side, dtype=torch.uint8)
        return {
            "pixels": pixels_B3SS,
            "cell": torch.from_numpy(self.cell_N[rows_B]),
            "lat": torch.from_numpy(self.lat_N[rows_B]),
            "lng": torch.from_numpy(self.lng_N[rows_B]),
            "row": torch.from_numpy(rows_B),
            "failed": failed,
        }


class ShuffledBatches(Sampler[list[int]]):
    """Row numbers in batches, in an order that depends on seed and epoch only.

    Every photo comes once in an epoch, and batches differ by one photo at most: a last batch of one photo
    would break batch norm.
    """

    def __init__(self, photos: int, batch_size: int, seed: int, shuffle: bool = True) -> None:
        self.photos, self.seed, self.shuffle, self.epoch = photos, seed, shuffle, 0
        self.batches = math.ceil(photos / batch_size)

    def __len__(self) -> int:
        return self.batches

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        order = np.arange(self.photos)
        if self.shuffle:
            np.random.default_rng([self.seed, self.epoch]).shuffle(order)
        for rows in np.array_split(order, self.batches):
            yield rows.tolist()


def load_split(dataset: Dataset, split: str, partition: Partition, side: int, drop_in_no_cell: bool) -> SplitPhotos:
    """Read the located photos of ``split``, give each its cell, and decode them if they fit in CACHE_BYTES.

    Photos in no cell are left out of training (``drop_in_no_cell``), as the paper does; validation keeps them,
    as photos that cannot be right. Photos that cannot be decoded are named and left out.
    Raises DatasetError where a shard cannot be read.
    """
    total = dataset.count(split, located=True)
    kept = _Reader(side, cached=total * 3 * side * side <= CACHE_BYTES)
    in_no_cell = 0
    columns = ["photo_id", "image", "lat", "lng"]
    with Progress(f"reading {split}", total) as progress, ThreadPoolExecutor(os.cpu_count()) as pool:
        for batch in dataset.batches(columns, split=split, located=True, batch_size=512):
            lat_N, lng_N = (batch.column(c).to_numpy(zero_copy_only=False) for c in ("lat", "lng"))
            cell_N = partition.assign(lat_N, lng_N)
            in_no_cell += int((cell_N < 0).sum())
            wanted_N = (cell_N >= 0) | (not drop_in_no_cell)
            kept.add(batch.filter(pa.array(wanted_N)), cell_N[wanted_N], pool)
            progress.advance(len(batch))
    photos = kept.photos(in_no_cell)
    _say_left_out(photos, split, drop_in_no_cell)
    return photos


class _Reader:
    """Gathers the photos of a split, batch by batch: decoded, or as the bytes that will be decoded later."""

    def __init__(self, side: int, cached: bool) -> None:
        self.side, self.cached = side, cached
        self.ids: list[str] = []
        self.positions: list[npt.NDArray[np.float64]] = [np.empty((0, 2))]
        self.cells: list[npt.NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
        self.pictures: list[Tensor] = [torch.empty(0, 3, side, side, dtype=torch.uint8)]
        self.encoded: list[bytes] = []
        self.undecodable: list[str] = []

    def add(self, batch: pa.RecordBatch, cell_N: npt.NDArray[np.int64], pool: ThreadPoolExecutor) -> None:
        names, files = batch.column("photo_id").to_pylist(), batch.column("image").field("bytes").to_pylist()
        right_N = np.ones(len(names), dtype=bool)
        if self.cached:
            decoded = list(pool.map(lambda file: _decode(file, self.side), files))
            right_N = np.array([one is not None for one in decoded], dtype=bool)
            if right_N.any():
                self.pictures.append(torch.stack([one for one in decoded if one is not None]))
        else:
            self.encoded += files
        self.ids += [name for name, right in zip(names, right_N, strict=True) if right]
        self.undecodable += [name for name, right in zip(names, right_N, strict=True) if not right]
        columns = [batch.column(c).to_numpy(zero_copy_only=False) for c in ("lat", "lng")]
        self.positions.append(np.column_stack(columns)[right_N])
        self.cells.append(cell_N[right_N])

    def photos(self, in_no_cell: int) -> SplitPhotos:
        at_N2 = np.concatenate(self.positions)
        return SplitPhotos(
            photo_ids=self.ids,
            lat_N=at_N2[:, 0],
            lng_N=at_N2[:, 1],
            cell_N=np.concatenate(self.cells),
            side=self.side,
            decoded=torch.cat(self.pictures) if self.cached else None,
            encoded=self.encoded,
            undecodable=self.undecodable,
            in_no_cell=in_no_cell,
        )


def loader(photos: SplitPhotos, batch_size: int, seed: int, shuffle: bool, workers: int) -> DataLoader[dict[str, Any]]:
    """Batches of ``photos``; worker processes only where there is something to decode."""
    workers = 0 if photos.decoded is not None else workers
    sampler = ShuffledBatches(len(photos), batch_size, seed, shuffle)
    return DataLoader(
        photos,
        batch_size=None,  # the sampler gives whole batches
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def _decode(data: bytes, side: int) -> Tensor | None:
    try:
        # whole, not at a reduced scale of the JPEG: so that inference sees the same resampling of the same file
        return pixels(images.load(data), side)
    except PhotoError:
        return None


def _say_left_out(photos: SplitPhotos, split: str, dropped: bool) -> None:
    if photos.in_no_cell:
        fate = "left out of training" if dropped else "kept, and counted as wrong"
        say(f"{split}: {photos.in_no_cell} photos lie in no cell of the partition: {fate}")
    if photos.undecodable:
        some = ", ".join(photos.undecodable[:5]) + (", ..." if len(photos.undecodable) > 5 else "")
        say(f"{split}: {len(photos.undecodable)} photos cannot be decoded and are left out: {some}")
