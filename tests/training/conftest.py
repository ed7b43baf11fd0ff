"""A tiny dataset whose photos tell their place by colour, for the tests of training."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataset_files import write_dataset
from openplanet.photos.dataset import Dataset
from openplanet.training.recipe.recipe import Recipe

PLACES = {
    (48.8, 2.3): (200, 40, 40),
    (-33.9, 151.2): (40, 200, 40),
    (35.7, 139.7): (40, 40, 200),
    (0.1, 37.0): (220, 220, 60),
}
DatasetMaker = Callable[..., Dataset]


def photo_bytes(colour: tuple[int, int, int], rng: np.random.Generator) -> bytes:
    """A JPEG of 48 x 40 pixels: noise about one colour."""
    noise = rng.normal(0, 25, (40, 48, 3)) + np.array(colour)
    file = io.BytesIO()
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(file, "JPEG")
    return file.getvalue()


def _row(index: int, split: str, data: bytes, lat: float, lng: float) -> dict[str, object]:
    name = hashlib.sha256(f"{split}{index}".encode()).hexdigest()
    return {
        "photo_id": name, "image": {"bytes": data, "path": f"{name}.jpg"}, "lat": lat, "lng": lng, "taken_at": None,
        "taken_at_is_utc": False, "album_id": f"album{index % 5}", "album_order": index, "owner_id": None, "width": 48,
        "height": 40, "dhash": index, "source": f"made/{name}.jpg", "licence": "CC0", "split": split,
        "near_duplicate_of": None,
    }  # fmt: skip


@pytest.fixture(scope="session")
def make_dataset() -> DatasetMaker:
    """make_dataset(folder, train=40, val=12, extra=[(split, bytes, lat, lng)]) writes and opens a dataset."""

    def make(
        folder: Path, train: int = 40, val: int = 12, extra: tuple[tuple[str, bytes, float, float], ...] = ()
    ) -> Dataset:
        rng = np.random.default_rng(0)
        rows = []
        for split, count in (("train", train), ("val", val)):
            for index in range(count):
                (lat, lng), colour = list(PLACES.items())[index % len(PLACES)]
                lat, lng = lat + rng.normal(0, 0.05), lng + rng.normal(0, 0.05)
                rows.append(_row(index, split, photo_bytes(colour, rng), lat, lng))
        rows += [_row(1000 + i, *values) for i, values in enumerate(extra)]
        return write_dataset(folder, rows)

    return make


@pytest.fixture(scope="session")
def dataset(make_dataset: DatasetMaker, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """40 training and 12 validation photos of four places."""
    return make_dataset(tmp_path_factory.mktemp("tiny") / "dataset")


@pytest.fixture
def tiny_recipe() -> Recipe:
    """Seconds on one core."""
    return Recipe(
        name="tiny", description="for tests", seen="nothing", max_photos=12, min_photos=3, backbone="test_resnet",
        image_size=32, optimizer="adamw", learning_rate=3e-3, schedule="cosine", warmup=1, epochs=4, batch_size=16,
        crop=0.2, jitter=0.1, ema_decay=0.9,
    )  # fmt: skip
