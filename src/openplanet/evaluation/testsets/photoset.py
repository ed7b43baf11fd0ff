"""A set of photos to be measured on: where each was taken, and their pictures one after the other."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from openplanet.errors import DatasetError
from openplanet.evaluation.answers import Truth
from openplanet.photos.dataset import ALL, Dataset

READ_AT_A_TIME = 256


@dataclass(frozen=True)
class PhotoSet:
    """``images()`` yields the encoded picture of each photo of ``truth`` in order; b"" for one that is missing."""

    name: str  # as it stands in sentences: "the test split", "Im2GPS3k"
    truth: Truth
    images: Callable[[], Iterator[bytes]]
    key: str = ""  # "im2gps3k": by which published figures are found
    notes: tuple[str, ...] = ()  # what a reader must know of it
    of_files: bool = False  # pictures as their authors published them; else a dataset's, made smaller by ingest
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # names of places, as its authors give them
    dataset: Dataset | None = None  # where its photos are those of a split of one: it knows their albums
    split: str = ""

    def __len__(self) -> int:
        return len(self.truth.lat)

    def some(self, wanted: Collection[int]) -> Iterator[tuple[int, bytes]]:
        """The pictures of the photos of these indices, each with its index, in one pass over the set."""
        return ((index, photo) for index, photo in enumerate(self.images()) if index in wanted)


def of_dataset(dataset: Dataset, split: str) -> PhotoSet:
    """The located photos of a split, in stored order; DatasetError where there is none."""
    truth = read_truth(dataset, split)
    name = "all splits" if split == ALL else f"the {split} split"
    return PhotoSet(name, truth, lambda: read_images(dataset, split), dataset=dataset, split=split)


def read_truth(dataset: Dataset, split: str, needed: bool = True) -> Truth:
    """The located photos of a split in stored order; DatasetError where ``needed`` and there is none."""
    columns = ["photo_id", "source", "lat", "lng", "owner_id", "album_id"]
    table = dataset.table(columns, split=split, located=True)
    if needed and table.num_rows == 0:
        raise DatasetError(
            f"{dataset.path}: no photo of the {split} split has a position, so there is nothing to measure; "
            f"choose another --split, or: {dataset.how_to_divide()}"
        )
    photo_id, source, _, _, owner, album = (tuple(table[name].to_pylist()) for name in columns)
    lat, lng = (table[name].to_numpy().astype(np.float64) for name in ("lat", "lng"))
    return Truth(photo_id, source, lat, lng, owner, album)


def read_images(dataset: Dataset, split: str) -> Iterator[bytes]:
    """The encoded located photos of a split, in the order of ``read_truth``, a few in memory at a time;
    b"" for a missing one, which cannot be decoded and counts as wrong."""
    for batch in dataset.batches(["image"], split=split, located=True, batch_size=READ_AT_A_TIME):
        yield from (data or b"" for data in batch["image"].field("bytes").to_pylist())
