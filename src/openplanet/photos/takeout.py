"""Google Takeout: the JSON file beside each photo, under the names that Takeout gives it.

``a.jpg.json`` (until 2024) or ``a.jpg.supplemental-metadata.json``; both are cut so that the name without
``.json`` has 46 characters. The number of a repeated name moves: ``a(1).jpg`` has ``a.jpg(1).json`` or
``a.jpg.supplemental-metadata(1).json``. An edited copy (``a-edited.jpg``) has none and shares that of ``a.jpg``.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from openplanet.photos.entry import Entry, position_problem
from openplanet.storage import parse_json

MAX_NAME = 46  # characters before ".json"; with it 51
MAX_JSON = 1 << 20  # bytes of a JSON file that are read
SUPPLEMENT = ".supplemental-metadata"
# The album's file, in the languages in which we have seen it.
ALBUM_FILES = ("metadata.json", "Metadaten.json", "metadatos.json", "métadonnées.json", "metadati.json")
_EDITED = re.compile(r"-(edited|bearbeitet|(?:ha )?editado|editada|modifié|modificato|bewerkt|redigerad|edytowane)$")
_NUMBER = re.compile(r"\((\d{1,4})\)$")
_YEAR_FOLDER = re.compile(r"(Photos from|Fotos von|Fotos de|Fotos del|Photos de|Foto del|Foto dal) \d{4}$")


def is_year_folder(name: str) -> bool:
    """Whether Takeout made the folder: it holds every photo of a year, the albums' ones once more."""
    return _YEAR_FOLDER.match(name) is not None


def beside(photos: Iterable[str], files: Iterable[str]) -> dict[str, str]:
    """Photo → its JSON file, of names in one folder; photos without one are left out.

    An exact name wins; then a cut one (of 46 characters) for names that begin so; then, of the newer kind, one
    without the photo's suffix: ``a.supplemental-metadata.json``, where the photo was once uploaded without it.
    """
    exact: dict[tuple[str, str], str] = {}
    cut: dict[tuple[str, str], str] = {}
    bare: dict[tuple[str, str], str] = {}
    for file in sorted(files):
        if not file.lower().endswith(".json"):
            continue
        whole = file[: -len(".json")]
        base, number = _numbered(whole)
        exact[base, number] = file
        if len(whole) == MAX_NAME:
            cut[whole, ""] = file
        # The number is put on after the cut, so that the rest has 46 characters in any case.
        if len(base) == MAX_NAME:
            cut[base, number] = file
        elif (start := base.rfind(".s")) > 0 and SUPPLEMENT.startswith(base[start:]):
            exact.setdefault((base[:start], number), file)
            bare.setdefault((base[:start], number), file)
    found = {}
    for photo in photos:
        stem, suffix = PurePath(photo).stem, PurePath(photo).suffix
        stem, number = _numbered(stem)
        for name in dict.fromkeys((stem, _EDITED.sub("", stem))):
            # The number is Takeout's own, or the photo had it before: 'Holiday (38).JPG'.
            fulls = ((name + suffix, number), (f"{name}{number}{suffix}", ""))
            keys = [fulls[0], (name + suffix + SUPPLEMENT, number), fulls[1]]
            json_file = next((exact[key] for key in keys if key in exact), None)
            cuts = (((full + SUPPLEMENT)[:MAX_NAME], after) for full, after in fulls)
            json_file = json_file or next((cut[key] for key in cuts if key in cut), None) or bare.get((name, number))
            if json_file is not None:
                found[photo] = json_file
                break
    return found


def _numbered(name: str) -> tuple[str, str]:
    match = _NUMBER.search(name)
    return (name[: match.start()], match[0]) if match else (name, "")


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
