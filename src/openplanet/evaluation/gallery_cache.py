"""Embeddings of the training photos that are searched, kept beside the dataset: the next test set costs no minutes.

    DATASET.embeddings/<key>/neighbours-00000.npy ...   float32 [1,024, D] each, a row of NaN for an unreadable photo

The key is a hash of all that they depend on: the dataset's manifest, which photos, the weights and the preprocessing.

Shapes: M photos of the gallery, D embedding.
"""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openplanet.errors import InputError
from openplanet.inference.predictor import DECODE_SIDE, Predictor
from openplanet.photos.shards import Dataset
from openplanet.progress import say
from openplanet.storage import atomic_path

Float32s = NDArray[np.float32]

CHUNK = 1024  # photos in a file: what a stop costs at most


def folder_of(train: Dataset, predictor: Predictor, kept_M: NDArray[np.int64]) -> Path:
    """Where the embeddings of these photos (indices in the train split) by this network are kept."""
    state = hashlib.sha256()
    for name, tensor in sorted(predictor.model.state_dict().items()):
        state.update(name.encode())
        state.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    key = {
        "dataset": train.manifest,
        "photos": hashlib.sha256(kept_M.tobytes()).hexdigest(),
        "weights": state.hexdigest(),
        "image": asdict(predictor.checkpoint.image),
        "decoded_at": DECODE_SIDE,
    }
    name = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return train.path.with_name(f"{train.path.name}.embeddings") / name


def remembered(
    folder: Path, count: int, photos: Callable[[], Iterable[bytes]], embed: Callable[[Iterable[bytes]], Float32s]
) -> Float32s:
    """The embeddings [M, D] of ``count`` photos: those in ``folder`` are read, the others made and put there.

    Where the folder cannot be written, that is said, and they are made again the next time.
    """
    starts = range(0, count, CHUNK)
    files = [folder / f"neighbours-{number:05d}.npy" for number in range(len(starts))]
    parts = [_read(file, min(CHUNK, count - start)) for file, start in zip(files, starts, strict=True)]
    if any(part is None for part in parts):
        source, writable = iter(photos()), True
        for number, (file, start) in enumerate(zip(files, starts, strict=True)):
            batch = islice(source, min(CHUNK, count - start))
            if parts[number] is not None:
                deque(batch, maxlen=0)
                continue
            part = parts[number] = embed(batch)
            writable = writable and _write(file, part)
        if writable:
            say(f"embeddings of {count:,} training photos are kept in {folder}")
    found = [part for part in parts if part is not None]
    size = max((part.shape[1] for part in found), default=0)
    # a chunk of which no photo can be read has no width of its own
    return np.concatenate(
        [part if part.shape[1] == size else np.full((len(part), size), np.nan, np.float32) for part in found]
        or [np.zeros((0, size), np.float32)]
    )


def _read(file: Path, rows: int) -> Float32s | None:
    try:
        found = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # absent or damaged: made again
        return None
    return found if found.ndim == 2 and len(found) == rows and found.dtype == np.float32 else None


def _write(file: Path, part: Float32s) -> bool:
    try:
        with atomic_path(file) as temporary, temporary.open("wb") as out:
            np.save(out, part)
    except InputError as error:
        say(f"embeddings are not kept: {error}")
        return False
    return True
