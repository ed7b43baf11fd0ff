"""Photos of a split, ready for the trainer: decoded once into memory where they fit, else streamed from disk.

Shapes: N photos of the split, B photos in a batch, S the side that photos are kept at, H W pixels.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from openplanet.earth.partition.adaptive import Partition
from openplanet.models.preprocess import decode
from openplanet.photos.dataset import Dataset
from openplanet.photos.row_groups import row_groups
from openplanet.progress import Progress, say
from openplanet.training.distributed import Ranks
from openplanet.training.photos import stream
from openplanet.training.photos.order import LANES, BatchOrder, ResumableLoader
from openplanet.training.photos.stream import StreamedPhotos
from openplanet.training.recipe.recipe import Recipe

CACHE_BYTES = 4 * 2**30
"""Decoded photos up to this size are kept in memory (at 64 px about 250,000 photos, at 299 px about 12,000).
Above it they are streamed, and workers decode them again each epoch."""

CROP_MARGIN = 1.15
"""Training photos are kept this much larger than the model's input, so that a crop still has real detail."""


class Photos(Protocol):
    """What training asks of the photos of a split, wherever they lie.

    Indexed by row numbers, they give a batch: cell int64 [B] (-1: in no cell), lat, lng float64 [B] degrees, row
    int64 [B], photo_id [B], failed (photo_ids of rows asked for that cannot be decoded, and are not in the
    batch), and either pixels uint8 [B, 3, S, S] or, of a frozen backbone, features float32 [B, F].
    """

    in_no_cell: int
    """Photos left out, or without a class, because no cell of the partition holds them."""
    undecodable: list[str]
    """photo_ids of photos left out because their pixels cannot be read."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Sequence[int]) -> dict[str, Any]: ...


@dataclass
class SplitPhotos(TorchDataset[dict[str, Any]]):
    """The located photos of one split, in memory: decoded, or as the features of a frozen backbone."""

    photo_ids: list[str]
    lat_N: npt.NDArray[np.float64]
    lng_N: npt.NDArray[np.float64]
    cell_N: npt.NDArray[np.int64]
    inputs: dict[str, Tensor]
    """pixels: uint8 [N, 3, S, S], or features: float32 [N, F]."""
    undecodable: list[str] = field(default_factory=list)
    in_no_cell: int = 0

    def __len__(self) -> int:
        return len(self.photo_ids)

    def __getitem__(self, rows: Sequence[int]) -> dict[str, Any]:
        rows_B = np.asarray(rows, dtype=np.int64)
        row_B = torch.from_numpy(rows_B)
        return {name: values[row_B] for name, values in self.inputs.items()} | {
            "cell": torch.from_numpy(self.cell_N[rows_B]),
            "lat": torch.from_numpy(self.lat_N[rows_B]),
            "lng": torch.from_numpy(self.lng_N[rows_B]),
            "row": row_B,
            "photo_id": [self.photo_ids[row] for row in rows_B],
            "failed": [],
        }


def load_split(
    dataset: Dataset,
    split: str,
    partition: Partition,
    side: int,
    drop_in_no_cell: bool,
    buffer: int = 16384,
    crop: float = 1.0,
    pools: int = LANES,
) -> SplitPhotos | StreamedPhotos:
    """Give the located photos of ``split`` their cells; decode them if they fit in CACHE_BYTES, else stream them.

    Photos in no cell are left out of training (``drop_in_no_cell``), as the paper does; validation keeps them,
    as photos that cannot be right. Photos that cannot be decoded are named and left out.
    Raises DatasetError where a shard cannot be read.
    """
    total = dataset.count(split, located=True)
    if total * 3 * side * side > CACHE_BYTES:
        streamed = stream.index(row_groups(dataset), partition, split, side, drop_in_no_cell, buffer, crop, pools)
        _say_left_out(streamed, split, drop_in_no_cell)
        return streamed
    kept = _Reader(side, crop)
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
    """Gathers the photos of a split, batch by batch, decoded."""

    def __init__(self, side: int, crop: float) -> None:
        self.side, self.crop = side, crop
        self.ids: list[str] = []
        self.positions: list[npt.NDArray[np.float64]] = [np.empty((0, 2))]
        self.cells: list[npt.NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
        self.pictures: list[Tensor] = [torch.empty(0, 3, side, side, dtype=torch.uint8)]
        self.undecodable: list[str] = []

    def add(self, batch: pa.RecordBatch, cell_N: npt.NDArray[np.int64], pool: ThreadPoolExecutor) -> None:
        names, files = batch.column("photo_id").to_pylist(), batch.column("image").field("bytes").to_pylist()
        decoded = list(pool.map(lambda file: decode(file, self.side, self.crop), files))
        right_N = np.array([one is not None for one in decoded], dtype=bool)
        if right_N.any():
            self.pictures.append(torch.from_numpy(np.stack([one for one in decoded if one is not None])))
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
            inputs={"pixels": torch.cat(self.pictures)},
            undecodable=self.undecodable,
            in_no_cell=in_no_cell,
        )


def loader(
    photos: Photos, batch_size: int, recipe: Recipe, shuffle: bool, ranks: Ranks, shares: int | None = None
) -> ResumableLoader:
    """This process's batches of ``photos``; worker processes only where there is something to decode.

    ``shares``: batches of a step, in all processes [default: one each].
    """
    streamed = isinstance(photos, StreamedPhotos)
    workers = recipe.workers if streamed else 0
    groups = photos.counts if isinstance(photos, StreamedPhotos) else None
    buffer = recipe.shuffle_buffer // recipe.accumulate  # of each share: a process is to hold no more for its several
    order = BatchOrder(len(photos), batch_size, recipe.seed, shuffle, groups, buffer, ranks.rank, ranks.world, shares)
    return ResumableLoader(
        photos,  # type: ignore[arg-type]  # a batch at a time, which torch's type does not know
        batch_size=None,  # the sampler gives whole batches
        sampler=order,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def _say_left_out(photos: Photos, split: str, dropped: bool) -> None:
    if photos.in_no_cell:
        fate = "left out of training" if dropped else "kept, and counted as wrong"
        say(f"{split}: {photos.in_no_cell} photos lie in no cell of the partition: {fate}")
    if photos.undecodable:
        some = ", ".join(photos.undecodable[:5]) + (", ..." if len(photos.undecodable) > 5 else "")
        say(f"{split}: {len(photos.undecodable)} photos cannot be decoded and are left out: {some}")
