"""From a photo to a Prediction by an exported engine: no torch is loaded, unless somebody asks for embeddings.

Shapes: B photos in a batch, C cells, D embedding.
"""

from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import CheckpointError
from openplanet.inference.engines.exported import Exported, Framing
from openplanet.inference.photo_locator import PhotoLocator
from openplanet.inference.prediction import Prediction
from openplanet.models.checkpoint_folder import CONFIG, PARTITION, calibration_of, check_files, level_name, sound_config
from openplanet.models.preprocess import Pixels

if TYPE_CHECKING:
    from torch import Tensor

    from openplanet.models.checkpoint import Checkpoint


class EnginePredictor(PhotoLocator):
    """Locates photos by an exported network of a checkpoint: as ``Predictor``, and what it needs torch for as well."""

    def __init__(self, folder: Path, exported: Exported, checkpoint: "Checkpoint | None" = None) -> None:
        """``folder``: the checkpoint's; ``checkpoint``: what it holds, where that is loaded already.

        Raises CheckpointError where one of the files that are needed is damaged.
        """
        if checkpoint is not None:
            self.checkpoint = checkpoint
        self._folder, self.exported, self._config = folder, exported, sound_config(folder)
        check_files(folder, (PARTITION,), self._config)
        self._partition = Partition.load(folder / PARTITION)
        if len(self._partition) != self._config["cells"]:
            raise CheckpointError(f"{folder / PARTITION} does not belong to {CONFIG}; copy the whole folder again")
        self._calibration = calibration_of(self._config, folder / CONFIG)
        self._network = exported.open()

    @property
    def partition(self) -> Partition:
        return self._partition

    @property
    def framing(self) -> Framing:
        return self.exported.about.framing

    @cached_property
    def coarser(self) -> tuple[Partition, ...]:
        """As ``Predictor.coarser``."""
        names = [level_name(index) for index in range(len(self._config.get("coarser", ())))]
        if not self.exported.about.nested:
            return ()
        check_files(self._folder, names, self._config)
        return tuple(Partition.load(self._folder / name) for name in names)

    @property
    def provenance(self) -> dict[str, Any]:
        """As ``Predictor.provenance``, with the engine."""
        recipe, version = self._config["recipe"].get("name"), self._config["openplanet_version"]
        told = {"recipe": recipe, "cells": len(self.partition), "openplanet_version": version}
        return told | {"engine": self.exported.name}

    @cached_property
    def checkpoint(self) -> "Checkpoint":
        """The checkpoint with its own network: loads torch."""
        loaded: Checkpoint = import_module("openplanet.models.checkpoint").Checkpoint.load(self._folder)
        return loaded

    def _predict(self, pixels_B3HW: Pixels) -> list[Prediction]:
        return self._predictions(self._network(pixels_B3HW)[0])

    def _embed(self, pixels_B3HW: Pixels) -> "list[Tensor]":
        return list(import_module("torch").from_numpy(self._network(pixels_B3HW)[1].copy()))

    def look(self, pixels_B3HW: Pixels) -> "list[tuple[Prediction, Tensor]]":
        scores_BC, embedding_BD = self._network(pixels_B3HW)
        seen = import_module("torch").from_numpy(embedding_BD.copy())
        return list(zip(self._predictions(scores_BC), seen, strict=True))

    def _predictions(self, scores_BC: NDArray[np.float32]) -> list[Prediction]:
        tempered_BC = scores_BC / self._calibration.temperature
        return [Prediction(self.partition, row, self._calibration.regions) for row in map(np.copy, tempered_BC)]
