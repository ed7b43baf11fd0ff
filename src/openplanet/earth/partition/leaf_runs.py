"""Positions kept as sorted runs of leaf ids, on disk past the first run: any number of them in bounded memory.

Memory is about 100 MiB a thread (``RUN`` positions in and out, twice), whatever the number of photos; disk is
8 bytes a photo in an unnamed temporary file, gone when the runs are closed or the process dies. Python's
TMPDIR says where.

What is asked of the runs are sums of whole numbers, so that the answer does not depend on how the positions
were cut into runs, nor on the order in which threads finish.

E edges: ascending ids that no leaf has; N leaves of a run.
"""

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openplanet.earth import geo, s2
from openplanet.errors import InputError, PartitionError

Ids = NDArray[np.uint64]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
T = TypeVar("T")

RUN = 1 << 21  # positions of a run; below 2**22, past which sums of fixed_xyz may overflow
CHUNK = 1 << 15  # leaves whose positions are in memory at a time: they stay in the processor's cache
MOST_THREADS = 8


class LeafRuns:
    """``add`` positions, ``finish``, then ask; use as a context manager.

    turn: turns the sphere before its cells are numbered (see ``geo.turn``).
    """

    def __init__(self, turn: geo.Turn = geo.NO_TURN, threads: int | None = None) -> None:
        self.total = 0
        self._turn = turn
        self._threads = threads or min(os.cpu_count() or 1, MOST_THREADS)
        self._pool = ThreadPoolExecutor(self._threads)
        self._waiting: list[tuple[Floats, Floats, int]] = []
        self._waiting_rows = 0
        self._working: deque[Future[None]] = deque()
        self._runs: list[tuple[int, int]] = []  # where each starts, how many leaves it has
        self._memory: Ids | None = None  # the only run, where one is enough
        self._file: IO[bytes] | None = None
        self._batches = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        if self._file is not None:
            self._file.close()

    def add(self, lat_N: ArrayLike, lng_N: ArrayLike) -> None:
        """Add positions in degrees; InputError, naming the batch, for bad ones (here, or in ``finish``)."""
        lat, lng = (np.atleast_1d(np.asarray(values, np.float64)) for values in (lat_N, lng_N))
        if lat.shape != lng.shape:
            geo.check_coordinates(lat, lng, f"batch {self._batches} of coordinates")
        for start in range(0, len(lat), RUN):
            part = slice(start, start + RUN)
            if self._waiting_rows + len(lat[part]) > RUN:
                self._start_run(spill=True)
            # Copies: the caller may fill its arrays anew before a thread gets to them.
            self._waiting.append((lat[part].copy(), lng[part].copy(), self._batches))
            self._waiting_rows += len(lat[part])
        self._batches += 1

    def finish(self) -> None:
        """Wait until all that was added is sorted."""
        self._start_run(spill=self._file is not None)
        while self._working:
            self._working.popleft().result()

    def _start_run(self, spill: bool) -> None:
        parts, rows, start = self._waiting, self._waiting_rows, self.total
        if spill and self._file is None:
            self._file = tempfile.TemporaryFile(prefix="openplanet-")  # noqa: SIM115 (closed by __exit__)
        self._waiting, self._waiting_rows = [], 0
        if rows:
            self._runs.append((start, rows))
            self.total += rows
            while len(self._working) >= self._threads:  # no more blocks in memory than threads, and one waiting
                self._working.popleft().result()
            self._working.append(self._pool.submit(self._sort_run, parts, rows, start))

    def _sort_run(self, parts: list[tuple[Floats, Floats, int]], rows: int, start: int) -> None:
        leaf_N, filled = np.empty(rows, np.uint64), 0
        for lat, lng, batch in parts:
            leaf_N[filled : filled + len(lat)] = self._leaf_ids(lat, lng, f"batch {batch} of coordinates")
            filled += len(lat)
        leaf_N.sort()
        if self._file is None:
            self._memory = leaf_N
            return
        try:
            content = memoryview(leaf_N.data).cast("B")
            while len(content):
                written = os.pwrite(self._file.fileno(), content, 8 * (start + rows) - len(content))
                content = content[written:]
        except OSError as error:
            raise PartitionError(
                f"{tempfile.gettempdir()} cannot hold {8 * (start + rows) / 1e9:.1f} GB of temporary files "
                f"({error.strerror}); set TMPDIR to a folder with room for 8 bytes a photo"
            ) from error

    def _leaf_ids(self, lat: Floats, lng: Floats, where: str) -> Ids:
        if self._turn != geo.NO_TURN:
            geo.check_coordinates(lat, lng, where)
            return s2.leaf_ids(*geo.turn(lat, lng, self._turn))
        try:
            return s2.leaf_ids(lat, lng)
        except InputError:
            geo.check_coordinates(lat, lng, where)
            raise

    def each(self, work: Callable[[Ids], T]) -> Iterator[T]:
        """``work`` on each run's leaves, in threads; the runs are mapped, and unmapped when done with."""

        def on(run: tuple[int, int]) -> T:
            return work(self._leaves(run))

        # Not pool.map: it would hold the answers of all runs at once.
        working: deque[Future[T]] = deque()
        for run in self._runs:
            if len(working) > self._threads:
                yield working.popleft().result()
            working.append(self._pool.submit(on, run))
        while working:
            yield working.popleft().result()

    def _leaves(self, run: tuple[int, int]) -> Ids:
        if self._memory is not None:
            return self._memory
        start, rows = run
        assert self._file is not None
        return np.memmap(self._file, np.uint64, "r", offset=8 * start, shape=(rows,))

    def below(self, edge_E: Ids) -> Ints:
        """How many leaves int64[E] have ids below each edge."""
        count_E = np.zeros(len(edge_E), np.int64)
        for found_E in self.each(lambda leaf_N: np.searchsorted(leaf_N, edge_E)):
            count_E += found_E
        return count_E

    def sums(self, edge_E: Ids) -> tuple[Ints, Ints]:
        """Sums of ``s2.fixed_xyz`` over the leaves between each two edges: high[3, E-1] * 2**32 + low[3, E-1].

        In two words, as one would overflow for more than 4 million photos.
        """
        high, low = (np.zeros((3, max(len(edge_E) - 1, 0)), np.int64) for _ in range(2))
        for sum_3E in self.each(lambda leaf_N: _prefix_sums(leaf_N, np.searchsorted(leaf_N, edge_E))):
            between = np.diff(sum_3E, axis=1)
            high += between >> 32
            low += between & 0xFFFFFFFF
        return high, low


def _prefix_sums(leaf_N: Ids, cut_E: Ints) -> Ints:
    """Sums [3, E] of fixed_xyz over leaf_N[:cut], for each cut (ascending)."""
    sum_3E = np.zeros((3, len(cut_E)), np.int64)
    before_3 = np.zeros(3, np.int64)
    for start in range(0, len(leaf_N), CHUNK):
        running_3N = s2.fixed_xyz(leaf_N[start : start + CHUNK]).cumsum(axis=1)
        first, last = np.searchsorted(cut_E, [start, start + CHUNK], side="right").tolist()
        sum_3E[:, first:last] = before_3[:, None] + running_3N[:, cut_E[first:last] - start - 1]
        before_3 += running_3N[:, -1]
    return sum_3E
