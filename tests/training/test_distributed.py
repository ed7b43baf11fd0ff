"""Two processes on the CPU do what one does with batches twice as large."""

import csv
import dataclasses
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from openplanet.photos.dataset import Dataset
from openplanet.training.distributed import Ranks
from openplanet.training.fit import fit
from openplanet.training.recipe.recipe import Recipe

SCRIPT = Path(__file__).with_name("killed_run.py")


def torchrun(dataset: Dataset, recipe: Recipe, out: Path) -> None:
    file = out.with_name(f"{out.name}.recipe")
    file.write_bytes(pickle.dumps(recipe))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port", port]
    command = [*start, str(SCRIPT), str(dataset.path), str(file), str(out), "-1", "memory"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1100, check=False)
    assert result.returncode == 0, result.stderr[-3000:]


def test_two_processes_are_one_with_the_double_batch(dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path) -> None:
    # layer norm, not batch norm; nothing random, for each process draws its own; 40 photos are 2 x 2 x 10
    recipe = dataclasses.replace(
        tiny_recipe, backbone="test_convnext", crop=0.0, jitter=0.0, epochs=2, batch_size=10, learning_rate=1e-3
    )
    torchrun(dataset, recipe, tmp_path / "two")
    fit(dataset, dataclasses.replace(recipe, batch_size=20), tmp_path / "one")
    curves = [list(csv.DictReader((tmp_path / n / "training.csv").read_text().splitlines())) for n in ("two", "one")]
    assert len(curves[0]) == len(curves[1]) == 2
    for ours, theirs in zip(*curves, strict=True):
        assert float(ours["val_loss"]) == pytest.approx(float(theirs["val_loss"]), rel=1e-4)
        assert ours["val_within_25_km"] == theirs["val_within_25_km"] and ours["val_photos"] == "12"
    two, one = (load_file(tmp_path / name / "model.safetensors") for name in ("two", "one"))
    for name in one:  # AdamW divides by the gradient's size: where that is near nothing, rounding is all there is
        torch.testing.assert_close(two[name], one[name], rtol=0.0, atol=2e-3)


def test_ranks_come_from_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert Ranks.from_environment() == Ranks(0, 1, 1) and Ranks().first
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "5")
    assert Ranks.from_environment() == Ranks(5, 8, 4) and not Ranks.from_environment().first
