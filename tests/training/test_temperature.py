"""The temperature that a run ends with is that of its kept weights on its validation photos."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from openplanet.models.calibration import fit_temperature
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.preprocess import pixels
from openplanet.photos.files import images
from openplanet.training import temperature
from openplanet.training.fit import fit
from openplanet.training.photos.data import load_split
from openplanet.training.recipe.recipe import Recipe


@pytest.mark.parametrize("levels", [(), ((40, 3),)])
def test_the_checkpoint_holds_it(make_dataset: Any, tiny_recipe: Recipe, tmp_path: Path, levels: Any) -> None:
    dataset = make_dataset(tmp_path / "dataset", val=60)
    fit(dataset, dataclasses.replace(tiny_recipe, epochs=2, levels=levels), tmp_path / "out")
    loaded = Checkpoint.load(tmp_path / "out")
    table = dataset.table(["image", "lat", "lng"], split="val")
    batch = torch.from_numpy(
        np.stack([pixels(images.load(row["bytes"]), 32) for row in table.column("image").to_pylist()])
    )
    with torch.inference_mode():
        scores_NC = loaded.model(batch)
    cell_N = torch.from_numpy(loaded.partition.assign(table.column("lat").to_numpy(), table.column("lng").to_numpy()))
    expected = fit_temperature(scores_NC, cell_N)
    assert expected.temperature != 1
    assert loaded.calibration.temperature == pytest.approx(expected.temperature, rel=1e-3)
    assert loaded.calibration.loss_before == pytest.approx(loaded.accuracy["loss"], rel=1e-4)
    assert loaded.calibration.photos == 60


def test_of_very_many_photos_some_are_asked(
    make_dataset: Any, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset(tmp_path / "dataset", val=60)
    checkpoint = fit(dataset, dataclasses.replace(tiny_recipe, epochs=1), tmp_path / "out")
    val = load_split(dataset, "val", checkpoint.partition, 32, drop_in_no_cell=False)
    monkeypatch.setattr(temperature, "MOST_SCORES", 55 * len(checkpoint.partition))
    assert temperature.calibrate(checkpoint.model, checkpoint.partition, val).photos == 55


def test_photos_that_cannot_be_read_do_not_stop_it(make_dataset: Any, tiny_recipe: Recipe, tmp_path: Path) -> None:
    extra = tuple(("val", b"no photo", 48.8, 2.3) for _ in range(3))
    dataset = make_dataset(tmp_path / "dataset", val=60, extra=extra)
    checkpoint = fit(dataset, dataclasses.replace(tiny_recipe, epochs=1), tmp_path / "out")
    assert checkpoint.calibration.photos == 60
