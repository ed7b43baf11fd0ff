"""Killed in the middle of an epoch, training goes on with the photos that come next, to the same weights."""

import dataclasses
import io
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from openplanet.errors import TrainingError
from openplanet.photos.dataset import Dataset
from openplanet.training.fit import fit
from openplanet.training.photos import data
from openplanet.training.recipe.recipe import Recipe

SCRIPT = Path(__file__).with_name("killed_run.py")


def run(dataset: Dataset, recipe: Recipe, out: Path, die_at: int) -> int:
    file = out.with_name(f"{out.name}.recipe")
    file.write_bytes(pickle.dumps(recipe))
    command = [sys.executable, str(SCRIPT), str(dataset.path), str(file), str(out), str(die_at), "stream"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, timeout=1100, check=False).returncode


def test_kill_9_in_the_middle_of_an_epoch(
    dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 40 photos in batches of 4: 10 batches and 5 steps an epoch; state after every 2 steps, that is 4 batches
    recipe = dataclasses.replace(
        tiny_recipe, epochs=2, batch_size=4, accumulate=2, save_every=2, backbone_args={"drop_rate": 0.3},
        shuffle_buffer=16, workers=1,
    )  # fmt: skip
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    assert run(dataset, recipe, stopped, 16) == -signal.SIGKILL
    state = torch.load(stopped / "resume" / "last.ckpt", weights_only=True)
    # in its second epoch, after 4 of 10 batches
    assert state["epoch"] == 1 and state["loops"]["fit_loop"]["state_dict"]["combined_loader"][0]["batches"] == 4
    monkeypatch.setattr(data, "CACHE_BYTES", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    fit(dataset, recipe, stopped, resume=True)
    fit(dataset, dataclasses.replace(recipe, workers=0, save_every=100), whole)
    torch.set_num_threads(before)
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (stopped, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    curves = [
        [line.rsplit(",", 1)[0] for line in (folder / "training.csv").read_text().splitlines()]  # without seconds
        for folder in (stopped, whole)
    ]
    assert curves[0] == curves[1]
    assert not (stopped / "resume").exists()


class _Payload:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_a_damaged_state_is_one_line_and_runs_no_code(dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path) -> None:
    recipe, out = dataclasses.replace(tiny_recipe, epochs=2, batch_size=8, save_every=1), tmp_path / "out"
    assert run(dataset, recipe, out, 7) == -signal.SIGKILL
    file = out / "resume" / "last.ckpt"
    whole = file.read_bytes()
    state = torch.load(file, weights_only=True)
    flipped = bytearray(whole)
    flipped[len(flipped) // 2 : len(flipped) // 2 + 200] = bytes(200)
    payload = io.BytesIO()
    torch.save(state | {"more": _Payload(tmp_path / "ran")}, payload)
    for damaged in (b"", b"no state", whole[:1000], bytes(flipped), payload.getvalue()):
        file.write_bytes(damaged)
        with pytest.raises(TrainingError, match=r"last\.ckpt is damaged") as caught:
            fit(dataset, recipe, out, resume=True)
        assert "\n" not in str(caught.value)
    first = next(iter(state["state_dict"]))
    changes: list[dict[str, Any]] = [
        {"state_dict": {}}, {"state_dict": state["state_dict"] | {first: torch.zeros(3, 3)}}, {"loops": []},
        {"optimizer_states": "x"},
    ]  # fmt: skip
    for change in changes:
        torch.save(state | change, file)
        with pytest.raises(TrainingError, match=r"last\.ckpt is damaged"):
            fit(dataset, recipe, out, resume=True)
    torch.save([1, 2], file)
    with pytest.raises(TrainingError, match=r"last\.ckpt is damaged"):
        fit(dataset, recipe, out, resume=True)
    assert not (tmp_path / "ran").exists()
    file.write_bytes(whole)
    assert fit(dataset, recipe, out, resume=True).accuracy["photos"] == 12
