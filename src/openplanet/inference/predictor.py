"""From a photo to a Prediction by PyTorch: the checkpoint, loaded once, asked many times.

Shapes: B photos in a batch, C cells, F features of the backbone, H W pixels.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from openplanet.earth.partition.adaptive import Partition
from openplanet.inference.photo_locator import PhotoLocator
from openplanet.inference.prediction import Prediction
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.device import best_device
from openplanet.models.image_model import ImageConfig
from openplanet.models.preprocess import Pixels
from openplanet.stores.location import Location


class Predictor(PhotoLocator):
    """Locates photos by the network of a checkpoint, in PyTorch."""

    def __init__(self, checkpoint: Checkpoint, device: str | torch.device = "cpu") -> None:
        self.checkpoint = checkpoint
        self.device = torch.device(device)
        self.model = checkpoint.model.to(self.device).eval().requires_grad_(False)

    @classmethod
    def load(cls, path: Location | str, device: str | None = None) -> "Predictor":
        """Load a checkpoint folder; ``device`` defaults to a GPU where there is one.

        Raises CheckpointError, naming the folder, where it is missing, incomplete or damaged.
        """
        device = device or best_device().type
        return cls(Checkpoint.load(path, device=device), device)

    @property
    def partition(self) -> Partition:
        return self.checkpoint.partition

    @property
    def framing(self) -> ImageConfig:
        return self.checkpoint.image

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

    def look(self, pixels_B3HW: Pixels) -> list[tuple[Prediction, Tensor]]:
        with torch.inference_mode():
            embedding_BD = self.model.embed(torch.from_numpy(pixels_B3HW).to(self.device))
            scores_BC = self.model.combine(self.model.head(embedding_BD))
            log_probs_BC = self.checkpoint.calibration.log_probs(scores_BC).cpu()
        return list(zip(self._predictions(log_probs_BC), embedding_BD.float().cpu(), strict=True))

    def _predict(self, pixels_B3HW: Pixels) -> list[Prediction]:
        return self._predictions(self.log_probs(torch.from_numpy(pixels_B3HW)))

    def _embed(self, pixels_B3HW: Pixels) -> list[Tensor]:
        with torch.inference_mode():
            return list(self.model.embed(torch.from_numpy(pixels_B3HW).to(self.device)).float().cpu())

    def _predictions(self, log_probs_BC: Tensor) -> list[Prediction]:
        regions = self.checkpoint.calibration.regions
        return [Prediction(self.partition, row, regions) for row in map(np.copy, log_probs_BC.numpy())]
