"""A locator from outside the package: the redder a photo, the farther down the list of cells it was taken."""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from openplanet.earth.partition.adaptive import Partition
from openplanet.inference.located import Located, Photo
from openplanet.inference.locator import Embedder
from openplanet.inference.prediction import Prediction


class ColourLocator:
    """All that a locator needs, and the embedding that one may have."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.coarser: tuple[Partition, ...] = ()
        self.provenance: dict[str, Any] = {"model": "colour"}

    def locate_many(self, photos: Iterable[Photo]) -> Iterator[Located]:
        for photo in photos:
            colour = _colour(photo)
            if colour is None:
                yield Located(photo, None, f"{photo if isinstance(photo, Path) else 'photo'}: no picture")
                continue
            p_C = np.full(len(self.partition), 0.1 / len(self.partition))
            p_C[int(colour[0] / 256 * len(self.partition))] += 0.9
            yield Located(photo, Prediction(self.partition, np.log(p_C)), None)

    def embed_many(self, photos: Iterable[Photo]) -> Iterator[torch.Tensor | None]:
        for photo in photos:
            colour = _colour(photo)
            yield None if colour is None else torch.from_numpy(colour.astype(np.float32))


def open_colour(cells: str, device: str | None) -> Embedder:
    """``colour:CELLS.parquet``"""
    return ColourLocator(Partition.load(Path(cells)))


def _colour(photo: Photo) -> np.ndarray | None:
    if isinstance(photo, Image.Image):
        return np.asarray(np.asarray(photo.convert("RGB")).mean(axis=(0, 1)))
    try:
        with Image.open(io.BytesIO(photo) if isinstance(photo, bytes) else photo) as image:
            return np.asarray(np.asarray(image.convert("RGB")).mean(axis=(0, 1)))
    except OSError:
        return None
