"""Fetching many photos at once: few from each host, resumable, and ended at once when asked to.

A photo that has to wait for its host, or for a time that the host asked for, waits in a queue and keeps no worker.
"""

import heapq
import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from openplanet.photos.files.containers import photo_format
from openplanet.photos.sources.collect.connecting import FetchError, Watch
from openplanet.photos.sources.collect.requesting import (
    CONTACT,
    MAGIC,
    Errand,
    Fetcher,
    Manners,
    contact_of,
    user_agent,
)

__all__ = ["CONTACT", "FetchError", "Fetcher", "Manners", "contact_of", "fetch_all", "user_agent"]

WINDOW = 4096  # URLs of a list that are under way at once
_NAP = 0.5  # seconds at most between two looks at what may start
Ended = tuple[str, Path, FetchError | None]


def fetch_all(
    jobs: Iterable[tuple[str, Path]], fetcher: Fetcher, named: str | None = None
) -> Generator[Ended, None, None]:
    """Download every (url, path), some at a time; yields each with its error or None as it ends.

    A photo that lies at ``path`` already counts as done: a stopped run goes on where it was. ``jobs`` are taken as
    they are needed. ``named``: as in ``Fetcher.download``. Close the iterator to end what is under way at once.
    """
    crowd = _Crowd(fetcher)
    coming = iter(jobs)
    more = True
    try:
        while True:
            crowd.start()
            if more and crowd.has_room:
                job = next(coming, None)
                more = job is not None
                if job is not None:
                    yield from _begin(crowd, fetcher, *job, named)
            elif not crowd.size:
                return
            yield from crowd.ended(wait=not (more and crowd.has_room))
    finally:
        crowd.stop()


def _is_there(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return photo_format(file.read(MAGIC)) is not None
    except OSError:
        return False


def _begin(crowd: "_Crowd", fetcher: Fetcher, url: str, path: Path, named: str | None) -> Iterator[Ended]:
    if _is_there(path):
        yield url, path, None
        return
    try:
        crowd.add(fetcher.errand(url, path, named), path)
    except FetchError as error:
        yield url, path, error


class _Crowd:
    """Errands under way: at work, waiting for their host, or for a time. Used by one thread."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._pool = ThreadPoolExecutor(fetcher.manners.workers)
        self._at_work: dict[Future[float | None], tuple[Errand, Path]] = {}
        self._done: queue.SimpleQueue[Future[float | None]] = queue.SimpleQueue()
        self._waiting: dict[str, deque[tuple[Errand, Path]]] = {}  # by host
        self._later: list[tuple[float, int, Errand, Path]] = []
        self._number = itertools.count()
        # Ctrl-C may fall between a start and what is noted of it: so all that may run is known before it does
        self._watches, self._going = set[Watch](), set[Watch]()
        self.size = 0

    @property
    def has_room(self) -> bool:
        return len(self._at_work) < self._fetcher.manners.workers and self.size < WINDOW

    def add(self, errand: Errand, path: Path) -> None:
        self.size += 1
        self._wait(errand, path, 0.0)

    def _wait(self, errand: Errand, path: Path, seconds: float) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._number), errand, path))

    def start(self) -> None:
        """Begin what can begin now: a host with a free connection, and a free worker."""
        while self._later and self._later[0][0] <= time.monotonic():
            _, _, errand, path = heapq.heappop(self._later)
            self._waiting.setdefault(errand.site.host, deque()).append((errand, path))
        for host in list(self._waiting):
            slot = self._fetcher.slot(self._waiting[host][0][0].site)
            waiting = self._waiting.pop(host)  # those left come behind the other hosts
            while waiting and len(self._at_work) < self._fetcher.manners.workers and slot.acquire(blocking=False):
                self._submit(*waiting.popleft(), slot)
            if waiting:
                self._waiting[host] = waiting

    def _submit(self, errand: Errand, path: Path, slot: threading.Semaphore) -> None:
        watch = Watch(errand.left)
        self._watches.add(watch)
        future = self._pool.submit(self._step, errand, watch)
        self._at_work[future] = (errand, path)

        def end(future: Future[float | None]) -> None:
            slot.release()
            self._done.put(future)

        future.add_done_callback(end)

    def _step(self, errand: Errand, watch: Watch) -> float | None:
        self._going.add(watch)
        try:
            with watch:
                return self._fetcher.step(errand, watch)
        finally:
            self._watches.discard(watch)
            self._going.discard(watch)

    def ended(self, wait: bool) -> Iterator[Ended]:
        """Those that are done; with ``wait``, after something has happened that lets others start."""
        due = self._later[0][0] - time.monotonic() if self._later else _NAP
        with suppress(queue.Empty):
            future = self._done.get(wait, min(max(due, 0.0), _NAP))
            while True:
                errand, path = self._at_work.pop(future)
                yield from self._result(future, errand, path)
                future = self._done.get(block=False)

    def _result(self, future: Future[float | None], errand: Errand, path: Path) -> Iterator[Ended]:
        try:
            seconds = future.result()
        except FetchError as error:
            self.size -= 1
            yield errand.listed, path, error
        else:
            if seconds is not None:
                self._wait(errand, path, seconds)
                return
            self.size -= 1
            yield errand.listed, path, None

    def stop(self) -> None:
        """End all at once; what has come of unfinished photos is removed."""
        for watch in list(self._watches):
            watch.cut()
        self._pool.shutdown(cancel_futures=True)
        while self._going:  # the pool does not wait for a thread that Ctrl-C kept it from knowing of
            time.sleep(0.01)
