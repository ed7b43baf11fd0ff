"""Embedding a dataset in parts: what a backbone sees of the photos of one row group and split is one file.

The files are those of features.py: training on a frozen backbone, albums, neighbours and evaluation find them.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from openplanet.models import features
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.device import best_device
from openplanet.photos.dataset import Dataset
from openplanet.photos.row_groups import row_groups
from openplanet.runners.job import Job, Work
from openplanet.stores.location import Location


@dataclass(frozen=True)
class EmbedJob(Job):
    """Look at the photos of these splits of a dataset by the backbone of a checkpoint."""

    dataset: Location
    checkpoint: str
    splits: tuple[str, ...]
    located: bool = False
    """Only those with a position."""
    what = "looking at photos"
    on_gpu = True

    @property
    def count(self) -> int:
        return len(self.splits) * len(row_groups(Dataset.open(self.dataset)))

    def open(self) -> Work:
        dataset, model = Dataset.open(self.dataset), Checkpoint.load(self.checkpoint, best_device()).model.eval()
        look, key = features.backbone_look(dataset, model, ThreadPoolExecutor(os.cpu_count()))
        stored, groups = features.Stored(*features.place_of(dataset, key), look, strict=True), row_groups(dataset)

        def work(part: int) -> None:
            number, index = divmod(part, len(groups))
            split = self.splits[number]
            wanted = None
            if self.located:
                wanted = set(groups[index].read(["photo_id"], split, located=True)["photo_id"].to_pylist())
            stored.of_group(groups[index], index, split, wanted)

        return work
