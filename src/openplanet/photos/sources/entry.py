"""What somebody says of a photo besides the photo itself: a table's row, a sidecar, a JSON file beside it."""

import math
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """Degrees; ``taken_at`` naive, UTC where ``taken_at_is_utc``; None where nothing is said.

    ``utc_offset_minutes``: local time minus UTC.
    ``problem`` is empty, or the reason why position or time are of no use. ``estimate``: (lat, lng) that
    ``openplanet geotag`` wrote: wherever that position stands, it is no evidence.
    """

    file: str = ""
    lat: float | None = None
    lng: float | None = None
    album: str | None = None
    album_order: int | None = None
    taken_at: datetime | None = None
    taken_at_is_utc: bool = False
    owner: str | None = None
    licence: str | None = None
    attribution: str | None = None
    problem: str = ""
    detail: str = ""
    utc_offset_minutes: int | None = None
    estimate: tuple[float, float] | None = None


def position_problem(lat: float | None, lng: float | None) -> str:
    """'' for a usable position in degrees; else 'bad number', 'out of range' or 'null island'."""
    if lat is None or lng is None or not (math.isfinite(lat) and math.isfinite(lng)):
        return "bad number"
    if abs(lat) > 90 or abs(lng) > 180:
        return "out of range"
    return "null island" if lat == 0 and lng == 0 else ""
