"""Bodies of requests: photos as raw bytes or as multipart/form-data, within limits, in memory alone.

Starlette's own forms write what is over a megabyte to disk; these never do.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from openplanet.progress import plain
from openplanet.serve.limits import Held, Limits, RefusedError

LONGEST_NAME = 200
MULTIPART = b"multipart/form-data"
FIELD_BYTES = 10_000  # of fields that are no photo, which are passed over


@dataclass(frozen=True)
class Upload:
    """A photo that was sent, and what its sender calls it: a text to be shown, never a path to be opened."""

    name: str
    content: bytes


def check_length(request: Request, most: int) -> None:
    """Raise RefusedError (413) where the request announces a body of more than ``most`` bytes."""
    text = request.headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise RefusedError(400, "Content-Length is not a number")
    if int(text) > most:
        raise RefusedError(413, f"the body has {int(text):,} bytes, more than {most:,}")


async def uploads(
    request: Request, limits: Limits, held: Held, name: str = "", album: bool = False
) -> AsyncIterator[Upload]:
    """The photos of a request, each as soon as it has come; of one that is no ``album`` the first alone.

    A raw body is one photo, called ``name``. Raises RefusedError: 400 (no photo, no multipart), 408 (too slow),
    413 (too large, too many), 503 (no room beside what others have sent).
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind.lower() != MULTIPART:
        content = b"".join([piece async for piece in _pieces(request, limits, held, limits.photo_bytes)])
        if not content:
            raise RefusedError(400, "the body is empty: send a photo")
        yield Upload(plain_name(name), content)
        return
    parts = _Parts(options.get(b"boundary", b""), limits)
    count = 0
    most = limits.album_bytes if album else limits.photo_bytes + FIELD_BYTES
    async for piece in _pieces(request, limits, held, most):
        for upload in parts.feed(piece):
            count += 1
            if count > (limits.album_photos if album else 1):
                raise RefusedError(413, f"more than {limits.album_photos if album else 1} photos in one request")
            yield upload
    parts.close()
    if not count:
        raise RefusedError(400, "the form has no photo: a part with a filename")


def plain_name(text: str) -> str:
    """A name that every output can hold: printable, not too long, never empty."""
    return plain(text.replace("\\", "/").strip())[-LONGEST_NAME:].lstrip("/") or "photo"


async def _pieces(request: Request, limits: Limits, held: Held, most: int) -> AsyncIterator[bytes]:
    """The body as it comes. Raises RefusedError (413, 408), or ClientDisconnect where the sender has gone."""
    stream, waited, size = request.stream().__aiter__(), 0.0, 0
    while True:
        start = time.monotonic()
        try:
            left = limits.body_seconds + size / limits.body_rate - waited
            piece = await asyncio.wait_for(anext(stream), max(left, 0.001))
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise RefusedError(408, "the body comes too slowly") from None
        waited += time.monotonic() - start  # for the sender alone: what we do meanwhile is not its fault
        size += len(piece)
        if size > most:
            raise RefusedError(413, f"the body has more than {most:,} bytes")
        held.take(len(piece))
        if piece:
            yield piece


class _Parts:
    """Cuts multipart/form-data into photos: parts with a filename."""

    def __init__(self, boundary: bytes, limits: Limits) -> None:
        if not boundary or len(boundary) > 70:  # RFC 2046
            raise RefusedError(400, "multipart/form-data without a boundary")
        self._limits, self._done = limits, list[Upload]()
        self._field, self._value, self._headers = bytearray(), bytearray(), dict[bytes, bytes]()
        self._content, self._name, self._ended, self._passed = bytearray(), "", False, 0
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": self._named,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }
        self._parser = MultipartParser(boundary, callbacks)
        self._is_photo = False

    def feed(self, piece: bytes) -> list[Upload]:
        """The photos that end in this piece."""
        self._done = []
        try:
            self._parser.write(piece)
        except FormParserError:
            raise RefusedError(400, "the body is not multipart/form-data as it says") from None
        return self._done

    def close(self) -> None:
        """Raise RefusedError where the body ends before its last boundary."""
        if not self._ended:
            raise RefusedError(400, "the body ends early")

    def _begin(self) -> None:
        self._headers, self._content, self._is_photo = {}, bytearray(), False

    def _header(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def _named(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._is_photo = b"filename" in options
        self._name = options.get(b"filename", b"").decode("utf-8", "replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_photo:
            self._passed += end - start
            if self._passed > FIELD_BYTES:
                raise RefusedError(413, "fields of the form that are no photo are too long")
            return
        self._content += data[start:end]
        if len(self._content) > self._limits.photo_bytes:
            raise RefusedError(413, f"a photo has more than {self._limits.photo_bytes:,} bytes")

    def _end(self) -> None:
        if self._is_photo:
            self._done.append(Upload(plain_name(self._name), bytes(self._content)))
        self._content = bytearray()

    def _finish(self) -> None:
        self._ended = True


__all__ = ["ClientDisconnect", "Upload", "check_length", "plain_name", "uploads"]
