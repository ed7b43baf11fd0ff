"""Google Takeout: what the JSON file beside a photo tells (which one it is: ``takeoutnames.py``)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from openplanet.photos.sources.entry import Entry, position_problem
from openplanet.storage import parse_json

MAX_JSON = 1 << 20  # bytes of a JSON file that are read
# The album's file, in the languages in which we have seen it.
ALBUM_FILES = (
    "metadata.json", "Metadaten.json", "metadatos.json", "metadades.json", "métadonnées.json", "metadati.json",
    "metadados.json", "metagegevens.json", "metadane.json", "メタデータ.json", "元数据.json", "метаданные.json",
)  # fmt: skip


def read(data: bytes) -> Entry:
    """Position and time (UTC) that a Takeout JSON tells; what it does not tell is None. Never raises.

    ``geoData`` is what Google Photos shows, the owner's corrections included; ``geoDataExif`` what it once
    read from the file. Zeros mean that nothing is known.
    """
    told = _object(data)
    lat = lng = None
    for name in ("geoData", "geoDataExif"):
        place = told.get(name)
        if isinstance(place, Mapping):
            lat, lng = _number(place.get("latitude")), _number(place.get("longitude"))
            if not position_problem(lat, lng):
                break
    if position_problem(lat, lng):
        lat = lng = None
    taken_at = _time(told.get("photoTakenTime"))
    return Entry(lat=lat, lng=lng, taken_at=taken_at, taken_at_is_utc=taken_at is not None)


def title(data: bytes) -> str | None:
    """The name that the photo had when it was uploaded, None where the JSON tells none."""
    told = _object(data).get("title")
    return told if isinstance(told, str) else None


def album_title(data: bytes) -> str | None:
    """The album's name in its folder's metadata.json, None where it tells none."""
    told = _object(data)
    inner = told.get("albumData")
    title = (inner if isinstance(inner, Mapping) else told).get("title")
    return title.strip() or None if isinstance(title, str) else None


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        told = parse_json(data)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return None


def _time(value: object) -> datetime | None:
    seconds = value.get("timestamp") if isinstance(value, Mapping) else None
    try:
        time = datetime.fromtimestamp(int(seconds), UTC).replace(tzinfo=None)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return time if time.year >= 1826 and time != datetime(1970, 1, 1) else None
