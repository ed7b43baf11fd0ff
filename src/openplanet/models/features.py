"""What a network sees of the photos of a split, computed once and kept on disk, a row group at a time.

    FOLDER/<key>/train-00000.safetensors ...   features, positions, photo_ids of a row group each; checksum
    FOLDER/<key>/key.json                      what the key stands for

The key says all that the features depend on: whatever is not in it may change, and they are found again.

Shapes: N photos of a row group, F features, B photos in a batch, H W pixels.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from openplanet.models.preprocess import decode
from openplanet.photos.dataset import Dataset
from openplanet.photos.row_groups import RowGroup, row_groups
from openplanet.progress import Progress, say
from openplanet.storage import atomic_path, write_json

PREPROCESSING = "centre square, bicubic, 1"
"""Changes with models/preprocess.py, so that features of another preprocessing are not taken for these."""
BATCH = 32

Ask = Callable[[Tensor], Tensor]
"""uint8 pixels [B, 3, H, W] → float [B, F], on the device of its choice."""


def default_folder(dataset: Dataset) -> Path:
    """Beside the dataset, so that the dataset's folder stays as ingest wrote it."""
    return dataset.path.with_name(f"{dataset.path.name}.embeddings")


def manifest_sha256(dataset: Dataset) -> str:
    """What tells this dataset from others, and from itself ingested anew."""
    return hashlib.sha256(json.dumps(dataset.manifest, sort_keys=True, default=str).encode()).hexdigest()


def key_name(key: dict[str, Any]) -> str:
    """The name of the folder of a key's features."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


def of_split(
    dataset: Dataset, split: str, side: int, ask: Ask, key: dict[str, Any], folder: Path, located: bool = True
) -> list[dict[str, Tensor]]:
    """The features of the photos of ``split`` (``located``: of those with a position), by row groups in stored order:
    features float32 [N, F], lat, lng float64 [N] (NaN where not known), photo_id and failed as ``names`` reads them.

    ``ask`` is asked for what ``folder`` does not have under this key; a stop loses one row group at most. Memory
    holds 4 bytes a feature of each photo. A damaged file of ``folder`` (each has a checksum) is computed again.
    Raises DatasetError where the dataset is damaged.
    """
    place = folder / key_name(key)
    write_json(place / "key.json", key)
    parts: list[dict[str, Tensor]] = []
    total = dataset.count(split, located)
    with Progress(f"embedding {split}", total) as progress, ThreadPoolExecutor(os.cpu_count()) as pool:
        for index, group in enumerate(row_groups(dataset)):
            file = place / f"{split}-{index:05d}.safetensors"
            part = _read(file)
            if part is None:
                part = _ask_group(group, split, located, side, ask, pool)
                with atomic_path(file) as temporary:
                    save_file(part, temporary, metadata={"sha256": _sha256(part)})
            parts.append(part)
            progress.advance(len(part["lat"]) + len(part["failed"]))
    return parts


def names(sums: Tensor) -> Iterator[str]:
    """The photo_ids of a part's ``photo_id`` or ``failed`` (photos that cannot be decoded)."""
    return (row.tobytes().hex() for row in sums.numpy())


def _ask_group(
    group: RowGroup, split: str, located: bool, side: int, ask: Ask, pool: ThreadPoolExecutor
) -> dict[str, Tensor]:
    table = group.read(["photo_id", "image", "lat", "lng"], split, located)
    ids = [bytes.fromhex(name) for name in table["photo_id"].to_pylist()]
    encoded = table["image"].combine_chunks().field("bytes").to_pylist() if len(table) else []
    features, right = [], []
    for start in range(0, len(encoded), BATCH):
        pictures = list(pool.map(lambda data: decode(data, side), encoded[start : start + BATCH]))
        right += [picture is not None for picture in pictures]
        good = [picture for picture in pictures if picture is not None]
        if good:
            with torch.inference_mode():
                features.append(ask(torch.stack(good)).float().cpu())
    right_N = np.array(right, dtype=bool)
    return {
        "features": torch.cat(features) if features else torch.empty(0, 0),
        "lat": torch.from_numpy(table["lat"].to_numpy()[right_N].copy()),
        "lng": torch.from_numpy(table["lng"].to_numpy()[right_N].copy()),
        "photo_id": _as_bytes([name for name, fine in zip(ids, right, strict=True) if fine]),
        "failed": _as_bytes([name for name, fine in zip(ids, right, strict=True) if not fine]),
    }


def _as_bytes(ids: list[bytes]) -> Tensor:
    """SHA-256 sums as uint8 [N, 32]."""
    return torch.from_numpy(np.frombuffer(b"".join(ids), np.uint8).reshape(len(ids), -1 if ids else 32).copy())


def _sha256(part: dict[str, Tensor]) -> str:
    """Over names, kinds, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(part.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _read(file: Path) -> dict[str, Tensor] | None:
    """The part that was written; None, and a word, where it is not that: then it is computed again."""
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as stored:
            part = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no dict)
            told = (stored.metadata() or {}).get("sha256")
        damaged = told != _sha256(part) or not _fits(part)
    except (OSError, SafetensorError, ValueError, TypeError):
        damaged = True
    if damaged:
        say(f"{file} is damaged, or of an earlier version: its photos are embedded again")
        return None
    return part


def _fits(part: dict[str, Tensor]) -> bool:
    """Whether the columns are there, as many rows in each."""
    kinds = {"features": torch.float32, "lat": torch.float64, "lng": torch.float64}
    kinds |= {"photo_id": torch.uint8, "failed": torch.uint8}
    if {name: tensor.dtype for name, tensor in part.items()} != kinds:
        return False
    rows = len(part["lat"])
    ids = all(part[name].ndim == 2 and part[name].shape[1] == 32 for name in ("photo_id", "failed"))
    at = all(part[name].shape == (rows,) for name in ("lat", "lng"))
    return ids and at and part["features"].ndim == 2 and len(part["features"]) == len(part["photo_id"]) == rows
