"""A model with a gallery of places does whatever a trained one does, by the name under which it was downloaded."""

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import dataset_files
from openplanet.cli import cli
from openplanet.earth.partition.adaptive import Thresholds
from openplanet.errors import CheckpointError, InputError
from openplanet.models import hub
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.heads.gallery import Gallery
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.photos.dataset import Dataset

PLACES = [(48.86, 2.35), (35.68, 139.69), (-33.87, 151.21), (40.71, -74.01)]
COLOURS = ["red", "green", "blue", "white"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OPENPLANET_HOME with a gallery model "toy" in it, its network and places at random."""
    folder = tmp_path_factory.mktemp("home")
    lat, lng = np.array(PLACES).T
    *coarser, cells = Gallery.partitions([(lat, lng)], [Thresholds(2, 1)], Thresholds(1, 1), seed=0)
    config = ImageConfig("test_resnet", 32, 8, head="gallery", head_args={"places": 4})
    torch.manual_seed(0)
    model = ImageModel(config, len(cells), Gallery.class_map(coarser, cells)).eval()
    head = model.head
    assert isinstance(head, Gallery)
    head.place_PD.copy_(torch.nn.functional.normalize(torch.randn(4, 8), dim=1))
    head.cell_P.copy_(torch.from_numpy(cells.assign(lat, lng)))
    Checkpoint(model, cells, {"name": "toy"}, config, {}, coarser=tuple(coarser)).save(folder / "models" / "toy")
    return folder


@pytest.fixture(scope="module")
def dataset(home: Path) -> Dataset:
    """Albums of two photos, of the colours of their places."""
    rows = []
    for number in range(48):
        place = number // 2 % 4
        file = io.BytesIO()
        noise = np.random.default_rng(number).integers(0, 60, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(np.asarray(Image.new("RGB", (60, 40), COLOURS[place])) // 2 + noise).save(file, "JPEG")
        rows.append({
            "photo_id": hashlib.sha256(file.getvalue()).hexdigest(), "image": {"bytes": file.getvalue(), "path": "x"},
            "lat": PLACES[place][0], "lng": PLACES[place][1], "taken_at": number * 3_600_000_000,
            "taken_at_is_utc": True, "album_id": f"album {number // 2}", "album_order": number % 2,
            "owner_id": f"owner {number // 4}", "width": 60, "height": 40, "dhash": number, "source": f"{number}.jpg",
            "split": "train" if number < 24 else "val" if number < 32 else "test",
        })  # fmt: skip
    return dataset_files.write_dataset(home / "photos.ds", rows)


@pytest.fixture
def run(home: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command in an empty folder with a few photos in it; it ends well."""
    monkeypatch.setenv("OPENPLANET_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    Path("trip").mkdir()
    for number, image in enumerate(dataset.table(["image"], "test")["image"].to_pylist()[:3]):
        Path("trip", f"{number}.jpg").write_bytes(image["bytes"])

    def call(*words: object) -> str:
        done = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    return call


def test_locate_takes_it_by_itself(run: Callable[..., str]) -> None:
    told = json.loads(run("locate", "trip", "--json", "--evidence", "--all-pictures"))
    assert told["model"]["recipe"] == "toy" and [each["status"] for each in told["photos"]] == ["located"] * 3
    assert len(told["photos"][0]["evidence"]["drop_when_covered"]) == 7


def test_calibration_stays_with_it_and_leaves_the_hubs_cache_alone(run: Callable[..., str], dataset: Dataset) -> None:
    with pytest.raises(InputError, match="first  openplanet download hf:owner/name"):
        run("calibrate", "hf:owner/name", dataset.path)
    with pytest.raises(CheckpointError, match="too few to calibrate by"):
        run("calibrate", "toy", dataset.path)  # 8 photos in val


def test_albums_need_no_training(run: Callable[..., str]) -> None:
    assert json.loads(run("locate", "trip", "--album", "--json"))["album"]["variant"] == "travel"


def test_album_models_are_trained_on_it(run: Callable[..., str], dataset: Dataset) -> None:
    run("train-albums", dataset.path, "--checkpoint", "toy", "--recipe", "travel", "--out", "albums")
    assert json.loads(run("locate", "trip", "--album", "--checkpoint", "albums", "--all-pictures", "--json"))["photos"][
        0
    ]["best"]


def test_it_is_evaluated_compared_and_searched_by(run: Callable[..., str], dataset: Dataset) -> None:
    scores = run("evaluate", dataset.path, "--checkpoint", "toy", "--albums")
    assert "embedding, nearest" in scores and "travel" in scores
    assert "toy" in run("compare", "toy", "prior", "embedding", dataset.path)


def test_a_probe_starts_from_it(run: Callable[..., str], dataset: Dataset) -> None:
    settings = {"init": "toy", "max_photos": 6, "min_photos": 1, "epochs": 2, "batch_size": 8}
    run("train", dataset.path, "--recipe", "probe", "--out", "probe",
        *(word for name, value in settings.items() for word in ("--set", f"{name}={value}")))  # fmt: skip
    ours, theirs = (Checkpoint.load(each).model.backbone.state_dict() for each in ("probe", hub.kept("toy")))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    run("locate", "trip", "--checkpoint", "probe")
