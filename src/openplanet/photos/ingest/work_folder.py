"""The folder ``.parts`` in which an ingest works: one ingest at a time, and nothing of anybody else's touched.

Only files under the names that ingest gives are ever removed. Photos that a user keeps in a folder of the same name
stay where they are, and so does the folder.
"""

import fcntl
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from openplanet.errors import DatasetError, InputError
from openplanet.photos import dataset
from openplanet.photos.ingest import parts
from openplanet.storage import read_json, write_json

WORK, MARK, LOCK = ".parts", "ingest.json", "lock"
THUMBNAILS = "thumbnails.u8"  # of earlier versions
REJECTED, CARD = "rejected.csv", "README.md"
_PUBLISHED = (dataset.MANIFEST, REJECTED, CARD)
_NEXT_SHARD = "photos-next.parquet"
_TEMPORARY = re.compile(r"\.(.+)\.\d+\.part")  # of storage.atomic_path


def is_marked(out: Path) -> bool:
    """Whether ``out`` holds the work of an ingest."""
    try:
        return read_json(out / WORK / MARK).get("format") == dataset.FORMAT
    except InputError:
        return False


def next_name(name: str) -> str:
    """The name in the work folder of a file that is renamed to ``name`` in the dataset's folder."""
    return f"next-{name}"


@contextmanager
def work_folder(out: Path, shared: bool = False) -> Iterator[Path]:
    """The marked work folder, for one ingest at a time; it stays when the work does not come to its end.

    ``shared``: for one of several shards that only read photos; other files stay as they are. Raises DatasetError
    where it cannot be written, holds an ``ingest.json`` of something else, or another ingest is at work.
    """
    work = out / WORK
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = (work / LOCK).open("a+")  # NFS lends a shared lock to readers only
    except OSError as error:
        raise DatasetError(f"{out} cannot be written: {error.strerror or error}") from error
    with lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatasetError(f"another ingest is writing {out}: wait for it, or stop it") from error
        if (work / MARK).exists() and not is_marked(out):
            raise DatasetError(f"{work / MARK} is not of an ingest: move it away, or give another folder")
        if not is_marked(out):
            write_json(work / MARK, {"format": dataset.FORMAT, "what": "an ingest at work; safe to delete"})
        if not shared:
            _remove_shards(work / "shards")
            _remove_temporaries(out)
        yield work


def clear(out: Path, ours: set[str]) -> None:
    """Remove the work, and those shards and readings in ``out`` that are not in ``ours``."""
    for pattern in ("photos-*.parquet", "readings-*.parquet"):
        for path in out.glob(pattern):
            if path.name not in ours and dataset.is_ours(path.name):
                path.unlink()
    work = out / WORK
    _remove(work / "parts", lambda name: parts.is_ours(_written(name)))
    _remove_shards(work / "shards")
    _remove_temporaries(out)
    # the lock goes last, for it says that somebody is at work
    for name in (*map(next_name, _PUBLISHED), REJECTED, THUMBNAILS, MARK, LOCK):
        (work / name).unlink(missing_ok=True)
    with suppress(OSError):  # somebody's own files lie there
        work.rmdir()


def _remove_shards(folder: Path) -> None:
    _remove(folder, lambda name: dataset.is_ours(_written(name)) or _written(name) == _NEXT_SHARD)


def _remove_temporaries(out: Path) -> None:
    """What a killed run was about to rename, beside the dataset's files (earlier versions) and in the work folder."""
    for folder, names in ((out, _PUBLISHED), (out / WORK, (*map(next_name, _PUBLISHED), MARK))):
        for path in folder.glob(".*.part"):
            if _written(path.name) in names:
                path.unlink(missing_ok=True)


def _remove(folder: Path, is_ours: Callable[[str], bool]) -> None:
    if folder.is_dir():
        for path in folder.iterdir():
            if is_ours(path.name) and not path.is_dir():
                path.unlink(missing_ok=True)
        with suppress(OSError):  # somebody's own files lie there
            folder.rmdir()


def _written(name: str) -> str:
    """The name that a file has or, while it is written, is to have."""
    match = _TEMPORARY.fullmatch(name)
    return match[1] if match else name
