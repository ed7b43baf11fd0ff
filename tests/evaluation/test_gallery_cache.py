from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from openplanet.evaluation import gallery_cache, retrieval
from openplanet.evaluation.gallery_cache import remembered
from openplanet.evaluation.photoset import of_dataset


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


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_cache, "CHUNK", 4)


PHOTOS = [str(n).encode() for n in range(8)] + [b"", b""]


def test_made_once_and_read_again(tmp_path: Path) -> None:
    first, second = Embedder(), Embedder()
    got = remembered(tmp_path / "kept", 10, lambda: PHOTOS, first)
    again = remembered(tmp_path / "kept", 10, lambda: pytest.fail("all is there"), second)
    np.testing.assert_array_equal(got, again)
    np.testing.assert_array_equal(got[:8, 0], np.arange(8))
    assert np.isnan(got[8:]).all() and got.shape == (10, 2)
    assert first.asked == PHOTOS and second.asked == []


def test_only_what_is_missing_or_damaged_is_made_again(tmp_path: Path) -> None:
    remembered(tmp_path, 10, lambda: PHOTOS, Embedder())
    (tmp_path / "neighbours-00001.npy").write_bytes(b"\x93NUMPY no more")
    maker = Embedder()
    got = remembered(tmp_path, 10, lambda: PHOTOS, maker)
    assert maker.asked == PHOTOS[4:8]
    np.testing.assert_array_equal(got[:8, 0], np.arange(8))


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    got = remembered(tmp_path / "file" / "key", 8, lambda: PHOTOS[:8], Embedder())
    assert got.shape == (8, 2)
    assert capsys.readouterr().err.count("embeddings are not kept") == 1


def test_key_is_of_weights_photos_and_dataset(dataset, predictor) -> None:
    everything = np.arange(60)
    key = gallery_cache.folder_of(dataset, predictor, everything)
    assert key == gallery_cache.folder_of(dataset, predictor, everything)
    assert key.parent == dataset.path.with_name("dataset.embeddings")
    assert key != gallery_cache.folder_of(dataset, predictor, everything[:59])
    weight = next(predictor.model.parameters())
    before = weight.data.clone()
    try:
        weight.data += 1e-3
        assert key != gallery_cache.folder_of(dataset, predictor, everything)
    finally:
        weight.data = before


def test_no_photos_are_no_rows(tmp_path: Path) -> None:
    assert len(remembered(tmp_path, 0, lambda: [], Embedder())) == 0


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
