"""A dataset embedded in parts: the files that features.py writes, whoever writes them."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from dataset_files import write_dataset
from inference.conftest import picture
from openplanet.cli import cli
from openplanet.earth.partition.adaptive import build
from openplanet.models import features
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.embed_job import EmbedJob
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.photos import dataset as stored
from openplanet.photos.dataset import Dataset


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.setattr(stored, "ROW_GROUP_ROWS", 4)
    rows = [
        {
            "photo_id": f"{number:064x}",
            "image": {"bytes": b"no photo" if number == 5 else picture(number), "path": None},
            "split": "val" if number % 3 == 2 else "train",
        }
        for number in range(10)
    ]
    return write_dataset(tmp_path / "photos.ds", rows)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    partition = build([([1.0, 1.0], [2.0, 2.0])], max_photos=3, min_photos=1)
    config = ImageConfig("test_resnet", image_size=32)
    Checkpoint(ImageModel(config, 1).eval(), partition, {}, config, {}).save(tmp_path / "model")
    return tmp_path / "model"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("runner", ["local", "ray"])
def test_in_parts_it_is_what_training_finds(
    dataset: Dataset, model: Path, runner: str, tmp_path: Path, request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    threads = torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    torch.set_num_threads(2)  # sums of other numbers of threads differ in their last bit
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    if runner == "ray":
        request.getfixturevalue("cluster")
    network = Checkpoint.load(model).model
    for split in ("train", "val"):
        features.of_backbone(dataset, split, network, tmp_path / "whole")
    assert EmbedJob(dataset.path, str(model), ("train", "val")).count == 6
    asked = ["embed", str(dataset.path), "--checkpoint", str(model), "--split", "train", "--split", "val"]
    for options in (["--shard", "2/2"], ["--runner", runner]):
        assert CliRunner().invoke(cli, [*asked, *options], catch_exceptions=False).exit_code == 0
    assert files(features.default_folder(dataset)) == files(tmp_path / "whole")
    monkeypatch.setattr(features, "_look", lambda *_: pytest.fail("a photo is looked at again"))
    assert features.of_backbone(dataset, "val", network).failed == [f"{5:064x}"]


def test_a_split_that_is_none(dataset: Dataset, model: Path) -> None:
    done = CliRunner().invoke(cli, ["embed", str(dataset.path), "--checkpoint", str(model), "--split", "tests"])
    assert done.exit_code == 1 and "tests" in str(done.exception)
