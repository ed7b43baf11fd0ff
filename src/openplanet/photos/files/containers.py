"""From a photo's file to its size in pixels and its Exif blocks, without decoding a pixel.

JPEG, PNG, WebP and TIFF are walked here, because Pillow shows neither a second Exif segment nor an eXIf chunk
behind the pixels, and because walking costs no memory; HEIC and AVIF are opened by Pillow. A file is what its
first bytes say; its suffix is not believed.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from PIL import Image

from openplanet.errors import PhotoError
from openplanet.photos.files.ifd import Tiff
from openplanet.photos.files.opening import MAX_PIXELS, quiet_pillow, too_many_pixels
from openplanet.photos.files.packets import MAX_PACKETS, XMP_SEGMENT, Packets

MAX_BLOCK = 1 << 24  # bytes of Exif that are read from one file
MAX_PROFILE = 1 << 22  # characters of an Exif block written as text in a PNG
MAX_SEGMENTS = 10_000  # of a JPEG
MAX_CHUNKS = 250_000  # of a PNG or WebP
MAX_JUNK = 1 << 20  # bytes between two JPEG markers

_TIFF_HEADER = re.compile(rb"II[*+]\x00|MM\x00[*+]")
_XMP_TEXT = b"XML:com.adobe.xmp"
_PNG_TEXTS = (_XMP_TEXT, b"Raw profile type exif", b"Raw profile type APP1", b"Raw profile type xmp")
_EXIF_SEGMENT = re.compile(rb".{0,4}Exif\x00.", re.DOTALL | re.IGNORECASE)  # as lenient as exiftool
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HEIF_BRANDS = frozenset(b"heic heix heim heis hevc hevx hevm hevs mif1 mif2 msf1".split())
_AVIF_BRANDS = frozenset(b"avif avis".split())


@dataclass(frozen=True)
class Header:
    """What a file says before its pixels: ``width`` and ``height`` as decoded, Exif blocks as TIFF streams.

    ``orientation``: 1..8, where the container and not the Exif block says how to turn the decoded picture.
    """

    format: str
    width: int
    height: int
    blocks: list[BinaryIO] = field(default_factory=list)
    orientation: int | None = None
    xmp: tuple[bytes, ...] = ()  # the XMP packets, those in the Exif blocks excepted


def read_header(stream: BinaryIO, name: str) -> Header:
    """Format, size and Exif blocks of a photo; ``name`` is for messages.

    PhotoError with reason "not a photo" (none of JPEG, PNG, WebP, TIFF, HEIC, AVIF), "corrupt" (no size to be
    found) or "too large" (over MAX_PIXELS).
    """
    stream.seek(0)
    magic = stream.read(64)
    try:
        header = _walk(stream, magic)
    except Image.DecompressionBombError:
        raise too_many_pixels(name) from None
    except (ValueError, OverflowError, struct.error) as error:
        message = f"{name}: is damaged ({error}); export it again or leave it out"
        raise PhotoError(message, "corrupt") from None
    except OSError as error:
        raise PhotoError(f"{name}: cannot be read ({error})", "unreadable") from None
    if header is None and not magic:
        raise PhotoError(f"{name}: is empty; copy it again from where it came", "corrupt")
    if header is None:
        message = f"{name}: is no JPEG, PNG, WebP, TIFF, HEIC or AVIF; convert it to one"
        raise PhotoError(message, "not a photo")
    if header.width * header.height > MAX_PIXELS:
        raise too_many_pixels(name)
    if min(header.width, header.height) < 1:
        raise PhotoError(f"{name}: is damaged (no width or height); leave it out", "corrupt")
    return header


def photo_format(magic: bytes) -> str | None:
    """The format of a photo that begins with ``magic`` (its first 64 bytes); None for what is no photo of ours."""
    if magic.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if magic.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if magic[:4] == b"RIFF" and magic[8:12] == b"WEBP":
        return "WEBP"
    if _TIFF_HEADER.match(magic):
        return "TIFF"
    if magic[4:8] == b"ftyp":
        brands = {magic[at : at + 4] for at in (8, *range(16, min(len(magic), _uint(magic[:4])) - 3, 4))}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if brands & _HEIF_BRANDS:
            return "HEIF"
    return None


def _walk(stream: BinaryIO, magic: bytes) -> Header | None:
    kind = photo_format(magic)
    if kind in ("AVIF", "HEIF"):
        return _by_pillow(stream, kind)
    walkers = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "TIFF": _tiff}
    return walkers[kind](stream) if kind else None


def _uint(raw: bytes, order: str = ">") -> int:
    return int.from_bytes(raw, "big" if order == ">" else "little")


def _block(data: bytes) -> BinaryIO | None:
    """The TIFF stream in an Exif block, with or without the prefixes that writers put before it."""
    start = _TIFF_HEADER.search(data[:64])
    return io.BytesIO(data[start.start() :]) if start else None


def _streams(blocks: list[bytes]) -> list[BinaryIO]:
    return [stream for data in blocks if (stream := _block(data)) is not None]


def _tiff(stream: BinaryIO) -> Header:
    tiff = Tiff(stream)
    tags, _ = tiff.directory(tiff.first, frozenset({256, 257}))
    sizes = [int(next(iter(tags[tag].numbers()), 0)) if tag in tags else 0 for tag in (256, 257)]
    return Header("TIFF", sizes[0], sizes[1], [stream])


def _segments(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """Marker and length of each JPEG segment up to the pixels; the stream stands at the segment's content."""
    stream.seek(2)
    for _ in range(MAX_SEGMENTS):
        previous = b""
        for _ in range(MAX_JUNK):
            byte = stream.read(1)
            if not byte or (previous == b"\xff" and byte not in b"\x00\xff"):
                break
            previous = byte
        else:
            raise ValueError("no JPEG marker where one must be")
        if not byte:
            return
        marker = byte[0]
        if marker in (0x01, *range(0xD0, 0xD9)):  # markers without content
            continue
        if marker == 0xD9:
            return
        length = _uint(stream.read(2)) - 2
        if length < 0:
            raise ValueError("a JPEG segment of negative length")
        start = stream.tell()
        yield marker, length
        if marker == 0xDA:
            return
        stream.seek(start + length)
    raise ValueError(f"more than {MAX_SEGMENTS} JPEG segments")


def _jpeg(stream: BinaryIO) -> Header:
    width = height = room = 0
    blocks: list[bytes] = []
    packets = Packets()
    for marker, length in _segments(stream):
        if marker in _SOF and not width:
            height, width = struct.unpack(">xHH", stream.read(5).ljust(5, b"\0"))
        elif marker == 0xE1:
            start = stream.read(min(length, 10))
            if start == b"http://ns.":
                packets.segment(start + stream.read(length - len(start)))
                continue
            prefix = _EXIF_SEGMENT.match(start)
            room += length if prefix else 0
            if prefix and room <= MAX_BLOCK:
                rest = start[prefix.end() :] + stream.read(length - len(start))
                if blocks and not _TIFF_HEADER.match(rest):
                    blocks[-1] += rest  # a block over 64 KB goes on in the next segment
                else:
                    blocks.append(rest)
    return Header("JPEG", width, height, _streams(blocks), xmp=packets.all())


def _chunks(stream: BinaryIO, start: int, head: str) -> Iterator[tuple[bytes, int]]:
    """Name and length of each PNG (">I4s") or RIFF ("<4sI") chunk; the stream stands at its content."""
    size = stream.seek(0, io.SEEK_END)
    for _ in range(MAX_CHUNKS):
        stream.seek(start)
        raw = stream.read(8)
        if len(raw) < 8 or start + 8 > size:
            return
        first, second = struct.unpack(head, raw)
        name, length = (first, second) if head[0] == "<" else (second, first)
        yield name, length
        start += 8 + length + (length % 2 if head[0] == "<" else 4)  # RIFF pads to even, PNG adds a CRC
    raise ValueError(f"more than {MAX_CHUNKS} chunks")


def _png(stream: BinaryIO) -> Header:
    width = height = 0
    blocks: list[bytes] = []
    profiles: list[bytes] = []
    packets, texts = Packets(), 0
    for name, length in _chunks(stream, 8, ">I4s"):
        if name == b"IHDR" and not width:
            width, height = struct.unpack(">II", stream.read(8).ljust(8, b"\0"))
        elif name == b"eXIf" and len(blocks) < 4:
            blocks.append(stream.read(min(length, MAX_BLOCK)))
        elif name in (b"zTXt", b"tEXt", b"iTXt") and texts < MAX_PACKETS:
            keyword, text = _png_text(name, stream.read(min(length, MAX_BLOCK)))
            texts += keyword in _PNG_TEXTS  # each may be inflated
            if keyword == _XMP_TEXT:
                packets.add(text)
            elif keyword in _PNG_TEXTS:
                profile = _raw_profile(text)
                start = XMP_SEGMENT.match(profile)
                if start or keyword.endswith(b"xmp"):
                    packets.add(profile[start.end() if start else 0 :])
                elif profile and len(profiles) < 4:
                    profiles.append(profile)
    return Header("PNG", width, height, _streams(blocks + profiles), xmp=packets.all())


def _png_text(name: bytes, content: bytes) -> tuple[bytes, bytes]:
    """Keyword and text of a text chunk; the text is empty where nobody asks for it, or it is damaged."""
    keyword, _, text = content.partition(b"\0")
    if keyword not in _PNG_TEXTS:
        return keyword, b""
    is_compressed = name == b"zTXt"
    if name == b"iTXt":  # compression flag and method, language, translated keyword
        is_compressed = text[:1] == b"\1"
        text = text[2:].split(b"\0", 2)[-1]
    elif is_compressed:
        text = text[1:]
    try:
        return keyword, zlib.decompressobj().decompress(text, MAX_PROFILE) if is_compressed else text[:MAX_PROFILE]
    except zlib.error:
        return keyword, b""


def _raw_profile(text: bytes) -> bytes:
    """ImageMagick's way from before eXIf and XMP in iTXt: the block as hexadecimal text under a keyword."""
    try:
        return bytes.fromhex("".join(text.decode("ascii").split()[2:]))
    except ValueError:
        return b""


def _webp(stream: BinaryIO) -> Header:
    size = (0, 0)
    blocks: list[bytes] = []
    packets = Packets()
    for name, length in _chunks(stream, 12, "<4sI"):
        if name == b"EXIF" and len(blocks) < 4:
            blocks.append(stream.read(min(length, MAX_BLOCK)))
        elif name in (b"VP8X", b"VP8L", b"VP8 ") and size == (0, 0):
            size = _webp_size(name, stream.read(10).ljust(10, b"\0"))
        elif name in (b"XMP ", b"XMP\0"):  # the latter by some writers of old
            packets.add(stream.read(min(length, MAX_PROFILE)))
    return Header("WEBP", *size, _streams(blocks), xmp=packets.all())


def _webp_size(name: bytes, raw: bytes) -> tuple[int, int]:
    if name == b"VP8X":
        return _uint(raw[4:7], "<") + 1, _uint(raw[7:10], "<") + 1
    if name == b"VP8L":
        bits = _uint(raw[1:5], "<")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return _uint(raw[6:8], "<") & 0x3FFF, _uint(raw[8:10], "<") & 0x3FFF


def _by_pillow(stream: BinaryIO, kind: str) -> Header:
    stream.seek(0)
    with quiet_pillow:
        try:
            image = Image.open(stream, formats=[kind])
            exif = image.info.get("exif") or b""
            packet = image.info.get("xmp") or b""
        except Image.DecompressionBombError:
            raise
        except Exception as error:  # plugins raise whatever their libraries do
            raise ValueError(f"{kind}: {error}") from None
    data = bytes(exif[:MAX_BLOCK])
    blocks = _streams([data])
    xmp = (bytes(packet[:MAX_PROFILE]),) if isinstance(packet, bytes) and packet else ()
    if kind == "AVIF":  # Pillow has put the container's orientation into the block
        return Header(kind, image.width, image.height, blocks, xmp=xmp)
    orientation = 1 if _turned(stream) else image.info.get("original_orientation")
    orientation = orientation if orientation in range(1, 9) else 1
    return Header(kind, image.width, image.height, blocks, orientation, xmp)


def _turned(stream: BinaryIO) -> bool:
    """Whether a HEIC says how to turn its picture, so that the decoder does it and Exif no longer holds.

    Telephones write both; a file with the Exif orientation alone lies on its side in libheif's hands, which
    the standard asks for, but not as it was taken.
    """
    start = 0
    for _ in range(64):
        stream.seek(start)
        head = stream.read(8)
        length = _uint(head[:4])
        if head[4:] == b"meta":
            content = stream.read(min(length, MAX_BLOCK))
            return b"irot" in content or b"imir" in content
        if length < 8:
            break
        start += length
    return False
