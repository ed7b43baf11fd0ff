"""A time as a camera, a sidecar or a table writes it: the clock's reading, and its offset from UTC if it is given.

Reading is lenient where writers are: hour 24 (telephones write it for the first hour of the same day), 12-hour
clocks, ``+2:00``, ``+02``, ``+0200``, ``Z``, blank offsets.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EARLIEST = datetime(1826, 1, 1)  # the oldest photograph that is left
MOST_EAST, MOST_WEST = 14 * 60, -12 * 60  # minutes: no zone is further from UTC
QUARTER = 15  # minutes: zones differ by quarters of an hour
STALE_MINUTES = 2.0  # a GPS time further from a quarter is an old fix, or the camera's clock is off

_TIME = re.compile(
    r"(\d{4})[:/.-](\d\d?)[:/.-](\d\d?)[ T]+"
    r"(\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?\s*([AP]\.?M\.?)?\s*(Z|UTC|[+-]\d\d?(?::?\d\d)?(?::\d\d)?)?(?!\d)",
    re.ASCII | re.IGNORECASE,
)
_OFFSET = re.compile(r"([+-])(\d\d?)(?::?(\d\d))?(?::\d\d)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Moment:
    """``taken_at``: naive, UTC where ``is_utc``, else local. ``offset_minutes``: local time minus UTC, if known."""

    taken_at: datetime
    is_utc: bool = False
    offset_minutes: int | None = None


def parts(time: Moment | None) -> tuple[datetime | None, bool, int | None]:
    """(taken_at, whether it is UTC, offset in minutes), of a moment that may be none."""
    return (None, False, None) if time is None else (time.taken_at, time.is_utc, time.offset_minutes)


def of_local(local: datetime, offset_minutes: int | None) -> Moment | None:
    """The moment of a local time with its offset (None: not known); None outside the calendar."""
    if offset_minutes is None:
        return Moment(local)
    try:
        return Moment(local - timedelta(minutes=offset_minutes), True, offset_minutes)
    except OverflowError:
        return None


def of_aware(time: datetime) -> Moment:
    """The moment of a ``datetime``, with or without a zone; that of UTC, in which tables keep times, tells no local
    time. Raises OverflowError outside the calendar."""
    offset = time.utcoffset()
    if offset is None:
        return Moment(time)
    utc = time.astimezone(UTC).replace(tzinfo=None)
    return Moment(utc, True, None if str(time.tzinfo) == "UTC" else round(offset.total_seconds() / 60))


def parse(text: str, offset: str = "", fraction: str = "") -> Moment | None:
    """The moment that ``text`` begins with: Exif's ``2019:10:01 16:19:26``, ISO 8601 and their relatives.

    ``offset`` and ``fraction`` (digits of a second) stand elsewhere, and count where the text has none. A ``Z`` tells
    UTC but not the local time. None where there is no such time; it can be in any year.
    """
    match = _TIME.match(text.strip())
    if match is None:
        return None
    *parts, digits, half, zone = match.groups()
    digits = digits or (fraction[:9] if fraction.isascii() and fraction.isdigit() else "")
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in parts)
        hour = 0 if hour == 24 else hour
        if half and hour <= 12:
            hour = hour % 12 + (12 if half[0] in "Pp" else 0)
        time = datetime(year, month, day, hour, minute, second, int((digits or "0").ljust(6, "0")[:6]))
    except ValueError:
        return None
    zone = zone or offset.strip()
    if zone.upper() in ("Z", "UTC"):
        return Moment(time, True)
    return of_local(time, read_offset(zone))


def read_offset(text: str) -> int | None:
    """Minutes that local time is ahead of UTC, of ``+02:00`` and its relatives; None for what is blank or no offset."""
    match = _OFFSET.fullmatch(text.strip())
    if match is None:
        return None
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    minutes = -minutes if match[1] == "-" else minutes
    return minutes if MOST_WEST <= minutes <= MOST_EAST and int(match[3] or 0) <= 59 else None


def offset_between(local: datetime, utc: datetime) -> int | None:
    """The offset in minutes, if a camera's local time and the UTC of its GPS tell one.

    None where their difference is not within STALE_MINUTES of a quarter of an hour, or is no zone's.
    """
    minutes = (local - utc).total_seconds() / 60
    offset = round(minutes / QUARTER) * QUARTER
    fits = MOST_WEST <= offset <= MOST_EAST and abs(minutes - offset) <= STALE_MINUTES
    return offset if fits else None
