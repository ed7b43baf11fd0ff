import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openplanet.evaluation.contestants import baselines, retrieval
from openplanet.evaluation.testsets.photoset import of_dataset

SUMS = [16031.92, 18.4990, 343.637, 4.20444]


@pytest.fixture(scope="module")
def photo_bytes() -> bytes:
    """A picture of slopes and stripes, without loss."""
    y, x = np.mgrid[:128, :160]
    rgb = np.stack([x * 1.5, 127 + 120 * np.sin((x + 2 * y) / 5), 255 - y * 1.9], axis=-1)
    file = io.BytesIO()
    Image.fromarray(rgb.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


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
    assert len(first) == 2 and "chosen on 3 validation photos" in first["k nearest, density"].what
    for name, found in first.items():
        np.testing.assert_array_equal(found.lat, again[name].lat)
        assert found.what == again[name].what
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
    told = retrieval.by_features(gallery, photoset) | retrieval.by_embedding(gallery, photoset, predictor)
    assert len(told) == 4
    for found in told.values():
        assert "25 of 60 training photos, evenly spread" in found.what and "MB" in found.what
