"""What a photo says of itself: where, when, which camera, how to turn it. No pixel is decoded.

Positions follow exiftool where readers differ (the first three numbers of a coordinate are degrees, minutes
and seconds, minutes may exceed 60), except that a hemisphere that is not clearly given is refused.
"""

import io
import math
import re
import struct
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Literal

from openplanet.errors import PhotoError
from openplanet.photos.albums import zones
from openplanet.photos.files import moment
from openplanet.photos.files.containers import Header, read_header
from openplanet.photos.files.ifd import LONG_TAG, Field, Tiff
from openplanet.photos.files.moment import Moment
from openplanet.photos.files.opening import open_file

Position = Literal["gps", "no gps", "blank gps", "incomplete gps", "out of range", "null island"]
Fields = dict[int, Field]

NULL_ISLAND = 1e-6  # degrees around 0, 0 (a tenth of a metre) where no photo is but many a default is

_MAKE, _MODEL, _ORIENTATION, _DATETIME = 0x010F, 0x0110, 0x0112, 0x0132
_EXIF_IFD, _GPS_IFD, _CAMERA_SERIAL, _BODY_SERIAL = 0x8769, 0x8825, 0xC62F, 0xA431
_ORIGINAL, _DIGITIZED, _OFFSET_TIME = 0x9003, 0x9004, 0x9010
# (time, its offset from UTC, its fraction of a second), the best first
_CLOCKS = ((_ORIGINAL, 0x9011, 0x9291), (_DIGITIZED, 0x9012, 0x9292), (_DATETIME, _OFFSET_TIME, 0x9290))
_LAT_REF, _LAT, _LNG_REF, _LNG, _GPS_TIME, _GPS_DATE = 1, 2, 3, 4, 7, 29
_MAIN_TAGS = frozenset({_MAKE, _MODEL, _ORIENTATION, _EXIF_IFD, _GPS_IFD, _CAMERA_SERIAL, _BODY_SERIAL}.union(*_CLOCKS))
_GPS_TAGS = frozenset({_LAT_REF, _LAT, _LNG_REF, _LNG, _GPS_TIME, _GPS_DATE})

_SIGNS = {"N": 1, "NORTH": 1, "E": 1, "EAST": 1, "S": -1, "SOUTH": -1, "W": -1, "WEST": -1}


@dataclass(frozen=True)
class Metadata:
    """What `read` found in one photo.

    ``lat``, ``lng`` in degrees, None unless ``position`` is "gps". ``taken_at`` without a time zone: UTC
    where ``taken_at_is_utc``, else the camera's clock. ``utc_offset_minutes``: local time minus UTC, where it is
    "written" beside the time, or "gps" tells it (``utc_offset_from``). ``orientation`` 1..8: how the stored
    pixels must be turned (1 for most HEIC, whose decoder turns them). ``width``, ``height`` in pixels, upright, as
    shown. ``format``: JPEG (also for MPO), PNG, WEBP, TIFF, HEIF or AVIF. ``xmp``: the packets as they stand, not read.
    """

    lat: float | None
    lng: float | None
    position: Position
    taken_at: datetime | None
    taken_at_is_utc: bool
    utc_offset_minutes: int | None
    utc_offset_from: str | None
    orientation: int
    make: str | None
    model: str | None
    serial: str | None
    width: int
    height: int
    format: str
    xmp: tuple[bytes, ...] = ()

    @property
    def from_camera(self) -> bool:
        """Whether it names a camera or a position, which screenshots and documents do not."""
        return bool(self.make or self.model or self.lat is not None)


@dataclass(frozen=True)
class Block:
    """One Exif block: tags of the first directory with the Exif directory over it, of the GPS directory; its XMP."""

    main: Fields
    gps: Fields
    xmp: bytes = b""


def read(source: Path | bytes) -> Metadata:
    """Read the metadata of a photo (a file, or its bytes); time and memory are bounded whatever the file holds.

    A damaged Exif block is no error: what it does not give is None, and the position says why. Time is the
    camera's (DateTimeOriginal, DateTimeDigitized, DateTime, the first believable one: 1826 to tomorrow),
    turned to UTC where its own offset is given. GPSDateStamp with GPSTimeStamp (UTC) is the time only where the
    camera gives none, for the fix can be hours old; it tells the offset of the camera's time where both agree but
    for quarters of an hour.
    A position in XMP alone counts as "no gps".

    Raises PhotoError with reason "unreadable", "not a photo", "corrupt" or "too large". Intact pixels are
    known only to `openplanet.photos.files.images.load`.
    """
    name = f"photo of {len(source):,} bytes" if isinstance(source, bytes) else str(source)
    with io.BytesIO(source) if isinstance(source, bytes) else open_file(source) as stream:
        header = read_header(stream, name)
        blocks = read_blocks(header, name)
    lat, lng, position = _best_position(blocks)
    time, offset_from = _taken_at(blocks, lat, lng)
    orientation = orientation_of(header, blocks)
    sides = (header.width, header.height)
    width, height = sides[::-1] if orientation >= 5 else sides
    texts = {tag: _text(blocks, tag) for tag in (_MAKE, _MODEL, _BODY_SERIAL, _CAMERA_SERIAL)}
    serial = texts[_BODY_SERIAL] or texts[_CAMERA_SERIAL]
    return Metadata(
        lat, lng, position,
        *moment.parts(time), offset_from, orientation,
        texts[_MAKE], texts[_MODEL], serial, width, height, header.format,
        (*header.xmp, *(block.xmp for block in blocks if block.xmp)),
    )  # fmt: skip


def read_blocks(header: Header, name: str) -> list[Block]:
    """The tags of every Exif block that can be read; PhotoError "unreadable" if the disk fails."""
    blocks = []
    for stream in header.blocks:
        try:
            blocks.append(_block(stream))
        except (ValueError, OverflowError, struct.error):
            continue
        except OSError as error:
            raise PhotoError(f"{name}: cannot be read ({error})", "unreadable") from None
    return blocks


def orientation_of(header: Header, blocks: list[Block]) -> int:
    """How the stored pixels must be turned, 1..8; 1 where the tag is missing, invalid or followed."""
    if header.orientation is not None:
        return header.orientation
    for block in blocks:
        value = block.main[_ORIENTATION].numbers() if _ORIENTATION in block.main else []
        if value and value[0] in range(1, 9):
            return int(value[0])
    return 1


def _block(stream: BinaryIO) -> Block:
    tiff = Tiff(stream)
    first, second_at = tiff.directory(tiff.first, _MAIN_TAGS | {LONG_TAG})
    xmp = first.pop(LONG_TAG).raw if LONG_TAG in first else b""
    directories = [first]
    if _EXIF_IFD in first:
        at = first[_EXIF_IFD].pointer()
        if at is not None:
            directories.append(tiff.directory(at, _MAIN_TAGS - {_ORIENTATION})[0])
    main = {tag: value for directory in directories for tag, value in directory.items()}
    if second_at:
        directories.append(tiff.directory(second_at, frozenset({_GPS_IFD}))[0])
    # Some writers hang the GPS directory below the Exif or the thumbnail's directory.
    for directory in directories:
        at = directory[_GPS_IFD].pointer() if _GPS_IFD in directory else None
        gps = tiff.directory(at, _GPS_TAGS)[0] if at is not None else {}
        if gps:
            return Block(main, gps, xmp)
    return Block(main, {}, xmp)


def _text(blocks: list[Block], tag: int) -> str | None:
    for block in blocks:
        if tag in block.main:
            text = "".join(c for c in block.main[tag].text()[:256] if c.isprintable()).strip()
            if text:
                return text
    return None


def _best_position(blocks: list[Block]) -> tuple[float | None, float | None, Position]:
    found: Position = "no gps"
    for block in blocks:
        lat, lng, position = _position(block.gps)
        if position == "gps":
            return lat, lng, position
        found = position if found == "no gps" else found
    return None, None, found


def _position(gps: Fields) -> tuple[float | None, float | None, Position]:
    values = [gps[tag].numbers()[:3] if tag in gps else [] for tag in (_LAT, _LNG)]
    refs = [gps[tag].text() if tag in gps else "" for tag in (_LAT_REF, _LNG_REF)]
    if not any(values):
        return None, None, "blank gps" if any(refs) else "no gps"
    if not all(math.isfinite(number) for value in values for number in value):
        return None, None, "blank gps"
    lat = _degrees(values[0], refs[0], "NS")
    lng = _degrees(values[1], refs[1], "EW")
    if lat is None or lng is None:
        return None, None, "incomplete gps"
    if abs(lat) > 90 or abs(lng) > 180:
        return None, None, "out of range"
    if abs(lat) < NULL_ISLAND and abs(lng) < NULL_ISLAND:
        return None, None, "null island"
    return lat, lng, "gps"


def _degrees(numbers: list[float], ref: str, letters: str) -> float | None:
    """Degrees from up to three numbers and the hemisphere; None where they leave sign or place open.

    "N", "s" and "South" are hemispheres. Negative degrees with N or E are taken as they stand; with S or W
    readers disagree on what they mean (exiftool: minus minus is north), so they are refused, and so are
    mixed signs.
    """
    ref = ref.upper()
    if not numbers or ref not in _SIGNS or ref[0] not in letters:
        return None
    degrees = sum(number / unit for number, unit in zip(numbers, (1, 60, 3600), strict=False))
    if min(numbers) < 0 and (max(numbers) > 0 or _SIGNS[ref] < 0):
        return None
    return degrees * _SIGNS[ref]


def _taken_at(blocks: list[Block], lat: float | None, lng: float | None) -> tuple[Moment | None, str | None]:
    """The camera's time, else that of its GPS; and how its offset is known."""
    utc = next((fix for block in blocks if (fix := _gps_time(block.gps)) is not None), None)
    for tag, offset_tag, fraction_tag in _CLOCKS:
        for block in blocks:
            text, offset = _tag(block, tag), _tag(block, offset_tag)
            time = _camera_time(text, offset, _tag(block, fraction_tag))
            if time is None:
                continue
            if time.is_utc:
                return time, None if time.offset_minutes is None else "written"
            offset = _offset_of_another(block, tag, text)
            known = _camera_time(text, offset, _tag(block, fraction_tag)) if offset else None
            if known is not None and known.is_utc:
                return known, "written"
            if utc is not None and (by_gps := moment.offset_between(time.taken_at, utc)) is not None:
                return replace(time, offset_minutes=by_gps), "gps"
            edited = _camera_time(text, _tag(block, _OFFSET_TIME), _tag(block, fraction_tag))
            if edited is None or edited.offset_minutes is None or lat is None or lng is None:
                return time, None
            # The offset of a later edit: that of the photo only if the clocks where it was taken agree.
            at_place = zones.offset_minutes(zones.zone_at(lat, lng), time.taken_at)
            return (edited, "written") if at_place == edited.offset_minutes else (time, None)
    return (None if utc is None else Moment(utc, is_utc=True)), None


def _tag(block: Block, tag: int) -> str:
    return block.main[tag].text() if tag in block.main else ""


def _offset_of_another(block: Block, tag: int, text: str) -> str:
    """The offset beside another time of the same photo, if that time is the same (to a day), or is not there.

    Lightroom writes OffsetTime alone; beside a DateTime of days later it is the offset of where the photo was edited.
    """
    own = moment.parse(text)
    for other, offset_tag, _ in reversed(_CLOCKS):
        offset, theirs = _tag(block, offset_tag), moment.parse(_tag(block, other))
        if other == tag or moment.read_offset(offset) is None or own is None:
            continue
        if theirs is None or abs(theirs.taken_at - own.taken_at) <= timedelta(days=1):
            return offset
    return ""


def _believable(time: datetime) -> datetime | None:
    latest = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)
    return time if moment.EARLIEST <= time <= latest else None


def _camera_time(text: str, offset: str, fraction: str) -> Moment | None:
    time = moment.parse(text, offset, fraction)
    return time if time is not None and _believable(time.taken_at) is not None else None


def _gps_time(gps: Fields) -> datetime | None:
    if _GPS_DATE not in gps or _GPS_TIME not in gps:
        return None
    date = re.match(r"(\d{4})[:/.-](\d\d?)[:/.-](\d\d?)$", gps[_GPS_DATE].text(), re.ASCII)
    clock = gps[_GPS_TIME].numbers()
    if (
        date is None
        or len(clock) != 3
        or not all(0 <= part < top for part, top in zip(clock, (24, 60, 61), strict=True))
    ):
        return None
    try:
        day = datetime(int(date[1]), int(date[2]), int(date[3]))
        return _believable(day + timedelta(hours=clock[0], minutes=clock[1], seconds=clock[2]))
    except (ValueError, OverflowError):
        return None
