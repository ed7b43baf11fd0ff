"""Whether a photo that decoded has all its pixels: decoders fill in what a damaged file lacks, and say nothing.

A copy that was cut off, or a disk that lost a sector, leaves zeros where coded pixels were. Coded pixels of a format
never hold so long a run of zeros, not even those of a blank picture; where they may, what the decoder must have got is
counted. Two runs and more pass: an uncompressed TIFF that ends between two rows, a hole in one.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from PIL import Image, ImageChops

EARLY = "its pixels end early, or some are missing"
RUN = 64  # zeros; the longest in blank pictures that encoders made here: 12 (HEVC, AV1, LZW, VP8L)
LONG_RUN, LEAST_COST = 4096, 0.01  # VP8: zeros; bytes a pixel (a blank picture takes 0.002 and may have long runs)
_ZEROS, _LONG_ZEROS = re.compile(rb"\0{%d}" % RUN), re.compile(rb"\0{%d}" % LONG_RUN)
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a PNG's colour types
_CODED = (b"hvc1", b"av01", b"jpeg", b"hev1")  # types of items that are pictures
_LZW, _JPEG, _DEFLATE = (5,), (6, 7), (8, 32946)
MOST_BOXES = 100_000


def check(stream: BinaryIO, kind: str, image: Image.Image) -> None:
    """Raise ValueError where the loaded ``image`` of the file in ``stream`` lacks pixels."""
    looks = {"PNG": _png, "WEBP": _webp, "TIFF": _tiff, "HEIF": _items, "AVIF": _items}
    if kind in looks and not looks[kind](stream, image):
        raise ValueError(EARLY)


def _png(stream: BinaryIO, image: Image.Image) -> bool:
    """Its stream may end well, with fewer rows than the head promises. Those that lack come out as zeros."""
    box = image.getbbox(alpha_only=False)
    if box is not None and box[3] == image.height:
        return True
    wanted, found, unpack = -1, 0, zlib.decompressobj()
    stream.seek(8)
    while len(head := stream.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"IHDR":
            wanted = _png_bytes(*struct.unpack(">IIBB2xB", stream.read(13)))
            stream.seek(-13, 1)
        if name == b"IDAT":
            try:
                found += _inflated(unpack, stream.read(length))
            except zlib.error:
                return False
        else:
            stream.seek(length, 1)
        stream.seek(4, 1)
    return found >= wanted and bool(unpack.eof)  # whose checksum zlib has compared


def _inflated(unpack: Any, data: bytes) -> int:
    """How many bytes ``data`` goes on to inflate to, in pieces of a megabyte."""
    count = 0
    while data:
        count += len(unpack.decompress(data, 1 << 20))
        data = unpack.unconsumed_tail
    return count


def _png_bytes(width: int, height: int, depth: int, colour: int, interlaced: int) -> int:
    bits = depth * _CHANNELS.get(colour, 1)
    passes = [(0, 0, 1, 1)]
    if interlaced:  # Adam7: first column and row, and steps
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    total = 0
    for left, top, right, down in passes:
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        total += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    return total


def _webp(stream: BinaryIO, image: Image.Image) -> bool:
    stream.seek(12)
    while len(head := stream.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        data = stream.read(length + length % 2)
        if name == b"VP8L" and _ZEROS.search(data):
            return False
        if name == b"VP8 " and _LONG_ZEROS.search(data) and length > LEAST_COST * image.width * image.height:
            return False
    return True


def _tiff(stream: BinaryIO, image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", {})
    how = tags.get(259, 1)
    if how == 1:
        return not _stops_abruptly(image)
    for start, length in zip(*(_numbers(tags, 273, 324), _numbers(tags, 279, 325)), strict=False):
        stream.seek(start)
        data = stream.read(length)
        if _ZEROS.search(data) and not (how in _DEFLATE and _inflates(data)) and how in (*_LZW, *_JPEG, *_DEFLATE):
            return False
    return True


def _numbers(tags: Any, *names: int) -> tuple[int, ...]:
    found = next((tags[name] for name in names if name in tags), ())
    return tuple(found) if isinstance(found, tuple) else (int(found),)


def _inflates(data: bytes) -> bool:
    unpack = zlib.decompressobj()
    try:
        _inflated(unpack, data)
    except zlib.error:
        return False
    return bool(unpack.eof)


def _stops_abruptly(image: Image.Image) -> bool:
    """Whether the picture turns to zeros in the middle of a row, where the row above has none, and stays so."""
    if image.mode not in ("L", "RGB", "RGBA", "CMYK"):
        return False
    box = image.getbbox(alpha_only=False)
    if box is None or box[3] >= image.height or box[3] < 2:
        return False
    row = image.crop((0, box[3] - 1, image.width, box[3])).getbbox(alpha_only=False)
    right = image.width if row is None else row[2]
    above = image.crop((right, box[3] - 2, image.width, box[3] - 1))
    if above.width == 0:
        return False
    lit = ImageChops.lighter(above.convert("L"), Image.new("L", above.size)).point([0] + [255] * 255)
    return bool(lit.histogram()[255] > 0.9 * above.width)


def _items(stream: BinaryIO, image: Image.Image) -> bool:
    """HEIC and AVIF: the coded pictures among the items of the file."""
    return not any(_ZEROS.search(data) for data in _coded(stream))


def _coded(stream: BinaryIO) -> Iterator[bytes]:
    """What lies in the file for each item that is a coded picture; nothing where the boxes are not understood."""
    stream.seek(0)
    meta = next((content for name, content in _boxes(stream.read(1 << 22)) if name == b"meta"), b"")[4:]
    parts = dict(_boxes(meta))
    kinds = {}
    info = parts.get(b"iinf", b"")
    for name, entry in _boxes(info[6 if info[:1] == b"\0" else 8 :]):
        if name == b"infe" and entry[:1] in (b"\2", b"\3"):
            wide = 4 if entry[:1] == b"\3" else 2
            kinds[int.from_bytes(entry[4 : 4 + wide], "big")] = entry[6 + wide : 10 + wide]
    for item, start, length in _locations(parts.get(b"iloc", b"")):
        if kinds.get(item) in _CODED:
            stream.seek(start)
            yield stream.read(length)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    for _ in range(MOST_BOXES):
        if at + 8 > len(data):
            return
        length, name, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if length == 1:
            length, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if length == 0:
            length = len(data) - at
        if length < head:
            return
        yield name, data[at + head : at + length]
        at += length


def _locations(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(item, offset in the file, length) of each extent of an ``iloc`` box (ISO/IEC 14496-12, 8.11.3)."""
    if len(data) < 8:
        return
    version, sizes, at = data[0], data[4:6], 6
    offset_size, length_size, base_size, index_size = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4, sizes[1] & 15

    def number(size: int) -> int:
        nonlocal at
        at += size
        return int.from_bytes(data[at - size : at], "big")

    for _ in range(min(number(4 if version == 2 else 2), MOST_BOXES)):
        item = number(4 if version == 2 else 2)
        method = number(2) & 15 if version in (1, 2) else 0
        number(2)
        base = number(base_size)
        for _ in range(min(number(2), MOST_BOXES)):
            number(index_size if version in (1, 2) else 0)
            start, length = base + number(offset_size), number(length_size)
            if method == 0 and at <= len(data):
                yield item, start, length
