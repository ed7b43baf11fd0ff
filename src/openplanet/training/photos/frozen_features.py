"""Features of a frozen backbone: those of ``models/features.py``, under a key of their own.

The key is the SHA-256 of all that features depend on: the dataset's manifest, backbone, weights and preprocessing.
Partitions, heads and seeds are no part of it: those are tried in seconds on the same features.
"""

from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor

from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import RecipeError
from openplanet.models import features as stored
from openplanet.models.device import best_device
from openplanet.models.features import default_folder
from openplanet.models.image_model import ImageModel
from openplanet.photos.dataset import Dataset
from openplanet.progress import say
from openplanet.storage import sha256_of
from openplanet.training.photos.data import SplitPhotos
from openplanet.training.recipe.recipe import Recipe, weights_path

__all__ = ["default_folder", "embed_split", "key_of"]


def key_of(dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
    """All that the features depend on. Raises RecipeError where the backbone would be random."""
    file = weights_path(recipe)
    if recipe.weights is None:
        raise RecipeError(
            f"Recipe {recipe.name}: a frozen backbone needs weights: --set weights=hub, or a safetensors file"
        )
    return {
        "dataset": stored.manifest_sha256(dataset),
        "backbone": recipe.backbone,
        "backbone_args": recipe.backbone_args,
        "weights": sha256_of(file) if file is not None and file.is_file() else str(recipe.weights),
        # weights of the Hub are chosen by the version of timm
        "timm": timm.__version__ if file is None else None,
        "image_size": recipe.image_size,
        "mean": list(recipe.mean),
        "std": list(recipe.std),
        "preprocessing": stored.PREPROCESSING,
    }


def embed_split(
    dataset: Dataset, split: str, partition: Partition, model: ImageModel, recipe: Recipe, folder: Path, drop: bool
) -> SplitPhotos:
    """Features of the located photos of ``split`` as ``model``'s backbone sees them, from ``folder`` where it has
    them already; a stop loses one row group at most.

    ``drop``: leave out photos in no cell of ``partition``. Memory holds 4 bytes a feature of each photo.
    """
    key = key_of(dataset, recipe)
    device = best_device()
    was_training = model.training
    model.to(device).eval()
    parts = stored.of_split(
        dataset, split, recipe.image_size, lambda pixels: model.features(pixels.to(device)), key, folder
    )
    model.cpu().train(was_training)
    say(f"{split}: features of {model.config.backbone} are kept in {folder / stored.key_name(key)}")
    return _photos(parts, partition, drop, split)


def _photos(parts: list[dict[str, Tensor]], partition: Partition, drop: bool, split: str) -> SplitPhotos:
    filled = [part for part in parts if len(part["lat"])]
    undecodable = [name for part in parts for name in stored.names(part["failed"])]
    lat_N, lng_N = (
        np.concatenate([part[column].numpy() for part in filled]) if filled else np.empty(0)
        for column in ("lat", "lng")
    )
    cell_N = partition.assign(lat_N, lng_N)
    outside = int((cell_N < 0).sum())
    kept = np.flatnonzero((cell_N >= 0) | (not drop))
    names = [name for part in filled for name in stored.names(part["photo_id"])]
    features = torch.cat([part["features"] for part in filled]) if filled else torch.empty(0, 1)
    if outside:
        fate = "left out of training" if drop else "kept, and counted as wrong"
        say(f"{split}: {outside} photos lie in no cell of the partition: {fate}")
    if undecodable:
        say(f"{split}: {len(undecodable)} photos cannot be decoded and are left out: {', '.join(undecodable[:5])}")
    return SplitPhotos(
        photo_ids=[names[row] for row in kept],
        lat_N=lat_N[kept],
        lng_N=lng_N[kept],
        cell_N=cell_N[kept],
        inputs={"features": features[torch.from_numpy(kept)]},
        undecodable=undecodable,
        in_no_cell=outside,
    )
