"""Two processes on the CPU do what one does with batches twice as large, or with two batches a step."""

import csv
import dataclasses
import json
import os
import pickle
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import killed_run
import pytest
import torch
from safetensors.torch import load_file

from openplanet.errors import TrainingError
from openplanet.photos.dataset import Dataset
from openplanet.training.distributed import Ranks
from openplanet.training.fit import fit
from openplanet.training.image_module import TrainingModule
from openplanet.training.photos import data
from openplanet.training.recipe.recipe import Recipe
from openplanet.training.run import started_with

SCRIPT = Path(__file__).with_name("killed_run.py")


def torchrun(dataset: Dataset, recipe: Recipe, out: Path, die_at: int = -1, *more: str) -> int:
    """Returns the exit status; where nobody is to die it has to be 0."""
    file = out.with_name(f"{out.name}.recipe")
    file.write_bytes(pickle.dumps(recipe))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port", port]
    command = [*start, str(SCRIPT), str(dataset.path), str(file), str(out), str(die_at), *(more or ["memory"])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1100, check=False)
    assert die_at >= 0 or result.returncode == 0, result.stderr[-3000:]
    return result.returncode


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


def test_a_run_of_two_processes_goes_on_in_one_with_the_same_photos(
    dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    """40 photos: 4 steps an epoch of 2 batches of 5; killed in the second epoch, after its step 2 was saved."""
    recipe = dataclasses.replace(
        tiny_recipe, backbone="test_convnext", epochs=2, batch_size=5, save_every=2, learning_rate=1e-3,
        shuffle_buffer=8,
    )  # fmt: skip
    logs = [tmp_path / f"{name}.log" for name in ("two", "one", "whole")]
    assert torchrun(dataset, recipe, tmp_path / "run", 4 + 3, "stream", str(logs[0])) != 0
    request.addfinalizer(partial(torch.set_num_threads, torch.get_num_threads()))
    (tmp_path / "whole.recipe").write_bytes(pickle.dumps(dataclasses.replace(recipe, accumulate=2, shuffle_buffer=16)))
    for name, log in (("run", logs[1]), ("whole", logs[2])):
        arguments = [dataset.path, tmp_path / f"{name}.recipe", tmp_path / name, -1, "stream", log]
        with monkeypatch.context() as patch:
            patch.setattr(TrainingModule, "training_step", TrainingModule.training_step)  # which the script changes
            patch.setattr(data, "CACHE_BYTES", data.CACHE_BYTES)
            patch.setattr(sys, "argv", ["killed_run.py", *map(str, arguments)])
            killed_run.main()
    two, one, uninterrupted = ([*map(str.split, log.read_text().splitlines())] for log in logs)
    assert sorted({int(number) for epoch, number, *_ in one if epoch == "1"}) == [4, 5, 6, 7], "from step 2 on"
    kept = [line for line in two if (int(line[0]), int(line[1])) < (1, 4)]
    assert sorted(kept + one) == sorted(uninterrupted) and len(uninterrupted) == 16
    assert sorted(line for line in two if line not in kept) == sorted(one[:2]), "the step that was lost, again"
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("run", "whole"))
    for name in theirs:  # halves are exact: of two shares the mean is the same bits, of more the order of sums tells
        torch.testing.assert_close(ours[name], theirs[name], rtol=0.0, atol=1e-6)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["training"]["run"]["processes"] == 2


def test_processes_that_cannot_divide_the_steps_are_told(tiny_recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "resume").mkdir()
    (tmp_path / "resume" / "last.ckpt").touch()
    (tmp_path / "resume" / "run.json").write_text('{"processes": 2}')
    recipe = dataclasses.replace(tiny_recipe, accumulate=3)
    assert [started_with(tmp_path, recipe, Ranks(0, world)) for world in (1, 2, 3, 6)] == [2] * 4
    with pytest.raises(TrainingError, match=r"6 batches, which 4 processes cannot divide .* use 1, 2, 3, 6 processes"):
        started_with(tmp_path, recipe, Ranks(0, 4))
    assert started_with(tmp_path / "new", recipe, Ranks(0, 4)) == 4


def test_steps_of_more_batches_than_photos_are_refused(dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="40 photos to train on are too few for steps of 21 batches"):
        fit(dataset, dataclasses.replace(tiny_recipe, accumulate=21), tmp_path / "out")


def test_ranks_come_from_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert Ranks.from_environment() == Ranks(0, 1, 1) and Ranks().first
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "5")
    assert Ranks.from_environment() == Ranks(5, 8, 4) and not Ranks.from_environment().first
