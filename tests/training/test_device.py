"""One device for training and inference, and nothing of float64 goes to it."""

import dataclasses
from pathlib import Path
from typing import Any

import album_dataset
import pytest
import torch
from torch.overrides import TorchFunctionMode

from openplanet import album_recipes
from openplanet.inference.predictor import Predictor
from openplanet.models.album.checkpoint import AlbumCheckpoint
from openplanet.models.album.embedded import batch, embedded_albums
from openplanet.models.device import best_device
from openplanet.photos.dataset import Dataset
from openplanet.training.album.fit_albums import fit_albums
from openplanet.training.distributed import Ranks
from openplanet.training.fit import fit
from openplanet.training.loop import devices
from openplanet.training.recipe.base import override
from openplanet.training.recipe.recipe import Recipe


class NoFloat64(TorchFunctionMode):
    """Fails where a tensor of float64 is sent to a device, or made on one; as a GPU without float64 does."""

    moved = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        sent = func is torch.Tensor.to and any(
            isinstance(each, str | torch.device) for each in (*args[1:], *kwargs.values())
        )
        if sent or kwargs.get("device") is not None:
            self.moved += 1
            assert not isinstance(made, torch.Tensor) or made.dtype != torch.float64, f"{func} of float64"
        return made


def test_the_check_can_fail() -> None:
    for wrong in (lambda: torch.zeros(2).double().to("cpu"), lambda: torch.zeros(1, dtype=torch.float64, device="cpu")):
        with pytest.raises(AssertionError, match="float64"), NoFloat64():
            wrong()


def test_image_models(dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path) -> None:
    recipe = dataclasses.replace(tiny_recipe, epochs=1, smoothing_km=50.0, ema_decay=0.9)
    with NoFloat64() as seen:
        fit(dataset, recipe, tmp_path / "out")
        predictor = Predictor.load(tmp_path / "out")
        photo = dataset.table(["image"], "val").to_pylist()[0]["image"]["bytes"]
        predictor.locate(photo)
    assert seen.moved > 20


@pytest.mark.parametrize("name", ["transformer", "blstm", "travel", "average"])
def test_album_models(name: str, tmp_path: Path) -> None:
    dataset = album_dataset.write(tmp_path / "photos.ds")
    image = album_dataset.image_checkpoint(dataset)
    small = {"width": "8", "epochs": "1", "batch_size": "4"}
    with NoFloat64() as seen:
        fit_albums(dataset, image, override(album_recipes.get(name), small), tmp_path / "out")
        made = AlbumCheckpoint.load(tmp_path / "out", best_device())
        with torch.no_grad():
            made.model(batch(embedded_albums(dataset, "val", made.image), made.image.model, made.partition))
    assert seen.moved > 5


@pytest.mark.parametrize("name", ["cuda", "mps", "cpu"])
def test_training_and_inference_choose_alike(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: name == "cuda")
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: name != "cpu")
    assert best_device().type == devices(Ranks())["accelerator"] == name
