"""GeoCLIP (Vivanco Cepeda et al. 2023) as a locator like ours: its package and its weights, our cells and measures.

Its answer is a likeness of the photo with each of 100,000 places. The places are encoded once, not for every photo; the
softmax over them, put into our cells, is a distribution like any other.

Shapes: B photos in a batch, G places of the gallery, D embedding, C cells.
"""

import importlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn.functional import normalize

from openplanet.earth.geo import to_xyz
from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import InputError, PhotoError
from openplanet.inference.located import Located, Photo
from openplanet.inference.prediction import Prediction
from openplanet.photos.files import images

GALLERY_BATCH = 4096
BATCH = 16
SIDE = 336  # more than the 224 pixels that CLIP looks at, so that its own resampling decides


def open_cells(cells: str, device: str | None = None) -> "GeoClip":
    """GeoCLIP over the cells of a partition file (``geoclip:CELLS.parquet``); it runs on the CPU, whatever the device.

    Raises InputError where the package or its weights are absent, or the file is no partition.
    """
    return GeoClip.load(Partition.load(Path(cells)))


class GeoClip:
    """``model`` has ``gps_gallery`` [G, 2] (lat, lng), ``logit_scale``, ``image_encoder`` and ``location_encoder``."""

    def __init__(self, model: Any, partition: Partition) -> None:
        self.partition = partition
        self.coarser: tuple[Partition, ...] = ()
        self.provenance: dict[str, Any] = {"model": "GeoCLIP", "cells": len(partition)}
        self._model = model.eval()
        gallery_G2 = model.gps_gallery
        with torch.inference_mode():
            parts = [model.location_encoder(part) for part in gallery_G2.split(GALLERY_BATCH)]
            self._gallery_GD = normalize(torch.cat(parts), dim=1)
        self._cell_G = _cells(partition, gallery_G2.cpu().double().numpy())

    @classmethod
    def load(cls, partition: Partition) -> "GeoClip":
        """The published model; its CLIP backbone comes from the Hugging Face hub. InputError where it is absent."""
        try:
            package = importlib.import_module("geoclip")
        except ModuleNotFoundError as error:
            raise InputError(
                f"GeoCLIP needs the package {error.name}: install it with  pip install 'openplanet[geoclip]'"
            ) from error
        try:
            return cls(package.GeoCLIP(), partition)
        except OSError as error:
            raise InputError(f"GeoCLIP's weights are not to be had: {' '.join(str(error).split())[:200]}") from error

    def locate(self, photo: Photo) -> Prediction:
        """Locate one photo; raises PhotoError where it cannot be read."""
        return self._predict(torch.cat([self._pixels(photo)]))[0]

    def locate_many(self, photos: Iterable[Photo]) -> Iterator[Located]:
        """Locate photos in their order; a bad one never stops the rest."""
        source = iter(photos)
        while batch := list(islice(source, BATCH)):
            read = [self._try_pixels(photo) for photo in batch]
            good = [each for each in read if isinstance(each, Tensor)]
            found = iter(self._predict(torch.cat(good)) if good else [])
            for photo, each in zip(batch, read, strict=True):
                if isinstance(each, Tensor):
                    yield Located(photo, next(found), None)
                else:
                    yield Located(photo, None, str(each))

    def _predict(self, pixels_B3HW: Tensor) -> list[Prediction]:
        with torch.inference_mode():
            embedding_BD = normalize(self._model.image_encoder(pixels_B3HW), dim=1)
            p_BG = (
                torch.softmax(self._model.logit_scale.exp() * embedding_BD @ self._gallery_GD.T, dim=1).cpu().double()
            )
        found = []
        for p_G in p_BG.numpy():
            mass_C = np.bincount(self._cell_G, weights=p_G, minlength=len(self.partition))
            with np.errstate(divide="ignore"):  # a cell without a place in the gallery cannot be answered
                found.append(Prediction(self.partition, np.log(mass_C)))
        return found

    def _try_pixels(self, photo: Photo) -> Tensor | PhotoError:
        try:
            return self._pixels(photo)
        except PhotoError as error:
            return error

    def _pixels(self, photo: Photo) -> Tensor:
        source = Path(photo) if isinstance(photo, str) else photo
        image = images.load(source, short_side=SIDE) if isinstance(source, bytes | Path) else source
        pixels: Tensor = self._model.image_encoder.preprocess_image(image.convert("RGB"))
        return pixels


def _cells(partition: Partition, gallery_G2: Any) -> Any:
    """Cell of each place [G]; a place in no cell speaks for the nearest one."""
    cell_G = partition.assign(gallery_G2[:, 0], gallery_G2[:, 1])
    nowhere = cell_G < 0
    if nowhere.any():
        tree = cKDTree(to_xyz(partition.centroid_lat, partition.centroid_lng))
        cell_G[nowhere] = tree.query(to_xyz(gallery_G2[nowhere, 0], gallery_G2[nowhere, 1]))[1]
    return cell_G
