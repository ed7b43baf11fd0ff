"""The long half of ingest: read, shrink and encode every photo, into parts that survive a kill.

A part is a Parquet file of some photos, written whole or not at all. Each of its rows carries the key of
its file (path, size, time of last change, what was asked), so that a later run takes over what still holds
and reads only the rest.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from openplanet.photos.ingest.read import SCHEMA, Reading, Task, read_photo
from openplanet.runners import registry
from openplanet.runners.job import Job, Work
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


def process(tasks: Sequence[Task], folder: Path, side: int, workers: int | None = None, runner: str = "local") -> None:
    """Read ``tasks``; afterwards every one has its row in some part of ``folder``.

    A file on which a worker process dies gets a row with reason ``CRASHED``; it costs no other file its row.
    ``workers``: local processes; None: one for each CPU, 0: this one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    job = ReadJob(folder, side, tasks, os.cpu_count() or 1 if workers is None else workers)
    registry.run(job, runner)
    if job.suspects:  # one of them killed a worker: each alone, so that it takes no other along
        registry.run(replace(job, tasks=tuple(job.suspects), per_part=1), runner)


@dataclass(frozen=True)
class ReadJob(Job):
    """Read ``tasks`` into parts of ``folder``. ``suspects``: those of parts that ended their process."""

    folder: Path
    side: int
    tasks: Sequence[Task]
    processes: int = 1
    per_part: int = field(default_factory=lambda: PART_PHOTOS)
    suspects: list[Task] = field(default_factory=list)
    what = "Reading photos"
    unit = "photo"
    preload = ("pandas",)  # which pyarrow imports, if there is one, at its first array

    @property
    def count(self) -> int:
        return -(-len(self.tasks) // self.per_part)

    def size(self, part: int) -> int:
        return min(self.per_part, len(self.tasks) - part * self.per_part)

    def for_workers(self) -> "ReadJob":
        return replace(self, tasks=(), suspects=[])

    def given(self, part: int) -> tuple[Task, ...]:
        return tuple(self.tasks[part * self.per_part : (part + 1) * self.per_part])

    def open(self) -> Work:
        return self._write_part

    def give_up(self, part: int, reason: str) -> None:
        tasks = self.given(part)
        if len(tasks) > 1:
            self.suspects.extend(tasks)
        else:
            _write([Reading(tasks[0].key, CRASHED, "the process that read it died, each time")], [None], self.folder)

    def _write_part(self, tasks: Sequence[Task]) -> None:
        """Read ``tasks`` and write their part; no file makes it fail, short of a crash."""
        read = [read_photo(task, self.side) for task in tasks]
        _write([reading for reading, _ in read], [image for _, image in read], self.folder)


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


def _write(read: Sequence[Reading], images: Sequence[bytes | None], folder: Path) -> None:
    columns: dict[str, list[Any]] = {name: [_text(getattr(each, name)) for each in read] for name in SCHEMA.names}
    name = hashlib.sha256(b"".join(columns["key"])).hexdigest()[:32]
    table = pa.table({**columns, "image": list(images)}, schema=_PART)
    with atomic_path(folder / f"{name}.parquet") as temporary:
        pq.write_table(table, temporary, compression="none")


def _text(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
