"""Range reads of an object: a file that fetches what is read of it, through the cache.

The spans of a Parquet file are its column chunks: a column of pictures by itself, small columns that lie together as
one. So a row group costs two requests, and one where only small columns are wanted.
"""

import io
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from openplanet.errors import InputError
from openplanet.progress import say
from openplanet.stores.cache import cached, key_of
from openplanet.stores.client import Stat, client, stat_of, told

TAIL = 1 << 16
"""Bytes at the end that are fetched at once: a Parquet file is opened by them."""
JOINED = 1 << 19
"""Column chunks that lie together are fetched together up to this size."""
LARGEST = 1 << 25
"""Larger ones are fetched in such pieces."""
PIECE = 1 << 24
MOST_OPEN = 16
SAID = 100 << 20
"""Whoever waits for a larger object is told what for."""

Span = tuple[int, int]


class Ranges:
    """An object of a store as it was when it was looked at: a later one is refused, not read."""

    def __init__(self, url: str, stat: Stat) -> None:
        self.url, self.stat = url, stat
        self._file: Any = None
        self._lock = Lock()

    def fetch(self, start: int, end: int) -> bytes:
        """Bytes from the store. Raises InputError where it fails, or the object has changed."""
        with self._lock, told(self.url):
            if self._file is None:
                self._file = self._opened()
            self._file.seek(start)
            found = bytes(self._file.read(end - start))
        if len(found) != end - start:
            raise InputError(f"{self.url} ended early, at byte {start + len(found)}: run the command again")
        return found

    def cached(self, start: int, end: int) -> bytes:
        """The same, by the cache."""
        key = key_of(self.url, self.stat.st_size, self.stat.identity, start, end)
        return cached(key, lambda: self.fetch(start, end))

    def _opened(self) -> Any:
        store = client(self.url)
        file = store.open(self.url, "rb", cache_type="none")  # S3 is then asked for this ETag only
        if stat_of(getattr(file, "details", None) or store.info(self.url)) != self.stat:
            store.invalidate_cache(self.url)
            raise InputError(f"{self.url} changed while it was read: run the command again")
        return file


_open: OrderedDict[tuple[str, Stat], Ranges] = OrderedDict()


def _ranges(url: str, stat: Stat) -> Ranges:
    """One for each object, so that a connection is not opened for each read."""
    key = (url, stat)
    found = _open.pop(key, None) or Ranges(url, stat)
    _open[key] = found
    while len(_open) > MOST_OPEN:
        _open.popitem(last=False)
    return found


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open.clear)  # connections are their process's own


class RangeFile(io.RawIOBase):
    """An object for reading, seekable; ``spans``: what is fetched as a whole where a part of it is read."""

    def __init__(self, url: str, stat: Stat, spans: Sequence[Span] = ()) -> None:
        self.ranges, self.size, self._at = _ranges(url, stat), stat.st_size, 0
        self._spans = sorted(spans)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self.size)[whence])
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Bytes from here on."""
        end = self.size if size is None or size < 0 else min(self.size, self._at + size)
        parts = []
        while self._at < end:
            start, stop = self._span(self._at, end)
            part = self.ranges.cached(start, stop)[self._at - start : end - start]
            parts.append(part)
            self._at += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def _span(self, start: int, end: int) -> Span:
        """What to fetch for a read of [start, end): the span around its start, else just it."""
        index = bisect_right(self._spans, (start, self.size)) - 1
        if index >= 0 and start < self._spans[index][1]:
            return self._spans[index]
        following = self._spans[index + 1][0] if index + 1 < len(self._spans) else self.size
        tail = max(0, self.size - TAIL)
        if start >= tail:
            return tail, self.size
        return start, min(end, following if following > start else end, start + LARGEST)


def spans_of(chunks: Sequence[Span]) -> list[Span]:
    """The spans of a file with these column chunks, (first byte, last byte + 1)."""
    spans: list[Span] = []
    for start, end in sorted(chunks):
        if spans and start == spans[-1][1] and end - spans[-1][0] <= JOINED:
            spans[-1] = spans[-1][0], end
        else:
            spans += [(at, min(end, at + LARGEST)) for at in range(start, end, LARGEST)]
    return spans


def download(url: str, stat: Stat, file: Path) -> None:
    """Copy an object to a local file, past the cache."""
    source = _ranges(url, stat)
    if stat.st_size >= SAID:
        say(f"downloading {url}, {stat.st_size / 1e6:,.0f} MB")
    with file.open("wb") as copy:
        for start in range(0, stat.st_size, PIECE):
            copy.write(source.fetch(start, min(stat.st_size, start + PIECE)))
