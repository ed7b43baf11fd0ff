"""A partition in parts that machines can divide among them: the sorted runs of a piece of the positions are a file.

    PARTS/run-00003-5c1e0d....arrow    Arrow file, a record batch a run: column leaf, uint64, ascending

The name holds a hash of what the piece depends on and of the turn. What is asked of runs are sums of whole numbers, so
that the cells are those of one process, bit for bit.
"""

import hashlib
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from openplanet.earth import geo
from openplanet.earth.partition.adaptive import Batches, Partition, from_runs
from openplanet.earth.partition.combinatorial import from_turned_runs, random_turns
from openplanet.earth.partition.count_tree import TargetCells, Thresholds
from openplanet.earth.partition.leaf_runs import Ids, LeafRuns
from openplanet.errors import InputError, PartitionError
from openplanet.runners import registry
from openplanet.runners.job import Job, Share, Work, listed
from openplanet.storage import atomic_path

VERSION = 1


class Piece(Protocol):
    """Some of the positions; workers get it by pickle."""

    @property
    def key(self) -> str:
        """All that its positions depend on."""

    def positions(self) -> Batches:
        """Batches (lat_N, lng_N) in degrees."""


@dataclass(frozen=True)
class RunsJob(Job):
    """Sort the leaf ids of each piece into a file of ``folder``, on a sphere that is turned by ``turn``."""

    folder: Path
    pieces: Sequence[Piece]
    turn: geo.Turn = geo.NO_TURN
    what = "sorting positions"

    @property
    def count(self) -> int:
        return len(self.pieces)

    @property
    def processes(self) -> int:
        return os.cpu_count() or 1

    def file(self, part: int) -> Path:
        """The file of a part; it is there once all of it is."""
        key = hashlib.sha256(repr((VERSION, self.turn, self.pieces[part].key)).encode()).hexdigest()[:16]
        return self.folder / f"run-{part:05d}-{key}.arrow"

    def done(self, parts: Sequence[int]) -> set[int]:
        there = listed(self.folder)
        return {part for part in parts if self.file(part).name in there}

    def for_workers(self) -> "RunsJob":
        return replace(self, pieces=())

    def given(self, part: int) -> tuple[Path, Piece]:
        return self.file(part), self.pieces[part]

    def open(self) -> Work:
        return self._sort

    def _sort(self, given: tuple[Path, Piece]) -> None:
        path, piece = given
        with LeafRuns(self.turn, threads=1) as runs:
            for lat_N, lng_N in piece.positions():
                runs.add(lat_N, lng_N)
            runs.finish()
            schema = pa.schema([("leaf", pa.uint64())])
            with atomic_path(path) as temporary, pa.ipc.new_file(temporary, schema) as writer:
                for leaf_N in runs.each(lambda leaf_N: leaf_N):
                    writer.write_batch(pa.record_batch([pa.array(leaf_N)], schema))

    def runs(self) -> "StoredRuns":
        """Of all parts. Raises InputError where some are missing."""
        parts = range(self.count)
        if missing := self.count - len(self.done(parts)):
            raise InputError(f"{missing} of {self.count} parts are not in {self.folder}: run the other shards first")
        return StoredRuns([self.file(part) for part in parts], self.turn)


class StoredRuns(LeafRuns):
    """The runs of files that ``RunsJob`` wrote."""

    def __init__(self, files: Sequence[Path], turn: geo.Turn) -> None:
        super().__init__(turn)
        self._files = files
        self._batches_of: list[tuple[int, int]] = []  # of each run: its file, and which of its batches it is
        for number, file in enumerate(files):
            with _opened(file) as reader:
                for index in range(reader.num_record_batches):
                    self._runs.append((len(self._batches_of), reader.get_batch(index).num_rows))
                    self._batches_of.append((number, index))
        self.total = sum(rows for _, rows in self._runs)

    def _leaves(self, run: tuple[int, int]) -> Ids:
        number, index = self._batches_of[run[0]]
        with _opened(self._files[number]) as reader:
            leaf_N: Ids = reader.get_batch(index)["leaf"].to_numpy()
            return leaf_N


def _opened(file: Path) -> pa.ipc.RecordBatchFileReader:
    try:
        return pa.ipc.open_file(pa.memory_map(str(file)))
    except (OSError, pa.ArrowException) as error:
        raise PartitionError(f"{file} is damaged ({error}): delete it, and run the same command again") from error


def build_in_parts(
    pieces: Sequence[Piece],
    folder: Path,
    rules: Sequence[Thresholds | TargetCells],
    turned: int = 1,
    runner: str = "local",
    share: Share | None = None,
    seed: int = 0,
) -> list[Partition]:
    """``several.build_set`` of all ``pieces``, whose runs are kept in ``folder``; nothing where this does a ``share``.

    Raises as that, and InputError as runners do.
    """
    jobs = [RunsJob(folder, pieces, turn) for turn in random_turns(turned, seed)]
    for job in jobs:
        registry.run(job, runner, share)
    if share is not None:
        return []
    with ExitStack() as stack:
        all_runs = [stack.enter_context(job.runs()) for job in jobs]
        if turned > 1:
            return from_turned_runs(all_runs, rules, [job.turn for job in jobs])
        return from_runs(all_runs[0], rules, nested=len(rules) > 1)
