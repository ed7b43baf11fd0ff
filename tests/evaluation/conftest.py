"""A tiny dataset and a model with random weights, so that evaluation runs end to end in seconds."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dataset_files
from openplanet.earth.partition import adaptive as partitions
from openplanet.inference.predictor import Predictor
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.photos.dataset import Dataset

CITIES = [(48.86, 2.35), (35.68, 139.69), (-33.87, 151.21), (40.71, -74.01), (-1.29, 36.82)]
HOSTILE = '<script>alert("1")</script>&.jpg'


def _photo(city: int, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    rgb = np.zeros((48, 64, 3))
    rgb[..., city % 3] = 120 + 25 * city
    rgb += rng.normal(0, 20, rgb.shape)
    file = io.BytesIO()
    Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8)).save(file, "JPEG")
    return file.getvalue()


def _row(index: int, split: str) -> dict:
    city = index % len(CITIES)
    rng = np.random.default_rng(index)
    lat, lng = CITIES[city] + rng.normal(0, 0.05, 2)
    return {
        "photo_id": f"{index:064x}",
        "image": {"bytes": _photo(city, index), "path": f"{index}.jpg"},
        "lat": lat,
        "lng": lng,
        "taken_at": None,
        "taken_at_is_utc": False,
        "album_id": f"album {city}",
        "album_order": None,
        "owner_id": None,
        "width": 64,
        "height": 48,
        "dhash": index,
        "source": HOSTILE if split == "test" else f"{index}.jpg",
        "licence": None,
        "split": split,
        "near_duplicate_of": None,
    }


@pytest.fixture(scope="session")
def hostile() -> str:
    """The file name of every test photo: what a stranger might call one."""
    return HOSTILE


@pytest.fixture(scope="session")
def write_dataset() -> Callable[[Path, list[dict]], Dataset]:
    """Writes a finished dataset of rows into a new folder."""
    return dataset_files.write_dataset


@pytest.fixture(scope="session")
def rows() -> list[dict]:
    """60 training photos, 20 of test: the last cannot be read, the one before was taken in no cell."""
    found = [_row(i, "train") for i in range(60)] + [_row(i, "test") for i in range(60, 80)]
    found[-2].update(lat=-75.0, lng=0.0)
    found[-1]["image"] = {"bytes": b"\xff\xd8\xff\xe0 no photo", "path": "broken.jpg"}
    nowhere = _row(80, "test")
    nowhere.update(lat=None, lng=None)  # a photo without a position is not part of the measure
    return [*found, nowhere]


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, rows: list[dict]) -> Dataset:
    """The tiny dataset."""
    return dataset_files.write_dataset(tmp_path_factory.mktemp("evaluation") / "dataset", rows)


@pytest.fixture(scope="session")
def predictor(dataset: Dataset) -> Predictor:
    """A network with random weights over the dataset's cells."""
    cells = partitions.build(dataset.coordinates("train"), max_photos=12, min_photos=2)
    config = ImageConfig("test_resnet", image_size=32)
    torch.manual_seed(0)
    model = ImageModel(config, len(cells)).eval()
    return Predictor(Checkpoint(model, cells, {"name": "none"}, config, {}))
