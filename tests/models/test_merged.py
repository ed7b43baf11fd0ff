"""A checkpoint to share: no small cell, no centroid, and each merged cell's probability the sum of its classes'."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from openplanet.earth.geo import distance_km
from openplanet.earth.partition.adaptive import Thresholds
from openplanet.errors import CheckpointError
from openplanet.models.calibration import Calibration
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.heads.registry import HEADS
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.models.merged import merge
from openplanet.models.regions import Regions
from openplanet.storage import read_json, write_json

HOME = (48.137154, 11.576124)


@pytest.fixture(params=[("softmax", 0), ("softmax", 2), ("embeddings", 1), ("overlaid", 2)], ids=str)
def checkpoint(request: pytest.FixtureRequest) -> Checkpoint:
    """Of somebody who takes 600 photos at home, and some elsewhere."""
    head, levels = request.param
    rng = np.random.default_rng(3)
    lat = [HOME[0] + rng.normal(0, 7e-5, 600)]
    lng = [HOME[1] + rng.normal(0, 1e-4, 600)]
    for _ in range(30):
        count = int(rng.integers(3, 40))
        lat.append(rng.uniform(36, 58) + rng.normal(0, 0.03, count))
        lng.append(rng.uniform(-5, 25) + rng.normal(0, 0.04, count))
    *further, cells = [Thresholds(400, 3), Thresholds(200, 3), Thresholds(100, 3)][2 - levels :]
    photos = [(np.concatenate(lat), np.concatenate(lng))]
    *coarser, finest = HEADS[head].partitions(photos, further, cells, seed=0)
    image = ImageConfig("test_resnet", 32, head=head)
    torch.manual_seed(0)
    model = ImageModel(image, len(finest), HEADS[head].class_map(coarser, finest)).eval()
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.5)
    recipe = {"name": "tiny", "weights": "/home/somebody/secret/w.safetensors"}
    return Checkpoint(model, finest, recipe, image, {}, coarser=tuple(coarser), calibration=Calibration(1.7, 99))


def _probs(checkpoint: Checkpoint) -> torch.Tensor:
    x = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return checkpoint.calibration.log_probs(checkpoint.model(x)).exp()


def test_a_merged_cell_has_the_probability_of_its_cells(checkpoint: Checkpoint, tmp_path: Path) -> None:
    before_BC, old = _probs(checkpoint), checkpoint.partition
    merge(checkpoint, 25.0).save(tmp_path / "shared")
    shared = Checkpoint.load(tmp_path / "shared")
    new = shared.partition
    assert new.area_km2.min() >= 25 and 2 <= len(new) < len(old) and new.count.sum() == old.count.sum()
    cell_C = new.assign(old.lat, old.lng)  # each old cell lies in one new one
    assert (cell_C >= 0).all() and (cell_C == new.assign(old.centroid_lat, old.centroid_lng)).all()
    summed_BM = torch.zeros(3, len(new)).index_add(1, torch.from_numpy(cell_C), before_BC)
    torch.testing.assert_close(_probs(shared), summed_BM, atol=1e-6, rtol=1e-4)


def test_nothing_shared_tells_of_the_home(checkpoint: Checkpoint, tmp_path: Path) -> None:
    smallest = np.argsort(checkpoint.partition.area_km2)[:8]
    near = distance_km(*HOME, checkpoint.partition.centroid_lat[smallest], checkpoint.partition.centroid_lng[smallest])
    assert near.max() < 0.1  # what it tells unmerged
    merge(checkpoint).save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json", "model.safetensors", "partition.parquet", "README.md"
    }  # fmt: skip
    shared = Checkpoint.load(tmp_path).partition
    assert (shared.centroid_lat == shared.lat).all() and (shared.centroid_lng == shared.lng).all()
    assert distance_km(*HOME, shared.centroid_lat, shared.centroid_lng).min() > 0.3
    assert "/home/somebody" not in (tmp_path / "config.json").read_text()
    assert "Small cells were merged" in (tmp_path / "README.md").read_text()


def test_merging_twice_is_merging_once(checkpoint: Checkpoint, tmp_path: Path) -> None:
    once = merge(checkpoint, 1000.0)
    expected = _probs(once)
    merge(checkpoint, 25.0).save(tmp_path)
    torch.testing.assert_close(_probs(merge(Checkpoint.load(tmp_path), 1000.0)), expected)
    assert checkpoint.model.merged is None


def test_regions_are_of_the_cells_before_and_go(checkpoint: Checkpoint) -> None:
    fitted = dataclasses.replace(checkpoint.calibration, regions=Regions(99, {"0.68": 2.0}, {"0.9": 0.95}))
    merged = merge(dataclasses.replace(checkpoint, calibration=fitted), 25.0)
    assert not merged.calibration.regions.fitted


def test_what_cannot_be_merged_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing to share"):
        merge(checkpoint, 1e9)


@pytest.mark.parametrize(
    "change", [{"cell_of_class": [0]}, {"temperature": 0}, {"level_sizes": [10**12]}, {"ancestors": 3}]
)
def test_a_damaged_map_is_refused(checkpoint: Checkpoint, tmp_path: Path, change: dict[str, object]) -> None:
    merge(checkpoint).save(tmp_path)
    config = read_json(tmp_path / "config.json")
    write_json(tmp_path / "config.json", config | {"merged": config["merged"] | change})
    with pytest.raises(CheckpointError, match=r"config\.json is damaged: merged"):
        Checkpoint.load(tmp_path)
