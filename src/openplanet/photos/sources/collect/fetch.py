"""Fetching photos over HTTP as a good guest: few at a time from each host, patient, bounded, resumable.

Whatever a server does (fails, stalls, lies about lengths, sends without end) costs one photo and a reason.
"""

import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import urllib3

from openplanet.errors import InputError
from openplanet.storage import atomic_path

CONTACT = "OPENPLANET_CONTACT"  # environment variable: whom a host can write to
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK = 1 << 16
_CONTACT = re.compile(r"[!-~]+@[!-~]+\.[!-~]+|https?://[!-~]+", re.ASCII)  # no spaces: it goes into a header


@dataclass(frozen=True)
class Manners:
    """Limits of fetching. Times in seconds; ``deadline``: for one photo with all that it sends.

    ``contact``: an e-mail address or a page of whoever fetches, told to every host; None tells none.
    """

    workers: int = 16
    per_host: int = 2
    attempts: int = 4
    max_bytes: int = 64 << 20
    connect: float = 10.0
    read: float = 20.0
    deadline: float = 120.0
    backoff: float = 1.0
    longest_wait: float = 120.0
    contact: str | None = None


class FetchError(InputError):
    """A URL cannot be had; ``reason`` is its short form."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Again(Exception):  # noqa: N818 (no error: a request to try once more)
    def __init__(self, error: FetchError, seconds: float | None = None) -> None:
        super().__init__(str(error))
        self.error, self.seconds = error, seconds


def contact_of(given: str | None) -> str | None:
    """The contact that is ``given``, else that of the environment; None where there is neither.

    Raises InputError where it is neither an e-mail address nor a page.
    """
    text = (given or os.environ.get(CONTACT) or "").strip()
    if text and not _CONTACT.fullmatch(text):
        raise InputError(
            f"contact {text!r} is neither an e-mail address nor a page: give you@example.org or https://..."
        )
    return text or None


def user_agent(contact: str | None) -> str:
    """What is said of us to every host, in the form that Wikimedia's policy asks for: client, contact, library."""
    told = f" ({contact})" if contact else ""
    return f"openplanet/{metadata.version('openplanet')}{told} urllib3/{metadata.version('urllib3')}"


class Fetcher:
    """Fetches URLs; safe to use from several threads."""

    def __init__(self, manners: Manners | None = None) -> None:
        self.manners = manners or Manners()
        agent = user_agent(self.manners.contact)
        self._pool = urllib3.PoolManager(
            num_pools=64,
            maxsize=self.manners.per_host,
            headers={"User-Agent": agent, "Accept-Encoding": "identity"},
            timeout=urllib3.Timeout(connect=self.manners.connect, read=self.manners.read),
        )
        self._hosts: dict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(self.manners.per_host))
        self._lock = threading.Lock()

    def read(self, url: str, fields: Mapping[str, str] | None = None) -> bytes:
        """The content of ``url``, in memory. Raises FetchError."""
        pieces: list[bytes] = []

        def restart() -> list[bytes]:
            pieces.clear()
            return pieces

        self._patiently(url, fields, lambda: restart().append)
        return b"".join(pieces)

    def download(self, url: str, path: Path) -> None:
        """Fetch ``url`` into ``path``, whole or not at all. Raises FetchError."""
        with atomic_path(path) as temporary, temporary.open("wb") as file:

            def restart() -> object:
                file.seek(0)
                file.truncate()
                return file.write

            self._patiently(url, None, restart)

    def _patiently(self, url: str, fields: Mapping[str, str] | None, restart: object) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FetchError(f"{url} is no http(s) URL", "bad url")
        with self._lock:
            host = self._hosts[parts.netloc]
        last = FetchError(f"{url} could not be fetched", "failed")
        for attempt in range(self.manners.attempts):
            try:
                with host:
                    self._once(url, fields, restart())  # type: ignore[operator]
                return
            except _Again as again:
                last = again.error
                pause = self.manners.backoff * 2**attempt if again.seconds is None else again.seconds
                if attempt + 1 < self.manners.attempts:
                    time.sleep(min(pause, self.manners.longest_wait))
        raise last

    def _once(self, url: str, fields: Mapping[str, str] | None, write: object) -> None:
        start, size = time.monotonic(), 0
        retries = urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=5)
        try:
            response = self._pool.request(
                "GET", url, fields=dict(fields) if fields else None, preload_content=False, retries=retries
            )
        except urllib3.exceptions.HTTPError as error:
            reason = (
                "timed out" if isinstance(error.__cause__ or error, urllib3.exceptions.TimeoutError) else "no answer"
            )
            raise _Again(FetchError(f"{url}: {error}", reason)) from None
        try:
            self._check(url, response)
            while piece := response.read1(_CHUNK):  # what is there: a full chunk may never come
                size += len(piece)
                if size > self.manners.max_bytes:
                    raise FetchError(f"{url}: more than {self.manners.max_bytes:,} bytes", "too large")
                if time.monotonic() - start > self.manners.deadline:
                    raise FetchError(f"{url}: took over {self.manners.deadline:g} s", "too slow")
                write(piece)  # type: ignore[operator]
        except urllib3.exceptions.TimeoutError as error:
            raise _Again(FetchError(f"{url}: {error}", "timed out")) from None
        except urllib3.exceptions.HTTPError as error:  # also fewer bytes than it promised
            raise _Again(FetchError(f"{url}: {error}", "cut short")) from None
        finally:
            response.close()  # nothing is read to its end for the sake of the connection
            response.release_conn()
        if size == 0:
            raise _Again(FetchError(f"{url}: empty", "empty"))

    def _check(self, url: str, response: urllib3.BaseHTTPResponse) -> None:
        if response.status in RETRIED:
            error = FetchError(f"{url}: status {response.status}", f"status {response.status}")
            raise _Again(error, _seconds(response.headers.get("Retry-After")))
        if response.status != 200:
            raise FetchError(f"{url}: status {response.status}", f"status {response.status}")
        promised = response.headers.get("Content-Length", "")
        if promised.isdigit() and int(promised) > self.manners.max_bytes:
            raise FetchError(f"{url}: {int(promised):,} bytes, over {self.manners.max_bytes:,}", "too large")


def _seconds(retry_after: str | None) -> float | None:
    """Seconds of a Retry-After header; None where it has none or a date (then the usual pause)."""
    with suppress(TypeError, ValueError):
        return max(0.0, float(retry_after))  # type: ignore[arg-type]
    return None


def fetch_all(jobs: Iterable[tuple[str, Path]], fetcher: Fetcher) -> Iterator[tuple[str, Path, FetchError | None]]:
    """Download every (url, path), some at a time; yields each with its error or None as it ends.

    What lies at ``path`` already counts as done: a stopped run goes on where it was. ``jobs`` are taken as
    they are needed; hosts that alternate keep all workers busy.
    """

    def job(url: str, path: Path) -> FetchError | None:
        try:
            if not path.exists():
                fetcher.download(url, path)
        except FetchError as error:
            return error
        return None

    waiting: dict[Future[FetchError | None], tuple[str, Path]] = {}
    with ThreadPoolExecutor(fetcher.manners.workers) as pool:
        for url, path in jobs:
            waiting[pool.submit(job, url, path)] = (url, path)
            if len(waiting) >= 4 * fetcher.manners.workers:
                yield from _ended(waiting)
        while waiting:
            yield from _ended(waiting)


def _ended(waiting: dict[Future[FetchError | None], tuple[str, Path]]) -> Iterator[tuple[str, Path, FetchError | None]]:
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        url, path = waiting.pop(future)
        yield url, path, future.result()
