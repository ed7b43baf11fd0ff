"""What photos of a dataset look like, kept beside it: the next evaluation need not look at them again.

    DATASET.embeddings/<key>/looks-00000.npz ...   float32 [1,024, F] each, a row of NaN for an unreadable photo

The key is a hash of all that they depend on: the dataset's manifest, which photos, and what looks at them (a network's
weights and preprocessing, or the version of the hand-made features).

Shapes: N photos, F features.
"""

import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openplanet.errors import InputError
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.models import features
from openplanet.photos.dataset import Dataset
from openplanet.progress import say
from openplanet.storage import atomic_path

Float32s = NDArray[np.float32]

CHUNK = 1024  # photos in a file: what a stop costs at most


@dataclass(frozen=True)
class Photos:
    """Photos to be looked at. Those of a ``dataset`` are at ``index_N`` among the located ones of ``split``."""

    images: Callable[[], Iterable[bytes]]
    index_N: NDArray[np.int64]
    dataset: Dataset | None = None
    split: str = ""

    def __len__(self) -> int:
        return len(self.index_N)

    @classmethod
    def of(cls, photoset: PhotoSet) -> "Photos":
        """All photos of a set."""
        return cls(photoset.images, np.arange(len(photoset)), photoset.dataset, photoset.split)


def folder_of(photos: Photos, looker: Mapping[str, Any]) -> Path | None:
    """Where it is kept what ``looker`` sees of these photos; None for photos that are of no dataset."""
    if photos.dataset is None:
        return None
    which = {
        "dataset": features.manifest_sha256(photos.dataset),
        "split": photos.split,
        "photos": sha256(photos.index_N.tobytes()).hexdigest(),
    }
    return features.default_folder(photos.dataset) / features.key_name({**which, **looker})


def remembered(
    photos: Photos, looker: Mapping[str, Any], look: Callable[[Iterable[bytes]], Float32s], what: str
) -> Float32s:
    """What ``look`` sees of the photos [N, F]: what is kept is read, the rest made and kept.

    ``looker``: all that decides what it sees. Where the folder cannot be written, that is said, and it is made again
    the next time.
    """
    folder = folder_of(photos, looker)
    starts = range(0, len(photos), CHUNK)
    files = [None if folder is None else folder / f"looks-{number:05d}.npz" for number in range(len(starts))]
    parts = [_read(file, min(CHUNK, len(photos) - start)) for file, start in zip(files, starts, strict=True)]
    if any(part is None for part in parts):
        source, written = iter(photos.images()), folder is not None
        for number, (file, start) in enumerate(zip(files, starts, strict=True)):
            batch = islice(source, min(CHUNK, len(photos) - start))
            if parts[number] is not None:
                deque(batch, maxlen=0)
                continue
            part = parts[number] = look(batch)
            written = written and file is not None and _write(file, part)
        if written:
            say(f"{what} of {len(photos):,} photos are kept in {folder}")
    found = [part for part in parts if part is not None]
    size = max((part.shape[1] for part in found), default=0)
    # a chunk of which no photo can be read may have no width of its own
    return np.concatenate(
        [part if part.shape[1] == size else np.full((len(part), size), np.nan, np.float32) for part in found]
        or [np.zeros((0, size), np.float32)]
    )


def _read(file: Path | None, rows: int) -> Float32s | None:
    if file is None:
        return None
    try:
        # a zip, which has check sums; np.load leaves a file of its own open where that is none
        with file.open("rb") as source, np.load(source, allow_pickle=False) as archive:
            found = archive["looks"]
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):  # absent or damaged: made again
        return None
    return found if found.ndim == 2 and len(found) == rows and found.dtype == np.float32 else None


def _write(file: Path, part: Float32s) -> bool:
    try:
        with atomic_path(file) as temporary, temporary.open("wb") as out:
            np.savez(out, looks=part)
    except InputError as error:
        say(f"not kept: {error}")
        return False
    return True
