"""Position and time in XMP: a sidecar (``a.xmp``, ``a.jpg.xmp``) or a packet inside the photo.

Read with expat; a document type, and so every entity and every billion laughs, is refused.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import PurePath
from xml.parsers import expat

from openplanet.photos.entry import Entry, position_problem

MAX_XMP = 4 << 20  # bytes; larger packets carry thumbnails and history, the position stands in front
_EXIF = "http://ns.adobe.com/exif/1.0/ "
_LAT, _LNG = f"{_EXIF}GPSLatitude", f"{_EXIF}GPSLongitude"
_TIMES = (
    f"{_EXIF}DateTimeOriginal",
    "http://ns.adobe.com/photoshop/1.0/ DateCreated",
    "http://ns.adobe.com/xap/1.0/ CreateDate",
)
_COORDINATE = re.compile(
    r"([+-]?\d{1,3}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?(?:,(\d{1,2}(?:\.\d+)?))?\s*([NSEW]?)", re.I
)


class _RefusedError(Exception):
    """The packet declares a document type."""


def beside(photos: Iterable[str], files: Iterable[str]) -> dict[str, str]:
    """Photo → its sidecar, of names in one folder: ``a.jpg.xmp`` wins over ``a.xmp``; letter case is ignored."""
    sidecars = {file.lower(): file for file in files if file.lower().endswith(".xmp")}
    found = {}
    for photo in photos if sidecars else ():
        for name in (f"{photo}.xmp", f"{PurePath(photo).stem}.xmp"):
            if name.lower() in sidecars:
                found[photo] = sidecars[name.lower()]
                break
    return found


def read(data: bytes) -> Entry:
    """What an XMP packet tells; damage ends the reading, what stood before it counts. Never raises.

    ``GPSLatitude`` as the standard writes it (``48,51.5N``, ``48,51,30N``), or as decimal degrees, signed
    or with a letter.
    """
    values = _values(data[:MAX_XMP])
    lat, lng = _degrees(values.get(_LAT, ""), "NS"), _degrees(values.get(_LNG, ""), "EW")
    if position_problem(lat, lng):
        lat = lng = None
    taken_at, is_utc = None, False
    for name in _TIMES:
        taken_at, is_utc = _time(values.get(name, ""))
        if taken_at is not None:
            break
    return Entry(lat=lat, lng=lng, taken_at=taken_at, taken_at_is_utc=is_utc)


def _values(data: bytes) -> dict[str, str]:
    """The properties that we know, written as attributes or as elements."""
    known, values = {_LAT, _LNG, *_TIMES}, dict[str, str]()
    inside: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        inside.append(name)
        for key in known & attributes.keys():
            values.setdefault(key, attributes[key])

    def text(content: str) -> None:
        if inside and inside[-1] in known and len(values.get(inside[-1], "")) < 64:
            values[inside[-1]] = values.get(inside[-1], "") + content

    def refuse(*_: object) -> None:
        raise _RefusedError

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.CharacterDataHandler = start, text
    parser.EndElementHandler = lambda _: inside.pop() and None
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    with suppress(expat.ExpatError, _RefusedError, ValueError, UnicodeError):
        parser.Parse(data.strip(b"\0 \r\n\t"), True)
    return values


def _degrees(text: str, letters: str) -> float | None:
    match = _COORDINATE.fullmatch(text.strip())
    if match is None:
        return None
    degrees, letter = float(match[1]), match[4].upper()
    if letter and (letter not in letters or match[1][0] in "+-"):
        return None
    if match[2] and not letter:  # 48,51.5 without a hemisphere leaves the sign open
        return None
    degrees += float(match[2] or 0) / 60 + float(match[3] or 0) / 3600
    return -degrees if letter in ("S", "W") else degrees


def _time(text: str) -> tuple[datetime | None, bool]:
    try:
        time = datetime.fromisoformat(text.strip())
        aware = time.tzinfo is not None
        time = time.astimezone(UTC).replace(tzinfo=None) if aware else time
    except (ValueError, OverflowError):
        return None, False
    return (time, aware) if time.year >= 1826 and len(text.strip()) > 10 else (None, False)
