"""The long half of ingest: read, shrink and encode every photo, into parts that survive a kill.

A part is a Parquet file of some photos, written whole or not at all. Each of its rows carries the key of
its file (path, size, time of last change, what was asked), so that a later run takes over what still holds
and reads only the rest.
"""

import hashlib
import itertools
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from openplanet.photos.ingest.read import SCHEMA, Reading, Task, read_photo
from openplanet.progress import Progress
from openplanet.storage import atomic_path

PART_VERSION = 5  # part of every key: raise it when the same file would give another row
PART_PHOTOS = 32  # what a kill can cost each worker
CRASHED = "crashed the reader"


_PART = SCHEMA.append(pa.field("image", pa.binary()))


def key_of(path: str, stamps: Sequence[object], side: int) -> bytes:
    """The key of a photo; it changes with whatever would change its reading (``stamps``: size, time of last
    change, of the file and of those beside it)."""
    told = (os.fsencode(path), *stamps, side, PART_VERSION)
    return hashlib.sha256(repr(told).encode()).digest()[:16]


def process(tasks: Iterator[Task], count: int, folder: Path, side: int, workers: int | None = None) -> None:
    """Read ``tasks``, of which there are ``count``; afterwards every one has its row in some part of ``folder``.

    A file on which a worker process dies gets a row with reason ``CRASHED``; it costs no other file its row.
    """
    if not count:
        return
    folder.mkdir(parents=True, exist_ok=True)
    # Chunks small enough that every worker has its share of the last ones.
    workers = min(workers or os.cpu_count() or 1, -(-count // PART_PHOTOS))
    with Progress("Reading photos", count) as progress:
        lost = _run(_slices(tasks), folder, side, workers, progress)
        for task in lost:  # one of them killed a worker: each alone, so that it takes no other along
            if _run(iter([(task,)]), folder, side, 1, progress):
                _write([Reading(task.key, CRASHED, "a worker process died on it, twice")], [None], folder)
                progress.advance()


def is_ours(name: str) -> bool:
    """Whether a file name is one that parts get."""
    return re.fullmatch(r"[0-9a-f]{32}\.parquet", name) is not None


def stored(folder: Path) -> list[Path]:
    """The parts that can be read, in a fixed order; damaged ones are removed: their photos are read again."""
    found = []
    for part in sorted(part for part in folder.glob("*.parquet") if is_ours(part.name)):
        try:
            if pq.read_schema(part).equals(_PART):
                found.append(part)
                continue
        except (OSError, pa.ArrowException):
            pass
        part.unlink()
    return found


def _slices(tasks: Iterator[Task]) -> Iterator[tuple[Task, ...]]:
    while slice_ := tuple(itertools.islice(tasks, PART_PHOTOS)):
        yield slice_


def _run(slices: Iterator[tuple[Task, ...]], folder: Path, side: int, workers: int, progress: Progress) -> list[Task]:
    """Work off ``slices``; returns the tasks of those that were under way when a worker process died."""
    lost, slice_ = list[Task](), next(slices, ())
    while slice_:
        under_way: dict[Future[None], tuple[Task, ...]] = {}
        executor = _executor(workers)
        try:
            while slice_ or under_way:
                while slice_ and len(under_way) < 2 * workers:  # one to do, one at hand: few are lost in a crash
                    under_way[executor.submit(write_part, slice_, folder, side)] = slice_
                    slice_ = next(slices, ())
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    future.result()
                    progress.advance(len(under_way.pop(future)))
        except BrokenProcessPool:
            lost.extend(task for waiting in under_way.values() for task in waiting)
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


def _write(read: Sequence[Reading], images: Sequence[bytes | None], folder: Path) -> None:
    columns: dict[str, list[Any]] = {name: [_text(getattr(each, name)) for each in read] for name in SCHEMA.names}
    name = hashlib.sha256(b"".join(columns["key"])).hexdigest()[:32]
    table = pa.table({**columns, "image": list(images)}, schema=_PART)
    with atomic_path(folder / f"{name}.parquet") as temporary:
        pq.write_table(table, temporary, compression="none")


def _text(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
