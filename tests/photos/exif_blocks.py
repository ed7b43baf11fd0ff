"""Exif blocks and photos made byte by byte, so that tests can damage them as no library would."""

import io
import struct
import zlib

from PIL import Image

ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SRATIONAL, FLOAT, DOUBLE = 2, 3, 4, 5, 7, 10, 11, 12
_CODES = {1: "B", SHORT: "H", LONG: "I", RATIONAL: "I", 9: "i", SRATIONAL: "i", FLOAT: "f", DOUBLE: "d"}


def entry(tag, kind, *values, order="<", count=None):
    """(tag, kind, count, bytes): ASCII and UNDEFINED take bytes, rationals pairs of numbers."""
    if kind in (ASCII, UNDEFINED):
        return tag, kind, len(values[0]) if count is None else count, values[0]
    raw = struct.pack(f"{order}{len(values)}{_CODES[kind]}", *values)
    number = len(values) // 2 if kind in (RATIONAL, SRATIONAL) else len(values)
    return tag, kind, number if count is None else count, raw


def directory(entries, offset, order="<", following=0):
    """The bytes of a directory that stands at ``offset``, its values behind it."""
    body, data = b"", b""
    free = offset + 2 + 12 * len(entries) + 4
    for tag, kind, count, raw in entries:
        if len(raw) <= 4:
            value = raw.ljust(4, b"\0")
        else:
            value = struct.pack(order + "I", free + len(data))
            data += raw + b"\0" * (len(raw) % 2)
        body += struct.pack(order + "HHI", tag, kind, count) + value
    return struct.pack(order + "H", len(entries)) + body + struct.pack(order + "I", following) + data


def block(gps=(), main=(), exif=(), order="<", gps_pointer=None):
    """A whole Exif block: TIFF header, first directory, Exif directory, GPS directory."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    room = 1000
    at_exif, at_gps = 8 + room, 8 + 2 * room
    first = list(main)
    if exif:
        first.append(entry(0x8769, LONG, at_exif, order=order))
    if gps or gps_pointer:
        first.append(gps_pointer or entry(0x8825, LONG, at_gps, order=order))
    parts = [
        directory(first, 8, order),
        directory(list(exif), at_exif, order),
        directory(list(gps), at_gps, order),
    ]
    assert all(len(part) <= room for part in parts)
    return head + b"".join(part.ljust(room, b"\0") for part in parts)


def gps(lat=(48, 1, 30, 1, 0, 1), lng=(11, 1, 15, 1, 0, 1), refs=(b"N\0", b"E\0"), kind=RATIONAL, order="<"):
    """GPS entries; None leaves one out."""
    found = []
    for tag, ref, values in ((1, refs[0], lat), (3, refs[1], lng)):
        if ref is not None:
            found.append(entry(tag, ASCII, ref, order=order))
        if values is not None:
            found.append(entry(tag + 1, kind, *values, order=order))
    return found


def picture(mode="RGB", size=(16, 12)):
    """A gradient, so that wrong turns and clipping show."""
    image = Image.linear_gradient("L").resize(size)
    return image.convert(mode)


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def segment(marker, content):
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def jpeg(*exif, image=None, before=b""):
    """A JPEG with these Exif blocks as APP1 segments."""
    data = encoded(image or picture(), "JPEG")
    return data[:2] + before + b"".join(segment(0xE1, b"Exif\0\0" + one) for one in exif) + data[2:]


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(*chunks, image=None, late=()):
    """A PNG with further chunks before the pixels, or behind them."""
    data = encoded(image or picture(), "PNG")
    return data[:33] + b"".join(chunks) + data[33:-12] + b"".join(late) + data[-12:]


def webp(exif, flag=True):
    """An extended WebP whose EXIF chunk holds ``exif`` as it is."""
    data = encoded(picture(), "WEBP", exif=b"Exif\0\0" + block())
    at = data.index(b"EXIF")
    body = data[12:at] + b"EXIF" + struct.pack("<I", len(exif)) + exif + b"\0" * (len(exif) % 2)
    if not flag:
        body = body[:8] + bytes((body[8] & ~0x08,)) + body[9:]
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def tiff(entries, order="<"):
    """A TIFF of 4 x 2 grey pixels with these entries in its first directory."""
    pixels = bytes(range(0, 80, 10))
    basic = [
        entry(256, SHORT, 4, order=order),
        entry(257, SHORT, 2, order=order),
        entry(258, SHORT, 8, order=order),
        entry(259, SHORT, 1, order=order),
        entry(262, SHORT, 1, order=order),
        entry(273, LONG, 8, order=order),
        entry(277, SHORT, 1, order=order),
        entry(278, SHORT, 2, order=order),
        entry(279, LONG, 8, order=order),
    ]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 16)
    return head + pixels + directory(sorted(basic + list(entries)), 16, order)
