"""Features of a frozen backbone, computed once for all photos of a split and kept on disk.

    FOLDER/<key>/train-00000.safetensors ...   features, positions and photo_ids of a row group each
    FOLDER/<key>/key.json                      what the key stands for

The key is the SHA-256 of all that features depend on: the dataset's manifest, backbone, weights and preprocessing.
Partitions, heads and seeds are no part of it: those are tried in seconds on the same features.

Shapes: N photos of a row group, F features.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from openplanet.earth.partition import Partition
from openplanet.errors import DatasetError, RecipeError
from openplanet.models.image_model import ImageModel
from openplanet.photos.rowgroups import RowGroup, row_groups
from openplanet.photos.shards import Dataset
from openplanet.progress import Progress, say
from openplanet.storage import atomic_path, sha256_of, write_json
from openplanet.training.data import SplitPhotos
from openplanet.training.recipe import Recipe, weights_path
from openplanet.training.stream import decode

PREPROCESSING = "centre square, bicubic, 1"
"""Changes with models/preprocess.py, so that features of another preprocessing are not taken for these."""
BATCH = 32


def default_folder(dataset: Dataset) -> Path:
    """Beside the dataset, so that the dataset's folder stays as ingest wrote it."""
    return dataset.path.with_name(f"{dataset.path.name}.embeddings")


def key_of(dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
    """All that the features depend on. Raises RecipeError where the backbone would be random."""
    file = weights_path(recipe)
    if recipe.weights is None:
        raise RecipeError(
            f"Recipe {recipe.name}: a frozen backbone needs weights: --set weights=hub, or a safetensors file"
        )
    manifest = json.dumps(dataset.manifest, sort_keys=True, default=str).encode()
    return {
        "dataset": hashlib.sha256(manifest).hexdigest(),
        "backbone": recipe.backbone,
        "backbone_args": recipe.backbone_args,
        "weights": sha256_of(file) if file is not None and file.is_file() else str(recipe.weights),
        # weights of the Hub are chosen by the version of timm
        "timm": timm.__version__ if file is None else None,
        "image_size": recipe.image_size,
        "mean": list(recipe.mean),
        "std": list(recipe.std),
        "preprocessing": PREPROCESSING,
    }


def embed_split(
    dataset: Dataset, split: str, partition: Partition, model: ImageModel, recipe: Recipe, folder: Path, drop: bool
) -> SplitPhotos:
    """Features of the located photos of ``split`` as ``model``'s backbone sees them, from ``folder`` where it has
    them already; a stop loses one row group at most.

    ``drop``: leave out photos in no cell of ``partition``. Memory holds 4 bytes a feature of each photo.
    """
    key = key_of(dataset, recipe)
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    write_json(folder / name / "key.json", key)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    parts: list[dict[str, Tensor]] = []
    total = dataset.count(split, located=True)
    with Progress(f"embedding {split}", total) as progress, ThreadPoolExecutor(os.cpu_count()) as pool:
        for index, group in enumerate(row_groups(dataset)):
            file = folder / name / f"{split}-{index:05d}.safetensors"
            part = _read(file) or _embed_group(group, split, model.to(device), pool, file)
            parts.append(part)
            progress.advance(len(part["lat"]) + len(part["failed"]))
    model.cpu()
    say(f"{split}: features of {model.config.backbone} are kept in {folder / name}")
    return _photos(parts, partition, drop, split)


def _embed_group(
    group: RowGroup, split: str, model: ImageModel, pool: ThreadPoolExecutor, file: Path
) -> dict[str, Tensor]:
    table = group.read(["photo_id", "image", "lat", "lng"], split, located=True)
    names = [bytes.fromhex(name) for name in table["photo_id"].to_pylist()]
    encoded = table["image"].combine_chunks().field("bytes").to_pylist() if len(table) else []
    was_training = model.training
    model.eval()
    features, right = [], []
    for start in range(0, len(encoded), BATCH):
        pictures = list(pool.map(lambda data: decode(data, model.config.image_size), encoded[start : start + BATCH]))
        right += [picture is not None for picture in pictures]
        good = [picture for picture in pictures if picture is not None]
        if good:
            with torch.inference_mode():
                features.append(model.features(torch.stack(good).to(model.mean.device)).float().cpu())
    model.train(was_training)
    right_N = np.array(right, dtype=bool)
    part = {
        "features": torch.cat(features) if features else torch.empty(0, 0),
        "lat": torch.from_numpy(table["lat"].to_numpy()[right_N].copy()),
        "lng": torch.from_numpy(table["lng"].to_numpy()[right_N].copy()),
        "photo_id": _as_bytes([name for name, fine in zip(names, right, strict=True) if fine]),
        "failed": _as_bytes([name for name, fine in zip(names, right, strict=True) if not fine]),
    }
    with atomic_path(file) as temporary:
        save_file(part, temporary)
    return part


def _as_bytes(names: list[bytes]) -> Tensor:
    """SHA-256 sums as uint8 [N, 32]."""
    return torch.from_numpy(np.frombuffer(b"".join(names), np.uint8).reshape(len(names), -1 if names else 32).copy())


def _names(sums: Tensor) -> Iterator[str]:
    return (row.tobytes().hex() for row in sums.numpy())


def _read(file: Path) -> dict[str, Tensor] | None:
    if not file.is_file():
        return None
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise DatasetError(f"{file} is damaged ({error}): delete it, and it is computed again") from error


def _photos(parts: list[dict[str, Tensor]], partition: Partition, drop: bool, split: str) -> SplitPhotos:
    filled = [part for part in parts if len(part["lat"])]
    undecodable = [name for part in parts for name in _names(part["failed"])]
    lat_N, lng_N = (
        np.concatenate([part[column].numpy() for part in filled]) if filled else np.empty(0)
        for column in ("lat", "lng")
    )
    cell_N = partition.assign(lat_N, lng_N)
    outside = int((cell_N < 0).sum())
    kept = np.flatnonzero((cell_N >= 0) | (not drop))
    names = [name for part in filled for name in _names(part["photo_id"])]
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
