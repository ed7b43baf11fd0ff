"""Features of a frozen backbone: computed once, and a probe on them is an ordinary checkpoint."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from openplanet.errors import CheckpointError, RecipeError, TrainingError
from openplanet.inference.predictor import Predictor
from openplanet.models.features import default_folder
from openplanet.models.image_model import ImageModel
from openplanet.photos.dataset import Dataset
from openplanet.training.fit import fit
from openplanet.training.recipe.recipe import Recipe


@pytest.fixture
def probe(tiny_recipe: Recipe, tmp_path: Path) -> Recipe:
    torch.manual_seed(5)
    file = tmp_path / "backbone.safetensors"
    backbone = ImageModel(tiny_recipe.image_config(), 2).backbone
    save_file({k: v.contiguous() for k, v in backbone.state_dict().items()}, file)
    return dataclasses.replace(
        tiny_recipe, frozen=True, feature_norm=True, weights=str(file), learning_rate=0.05, epochs=20, crop=0.0
    )


@pytest.fixture
def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many photos the backbone was asked for (apart from the single blank one that a new model is tried with)."""
    calls: list[int] = []
    features = ImageModel.features

    def counting(self: ImageModel, x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x) if len(x) > 1 else 0)
        return features(self, x)

    monkeypatch.setattr(ImageModel, "features", counting)
    return calls


def test_a_probe_learns_and_the_predictor_loads_it(dataset: Dataset, probe: Recipe, tmp_path: Path) -> None:
    checkpoint = fit(dataset, probe, tmp_path / "out", cache=tmp_path / "features")
    assert checkpoint.accuracy["within_25_km"] >= 0.75
    predictor = Predictor.load(tmp_path / "out")
    table = dataset.table(["image", "lat", "lng"], split="val").to_pylist()
    from_photos = [predictor.locate(row["image"]["bytes"]).best for row in table]
    near = [abs(best.lat - row["lat"]) < 1 for best, row in zip(from_photos, table, strict=True)]
    assert sum(near) / len(near) == pytest.approx(checkpoint.accuracy["within_25_km"])  # pixels give what features gave


def test_a_checkpoint_names_no_folder_of_the_machine(dataset: Dataset, probe: Recipe, tmp_path: Path) -> None:
    short = dataclasses.replace(probe, epochs=1)
    fit(dataset, short, tmp_path / "out", cache=tmp_path / "features")
    for file in ("config.json", "README.md", "training.csv"):
        assert str(tmp_path) not in (tmp_path / "out" / file).read_text()
    assert json.loads((tmp_path / "out" / "config.json").read_text())["recipe"]["weights"] == "backbone.safetensors"
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "backbone.safetensors"
    save_file(load_file(probe.weights or "") | {"more": torch.zeros(1)}, other)
    with pytest.raises(TrainingError, match="another file of weights"):
        fit(dataset, dataclasses.replace(short, weights=str(other)), tmp_path / "out", resume=True)


def test_the_backbone_is_asked_once(dataset: Dataset, probe: Recipe, tmp_path: Path, count_calls: list[int]) -> None:
    cache = tmp_path / "features"
    fit(dataset, probe, tmp_path / "a", cache=cache)
    assert sum(count_calls) == 52  # 40 to train on and 12 to validate with
    fit(dataset, dataclasses.replace(probe, seed=1, max_photos=20, smoothing_km=100.0), tmp_path / "b", cache=cache)
    assert sum(count_calls) == 52
    fit(dataset, dataclasses.replace(probe, mean=(0.4, 0.5, 0.5)), tmp_path / "c", cache=cache)
    assert sum(count_calls) == 104 and len(list(cache.iterdir())) == 2


def test_they_lie_beside_the_dataset(dataset: Dataset, probe: Recipe, tmp_path: Path) -> None:
    fit(dataset, dataclasses.replace(probe, epochs=1), tmp_path / "out")
    files = [path.name for path in default_folder(dataset).rglob("*.safetensors")]
    assert sorted(files) == ["train-00000.safetensors", "val-00000.safetensors"]
    shutil.rmtree(default_folder(dataset))


def test_broken_photos_and_broken_files_are_named(
    make_dataset: Any, probe: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    extra = (("train", b"no photo", 48.8, 2.3), ("val", b"no photo", 48.8, 2.3))
    damaged = make_dataset(tmp_path / "dataset", extra=extra)
    checkpoint = fit(damaged, dataclasses.replace(probe, epochs=1), tmp_path / "out", cache=tmp_path / "features")
    assert checkpoint.accuracy["photos"] == 13 and len(checkpoint.training["undecodable"]) == 1
    assert checkpoint.training["undecodable"][0] in caplog.text


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def _rewrite(file: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    save_file(change(load_file(file)), file)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": lambda file: file.write_bytes(b"cut"),
    "empty": lambda file: file.write_bytes(b""),
    "a flipped byte": _flip,
    "another key": lambda file: _rewrite(file, lambda part: {"elsewhere": part["features"]}),
    "a key more": lambda file: _rewrite(file, lambda part: part | {"more": torch.zeros(1)}),
    "a row less": lambda file: _rewrite(file, lambda part: part | {"features": part["features"][1:].contiguous()}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_features_are_computed_again(
    dataset: Dataset,
    probe: Recipe,
    tmp_path: Path,
    damage: str,
    count_calls: list[int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    probe, cache = dataclasses.replace(probe, epochs=1), tmp_path / "features"
    fit(dataset, probe, tmp_path / "a", cache=cache)
    file = next(cache.rglob("val-*.safetensors"))
    before, asked = {name: each.clone() for name, each in load_file(file).items()}, sum(count_calls)
    DAMAGE[damage](file)
    fit(dataset, probe, tmp_path / "b", cache=cache)
    after = load_file(file)
    assert sum(count_calls) == asked + 12 and "val-00000.safetensors is damaged" in caplog.text
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)


def test_a_random_backbone_is_not_frozen(dataset: Dataset, probe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="needs weights"):
        fit(dataset, dataclasses.replace(probe, weights=None), tmp_path / "out", cache=tmp_path / "features")


def test_a_probe_in_closed_form(dataset: Dataset, probe: Recipe, tmp_path: Path) -> None:
    closed = dataclasses.replace(probe, optimizer="lda", ema_decay=None)
    checkpoint = fit(dataset, closed, tmp_path / "lda", cache=tmp_path / "features")
    assert checkpoint.accuracy["within_25_km"] >= 0.75 and checkpoint.accuracy["epoch"] == 1
    other = dataclasses.replace(closed, learning_rate=1.0, epochs=3, seed=8)  # neither steps nor a seed matter
    again = fit(dataset, other, tmp_path / "again", cache=tmp_path / "features")
    for name, values in checkpoint.model.head.state_dict().items():
        torch.testing.assert_close(again.model.head.state_dict()[name], values, rtol=0, atol=0)


def test_a_probe_starts_from_another_checkpoint(
    dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path, count_calls: list[int]
) -> None:
    before = fit(dataset, dataclasses.replace(tiny_recipe, mean=(0.4, 0.5, 0.5)), tmp_path / "before")
    recipe = dataclasses.replace(
        tiny_recipe, backbone="resnet18", image_size=64, weights="hub", init=str(tmp_path / "before"), frozen=True,
        feature_norm=True, learning_rate=0.05, epochs=20, crop=0.0, ema_decay=None,
    )  # fmt: skip
    probe = fit(dataset, recipe, tmp_path / "probe", cache=tmp_path / "features")
    assert probe.image.backbone == "test_resnet" and probe.image.image_size == 32 and probe.image.mean[0] == 0.4
    ours, theirs = probe.model.backbone.state_dict(), before.model.backbone.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert probe.accuracy["within_25_km"] >= 0.75 and probe.recipe["init"] == "before"
    assert "the backbone of before, and left frozen" in (tmp_path / "probe" / "README.md").read_text()
    assert fit(dataset, recipe, tmp_path / "probe", resume=True).accuracy == probe.accuracy
    with pytest.raises(CheckpointError, match="nowhere"):
        fit(dataset, dataclasses.replace(recipe, init=str(tmp_path / "nowhere")), tmp_path / "other")
