import dataclasses
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openplanet.evaluation.contestants import baselines, feature_cache, retrieval
from openplanet.evaluation.contestants.feature_cache import Photos, folder_of, remembered
from openplanet.evaluation.contestants.retrieval import looks_of
from openplanet.evaluation.testsets.photoset import of_dataset


class Embedder:
    """Embeds a number as itself, and keeps count; b"" cannot be read."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, photos: Iterable[bytes]) -> np.ndarray:
        batch = list(photos)
        self.asked += batch
        if not any(batch):
            return np.zeros((len(batch), 0), np.float32)
        return np.array([[float(photo or "nan"), 1.0] for photo in batch], np.float32)


SUMS = [16031.92, 18.4990, 343.637, 4.20444]


@pytest.fixture(scope="module")
def photo_bytes() -> bytes:
    """A picture of slopes and stripes, without loss."""
    y, x = np.mgrid[:128, :160]
    rgb = np.stack([x * 1.5, 127 + 120 * np.sin((x + 2 * y) / 5), 255 - y * 1.9], axis=-1)
    file = io.BytesIO()
    Image.fromarray(rgb.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "CHUNK", 4)


PHOTOS = [str(n).encode() for n in range(8)] + [b"", b""]
LOOKER = {"what": "numbers", "version": 1}


@pytest.fixture
def ten(dataset, tmp_path: Path) -> Photos:
    """Ten photos that are said to be of a dataset, beside which there is nothing yet."""
    elsewhere = dataclasses.replace(dataset, path=tmp_path / "photos.ds")
    return Photos(lambda: PHOTOS, np.arange(10), elsewhere, "train")


def files(ten: Photos) -> list[Path]:
    return sorted(folder_of(ten, LOOKER).glob("*"))


def test_made_once_and_read_again(ten: Photos) -> None:
    first, second = Embedder(), Embedder()
    got = remembered(ten, LOOKER, first, "numbers")
    unasked = dataclasses.replace(ten, images=lambda: pytest.fail("all is there"))
    again = remembered(unasked, LOOKER, second, "numbers")
    np.testing.assert_array_equal(got, again)
    np.testing.assert_array_equal(got[:8, 0], np.arange(8))
    assert np.isnan(got[8:]).all() and got.shape == (10, 2)
    assert first.asked == PHOTOS and second.asked == []
    assert [file.name for file in files(ten)] == [f"looks-0000{n}.npz" for n in range(3)]


@pytest.mark.parametrize("damage", ["cut short", "one bit", "other rows", "gone", "no zip"])
def test_only_what_is_missing_or_damaged_is_made_again(ten: Photos, damage: str) -> None:
    whole = remembered(ten, LOOKER, Embedder(), "numbers")
    file = files(ten)[1]
    data = bytearray(file.read_bytes())
    if damage == "cut short":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "one bit":
        data[data.index(b"\x93NUMPY") + 130] ^= 4  # in the numbers, after the head of the array
        file.write_bytes(data)
    elif damage == "other rows":
        with file.open("wb") as out:
            np.savez(out, looks=np.zeros((3, 2), np.float32))
    elif damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"")
    maker = Embedder()
    np.testing.assert_array_equal(remembered(ten, LOOKER, maker, "numbers"), whole)
    assert maker.asked == PHOTOS[4:8]
    again = Embedder()
    remembered(ten, LOOKER, again, "numbers")
    assert again.asked == []


def test_what_was_stopped_half_way_goes_on(ten: Photos) -> None:
    def stopped(photos: Iterable[bytes]) -> np.ndarray:
        batch = list(photos)
        if batch[0] == b"4":
            raise KeyboardInterrupt
        return Embedder()(batch)

    with pytest.raises(KeyboardInterrupt):
        remembered(ten, LOOKER, stopped, "numbers")
    assert len(files(ten)) == 1
    maker = Embedder()
    assert len(remembered(ten, LOOKER, maker, "numbers")) == 10 and maker.asked == PHOTOS[4:]


def test_a_folder_that_cannot_be_written_costs_only_time(ten: Photos, caplog: pytest.LogCaptureFixture) -> None:
    folder_of(ten, LOOKER).parent.write_text("")
    got = remembered(ten, LOOKER, Embedder(), "numbers")
    assert got.shape == (10, 2)
    assert caplog.text.count("not kept") == 1


def test_photos_of_no_dataset_are_looked_at_each_time(ten: Photos) -> None:
    strangers = dataclasses.replace(ten, dataset=None)
    for _ in range(2):
        maker = Embedder()
        assert len(remembered(strangers, LOOKER, maker, "numbers")) == 10 and maker.asked == PHOTOS


def test_key_is_of_looker_photos_split_and_dataset(ten: Photos, dataset, predictor) -> None:
    looks = looks_of(predictor)
    key = folder_of(ten, looks)
    assert key == folder_of(ten, looks_of(predictor)) and key.parent.name == "photos.ds.embeddings"
    other_manifest = dataclasses.replace(dataset, path=ten.dataset.path, manifest={**dataset.manifest, "x": 1})
    others = (
        dataclasses.replace(ten, index_N=np.arange(9)),
        dataclasses.replace(ten, split="test"),
        dataclasses.replace(ten, dataset=other_manifest),
    )
    keys = {key, *(folder_of(each, looks) for each in others), folder_of(ten, LOOKER)}
    weight = next(predictor.model.parameters())
    before = weight.data.clone()
    try:
        weight.data += 1e-3
        keys.add(folder_of(ten, looks_of(predictor)))
    finally:
        weight.data = before
    assert len(keys | {folder_of(ten, {**LOOKER, "version": 2})}) == 7


def test_no_photos_are_no_rows(ten: Photos) -> None:
    assert len(remembered(dataclasses.replace(ten, index_N=np.arange(0)), LOOKER, Embedder(), "numbers")) == 0


def test_a_second_evaluation_looks_at_no_photo_by_hand(
    rows: list[dict], write_dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Train, val and test photos of a dataset; the answers are the same."""
    some = [{**row, "split": "val" if n in (1, 7, 12) else row["split"]} for n, row in enumerate(rows)]
    dataset = write_dataset(tmp_path / "photos.ds", some)
    photoset = of_dataset(dataset, "test")
    first = retrieval.by_features(retrieval.Gallery(dataset), photoset)
    monkeypatch.setattr(baselines, "features", lambda _: pytest.fail("a photo was looked at"))
    again = retrieval.by_features(retrieval.Gallery(dataset), photoset)
    assert len(first) == 2 and "chosen on 3 validation photos" in first["k nearest, density"][1]
    for name, (guesses, how) in first.items():
        np.testing.assert_array_equal(guesses, again[name][0])
        assert how == again[name][1]
    with pytest.raises(pytest.fail.Exception, match="looked at"):
        monkeypatch.setattr(baselines, "VERSION", 0)
        retrieval.by_features(retrieval.Gallery(dataset), photoset)


def test_features_of_a_version_are_these(photo_bytes: bytes) -> None:
    """Whoever changes them raises baselines.VERSION, and writes the new sums here."""
    blocks = baselines.features([photo_bytes])
    assert baselines.VERSION == 1
    sums = [float(block.astype(np.float64).sum()) for block in blocks]
    assert sums == pytest.approx(SUMS, rel=1e-3)
    for block, again in zip(blocks, baselines.blocks_of(np.hstack(blocks)), strict=True):
        np.testing.assert_array_equal(block, again)


def test_a_large_train_split_is_sampled_and_said(dataset, predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "MOST_TRAIN", 25)
    gallery = retrieval.Gallery(dataset)
    assert len(gallery) == 25 and len(set(gallery.kept.tolist())) == 25 and gallery.kept[-1] == 59
    photoset = of_dataset(dataset, "test")
    told = {name: how for name, (_, how) in retrieval.by_features(gallery, photoset).items()}
    told |= {name: how for name, (_, how) in retrieval.by_embedding(gallery, photoset, predictor).items()}
    assert len(told) == 3
    for how in told.values():
        assert "25 of 60 training photos, evenly spread" in how and "MB" in how
