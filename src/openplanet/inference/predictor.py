"""From a photo to a Prediction: the checkpoint, loaded once, asked many times.

Shapes: B photos in a batch, C cells, H W pixels.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor

from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import PhotoError
from openplanet.inference.located import Located, Photo
from openplanet.inference.prediction import Prediction
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.device import best_device
from openplanet.models.preprocess import pixels
from openplanet.photos.files import images


class Predictor:
    """Locates photos. Holds nothing that a call changes, so that threads may share one."""

    def __init__(self, checkpoint: Checkpoint, device: str | torch.device = "cpu") -> None:
        self.checkpoint = checkpoint
        self.device = torch.device(device)
        self.model = checkpoint.model.to(self.device).eval().requires_grad_(False)

    @classmethod
    def load(cls, path: Path | str, device: str | None = None) -> "Predictor":
        """Load a checkpoint folder; ``device`` defaults to a GPU where there is one.

        Raises CheckpointError, naming the folder, where it is missing, incomplete or damaged.
        """
        device = device or best_device().type
        return cls(Checkpoint.load(path, device=device), device)

    @property
    def partition(self) -> Partition:
        """The cells that predictions are over."""
        return self.checkpoint.partition

    @property
    def coarser(self) -> tuple[Partition, ...]:
        """The partitions of the model's coarser levels, coarse to fine; none where it has one level, or where none
        of its partitions holds another's cells."""
        return self.checkpoint.coarser if self.model.head.nested else ()

    @property
    def provenance(self) -> dict[str, Any]:
        """Which model answers: the recipe that it was trained by, its cells, and the version that wrote it."""
        recipe = self.checkpoint.recipe.get("name")
        return {"recipe": recipe, "cells": len(self.partition), "openplanet_version": self.checkpoint.version}

    def log_probs(self, pixels_B3HW: Tensor) -> Tensor:
        """Log-probabilities [B, C], float32 on the CPU, of uint8 pixels from ``models.preprocess.pixels``.

        At the checkpoint's temperature, so that a probability means what it says.
        """
        with torch.inference_mode():
            scores_BC = self.model(pixels_B3HW.to(self.device))
            return self.checkpoint.calibration.log_probs(scores_BC).cpu()

    def locate_features(self, features_BF: Tensor) -> list[Prediction]:
        """Locate photos by what the backbone has seen of them (``models.features.of_backbone``), float32 [B, F]."""
        with torch.inference_mode():
            scores_BC = self.model.combine(self.model.classify(features_BF.to(self.device)))
            log_probs_BC = self.checkpoint.calibration.log_probs(scores_BC).cpu()
        return self._predictions(log_probs_BC)

    def embed(self, pixels_B3HW: Tensor) -> Tensor:
        """Embeddings [B, D], float32 on the CPU, of uint8 pixels from ``pixels``: the layer before the softmax."""
        with torch.inference_mode():
            return self.model.embed(pixels_B3HW.to(self.device)).float().cpu()

    def locate_embeddings(self, embedding_BD: Tensor) -> list[Prediction]:
        """Locate photos by their embeddings [B, D], as ``embed`` gives them."""
        with torch.inference_mode():
            scores_BC = self.model.combine(self.model.head(embedding_BD.to(self.device)))
            log_probs_BC = self.checkpoint.calibration.log_probs(scores_BC).cpu()
        return self._predictions(log_probs_BC)

    def locate(self, photo: Photo) -> Prediction:
        """Locate one photo: a path, the bytes of a file, or a PIL image (turned upright by its Exif).

        Raises PhotoError, naming the file, where it cannot be read.
        """
        return self._predict([self.pixels(photo)])[0]

    def locate_many(self, photos: Iterable[Photo], batch_size: int = 32) -> Iterator[Located]:
        """Locate photos in their order, ``batch_size`` at a time; a bad one never stops the rest.

        Reads ahead by one batch at most, so that ``photos`` may be endless.
        """
        source = iter(photos)
        with ThreadPoolExecutor() as pool:  # Pillow releases the lock while it decodes
            while batch := list(islice(source, batch_size)):
                yield from self._locate_batch(batch, pool)

    def embed_many(self, photos: Iterable[Photo], batch_size: int = 32) -> Iterator[Tensor | None]:
        """The embedding [D] (float32, CPU: the layer before the softmax) of each photo; None for a bad one."""
        source = iter(photos)
        with ThreadPoolExecutor() as pool:
            while batch := list(islice(source, batch_size)):
                read = list(pool.map(self._try_pixels, batch))
                good = [each for each in read if isinstance(each, Tensor)]
                embedded = iter(self._embed(good))
                yield from (next(embedded) if isinstance(each, Tensor) else None for each in read)

    def _embed(self, pixels_3HW: list[Tensor]) -> list[Tensor]:
        return list(self.embed(torch.stack(pixels_3HW))) if pixels_3HW else []

    def _locate_batch(self, batch: list[Photo], pool: Executor) -> list[Located]:
        read = list(pool.map(self._try_pixels, batch))
        predictions = iter(self._predict([each for each in read if isinstance(each, Tensor)]))
        return [
            Located(photo, next(predictions), None) if isinstance(each, Tensor) else Located(photo, None, str(each))
            for photo, each in zip(batch, read, strict=True)
        ]

    def _predict(self, pixels_3HW: list[Tensor]) -> list[Prediction]:
        if not pixels_3HW:
            return []
        return self._predictions(self.log_probs(torch.stack(pixels_3HW)))

    def _predictions(self, log_probs_BC: Tensor) -> list[Prediction]:
        regions = self.checkpoint.calibration.regions
        return [Prediction(self.partition, row.numpy(), regions) for row in log_probs_BC]

    def _try_pixels(self, photo: Photo) -> Tensor | PhotoError:
        try:
            return self.pixels(photo)
        except PhotoError as error:
            return error

    def pixels(self, photo: Photo) -> Tensor:
        """What the network is given of a photo: uint8 [3, H, W]. Raises PhotoError where it cannot be read."""
        config = self.checkpoint.image
        if isinstance(photo, Image.Image):
            image = _upright(photo)
        else:
            source = photo if isinstance(photo, bytes) else Path(photo)
            image = images.load(source, short_side=config.decoded_side)
        return pixels(image, config.image_size, config.centre_crop)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError) as error:
        raise PhotoError(f"the image cannot be decoded: {error}", reason="corrupt") from error
