"""Checkpoint folders: what is written is read back, and whatever is wrong is refused with the file's name."""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from openplanet.earth.partition.adaptive import Thresholds, build, build_many
from openplanet.errors import CheckpointError
from openplanet.models.calibration import Calibration
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.heads.levels import ancestors
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.storage import read_json, sha256_of, write_json

IMAGE = ImageConfig("test_resnet", 32, mean=(0.4, 0.5, 0.6), backbone_args={"drop_rate": 0.1})
ACCURACY = {"epoch": 3, "photos": 10, "loss": 1.5, "within_25_km": 0.25, "within_750_km": 0.5}


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    partition = build(iter([(rng.uniform(-60, 60, 200), rng.uniform(-180, 180, 200))]), 40, 2)
    model = ImageModel(IMAGE, len(partition)).eval()
    return Checkpoint(model, partition, {"name": "tiny", "epochs": 3}, IMAGE, ACCURACY, {"photos": 200})


@pytest.fixture(scope="module")
def written(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "good"
    checkpoint.save(folder)
    return folder


def test_what_is_saved_is_loaded(checkpoint: Checkpoint, written: Path) -> None:
    loaded = Checkpoint.load(written)
    x = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert not loaded.model.training
    torch.testing.assert_close(loaded.model(x), checkpoint.model(x))
    assert loaded.image == IMAGE and loaded.accuracy == ACCURACY and loaded.recipe == checkpoint.recipe
    assert (loaded.partition.cell_id == checkpoint.partition.cell_id).all()
    assert loaded.training == {"photos": 200} and loaded.version == checkpoint.version


def test_the_temperature_comes_back_and_is_in_the_card(checkpoint: Checkpoint, tmp_path: Path) -> None:
    fitted = Calibration(1.75, 1200, 2.5, 2.25)
    dataclasses.replace(checkpoint, calibration=fitted).save(tmp_path)
    assert Checkpoint.load(tmp_path).calibration == fitted
    assert "temperature 1.750, fitted on 1,200 validation photos" in (tmp_path / "README.md").read_text()


def test_a_checkpoint_from_before_temperatures_is_at_one(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(written, folder)
    config = read_json(folder / "config.json")
    config.pop("calibration")
    write_json(folder / "config.json", config)
    assert Checkpoint.load(folder).calibration == Calibration()


def test_a_checkpoint_from_before_country_codes_is_loaded(
    checkpoint: Checkpoint, written: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(written, folder)
    pq.write_table(
        pq.read_table(folder / "partition.parquet").drop_columns(["country_code"]), folder / "partition.parquet"
    )
    _rehash(folder)
    assert Checkpoint.load(folder).partition.country_code == checkpoint.partition.country_code


def test_levels_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    photos = (rng.uniform(-60, 60, 300), rng.uniform(-180, 180, 300))
    *coarser, finest = build_many([photos], [Thresholds(200, 2), Thresholds(60, 2), Thresholds(15, 2)], nested=True)
    model = ImageModel(IMAGE, len(finest), ancestors(coarser, finest)).eval()
    Checkpoint(model, finest, {}, IMAGE, {}, coarser=tuple(coarser)).save(tmp_path)
    loaded = Checkpoint.load(tmp_path)
    assert [len(p) for p in loaded.coarser] == [len(p) for p in coarser]
    x = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(loaded.model(x), model(x))
    (tmp_path / "level-1.parquet").unlink()
    with pytest.raises(CheckpointError, match=r"level-1\.parquet"):
        Checkpoint.load(tmp_path)


def test_the_folder_holds_no_pickle_and_a_model_card(written: Path) -> None:
    names = {path.name for path in written.iterdir()}
    assert names == {"model.safetensors", "config.json", "partition.parquet", "README.md"}
    card = (written / "README.md").read_text()
    for needed in ("25.0 %", "test_resnet", "Responsible use", "Licences"):
        assert needed in card


def _edit_config(folder: Path, **changes: Any) -> None:
    write_json(folder / "config.json", {**read_json(folder / "config.json"), **changes})


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _rehash(folder: Path) -> None:
    names = ("model.safetensors", "partition.parquet")
    _edit_config(folder, sha256={name: sha256_of(folder / name) for name in names})


def _cut_weights_and_hide_it(folder: Path) -> None:
    _truncate(folder / "model.safetensors")
    _rehash(folder)


def _without_a_tensor(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state.pop("head.bias")
    save_file(state, folder / "model.safetensors")
    _rehash(folder)


def _other_image(folder: Path, **changes: Any) -> None:
    _edit_config(folder, image=dataclasses.asdict(IMAGE) | changes)


def _bare_config(folder: Path) -> None:
    write_json(folder / "config.json", {"format": "openplanet-checkpoint", "format_version": 1})


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json"),
    "config cut": (lambda f: _truncate(f / "config.json"), "config.json"),
    "other format": (lambda f: _edit_config(f, format="something"), "config.json"),
    "newer format": (lambda f: _edit_config(f, format_version=99), "config.json"),
    "config lacks a key": (_bare_config, "config.json"),
    "image config lacks a key": (lambda f: _edit_config(f, image={"backbone": "test_resnet"}), "config.json"),
    "temperature of 0": (lambda f: _edit_config(f, calibration={"temperature": 0}), "config.json"),
    "temperature of letters": (lambda f: _edit_config(f, calibration={"temperature": "warm"}), "config.json"),
    "other calibration": (lambda f: _edit_config(f, calibration={"bias": 1.0}), "config.json"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors"),
    "weights cut": (lambda f: _truncate(f / "model.safetensors"), "model.safetensors"),
    "weights cut, hash right": (_cut_weights_and_hide_it, "model.safetensors"),
    "a tensor gone": (_without_a_tensor, "model.safetensors"),
    "no partition": (lambda f: (f / "partition.parquet").unlink(), "partition.parquet"),
    "partition cut": (lambda f: _truncate(f / "partition.parquet"), "partition.parquet"),
    "other number of cells": (lambda f: _edit_config(f, cells=3), "partition.parquet"),
    "other backbone": (lambda f: _other_image(f, backbone="test_efficientnet", backbone_args={}), "model.safetensors"),
    "other width": (lambda f: _other_image(f, embedding_dim=5), "model.safetensors"),
    "no folder": (shutil.rmtree, "folder"),
    "hashes are a list": (lambda f: _edit_config(f, sha256=[]), r"config\.json.*sha256 cannot be \[\]"),
    "accuracy is null": (lambda f: _edit_config(f, accuracy=None), r"config\.json.*accuracy cannot be None"),
    "cells are text": (lambda f: _edit_config(f, cells="x"), r"config\.json.*cells cannot be 'x'"),
    "levels are a number": (lambda f: _edit_config(f, coarser=3), r"config\.json.*coarser cannot be 3"),
    "a size of text": (lambda f: _other_image(f, image_size="big"), "image_size must be a whole number, not 'big'"),
    "a size below zero": (lambda f: _other_image(f, image_size=-1), "image_size must be at least 1, not -1"),
    "a colour too few": (lambda f: _other_image(f, mean=(0.5, 0.5)), r"config\.json.*mean must be 3 numbers"),
    "no such head": (lambda f: _other_image(f, head="hydra"), "head must be one of softmax.*, not 'hydra'"),
    "no such backbone": (lambda f: _other_image(f, backbone="nope"), r"config\.json.*no backbone 'nope'"),
    "a backbone of nothing": (lambda f: _other_image(f, backbone=""), r"config\.json.*backbone must be.*, not ''"),
    "odd arguments": (lambda f: _other_image(f, backbone_args={"wings": 2}), r"config\.json.*'wings' is not allowed"),
    "overlaid without levels": (lambda f: _edit_config(f, overlaid=True), r"config\.json.*has one class"),
    "config nested deeply": (lambda f: (f / "config.json").write_text("[" * 200_000), r"config\.json.*JSON"),
    "part of config nested deeply": (
        lambda f: (f / "config.json").write_text('{"a":' * 3000 + "1" + "}" * 3000), r"config\.json.*nested"),
}  # fmt: skip


class _Payload:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


HOSTILE: dict[str, dict[str, Any]] = {
    "checkpoint_path": {"backbone_args": {"checkpoint_path": "PICKLE"}},
    "pretrained": {"backbone_args": {"pretrained": True}},
    "pretrained_cfg": {"backbone_args": {"pretrained": True, "pretrained_cfg": {"file": "PICKLE"}}},
    "pretrained_cfg alone": {"backbone_args": {"pretrained_cfg": {"file": "PICKLE"}}},
    "pretrained_cfg_overlay": {"backbone_args": {"pretrained_cfg_overlay": {"file": "PICKLE"}}},
    "pretrained_strict": {"backbone_args": {"pretrained_strict": False}},
    "file": {"backbone_args": {"file": "PICKLE"}},
    "cache_dir": {"backbone_args": {"cache_dir": "PICKLE"}},
    "num_classes": {"backbone_args": {"num_classes": 10**9}},
    "in_chans": {"backbone_args": {"in_chans": 10**9}},
    "scriptable": {"backbone_args": {"scriptable": True}},
    "a layer by its class": {"backbone_args": {"norm_layer": "torch.nn.Module"}},
    "a pool by its name": {"backbone_args": {"global_pool": "../x"}},
    "many layers": {"backbone_args": {"layers": [10**6] * 4}},
    "many stages": {"backbone_args": {"layers": [2] * 1000}},
    "wide layers": {"backbone_args": {"channels": [10**6] * 4}},
    "layers within limits, together too large": {"backbone_args": {"layers": [100] * 4, "channels": [8192] * 4}},
    "layers of no number": {"backbone_args": {"layers": [True, 1, 1, 1]}},
    "a rate of NaN": {"backbone_args": {"drop_rate": float("nan")}},
    "a rate of true": {"backbone_args": {"drop_rate": True}},
    "from the Hub": {"backbone": "hf-hub:evil/resnet18"},
    "from the Hub, by its old name": {"backbone": "hf_hub:evil/resnet18"},
    "from a folder": {"backbone": "local-dir:PICKLE"},
    "from a folder, by a tag": {"backbone": "test_resnet.local-dir:PICKLE"},
    "a path": {"backbone": "./test_resnet"},
    "a wide embedding": {"embedding_dim": 10**9},
    "an embedding that the weights do not hold": {"embedding_dim": 16_000, "backbone": "convnext_xxlarge"},
    "large photos": {"image_size": 4096},
}  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_strangers_configuration_is_refused_before_anything_is_built(
    name: str, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, ran = tmp_path / "copy", tmp_path / "ran"
    shutil.copytree(written, folder)
    torch.save({"state_dict": _Payload(ran)}, folder / "weights.pth")
    text = json.dumps(HOSTILE[name]).replace("PICKLE", str(folder / "weights.pth"))
    config = read_json(folder / "config.json")
    (folder / "config.json").write_text(json.dumps(config | {"image": config["image"] | json.loads(text)}))
    monkeypatch.setattr("torch.load", lambda *_, **__: pytest.fail("a pickle was opened"))
    with pytest.raises(CheckpointError, match=r"config\.json") as caught:
        Checkpoint.load(folder)
    assert not ran.exists() and "\n" not in str(caught.value) and len(str(caught.value)) < 1500


def test_the_payload_would_run(tmp_path: Path) -> None:
    torch.save({"state_dict": _Payload(tmp_path / "ran")}, tmp_path / "weights.pth")
    torch.load(tmp_path / "weights.pth", weights_only=False)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused_by_name(name: str, written: Path, tmp_path: Path) -> None:
    damage, named = DAMAGE[name]
    folder = tmp_path / "copy"
    shutil.copytree(written, folder)
    damage(folder)
    with pytest.raises(CheckpointError, match=named) as caught:
        Checkpoint.load(folder)
    assert str(folder) in str(caught.value)


def test_only_a_training_that_was_stopped_can_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="whole") as caught:
        Checkpoint.load(tmp_path)
    assert "--resume" not in str(caught.value)
    (tmp_path / "resume").mkdir()
    with pytest.raises(CheckpointError, match="--resume"):
        Checkpoint.load(tmp_path)


def test_files_have_the_rights_that_the_user_wants(checkpoint: Checkpoint, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        checkpoint.save(tmp_path)
    finally:
        os.umask(before)
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {oct(0o640)}


def test_a_save_that_is_cut_leaves_no_checkpoint(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path)

    def full(path: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(type(checkpoint.partition), "save", lambda self, path: full(path))
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(tmp_path)
    with pytest.raises(CheckpointError, match="not a finished checkpoint"):
        Checkpoint.load(tmp_path)
