"""Add a locator of your own, and measure it beside a trained model.

    python examples/1_train.py
    python examples/3_add_locator.py

A locator needs `partition`, `coarser`, `provenance` and `locate_many`; then `locate`, `evaluate`, `compare` and every
output take it. A backbone needs no code: give the name of any timm model with `--set backbone=NAME`.
"""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from openplanet.earth.partition.adaptive import Partition
from openplanet.evaluation.compare import compare
from openplanet.evaluation.testsets.photoset import of_dataset
from openplanet.inference.located import Located, Photo
from openplanet.inference.locator import OPENERS, Locator
from openplanet.inference.prediction import Prediction
from openplanet.photos.dataset import Dataset

OUT = Path("example")


class GreenLocator:
    """Believes that green photos were taken near the equator."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.coarser: tuple[Partition, ...] = ()
        self.provenance: dict[str, Any] = {"model": "green"}

    def locate_many(self, photos: Iterable[Photo]) -> Iterator[Located]:
        for photo in photos:
            try:
                red, green, blue = np.asarray(_open(photo).convert("RGB")).mean(axis=(0, 1))
            except OSError as error:
                yield Located(photo, None, str(error))
                continue
            expected = 60 - 180 * (green / (red + green + blue))  # latitude in degrees; wrong, but a locator
            score_C = np.log(self.partition.count) - np.abs(np.abs(self.partition.lat) - expected) / 20
            yield Located(photo, Prediction(self.partition, score_C - np.log(np.exp(score_C).sum())), None)


def _open(photo: Photo) -> Image.Image:
    if isinstance(photo, Image.Image):
        return photo
    return Image.open(io.BytesIO(photo) if isinstance(photo, bytes) else photo)


def open_green(cells: str, device: str | None) -> Locator:
    """Open the name `green:CELLS.parquet`."""
    return GreenLocator(Partition.load(Path(cells)))


def main() -> None:
    OPENERS["green"] = open_green
    dataset = Dataset.open(OUT / "photos.ds")
    test = of_dataset(dataset, "test")
    print(compare([f"green:{OUT / 'cells.parquet'}", str(OUT / "model"), "prior"], test, dataset).to_text())


if __name__ == "__main__":
    main()
