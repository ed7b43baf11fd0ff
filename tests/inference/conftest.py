"""A checkpoint, photos and a dataset: what exports are made of, and what is located in parts."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dataset_files import write_dataset
from openplanet.earth.partition.adaptive import build
from openplanet.models.calibration import Calibration
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.photos.dataset import Dataset

PLACES = [(48.9, 2.3), (-17.8, 178.0), (50.9, 4.3)]


def picture(number: int, side: int = 40) -> bytes:
    """Bytes of a PNG file."""
    made = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 255, (side, side + 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(made, "PNG")
    return made.getvalue()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of an image checkpoint with a temperature."""
    lat_N, lng_N = (np.repeat(column, 3) for column in zip(*PLACES, strict=True))
    partition = build([(lat_N, lng_N)], max_photos=3, min_photos=1)
    config = ImageConfig("test_resnet", image_size=32)
    torch.manual_seed(0)
    network = ImageModel(config, len(partition)).eval()
    Checkpoint(network, partition, {"name": "none"}, config, {}, calibration=Calibration(2.5)).save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Five files, the third of them no photo."""
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(b"no photo" if number == 2 else picture(number))
    return paths


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """24 photos to train on and 12 to validate on."""
    rows = []
    for number in range(36):
        lat, lng = PLACES[number % 3]
        image = {"bytes": picture(number), "path": None}
        split = "val" if number % 3 == 2 else "train"
        rows.append({"photo_id": f"{number:064x}", "image": image, "lat": lat, "lng": lng, "split": split})
    return write_dataset(tmp_path / "photos.ds", rows)
