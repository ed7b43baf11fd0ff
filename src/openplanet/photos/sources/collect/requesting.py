"""One photo over HTTP as a good guest: patient, bounded by the clock and in bytes, and honest about who asks.

Whatever a server does (fails, stalls, lies about lengths, sends without end) costs one photo and a reason.
"""

import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from importlib import metadata
from pathlib import Path
from urllib.parse import urlencode, urljoin

from urllib3 import BaseHTTPResponse, Retry
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as ReadTimeoutError

from openplanet.errors import InputError
from openplanet.photos.files.containers import photo_format
from openplanet.photos.sources.collect.connecting import FetchError, Site, Watch, names_itself, open_connection, site_of
from openplanet.progress import plain
from openplanet.storage import atomic_path

CONTACT = "OPENPLANET_CONTACT"  # environment variable: whom a host can write to
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
MOVED = frozenset({301, 302, 303, 307, 308})
REDIRECTS = 5  # of one try
_CHUNK = 1 << 16
MAGIC = 64  # bytes by which a photo is known
_CONTACT = re.compile(r"[!-~]+@[!-~]+\.[!-~]+|https?://[!-~]+", re.ASCII)  # no spaces: it goes into a header
_FAILURES = (HTTPError, HTTPException, OSError, ValueError)  # of a connection, and of headers that are none
Take = Callable[[Iterator[bytes]], None]


@dataclass(frozen=True)
class Manners:
    """Limits of fetching. Times in seconds; ``deadline``: by the clock, for one try with all that it sends.

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


class _Again(Exception):  # noqa: N818 (no error: a request to try once more)
    def __init__(self, error: FetchError, seconds: float | None = None) -> None:
        super().__init__(str(error))
        self.error, self.seconds = error, seconds


class _Moved(Exception):  # noqa: N818 (no error: the photo is elsewhere)
    """The server names another URL: ``args[0]``."""


class Errand:
    """A URL to be fetched: where it is looked for next, and what was tried.

    ``named``: the site that the user named. An address that is not public is asked only there.
    """

    def __init__(self, url: str, take: Take, deadline: float, named: str | None = None) -> None:
        self.listed, self.take, self.deadline = url, take, deadline
        self.named = site_of(named or url)
        self.tries = 0
        self.restart()

    def restart(self) -> None:
        self.hops, self.left = 0, self.deadline
        self.go(self.listed)

    def go(self, url: str) -> None:
        self.url, self.site = url, site_of(url)

    @property
    def may_be_private(self) -> bool:
        same = (self.site.host, self.site.port) == (self.named.host, self.named.port)
        return same and names_itself(self.site)


class Fetcher:
    """Fetches URLs; safe to use from several threads."""

    def __init__(self, manners: Manners | None = None) -> None:
        self.manners = manners or Manners()
        self._headers = {"User-Agent": user_agent(self.manners.contact), "Accept-Encoding": "identity"}
        self._hosts: dict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(self.manners.per_host))
        self._lock = threading.Lock()

    def read(self, url: str, fields: Mapping[str, str] | None = None) -> bytes:
        """The content of ``url``, in memory; ``fields`` become its query. Raises FetchError."""
        content: list[bytes] = []

        def take(pieces: Iterator[bytes]) -> None:
            content[:] = pieces

        query = f"{'&' if '?' in url else '?'}{urlencode(fields)}" if fields else ""
        self._patiently(Errand(url + query, take, self.manners.deadline))
        return b"".join(content)

    def download(self, url: str, path: Path, named: str | None = None) -> None:
        """Fetch the photo ``url`` into ``path``, whole or not at all. Raises FetchError.

        An address that is not public (private, loopback, link-local) is asked only where ``url`` (or ``named``)
        itself is written with it. What does not begin as a photo does is refused.
        """
        self._patiently(self.errand(url, path, named))

    def errand(self, url: str, path: Path, named: str | None = None) -> Errand:
        """What ``download`` does, to be done in steps. Raises FetchError for what is no URL."""
        return Errand(url, partial(_save, url, path), self.manners.deadline, named)

    def slot(self, site: Site) -> threading.Semaphore:
        """Held during each request to a site's host, so that there are few at once."""
        with self._lock:
            return self._hosts[site.host]

    def _patiently(self, errand: Errand) -> None:
        wait: float | None = 0.0
        while wait is not None:
            time.sleep(wait)
            with self.slot(errand.site), Watch(errand.left) as watch:
                wait = self.step(errand, watch)

    def step(self, errand: Errand, watch: Watch) -> float | None:
        """One request, whose host's slot the caller holds: None when done, else seconds to wait until the next.

        Raises FetchError where the photo is given up.
        """
        try:
            with closing(self._pieces(errand, watch)) as pieces:
                errand.take(pieces)
        except _Moved as moved:
            errand.hops += 1
            if errand.hops > REDIRECTS:
                raise FetchError(f"{errand.listed}: over {REDIRECTS} redirects", "too many redirects") from None
            errand.left = watch.left
            errand.go(moved.args[0])
            return 0.0
        except _Again as again:
            errand.tries += 1
            if errand.tries >= self.manners.attempts:
                raise again.error from None
            errand.restart()
            # Not urllib3's Retry (it parses Retry-After in _seconds): it sleeps in the thread that asks, while a wait
            # here gives back the host's slot and the worker, and one count spans redirects, streams cut short and 425.
            pause = self.manners.backoff * 2 ** (errand.tries - 1) if again.seconds is None else again.seconds
            return min(pause, self.manners.longest_wait)
        return None

    def _pieces(self, errand: Errand, watch: Watch) -> Generator[bytes, None, None]:
        url, limits = errand.url, self.manners
        size, reason = 0, "no answer"
        connection = response = None
        try:
            connection = open_connection(errand.site, watch, limits.connect, limits.read, errand.may_be_private)
            connection.request("GET", errand.site.target, headers=self._headers, preload_content=False)
            response = connection.getresponse()
            self._check(url, response)
            reason = "cut short"
            while piece := response.read1(_CHUNK):  # what is there: a full chunk may never come
                size += len(piece)
                if size > limits.max_bytes:
                    raise FetchError(f"{url}: more than {limits.max_bytes:,} bytes", "too large")
                yield piece
        except _FAILURES as error:  # also fewer bytes than it promised
            if not watch.over:
                timed_out = isinstance(error, ReadTimeoutError | TimeoutError)
                why = plain(str(error)[:200])  # it may quote what the server sent
                raise _Again(FetchError(f"{url}: {why}", "timed out" if timed_out else reason)) from None
        finally:
            for each in (response, connection):
                if each is not None:
                    each.close()  # nothing is read to its end for the sake of the connection
        if watch.over:  # also where the end of what came looks like the photo's own
            raise FetchError(f"{errand.listed}: took over {limits.deadline:g} s", "too slow")
        if size == 0:
            raise _Again(FetchError(f"{url}: empty", "empty"))

    def _check(self, url: str, response: BaseHTTPResponse) -> None:
        location = response.headers.get("Location")
        if response.status in MOVED and location:
            raise _Moved(urljoin(url, location))
        if response.status in RETRIED:
            error = FetchError(f"{url}: status {response.status}", f"status {response.status}")
            raise _Again(error, _seconds(response.headers.get("Retry-After")))
        if response.status != 200:
            raise FetchError(f"{url}: status {response.status}", f"status {response.status}")
        promised = response.headers.get("Content-Length", "")
        if promised.isdecimal() and int(promised) > self.manners.max_bytes:
            raise FetchError(f"{url}: {int(promised):,} bytes, over {self.manners.max_bytes:,}", "too large")


def _seconds(retry_after: str | None) -> float | None:
    """Seconds of a Retry-After header, which tells them or a date; None where it tells neither (the usual pause)."""
    with suppress(HTTPError, ValueError, OverflowError):
        return max(0.0, Retry().parse_retry_after(retry_after)) if retry_after else None
    return None


def _save(url: str, path: Path, pieces: Iterator[bytes]) -> None:
    """Write a photo to ``path``; what it is its first bytes say, whatever the server calls it."""
    start = b""
    for piece in pieces:
        start += piece
        if len(start) >= MAGIC:
            break
    if photo_format(start[:MAGIC]) is None:
        raise FetchError(f"{url}: what came is no photo (it begins with {start[:16]!r})", "not a photo")
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(start)
        for piece in pieces:
            file.write(piece)
