"""TensorBoard is optional; where it is, its events hold the same figures as training.csv."""

import csv
import dataclasses
import importlib
from pathlib import Path

import pytest

from openplanet.errors import InputError
from openplanet.photos.dataset import Dataset
from openplanet.training import tensorboard
from openplanet.training.fit import fit
from openplanet.training.recipe.recipe import Recipe
from openplanet.training.tensorboard import TensorBoardCurves


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(InputError, match=r"pip install 'openplanet\[tensorboard\]'"):
        TensorBoardCurves(tmp_path)


def test_events_hold_what_training_csv_says(
    dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setattr(tensorboard, "STEPS_BETWEEN_POINTS", 2)
    fit(dataset, dataclasses.replace(tiny_recipe, epochs=2, tensorboard=True), tmp_path / "out")
    found = events.EventAccumulator(str(tmp_path / "out" / "tensorboard"))
    found.Reload()
    rows = list(csv.DictReader((tmp_path / "out" / "training.csv").read_text().splitlines()))
    for name, column in (("val/loss", "val_loss"), ("train/loss_of_epoch", "train_loss")):
        read = [(event.step, event.value) for event in found.Scalars(name)]
        assert read == [(int(row["epoch"]), pytest.approx(float(row[column]), rel=1e-5)) for row in rows]
    assert [event.step for event in found.Scalars("train/learning_rate")] == [2, 4, 6]  # 3 steps an epoch
