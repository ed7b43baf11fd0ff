"""Tags of a TIFF structure, which is also what an Exif block is (Exif 2.32 section 4.6, TIFF 6.0, BigTIFF).

Our own reader and not Pillow's, because damaged blocks must cost neither memory nor time and must not be
guessed at: a directory is read in one piece of at most 65,535 entries, a value in at most ``MAX_VALUE`` bytes
whatever count it claims, and no directory is followed further than the caller asks, so that loops cannot be.
"""

import io
import math
import re
import struct
from dataclasses import dataclass
from typing import BinaryIO

MAX_VALUE = 1024  # bytes of one value that are read: no tag that we use needs more, but LONG_TAG
LONG_TAG, MAX_LONG = 700, 4 << 20  # XMP
MAX_ENTRIES = 65_535  # what a classic TIFF can hold; BigTIFF may claim 2**64

ASCII, UNDEFINED, RATIONAL, SRATIONAL = 2, 7, 5, 10
_CODES = {
    1: "B",
    3: "H",
    4: "I",
    6: "b",
    8: "h",
    9: "i",
    11: "f",
    12: "d",
    13: "I",
    16: "Q",
    17: "q",
    18: "Q",
    RATIONAL: "II",
    SRATIONAL: "ii",
}
_SIZES = {kind: struct.calcsize("=" + code) for kind, code in _CODES.items()} | {ASCII: 1, UNDEFINED: 1}
_WHOLE_NUMBERS = {3, 4, 13, 16, 18}  # the unsigned types that a pointer to a directory can have
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?")


@dataclass(frozen=True)
class Field:
    """The value of one tag: TIFF type, bytes (at most MAX_VALUE, of LONG_TAG MAX_LONG), byte order ("<" or ">")."""

    kind: int
    raw: bytes
    order: str

    def numbers(self) -> list[float]:
        """The value as numbers; x/0 is infinite and 0/0 is NaN; text is searched for decimal numbers."""
        if self.kind in (ASCII, UNDEFINED):
            text = self.raw.rstrip(b"\0 ")
            return [float(number) for number in _NUMBER.findall(text.decode())] if _is_plain(text) else []
        code = _CODES[self.kind]
        values = [v for item in struct.iter_unpack(self.order + code, self.raw) for v in item]
        if len(code) == 1:
            return [float(value) for value in values]
        return [_divide(top, bottom) for top, bottom in zip(values[::2], values[1::2], strict=True)]

    def text(self) -> str:
        """The value up to its first NUL, without surrounding space; what is no UTF-8 becomes U+FFFD."""
        return self.raw.split(b"\0", 1)[0].decode("utf-8", errors="replace").strip()

    def pointer(self) -> int | None:
        """The value as an offset; None if its type cannot be one (text, signed, several numbers)."""
        if self.kind not in _WHOLE_NUMBERS or len(self.raw) != _SIZES[self.kind]:
            return None
        return int(struct.unpack(self.order + _CODES[self.kind], self.raw)[0])


def _is_plain(text: bytes) -> bool:
    """Whether these are readable characters: numbers are not to be found by chance in binary data."""
    return text.isascii() and text.decode("ascii", errors="replace").isprintable()


def _divide(top: float, bottom: float) -> float:
    if bottom:
        return top / bottom
    return math.copysign(math.inf, top) if top else math.nan


class Tiff:
    """Random access to the directories of a TIFF stream (a file, or an Exif block in memory).

    ``first`` is the offset of the first directory. Raises ValueError if the stream has no TIFF header.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size = stream.seek(0, io.SEEK_END)
        head = self._read(0, 16)
        self._order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        if not self._order or len(head) < 8:
            raise ValueError("no TIFF header")
        magic, first = struct.unpack(self._order + "HI", head[2:8])
        self._big = magic == 43
        if self._big and len(head) == 16:
            first = struct.unpack(self._order + "Q", head[8:])[0]
        elif magic != 42:
            raise ValueError("no TIFF header")
        self.first: int = first

    def _read(self, offset: int, length: int) -> bytes:
        if offset >= self._size:
            return b""
        self._stream.seek(offset)
        return self._stream.read(length)

    def directory(self, offset: int, wanted: frozenset[int]) -> tuple[dict[int, Field], int]:
        """The ``wanted`` tags of the directory at ``offset`` and the offset of the next one (0: none).

        Entries that lie outside the stream, or whose value does, are left out; of a tag written twice the
        last counts, as in exiftool (of LONG_TAG the first, so that it is read once).
        """
        count_code, entry, head = ("Q", "HHQ8s", 8) if self._big else ("H", "HHI4s", 2)
        start = self._read(offset, head)
        if len(start) < head:
            return {}, 0
        count = min(struct.unpack(self._order + count_code, start)[0], MAX_ENTRIES)
        length = struct.calcsize("=" + entry)
        body = self._read(offset + head, count * length)
        body = body[: len(body) // length * length]
        fields = {}
        for tag, kind, number, value in struct.iter_unpack(self._order + entry, body):
            if tag in wanted and kind in _SIZES and not (tag == LONG_TAG and tag in fields):
                field = self._field(kind, number, value, MAX_LONG if tag == LONG_TAG else MAX_VALUE)
                if field is not None:
                    fields[tag] = field
        return fields, self._next(offset + head + count * length)

    def _next(self, offset: int) -> int:
        length = 8 if self._big else 4
        raw = self._read(offset, length)
        return int(struct.unpack(self._order + ("Q" if self._big else "I"), raw)[0]) if len(raw) == length else 0

    def _field(self, kind: int, number: int, value: bytes, most: int) -> Field | None:
        size = number * _SIZES[kind]
        if size > len(value):
            offset = struct.unpack(self._order + ("Q" if self._big else "I"), value)[0]
            if offset + size > self._size:
                return None
            value = self._read(offset, min(size, most // _SIZES[kind] * _SIZES[kind]))
        else:
            value = value[:size]
        return Field(kind, value, self._order)
