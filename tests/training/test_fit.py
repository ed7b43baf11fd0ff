"""The whole of training, on a tiny backbone and a few dozen photos."""

import csv
import dataclasses
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from openplanet.earth.partition.adaptive import build
from openplanet.errors import DatasetError, InputError, RecipeError, TrainingError
from openplanet.inference.predictor import Predictor
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.heads.head import Head
from openplanet.models.preprocess import pixels
from openplanet.photos.dataset import Dataset
from openplanet.photos.files import images
from openplanet.photos.ingest import split
from openplanet.storage import read_json, write_json
from openplanet.training.fit import fit
from openplanet.training.image_module import TrainingModule
from openplanet.training.photos import data
from openplanet.training.recipe.recipe import Recipe


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order, so that weights can be compared bit for bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_ctrl_c_stays_one_and_says_how_to_go_on(
    dataset: Dataset,
    tiny_recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    step = TrainingModule.training_step

    def stopped(self: TrainingModule, batch: dict[str, Any], batch_index: int) -> Any:
        if self.current_epoch == 1:
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, batch_index)

    monkeypatch.setattr(TrainingModule, "training_step", stopped)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background start with it ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(dataset, tiny_recipe, tmp_path / "out")
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert "--resume goes on" in caplog.text


@pytest.fixture
def stop_in_epoch_3(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Training dies in the middle of its third epoch; call what this gives to let it live again."""
    step = TrainingModule.training_step

    def dying(self: TrainingModule, batch: dict[str, Any], batch_index: int) -> Any:
        if self.current_epoch == 2 and batch_index == 1:
            raise KeyError("killed")
        return step(self, batch, batch_index)

    monkeypatch.setattr(TrainingModule, "training_step", dying)
    return lambda: monkeypatch.setattr(TrainingModule, "training_step", step)


def _curves(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "training.csv").read_text().splitlines()))


def test_it_learns_and_leaves_only_the_checkpoint(dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path) -> None:
    recipe = dataclasses.replace(tiny_recipe, epochs=12, learning_rate=0.01)
    checkpoint = fit(dataset, recipe, tmp_path / "out")
    assert checkpoint.accuracy["within_25_km"] >= 0.75  # four places, four colours; by chance 0.25
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names - {"last"} == {"model.safetensors", "config.json", "partition.parquet", "README.md", "training.csv"}
    rows = _curves(tmp_path / "out")
    assert len(rows) == 12 and float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    kept = Checkpoint.load(tmp_path / "out").training["curves"]  # what the report draws
    assert [str(row["train_loss"]) for row in kept] == [row["train_loss"] for row in rows]
    best = min(rows, key=lambda row: float(row["val_loss"]))
    assert checkpoint.accuracy["epoch"] == int(best["epoch"])
    assert ("last" in names) == (best is not rows[-1])
    if "last" in names:
        assert Checkpoint.load(tmp_path / "out" / "last").accuracy["epoch"] == 12


def test_the_accuracy_is_that_of_the_saved_weights(dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path) -> None:
    recipe = dataclasses.replace(tiny_recipe, epochs=8, learning_rate=0.01, ema_decay=0.5)
    fit(dataset, recipe, tmp_path / "out")
    loaded = Checkpoint.load(tmp_path / "out")
    table = dataset.table(["image", "lat", "lng"], split="val")
    batch = torch.from_numpy(
        np.stack([pixels(images.load(row["bytes"]), 32) for row in table.column("image").to_pylist()])
    )
    with torch.inference_mode():
        log_probs = torch.log_softmax(loaded.model(batch), dim=1)
    cell = torch.from_numpy(loaded.partition.assign(table.column("lat").to_numpy(), table.column("lng").to_numpy()))
    loss = torch.nn.functional.nll_loss(log_probs, cell)
    assert float(loss) == pytest.approx(loaded.accuracy["loss"], rel=1e-4)


def test_same_seed_same_weights(dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path) -> None:
    recipe = dataclasses.replace(tiny_recipe, epochs=2)
    weights = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(len(name) + seed + 77)  # what ran before must not matter
        fit(dataset, dataclasses.replace(recipe, seed=seed), tmp_path / name)
        weights.append(load_file(tmp_path / name / "model.safetensors"))
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    assert not torch.equal(weights[0]["head.weight"], weights[2]["head.weight"])


@pytest.mark.parametrize("optimizer", ["adamw", "adagrad"])
def test_resumed_weights_equal_uninterrupted_ones(
    dataset: Dataset,
    tiny_recipe: Recipe,
    tmp_path: Path,
    stop_in_epoch_3: Callable[[], None],
    optimizer: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    recipe = dataclasses.replace(tiny_recipe, optimizer=optimizer, backbone_args={"drop_rate": 0.3})  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="killed"):
        fit(dataset, recipe, tmp_path / "stopped")
    assert (tmp_path / "stopped" / "resume" / "last.ckpt").is_file()
    stop_in_epoch_3()
    with pytest.raises(TrainingError, match="--resume"):
        fit(dataset, recipe, tmp_path / "stopped")
    with pytest.raises(RecipeError, match="learning_rate"):
        fit(dataset, dataclasses.replace(recipe, learning_rate=1.0), tmp_path / "stopped", resume=True)
    resumed = fit(dataset, recipe, tmp_path / "stopped", resume=True)
    assert "training: 80/80 photos" in caplog.text  # two epochs were left
    whole = fit(dataset, recipe, tmp_path / "whole")
    ours, theirs = resumed.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)
    assert resumed.accuracy == whole.accuracy
    curves = [_curves(tmp_path / name) for name in ("stopped", "whole")]
    assert [row["train_loss"] for row in curves[0]] == [row["train_loss"] for row in curves[1]]
    assert not (tmp_path / "stopped" / "resume").exists()


def test_a_finished_checkpoint_is_not_overwritten(dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path) -> None:
    recipe = dataclasses.replace(tiny_recipe, epochs=2)
    first = fit(dataset, recipe, tmp_path / "out")
    with pytest.raises(TrainingError, match="already holds a finished checkpoint"):
        fit(dataset, recipe, tmp_path / "out")
    again = fit(dataset, recipe, tmp_path / "out", resume=True)
    assert again.accuracy == first.accuracy
    with pytest.raises(RecipeError, match="seed"):
        fit(dataset, dataclasses.replace(recipe, seed=5), tmp_path / "out", resume=True)
    config = read_json(tmp_path / "out" / "config.json")
    config["recipe"].pop("levels")  # as an openplanet wrote it that knew of none
    config["recipe"]["overlay"] = []  # and of a field that is no more
    write_json(tmp_path / "out" / "config.json", config)
    assert fit(dataset, recipe, tmp_path / "out", resume=True).accuracy == first.accuracy
    with pytest.raises(RecipeError, match="another levels"):
        fit(dataset, dataclasses.replace(recipe, levels=((500, 3),)), tmp_path / "out", resume=True)


def test_without_validation_photos_the_last_epoch_is_kept(
    make_dataset: Any,
    tiny_recipe: Recipe,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    small = make_dataset(tmp_path / "dataset", val=0)
    checkpoint = fit(small, dataclasses.replace(tiny_recipe, epochs=2), tmp_path / "out")
    assert checkpoint.accuracy["epoch"] == 2 and checkpoint.accuracy["within_25_km"] is None
    assert "the last one is kept" in caplog.text
    assert capfd.readouterr() == ("", "")  # only commands print
    assert "not measured" in (tmp_path / "out" / "README.md").read_text()


def test_a_choice_that_rests_on_few_photos_says_so(
    dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos, albums = dataset.held_out("val")
    assert 0 < photos < 100
    fit(dataset, tiny_recipe, tmp_path / "m")
    few = split.too_few(photos, albums)
    assert few.startswith(f"{photos} photo") and f"val has {few}" in caplog.text
    assert f"They are {few}" in (tmp_path / "m" / "README.md").read_text()
    assert split.too_few(99, 50) and split.too_few(1000, 4) and not split.too_few(100, 5)


def test_photos_in_no_cell_and_broken_ones_are_counted_and_named(
    make_dataset: Any, tiny_recipe: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    extra = (("train", b"no photo", 48.8, 2.3), ("train", b"no photo", 10.0, 10.0), ("val", b"no photo", 48.8, 2.3))
    damaged = make_dataset(tmp_path / "dataset", extra=extra)
    partition = build(iter([(np.repeat([48.8, -33.9], 9), np.repeat([2.3, 151.2], 9))]), 12, 3)
    checkpoint = fit(damaged, dataclasses.replace(tiny_recipe, epochs=1), tmp_path / "out", partition)
    summary = json.loads((tmp_path / "out" / "config.json").read_text())["training"]
    assert len(summary["undecodable"]) >= 1 and summary["undecodable"][0] in caplog.text
    assert summary["photos"] + summary["in_no_cell"] + len(summary["undecodable"]) == 42
    assert checkpoint.accuracy["photos"] == 13  # the broken one counts, as wrong


def test_nothing_to_learn_from_is_said(
    make_dataset: Any, dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match="no photo with a position"):
        fit(make_dataset(tmp_path / "empty", train=0, val=0), tiny_recipe, tmp_path / "out")
    with pytest.raises(DatasetError, match=r"train split .*val 12.*--split-by album"):
        fit(make_dataset(tmp_path / "val", train=0), tiny_recipe, tmp_path / "out")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"file/config\.json cannot be written: Not a directory"):
        fit(dataset, tiny_recipe, tmp_path / "file")
    one_cell = build(iter([(np.full(20, 48.8), np.full(20, 2.3))]), 100, 1)
    with pytest.raises(TrainingError, match="1 cell"):
        fit(dataset, tiny_recipe, tmp_path / "out", one_cell)


def test_a_loss_that_is_no_number_names_photos(dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path) -> None:
    recipe = dataclasses.replace(tiny_recipe, learning_rate=1e30, warmup=0, schedule="constant")
    with pytest.raises(TrainingError, match=r"photos [0-9a-f]{12}, .*learning_rate"):
        fit(dataset, recipe, tmp_path / "out")


def test_decoding_in_workers_gives_the_same_weights(
    dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = dataclasses.replace(tiny_recipe, epochs=2)
    cached = fit(dataset, recipe, tmp_path / "cached").model.state_dict()
    monkeypatch.setattr(data, "CACHE_BYTES", 0)
    lazy = fit(dataset, dataclasses.replace(recipe, workers=1), tmp_path / "lazy").model.state_dict()
    assert all(torch.equal(cached[k], lazy[k]) for k in cached)


def test_levels_embeddings_weights_and_patience_in_one_run(
    dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(
        tiny_recipe, levels=((40, 3), (25, 3)), head="embeddings", class_balance=0.9, smoothing_km=500.0,
        random_ops=2, patience=1, epochs=30, learning_rate=0.03, ema_decay=None, schedule="constant",
    )  # fmt: skip
    result = fit(dataset, recipe, tmp_path / "out")
    assert len(result.coarser) == 2 and len(result.coarser[0]) < len(result.partition)
    assert len(_curves(tmp_path / "out")) == min(30, result.accuracy["epoch"] + 1)  # stopped after one worse epoch
    log_probs = Checkpoint.load(tmp_path / "out").model(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert float(log_probs.detach().exp().sum()) == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(TrainingError, match="2 levels and 1 partition"):
        fit(dataset, recipe, tmp_path / "other", result.partition)


def test_overlaid_partitions_learn_and_answer_over_the_finest(
    dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(
        tiny_recipe, max_photos=5, min_photos=2,
        head="overlaid", levels=((15, 3), (15, 3)), class_balance=0.9, smoothing_km=300.0,
        epochs=12, learning_rate=0.01,
    )  # fmt: skip
    result = fit(dataset, recipe, tmp_path / "out")
    assert len(result.coarser) == 2 and result.coarser[0].turn != result.coarser[1].turn
    assert len(result.partition) > 4 and result.accuracy["within_25_km"] >= 0.75  # four places, four colours
    loaded = Checkpoint.load(tmp_path / "out")
    with torch.inference_mode():
        log_probs = loaded.model(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert log_probs.shape == (1, len(result.partition))
    assert float(log_probs.exp().sum()) == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(TrainingError, match="2 levels and 1 partition"):
        fit(dataset, recipe, tmp_path / "other", result.partition)


def test_bfloat16_learns_and_keeps_float32_weights(dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path) -> None:
    seen = set()

    def look(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: list[torch.Tensor]) -> None:
        seen.add((module.training, output[0].dtype))

    hook = torch.nn.modules.module.register_module_forward_hook(
        lambda module, inputs, output: look(module, inputs, output) if isinstance(module, Head) else None
    )
    recipe = dataclasses.replace(tiny_recipe, precision="bfloat16", epochs=10, learning_rate=0.01)
    checkpoint = fit(dataset, recipe, tmp_path / "out")
    hook.remove()
    assert (True, torch.bfloat16) in seen  # matrix products of training
    assert {v.dtype for v in checkpoint.model.state_dict().values() if v.is_floating_point()} == {torch.float32}
    assert checkpoint.accuracy["within_25_km"] >= 0.75


def test_compiling_without_a_compiler_is_said_at_once(
    dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(TrainingError, match=r"C\+\+ compiler"):
        fit(dataset, dataclasses.replace(tiny_recipe, compile=True), tmp_path / "out")


def test_a_folder_of_other_files_is_left_alone(dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(TrainingError, match="holds other files and is not a checkpoint"):
        fit(dataset, tiny_recipe, tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("README.md", "mine")]


def test_photos_are_brought_to_the_side_of_the_dataset(
    make_dataset: Any, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = make_dataset(tmp_path / "dataset")
    small.manifest["options"] = {"side": 48}
    trained = fit(small, dataclasses.replace(tiny_recipe, epochs=1), tmp_path / "out")
    assert trained.image.decoded_side == 48
    asked = []
    load = images.load
    monkeypatch.setattr(images, "load", lambda source, short_side: asked.append(short_side) or load(source, short_side))
    Predictor.load(tmp_path / "out").locate(small.table(["image"])["image"][0]["bytes"].as_py())
    assert asked == [48]
