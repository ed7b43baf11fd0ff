"""The long half of ingest: read, shrink and encode every photo, into parts that survive a kill.

A part is a Parquet file of some photos, written whole or not at all. Each of its rows carries the key of
its file (path, size, time of last change, what was asked), so that a later run takes over what still holds
and reads only the rest.
"""

import contextlib
import hashlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from openplanet.errors import PhotoError
from openplanet.photos import exif, images, likeness
from openplanet.progress import Progress, say
from openplanet.storage import atomic_path, sha256_of

PART_VERSION = 1  # part of every key: raise it when the same file would give another row
PART_PHOTOS = 32  # what a kill can cost each worker
CRASHED = "crashed the reader"


@dataclass(frozen=True, slots=True)
class Task:
    """One file to read. ``needs_gps``: without a position of its own it is rejected before its pixels are
    decoded."""

    path: str
    needs_gps: bool
    key: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading one file gave, but for its picture; ``reason``: None, or why it is of no use."""

    key: str
    reason: str | None = None
    detail: str | None = None
    photo_id: str | None = None
    lat: float | None = None
    lng: float | None = None
    taken_at: datetime | None = None
    taken_at_is_utc: bool = False
    make: str | None = None
    model: str | None = None
    serial: str | None = None
    width: int = 0
    height: int = 0
    dhash: int = 0
    thumbnail: bytes = b""


_TYPES = {
    "lat": pa.float64(),
    "lng": pa.float64(),
    "taken_at": pa.timestamp("us"),
    "taken_at_is_utc": pa.bool_(),
}
_TYPES |= {"width": pa.int32(), "height": pa.int32(), "dhash": pa.uint64(), "thumbnail": pa.binary()}
_LIGHT = [field.name for field in fields(Reading)]
_SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in _LIGHT] + [("image", pa.binary())])


def task_for(path: Path, size_and_time: tuple[int, int], side: int, needs_gps: bool) -> Task:
    """The task of a file; its key changes with whatever would change its row."""
    told = (os.fsencode(path), *size_and_time, side, needs_gps, PART_VERSION)
    return Task(str(path), needs_gps, hashlib.sha256(repr(told).encode()).hexdigest()[:32])


def process(tasks: Sequence[Task], folder: Path, side: int, workers: int | None = None) -> None:
    """Read what no part in ``folder`` holds yet; afterwards every task has its row in some part.

    A file on which a worker process dies gets a row with reason ``CRASHED``; it costs no other file its row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = {key for part in _parts(folder) for key in _column(part, "key")}
    todo = [task for task in tasks if task.key not in done]
    if len(todo) < len(tasks):
        say(f"Taking over {len(tasks) - len(todo)} photos that an earlier run has read")
    if not todo:
        return
    slices = [todo[start : start + PART_PHOTOS] for start in range(0, len(todo), PART_PHOTOS)]
    with Progress("Reading photos", len(todo)) as progress:
        lost = _run(slices, folder, side, workers or os.cpu_count() or 1, progress)
        for task in lost:  # one of them killed a worker: each alone, so that it takes no other along
            if _run([[task]], folder, side, 1, progress):
                _write([Reading(task.key, CRASHED, "a worker process died on it, twice")], [None], folder)
                progress.advance()


def readings(folder: Path) -> dict[str, tuple[Reading, Path, int]]:
    """All rows of all parts by key: (reading, its part, its row there)."""
    found = {}
    for part in _parts(folder):
        with contextlib.suppress(OSError, pa.ArrowException):
            for row, values in enumerate(pq.read_table(part, columns=_LIGHT).to_pylist()):
                found[values["key"]] = (Reading(**values), part, row)
    return found


def pictures(part: Path) -> pa.ChunkedArray:
    """The encoded pictures of a part, in the order of its rows."""
    return pq.read_table(part, columns=["image"])["image"]


def _run(slices: Sequence[list[Task]], folder: Path, side: int, workers: int, progress: Progress) -> list[Task]:
    """Work off ``slices``; returns the tasks of those that were under way when a worker process died."""
    waiting, lost = deque(slices), list[Task]()
    workers = min(workers, len(slices))
    while waiting:
        under_way: dict[Future[None], list[Task]] = {}
        executor = _executor(workers)
        try:
            while waiting or under_way:
                while waiting and len(under_way) < 2 * workers:  # one to do, one at hand: few are lost in a crash
                    slice_ = waiting.popleft()
                    under_way[executor.submit(write_part, slice_, folder, side)] = slice_
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    future.result()
                    progress.advance(len(under_way.pop(future)))
        except BrokenProcessPool:
            lost.extend(task for slice_ in under_way.values() for task in slice_)
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
    return lost


def _executor(workers: int) -> ProcessPoolExecutor:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        # pyarrow imports pandas, if there is one, at its first array: better once than in every worker
        context.set_forkserver_preload([__name__, "pandas"])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    parent = multiprocessing.parent_process()

    def end_with_parent() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)  # a killed parent must not leave workers that wait for ever

    threading.Thread(target=end_with_parent, daemon=True).start()


def write_part(tasks: Sequence[Task], folder: Path, side: int) -> None:
    """Read ``tasks`` and write their part. Runs in a worker; no file makes it fail, short of a crash."""
    read = [read_photo(task, side) for task in tasks]
    _write([reading for reading, _ in read], [image for _, image in read], folder)


def read_photo(task: Task, side: int) -> tuple[Reading, bytes | None]:
    """Read one file: what it says of itself, and its picture as a JPEG of short side at most ``side``."""
    path = Path(task.path)
    try:
        metadata = exif.read(path)
        if task.needs_gps and metadata.lat is None:
            return Reading(task.key, metadata.position, "neither in its Exif nor in a table"), None
        image = images.load(path, short_side=side)
        picture = images.encode_jpeg(image)
        told = {name: getattr(metadata, name) for name in _LIGHT if hasattr(metadata, name)}
        told |= {"dhash": images.dhash(image), "thumbnail": likeness.thumbnail(image)}
        return Reading(task.key, photo_id=sha256_of(path), **told), picture
    except PhotoError as error:
        return Reading(task.key, error.reason, str(error)), None
    except OSError as error:
        return Reading(task.key, "unreadable", error.strerror or str(error)), None
    except MemoryError:
        return Reading(task.key, "out of memory", "too little memory to decode it"), None
    except Exception as error:  # one odd file must not cost the others their ingest
        return Reading(task.key, "unexpected error", repr(error)), None


def _write(read: Sequence[Reading], images_: Sequence[bytes | None], folder: Path) -> None:
    columns: dict[str, list[Any]] = {name: [_text(getattr(reading, name)) for reading in read] for name in _LIGHT}
    name = hashlib.sha256("".join(columns["key"]).encode()).hexdigest()[:32]
    table = pa.table({**columns, "image": list(images_)}, schema=_SCHEMA)
    with atomic_path(folder / f"{name}.parquet") as temporary:
        pq.write_table(table, temporary, compression="none")


def _text(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _parts(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.glob("[0-9a-f]*.parquet")))


def _column(part: Path, name: str) -> list[Any]:
    try:
        return pq.read_table(part, columns=[name])[name].to_pylist()  # type: ignore[no-any-return]
    except (OSError, pa.ArrowException):
        part.unlink()  # damaged by something else than us: read its photos again
        return []
