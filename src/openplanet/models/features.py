"""What is seen of the photos of a dataset, computed once and kept on disk: a network's features, or hand-made ones.

    DATASET.embeddings/<key>/train-00000.safetensors ...   photo_ids and features of a row group; checksum
    DATASET.embeddings/<key>/key.json                      what the key stands for

The key says all that the features depend on: whatever is not in it may change, and they are found again. Those of a
network are its backbone's, so that training on a frozen one, albums and neighbours all read the same; what follows
(``ImageModel.embedding_of``, heads) is computed from them in no time.

Shapes: N photos, F features, D embedding, B photos in a batch.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file
from torch import Tensor, nn

from openplanet.errors import InputError
from openplanet.models.image_model import ImageModel
from openplanet.models.preprocess import decode
from openplanet.photos.dataset import ALL, SPLITS, Dataset
from openplanet.photos.row_groups import RowGroup, row_groups
from openplanet.progress import Progress, say
from openplanet.storage import atomic_path, write_json
from openplanet.stores.location import Location, RemotePath, listing

PREPROCESSING = "centre square, bicubic, 1"
"""Changes with models/preprocess.py, so that features of another preprocessing are not taken for these."""
BATCH = 32
ROWS = 4096  # features that go through the embedding layer at once

Look = Callable[[Sequence[bytes]], list[Tensor | None]]
"""Encoded photos, a few at a time → float32 [F] of each, on the CPU; None for one that cannot be decoded."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen of some photos, in stored order."""

    photo_ids: list[str]
    features_NF: Tensor
    """float32, on the CPU."""
    failed: list[str]
    """photo_ids of those that cannot be decoded; they are not among the others."""

    def rows(self, photo_ids: Sequence[str]) -> NDArray[np.float32]:
        """The features of these photos, in this order: float32 [N, F]; a row of NaN for one that was not seen."""
        place = {name: row for row, name in enumerate(self.photo_ids)}
        index = np.array([place.get(name, -1) for name in photo_ids], np.int64)
        found = np.full((len(index), self.features_NF.shape[1]), np.nan, np.float32)
        found[index >= 0] = self.features_NF.numpy()[index[index >= 0]]
        return found


def default_folder(dataset: Dataset) -> Location:
    """Beside the dataset, so that the dataset's folder stays as ingest wrote it."""
    return dataset.path.with_name(f"{dataset.path.name}.embeddings")


def of_backbone(
    dataset: Dataset,
    split: str,
    model: ImageModel,
    folder: Location | None = None,
    photo_ids: Iterable[str] | None = None,
) -> Seen:
    """What the backbone of ``model`` sees of the photos of a split, computed on the device that it is on.

    ``folder``: where it is kept [default: DATASET.embeddings]. ``photo_ids``: of those that are wanted; None: all.
    A stop loses one row group at most. Memory holds 4 F bytes a photo. A damaged file of ``folder`` (each has a
    checksum) is computed again. Raises DatasetError where the dataset is damaged.
    """
    was_training = model.training
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        seen = of_photos(dataset, split, *backbone_look(dataset, model.eval(), pool), folder, photo_ids)
    model.train(was_training)
    return seen


def backbone_look(dataset: Dataset, model: ImageModel, pool: ThreadPoolExecutor) -> tuple[Look, dict[str, Any]]:
    """How the backbone of ``model``, in evaluation mode, looks at photos of a dataset; and the key of what it sees."""
    device = next(model.parameters()).device
    key, larger = backbone_key(model), dataset.side > model.config.decoded_side
    short_side = model.config.decoded_side if larger else None  # as a photo of a file is brought to it
    key |= {"short_side": short_side} if larger else {}

    def look(encoded: Sequence[bytes]) -> list[Tensor | None]:
        return _look(encoded, model, device, pool, short_side)

    return look, key


def of_embedding(
    dataset: Dataset,
    split: str,
    model: ImageModel,
    folder: Location | None = None,
    photo_ids: Iterable[str] | None = None,
) -> Seen:
    """As ``of_backbone``, one step on: the embedding [N, D] of each photo."""
    seen = of_backbone(dataset, split, model, folder, photo_ids)
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    with torch.inference_mode():
        parts = [model.embedding_of(some.to(device)).float().cpu() for some in torch.split(seen.features_NF, ROWS)]
    model.train(was_training)
    return dataclasses.replace(seen, features_NF=torch.cat(parts) if seen.photo_ids else seen.features_NF)


def backbone_key(model: ImageModel) -> dict[str, Any]:
    """All that a backbone's features depend on."""
    image = dataclasses.asdict(model.config)
    names = ("backbone", "backbone_args", "image_size", "mean", "std", "centre_crop")
    weights = {"weights": weights_sha256(model.backbone), "preprocessing": PREPROCESSING}
    return {"what": "features of a backbone", **{name: image[name] for name in names}, **weights}


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 over names and values of all weights, the same wherever they were read from."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def of_photos(
    dataset: Dataset,
    split: str,
    look: Look,
    key: dict[str, Any],
    folder: Location | None = None,
    photo_ids: Iterable[str] | None = None,
) -> Seen:
    """As ``of_backbone``, by whatever ``look`` looks by; ``key`` holds all that its features depend on but the dataset.

    Where ``folder`` cannot be written, that is said, and they are computed again the next time.
    """
    if split == ALL:  # each split has files of its own
        wanted_ids = None if photo_ids is None else list(photo_ids)
        return _joined([of_photos(dataset, each, look, key, folder, wanted_ids) for each in SPLITS if each != "none"])
    stored = Stored(*place_of(dataset, key, folder), look)
    wanted = None if photo_ids is None else set(photo_ids)
    parts = []
    with Progress(f"looking at {split}", dataset.count(split) if wanted is None else len(wanted)) as progress:
        for index, group in enumerate(row_groups(dataset)):
            part = stored.of_group(group, index, split, wanted)
            parts.append(part)
            progress.advance(len(part.photo_ids) + len(part.failed))
    return _joined(parts)


@dataclass(frozen=True)
class Stored:
    """The files of one key: ``place_of`` them, and what is seen of photos that they lack."""

    place: Location
    key: dict[str, Any]
    look: Look
    strict: bool = False
    """Raise InputError where a file cannot be written; else that is said, and its photos are looked at again."""

    @cached_property
    def _there(self) -> dict[str, Location]:
        """In a store: the files that were there at first, by one listing, and those that were written since."""
        return listing(self.place) if isinstance(self.place, RemotePath) else {}

    def file(self, index: int, split: str) -> Location:
        """Of the photos of a split in row group number ``index``; there is none where there are no such photos."""
        name = f"{split}-{index:05d}.safetensors"
        return self._there.get(name, self.place / name)

    def of_group(self, group: RowGroup, index: int, split: str, wanted: set[str] | None = None) -> Seen:
        """What is seen of the ``wanted`` photos (None: of all) of a split in row group number ``index``; its file has
        it afterwards."""
        ids = group.read(["photo_id"], split)["photo_id"].to_pylist()
        ids = ids if wanted is None else [name for name in ids if name in wanted]
        if not ids:
            return _joined(())
        file = self.file(index, split)
        part = _read(file) if self._is_there(file) else _joined(())
        if missing := set(ids).difference(part.photo_ids, part.failed):
            part = _joined([part, _look_at_group(group, split, missing, self.look)])
            self._write(file.name, part)
        return _chosen(part, ids)

    def _is_there(self, file: Location) -> bool:
        return file.name in self._there if isinstance(file, RemotePath) else file.is_file()

    def _write(self, name: str, part: Seen) -> None:
        file, about = self.place / name, self.place / "key.json"
        tensors = {
            "features": part.features_NF,
            "photo_id": _as_bytes(part.photo_ids),
            "failed": _as_bytes(part.failed),
        }
        try:
            if not self._is_there(about):
                write_json(about, self.key)
            with atomic_path(file) as temporary:
                save_file(tensors, temporary, metadata={"sha256": _sha256(tensors)})
            if isinstance(file, RemotePath):
                self._there.update({file.name: file, about.name: self.place / about.name})
        except InputError as error:
            if self.strict:
                raise
            say(f"what is seen of photos is not kept: {error}")


def place_of(dataset: Dataset, key: dict[str, Any], folder: Location | None = None) -> tuple[Location, dict[str, Any]]:
    """The folder of a key's features, and the whole key, with what tells this dataset from others, and from itself
    ingested anew."""
    manifest = hashlib.sha256(json.dumps(dataset.manifest, sort_keys=True, default=str).encode()).hexdigest()
    whole = {"dataset": manifest, **key}
    name = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]
    return (folder or default_folder(dataset)) / name, whole


def _look(
    encoded: Sequence[bytes],
    model: ImageModel,
    device: torch.device,
    pool: ThreadPoolExecutor,
    short_side: int | None,
) -> list[Tensor | None]:
    config = model.config
    pictures = list(pool.map(lambda data: decode(data, config.image_size, config.centre_crop, short_side), encoded))
    good = [picture for picture in pictures if picture is not None]
    if not good:
        return [None] * len(pictures)
    with torch.inference_mode():
        features = iter(model.features(torch.from_numpy(np.stack(good)).to(device)).float().cpu())
    return [None if picture is None else next(features) for picture in pictures]


def _look_at_group(group: RowGroup, split: str, missing: set[str], look: Look) -> Seen:
    table = group.read(["photo_id", "image"], split)
    rows = [row for row, name in enumerate(table["photo_id"].to_pylist()) if name in missing]
    table = table.take(rows)
    ids, encoded = table["photo_id"].to_pylist(), table["image"].combine_chunks().field("bytes").to_pylist()
    found: list[Tensor | None] = []
    for start in range(0, len(encoded), BATCH):
        found += look([data or b"" for data in encoded[start : start + BATCH]])
    return Seen(
        [name for name, each in zip(ids, found, strict=True) if each is not None],
        torch.stack(good) if (good := [each for each in found if each is not None]) else torch.empty(0, 0),
        [name for name, each in zip(ids, found, strict=True) if each is None],
    )


def _chosen(part: Seen, ids: list[str]) -> Seen:
    """The photos ``ids`` of a part, in their order."""
    row_of = {name: row for row, name in enumerate(part.photo_ids)}
    kept = [name for name in ids if name in row_of]
    features = part.features_NF[[row_of[name] for name in kept]]
    return Seen(kept, features, [name for name in ids if name not in row_of])


def _joined(parts: Sequence[Seen]) -> Seen:
    # a part of which no photo can be decoded has no width
    filled = [part.features_NF for part in parts if len(part.features_NF)]
    return Seen(
        [name for part in parts for name in part.photo_ids],
        torch.cat(filled) if filled else torch.empty(0, 0),
        [name for part in parts for name in part.failed],
    )


def _read(file: Location) -> Seen:
    """The part that was written; nothing, and a word, where it is damaged: then it is computed again."""
    try:
        tensors, told = _tensors(file)
        damaged = told != _sha256(tensors) or not _fits(tensors)
    except (OSError, SafetensorError, ValueError, TypeError):
        damaged = True
    if damaged:
        say(f"{file} is damaged, or of an earlier version: its photos are looked at again")
        return _joined(())
    return Seen(list(_names(tensors["photo_id"])), tensors["features"], list(_names(tensors["failed"])))


def _tensors(file: Location) -> tuple[dict[str, Tensor], object]:
    """What a file holds, and the checksum that it tells."""
    if not isinstance(file, RemotePath):
        with safe_open(file, framework="pt") as stored:
            found = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no dict)
            return found, (stored.metadata() or {}).get("sha256")
    with file.open("rb") as opened:
        whole = opened.read()
    head = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
    return load(whole), head.get("__metadata__", {}).get("sha256")


def _fits(tensors: dict[str, Tensor]) -> bool:
    """Whether the columns are there, as many rows in each."""
    kinds = {"features": torch.float32, "photo_id": torch.uint8, "failed": torch.uint8}
    if {name: tensor.dtype for name, tensor in tensors.items()} != kinds:
        return False
    ids = all(tensors[name].ndim == 2 and tensors[name].shape[1] == 32 for name in ("photo_id", "failed"))
    return ids and tensors["features"].ndim == 2 and len(tensors["features"]) == len(tensors["photo_id"])


def _sha256(tensors: dict[str, Tensor]) -> str:
    """Over names, kinds, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _as_bytes(photo_ids: list[str]) -> Tensor:
    """SHA-256 sums as uint8 [N, 32]."""
    joined = bytearray(b"".join(map(bytes.fromhex, photo_ids)))
    return torch.from_numpy(np.frombuffer(joined, np.uint8).reshape(len(photo_ids), 32).copy())


def _names(sums: Tensor) -> Iterator[str]:
    return (row.tobytes().hex() for row in sums.numpy())
