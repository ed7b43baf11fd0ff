"""A tiny dataset of albums, each at one place, half of whose photos are grey and tell nothing."""

import hashlib
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dataset_files import write_dataset
from openplanet.earth.partition import adaptive
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.photos.dataset import Dataset

PLACES = {(48.8, 2.3): (200, 40, 40), (-33.9, 151.2): (40, 200, 40), (35.7, 139.7): (40, 40, 200)}
GREY = (120, 120, 120)
LENGTH = 5


def write(folder: Path, train: int = 18, val: int = 6) -> Dataset:
    """``train`` and ``val`` albums of LENGTH photos; colour tells the place, and only places 1 and 3 have one. The
    last photo of each album has no position, the first no time."""
    rng, rows = np.random.default_rng(0), []
    for split, count in (("train", train), ("val", val)):
        for album in range(count):
            (lat, lng), colour = list(PLACES.items())[album % len(PLACES)]
            for order in range(LENGTH):
                name = hashlib.sha256(f"{split}{album}{order}".encode()).hexdigest()
                noise = rng.normal(0, 25, (32, 32, 3)) + np.array(colour if order % 2 else GREY)
                file, last = io.BytesIO(), order == LENGTH - 1
                Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(file, "JPEG")
                rows.append(
                    {
                        "photo_id": name, "image": {"bytes": file.getvalue(), "path": None},
                        "lat": None if last else lat, "lng": None if last else lng, "album_id": f"{split}{album}",
                        "album_order": order, "split": split, "taken_at": order * 10**9 if order else None,
                    }
                )  # fmt: skip
    return write_dataset(folder, rows)


def image_checkpoint(dataset: Dataset) -> Checkpoint:
    """A random backbone, whose features tell the colours apart all the same, and a head that says nothing."""
    torch.manual_seed(0)
    config = ImageConfig("test_resnet", 32)
    cells = adaptive.build(dataset.coordinates("train"), max_photos=30, min_photos=3)
    return Checkpoint(ImageModel(config, len(cells)).eval(), cells, {"name": "tiny"}, config, {})
