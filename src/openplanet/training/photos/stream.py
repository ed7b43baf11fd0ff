"""Photos of a split that do not fit in memory: read from the dataset's row groups as the order asks for them.

Shapes: N photos of the split, B photos in a batch, S the side that photos are kept at.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset as TorchDataset

from openplanet.earth.partition.adaptive import Partition
from openplanet.models.preprocess import Pixels, decode
from openplanet.photos.row_groups import RowGroup
from openplanet.training.photos.order import LANES

COLUMNS = ["photo_id", "image", "lat", "lng"]


@dataclass(frozen=True)
class _Rows:
    """The photos of one row group that the split has."""

    photo_id: list[str]
    encoded: list[bytes]
    lat: npt.NDArray[np.float64]
    lng: npt.NDArray[np.float64]
    cell: npt.NDArray[np.int64]


@dataclass
class StreamedPhotos(TorchDataset[dict[str, Any]]):
    """The located photos of one split; indexed by row numbers, gives a batch as ``SplitPhotos`` does.

    Row groups that were read are kept, encoded, up to ``buffer`` photos and a few groups more (each process that
    reads has its own); beside them memory holds nothing that grows with N.
    """

    groups: list[RowGroup]
    counts: list[int]
    """Photos of each group that are in the split, located, and in a cell where ``drop_in_no_cell``."""
    partition: Partition
    split: str
    side: int
    drop_in_no_cell: bool
    buffer: int
    crop: float = 1.0
    in_no_cell: int = 0
    pools: int = LANES
    """Parts that a process reads at once: so many lanes for each of its shares."""
    undecodable: list[str] = field(default_factory=list)
    """Always empty: what cannot be decoded is found, and said, when it is asked for."""

    def __post_init__(self) -> None:
        self._ends = np.cumsum(self.counts)
        self._kept: OrderedDict[int, _Rows] = OrderedDict()
        # the pools of the order begin and end within groups
        self._limit = self.buffer + 2 * self.pools * max(self.counts, default=0)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, rows: Sequence[int]) -> dict[str, Any]:
        rows_B = np.asarray(rows, dtype=np.int64)
        group_B = np.searchsorted(self._ends, rows_B, side="right")
        found: list[tuple[int, _Rows, int, Pixels]] = []
        failed = []
        loaded = {group: self._load(group) for group in np.unique(group_B).tolist()}
        for row, group in zip(rows_B.tolist(), group_B.tolist(), strict=True):
            within = row - (int(self._ends[group]) - self.counts[group])
            photos = loaded[group]
            picture = decode(photos.encoded[within], self.side, self.crop)
            if picture is None:
                failed.append(photos.photo_id[within])
            else:
                found.append((row, photos, within, picture))
        empty = torch.empty(0, 3, self.side, self.side, dtype=torch.uint8)
        return {
            "pixels": torch.from_numpy(np.stack([picture for *_, picture in found])) if found else empty,
            "cell": torch.tensor([int(photos.cell[at]) for _, photos, at, _ in found], dtype=torch.int64),
            "lat": torch.tensor([float(photos.lat[at]) for _, photos, at, _ in found], dtype=torch.float64),
            "lng": torch.tensor([float(photos.lng[at]) for _, photos, at, _ in found], dtype=torch.float64),
            "row": torch.tensor([row for row, *_ in found], dtype=torch.int64),
            "photo_id": [photos.photo_id[at] for _, photos, at, _ in found],
            "failed": failed,
        }

    def _load(self, group: int) -> _Rows:
        if group in self._kept:
            self._kept.move_to_end(group)
            return self._kept[group]
        table = self.groups[group].read(COLUMNS, self.split, located=True)
        lat_N, lng_N = (table[name].to_numpy() for name in ("lat", "lng"))
        cell_N = self.partition.assign(lat_N, lng_N)
        wanted = np.flatnonzero((cell_N >= 0) | (not self.drop_in_no_cell))
        table = table.take(wanted)
        encoded = table["image"].combine_chunks().field("bytes").to_pylist()
        rows = _Rows(table["photo_id"].to_pylist(), encoded, lat_N[wanted], lng_N[wanted], cell_N[wanted])
        self._kept[group] = rows
        while len(self._kept) > 1 and sum(self.counts[kept] for kept in self._kept) > self._limit:
            self._kept.popitem(last=False)
        return rows


def index(
    groups: Sequence[RowGroup],
    partition: Partition,
    split: str,
    side: int,
    drop_in_no_cell: bool,
    buffer: int,
    crop: float = 1.0,
    pools: int = LANES,
) -> StreamedPhotos:
    """Count the photos of each row group, by their positions alone; no picture is read."""
    kept, counts, in_no_cell = [], [], 0
    for group in groups:
        table = group.read(["lat", "lng"], split, located=True)
        outside = (
            int((partition.assign(table["lat"].to_numpy(), table["lng"].to_numpy()) < 0).sum()) if len(table) else 0
        )
        in_no_cell += outside
        if count := len(table) - (outside if drop_in_no_cell else 0):
            kept.append(group)
            counts.append(count)
    return StreamedPhotos(kept, counts, partition, split, side, drop_in_no_cell, buffer, crop, in_no_cell, pools)
