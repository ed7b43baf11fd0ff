"""Albums: all photos of a split in their order, embedded once, padded without a trace."""

import io
from pathlib import Path

import album_cases as cases
import numpy as np
import pytest
import torch
from PIL import Image

from dataset_files import write_dataset
from openplanet.errors import InputError
from openplanet.inference.predictor import Predictor
from openplanet.models.album.base import UNKNOWN
from openplanet.models.album.embedded import EmbeddedAlbum, batch, embedded_albums, single_photo_log_probs
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageModel
from openplanet.photos.dataset import Dataset


def _picture(seed: int) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 255, (40, 40, 3))
    Image.fromarray(noise.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def _dataset(folder: Path) -> Dataset:
    """Album b backwards, with a broken photo and one without position; a photo of no album; one of another split."""
    rows = []
    for index, (split, album, order, lat, data) in enumerate(
        [
            ("train", "b", 3, 48.8, _picture(0)),
            ("train", "b", 2, None, _picture(1)),
            ("train", "b", 1, 48.8, b"no photo"),
            ("train", "b", 0, 48.8, _picture(3)),
            ("train", None, None, 48.8, _picture(4)),
            ("train", "a", 0, 35.7, _picture(5)),
            ("val", "c", 0, 35.7, _picture(6)),
        ]
    ):
        rows.append(
            {
                "photo_id": f"{index:064x}", "image": {"bytes": data, "path": None}, "lat": lat,
                "lng": None if lat is None else 2.3, "album_id": album, "album_order": order, "split": split,
                "taken_at": None if index == 1 else 1_000_000 * (100 - index),
            }
        )  # fmt: skip
    return write_dataset(folder, rows)


def _checkpoint(model: ImageModel | None = None) -> Checkpoint:
    return Checkpoint(model or cases.image_model(), cases.cells(), {"name": "tiny"}, cases.IMAGE, {})


def test_seconds_are_by_one_clock_whatever_the_cameras_write(tmp_path: Path) -> None:
    hour = 3_600_000_000
    rows = [
        {
            "photo_id": f"{index:064x}", "image": {"bytes": _picture(index), "path": None}, "lat": lat,
            "lng": None if lat is None else 139.7, "album_id": "a", "album_order": index, "split": "train",
            "taken_at": taken_at * hour, "taken_at_is_utc": offset is not None, "utc_offset_minutes": offset,
        }
        for index, (taken_at, offset, lat) in enumerate([(1000, 540, 35.7), (1010, None, None), (1002, 540, 35.7)])
    ]  # fmt: skip
    (album,) = embedded_albums(write_dataset(tmp_path / "photos.ds", rows), "train", _checkpoint(), tmp_path / "kept")
    assert np.diff(album.seconds_T).tolist() == [3600.0, 3600.0]  # 10:00 in Tokyo is 01:00 UTC


def test_albums_hold_all_photos_in_order(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    albums = embedded_albums(_dataset(tmp_path / "photos.ds"), "train", _checkpoint(), tmp_path / "kept")
    assert [album.album_id for album in albums] == [f"{4:064x}", "a", "b"]
    b = albums[2]
    assert b.photo_ids == [f"{index:064x}" for index in (3, 1, 0)]
    assert b.located.tolist() == [True, False, True] and np.isnan(b.lat_T[1])
    np.testing.assert_equal(b.seconds_T, [97.0, np.nan, 100.0])
    assert f"{2:064x}" in capfd.readouterr().err
    assert b.cells(cases.cells())[1] == UNKNOWN


def test_embeddings_are_the_models_and_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, checkpoint, asked = _dataset(tmp_path / "photos.ds"), _checkpoint(), []
    seen = ImageModel.features
    monkeypatch.setattr(ImageModel, "features", lambda self, x: asked.append(len(x)) or seen(self, x))
    album = embedded_albums(dataset, "train", checkpoint, tmp_path / "kept")[1]
    again = embedded_albums(dataset, "train", checkpoint, tmp_path / "kept")[1]
    assert sum(asked) == 5 and torch.equal(album.embedding_TD, again.embedding_TD)
    embedded = list(Predictor(checkpoint).embed_many([b"no photo", _picture(5)]))
    from_bytes = EmbeddedAlbum.of_photos(["a", "b"], embedded, seconds_T=np.array([1.0, 2.0]))
    torch.testing.assert_close(from_bytes.embedding_TD, album.embedding_TD)
    assert from_bytes.photo_ids == ["b"] and from_bytes.seconds_T.tolist() == [2.0]


def test_an_album_of_no_photo_is_refused() -> None:
    with pytest.raises(InputError, match="none of the album's 1 photos"):
        EmbeddedAlbum.of_photos(["a"], [None])


def test_a_batch_is_padded_and_knows_its_anchors() -> None:
    albums, model, partition = [cases.album(4), cases.album(2)], cases.image_model(), cases.cells()
    anchors = [np.array([True, False, False, True]), np.array([False, False])]
    made = batch(albums, model, partition, anchors, temperature=2.0)
    assert made.present_BT.tolist() == [[True] * 4, [True, True, False, False]]
    assert made.anchor_BT.tolist() == [[albums[0].cells(partition)[0], -1, -1, -1], [-1] * 4]  # the last has none
    assert torch.isnan(made.seconds_BT[1, 2:]).all() and not made.embedding_BTD[1, 2:].any()
    torch.testing.assert_close(made.log_probs_BTC.exp().sum(dim=2), torch.ones(2, 4))
    logits = model.head(albums[0].embedding_TD)[0]
    torch.testing.assert_close(made.log_probs_BTC[0], torch.log_softmax(logits / 2, dim=1))
    torch.testing.assert_close(single_photo_log_probs(model, albums[0].embedding_TD), torch.log_softmax(logits, dim=1))
    assert batch(albums, model, partition, with_log_probs=False).log_probs_BTC.shape == (2, 4, 0)


def test_the_embedding_gives_what_the_pixels_give() -> None:
    model = cases.image_model()
    pixels = torch.randint(0, 255, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        expected = torch.log_softmax(model(pixels), dim=1)
        torch.testing.assert_close(single_photo_log_probs(model, model.embed(pixels)), expected)


def test_part_of_an_album() -> None:
    whole = cases.album(5)
    part = whole.part(slice(1, 4))
    assert part.photo_ids == whole.photo_ids[1:4] and torch.equal(part.embedding_TD, whole.embedding_TD[1:4])
    np.testing.assert_equal(part.seconds_T, whole.seconds_T[1:4])
