"""Reading splits and making batches."""

from typing import Any

import pytest
import torch

from openplanet.earth.partition.adaptive import build
from openplanet.photos.dataset import Dataset
from openplanet.training.photos import data
from openplanet.training.photos.data import SplitPhotos, load_split
from openplanet.training.photos.stream import StreamedPhotos


def test_photos_keep_their_positions_and_cells(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    partition = build(dataset.coordinates("train"), 12, 3)
    table = dataset.table(["photo_id", "lat", "lng"], split="train").to_pylist()
    cached = load_split(dataset, "train", partition, 32, drop_in_no_cell=True)
    monkeypatch.setattr(data, "CACHE_BYTES", 0)
    lazy = load_split(dataset, "train", partition, 32, drop_in_no_cell=True)
    assert isinstance(cached, SplitPhotos) and isinstance(lazy, StreamedPhotos)
    for photos in (cached, lazy):
        assert photos[list(range(40))]["photo_id"] == [row["photo_id"] for row in table]
        batch: dict[str, Any] = photos[[7, 3]]
        assert batch["lat"].tolist() == [table[7]["lat"], table[3]["lat"]]
        expected = partition.assign([table[7]["lat"], table[3]["lat"]], [table[7]["lng"], table[3]["lng"]])
        assert batch["cell"].tolist() == expected.tolist() and batch["row"].tolist() == [7, 3]
        assert batch["pixels"].shape == (2, 3, 32, 32) and batch["pixels"].dtype == torch.uint8
    assert torch.equal(cached[[5]]["pixels"], lazy[[5]]["pixels"])


def test_photos_in_no_cell(dataset: Dataset) -> None:
    half = build([(part[0][part[0] > 0], part[1][part[0] > 0]) for part in dataset.coordinates("train")], 8, 1)
    outside = sum(int((half.assign(*part) < 0).sum()) for part in dataset.coordinates("train"))
    dropped = load_split(dataset, "train", half, 32, drop_in_no_cell=True)
    kept = load_split(dataset, "train", half, 32, drop_in_no_cell=False)
    assert 0 < outside == dropped.in_no_cell == kept.in_no_cell
    assert len(dropped) == 40 - outside and len(kept) == 40
    assert (dropped[range(len(dropped))]["cell"] >= 0).all()
    assert (kept[range(40)]["cell"] == -1).sum() == outside


def test_a_broken_photo_is_left_out_and_named(
    make_dataset: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = make_dataset(tmp_path / "dataset", extra=(("train", b"no photo", 48.8, 2.3),))
    partition = build(broken.coordinates("train"), 12, 3)
    cached = load_split(broken, "train", partition, 32, drop_in_no_cell=True)
    assert len(cached) == 40 and len(cached.undecodable) == 1
    monkeypatch.setattr(data, "CACHE_BYTES", 0)
    lazy = load_split(broken, "train", partition, 32, drop_in_no_cell=True)
    batch = lazy[[39, 40]]
    assert batch["failed"] == cached.undecodable and batch["row"].tolist() == [39] and len(batch["pixels"]) == 1
