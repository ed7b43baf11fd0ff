"""One factory opens every locator; what one can do besides is asked in one place."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from openplanet.cli import cli
from openplanet.earth.partition.adaptive import build
from openplanet.errors import CheckpointError, InputError
from openplanet.inference import locator
from openplanet.inference.album_predictor import AlbumPredictor
from openplanet.inference.locator import checkpoint_of, embeds, is_name, open_locator, places_albums, trained_on
from openplanet.inference.predictor import Predictor
from openplanet.models.album.base import AlbumConfig
from openplanet.models.album.checkpoint import AlbumCheckpoint
from openplanet.models.album.registry import build as build_model
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an image checkpoint, ``image``, and of one of albums on top of it, ``album``."""
    folder = tmp_path_factory.mktemp("models")
    lat_N, lng_N = np.repeat([48.9, -17.8, 50.9], 3), np.repeat([2.3, 178.0, 4.3], 3)
    partition = build([(lat_N, lng_N)], max_photos=3, min_photos=1)
    config = ImageConfig("test_resnet", image_size=32)
    torch.manual_seed(0)
    image = Checkpoint(
        ImageModel(config, len(partition)).eval(), partition, {"name": "none"}, config, {}, {"dataset": "one"}
    )
    image.save(folder / "image")
    model = build_model(AlbumConfig("lstm", width=8), partition, image.model.embedding_dim).eval()
    AlbumCheckpoint(model, image, {"name": "lstm"}, {}, {"dataset": "two"}).save(folder / "album")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Three photos without time and position; one file that cannot be read between them."""
    paths = [tmp_path / f"{name}.png" for name in "abcd"]
    for number, path in enumerate(paths):
        rng = np.random.default_rng(number)
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(path)
    paths[2].write_bytes(b"no photo")
    return paths


def test_a_folder_opens_as_what_it_holds(models: Path) -> None:
    single, together = open_locator(models / "image"), open_locator(str(models / "album"), "cpu")
    assert isinstance(single, Predictor) and isinstance(together, AlbumPredictor)
    assert together.variant == "lstm" and together.provenance["album_model"] == "lstm"
    assert together.partition is together.predictor.partition and together.coarser == single.coarser == ()
    assert [embeds(single), embeds(together)] == [True, False]
    assert [places_albums(single), places_albums(together)] == [False, True]
    assert checkpoint_of(single) is single.checkpoint and checkpoint_of(together) is None
    assert trained_on(single) == [{"dataset": "one"}]
    assert trained_on(together) == [{"dataset": "two"}, {"dataset": "one"}]
    assert trained_on(AlbumPredictor.load(models / "image")) == [{}, {"dataset": "one"}]  # travel, untrained


def test_a_name_on_the_hub_opens_as_what_it_holds(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        locator.hub, "resolve", lambda text: models / str(text).partition("/")[2] if is_name(text) else text
    )
    assert isinstance(open_locator("hf:owner/image"), Predictor)
    assert isinstance(open_locator(Path("hf:owner/album")), AlbumPredictor)


def test_a_prefix_opens_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setitem(locator.OPENERS, "other", lambda *told: asked.append(told))
    open_locator("other:a:b/c.parquet", "cpu")
    open_locator(Path("other:x"))
    assert asked == [("a:b/c.parquet", "cpu"), ("x", None)]
    assert [is_name(each) for each in ("other:x", "hf:a/b", "other", "strange:x", "model")] == [
        True, True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"format": "something"}), None])
def test_what_cannot_be_opened_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "config.json").write_text(content)
    for load in (open_locator, AlbumPredictor.load):
        with pytest.raises(CheckpointError, match="model"):
            load(tmp_path / "model")


def test_an_album_is_located_in_the_order_given(models: Path, photos: list[Path]) -> None:
    together = open_locator(models / "album")
    answers = list(together.locate_many(photos))
    assert [each.photo for each in answers] == photos
    assert [each.status for each in answers] == ["located", "located", "failed", "located"]
    assert answers[2].error == "its picture cannot be read"
    by_name = together.locate(photos, all_pictures=True)  # without a time: in order of their names
    for mine, theirs in zip(answers, by_name.photos, strict=True):
        if mine.prediction is not None:
            np.testing.assert_array_equal(mine.prediction.log_probs, theirs.prediction.log_probs)
            np.testing.assert_array_equal(mine.alone.log_probs, theirs.alone.log_probs)
    back = list(together.locate_many([path.read_bytes() for path in photos[::-1]]))[::-1]
    for mine, other in zip(answers, back, strict=True):
        assert mine.status == other.status
    assert np.abs(answers[0].prediction.log_probs - back[0].prediction.log_probs).max() > 1e-6  # order counts
    np.testing.assert_allclose(answers[0].alone.log_probs, back[0].alone.log_probs, atol=1e-5)


def test_an_album_of_nothing_and_one_of_nothing_readable(models: Path, photos: list[Path]) -> None:
    together = open_locator(models / "album")
    assert list(together.locate_many([])) == []
    assert [each.status for each in together.locate_many([photos[2], b"neither"])] == ["failed", "failed"]


def test_an_album_checkpoint_is_not_asked_of_single_photos(models: Path, photos: list[Path]) -> None:
    done = CliRunner().invoke(cli, ["locate", str(photos[0]), "--checkpoint", str(models / "album")])
    assert isinstance(done.exception, InputError)
    assert "add --album" in str(done.exception) and str(models / "album" / "image") in str(done.exception)
