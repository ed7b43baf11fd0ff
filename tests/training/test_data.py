"""Reading splits and making batches."""

from typing import Any

import pytest
import torch

from openplanet.earth.partition import build
from openplanet.photos.shards import Dataset
from openplanet.training import data
from openplanet.training.data import ShuffledBatches, load_split


@pytest.mark.parametrize(("photos", "size"), [(40, 16), (33, 16), (5, 16), (64, 16)])
def test_every_photo_once_and_no_tiny_batch(photos: int, size: int) -> None:
    batches = list(ShuffledBatches(photos, size, seed=1))
    assert sorted(row for batch in batches for row in batch) == list(range(photos))
    lengths = [len(batch) for batch in batches]
    assert max(lengths) <= size and max(lengths) - min(lengths) <= 1
    assert len(batches) == len(ShuffledBatches(photos, size, seed=1))


def test_order_depends_on_seed_and_epoch_only() -> None:
    one, two = ShuffledBatches(50, 8, seed=3), ShuffledBatches(50, 8, seed=3)
    first = list(one)
    one.set_epoch(1)
    assert first == list(two) and list(one) != first
    one.set_epoch(0)
    assert list(one) == first
    assert list(ShuffledBatches(50, 8, seed=4)) != first
    assert [row for batch in ShuffledBatches(50, 8, seed=3, shuffle=False) for row in batch] == list(range(50))


def test_photos_keep_their_positions_and_cells(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    partition = build(dataset.coordinates("train"), 12, 3)
    table = dataset.table(["photo_id", "lat", "lng"], split="train").to_pylist()
    cached = load_split(dataset, "train", partition, 32, drop_in_no_cell=True)
    monkeypatch.setattr(data, "CACHE_BYTES", 0)
    lazy = load_split(dataset, "train", partition, 32, drop_in_no_cell=True)
    assert cached.decoded is not None and lazy.decoded is None
    for photos in (cached, lazy):
        assert photos.photo_ids == [row["photo_id"] for row in table]
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
    assert (dropped.cell_N >= 0).all() and (kept.cell_N == -1).sum() == outside


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
