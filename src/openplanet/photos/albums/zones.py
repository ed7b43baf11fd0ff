"""The time zone at a position, and its offset from UTC at a time; offline (tzfpy, from timezone-boundary-builder).

At sea the zone is that of the longitude (``Etc/GMT-9``).
"""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def zone_at(lat: float, lng: float) -> str | None:
    """The zone's name (``Asia/Tokyo``) at a position in degrees; None where none is known."""
    import tzfpy  # noqa: PLC0415 (its map takes 50 ms and 20 MB, and most albums need none)

    return tzfpy.get_tz(lng, lat) or None


def offset_minutes(zone: str | None, time: datetime, is_utc: bool = False) -> int | None:
    """Minutes that the zone's local time is ahead of UTC at ``time`` (naive; local unless ``is_utc``).

    Of an hour that the clocks show twice the first counts. None where the zone or the time is none.
    """
    rules = None if zone is None else _rules(zone)
    if rules is None:
        return None
    try:
        aware = time.replace(tzinfo=UTC).astimezone(rules) if is_utc else time.replace(tzinfo=rules)
        offset = aware.utcoffset()
    except (OverflowError, ValueError):
        return None
    return None if offset is None else round(offset.total_seconds() / 60)


@lru_cache(maxsize=1024)
def _rules(zone: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return None
