"""Which tags a row becomes, and what the tags of a file say of it. docs/geotag.md lists the fields."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from openplanet.earth import places
from openplanet.geotagging.run import HAND, About, Row
from openplanet.photos.ingest.read import is_estimate

Tags = dict[str, str | list[str]]

NAMES = ("XMP-photoshop:City", "XMP-photoshop:State", "XMP-photoshop:Country")
CREATED = tuple(
    f"XMP-iptcExt:LocationCreated{name}" for name in ("City", "ProvinceState", "CountryName", "CountryCode")
)
OWN = "XMP-openplanet"
READ = ("GPSLatitude", "GPSLongitude", "GPSLatitudeRef", "GPSLongitudeRef", "GPSHPositioningError",
        "GPSProcessingMethod", *NAMES, *CREATED, f"{OWN}:all")  # fmt: skip
"""What is read of a file before and after it is written."""


def has_foreign_position(told: Mapping[str, Any]) -> bool:
    """Whether any group of tags has a position that no geotag run wrote. 0, 0 is none: it stands for no fix."""
    ours = _estimates(told)
    for name in told:
        group, _, tag = name.partition(":")
        if tag == "GPSLatitude" and group != "Composite":
            lat, lng = _signed(told, group, "Latitude", "S"), _signed(told, group, "Longitude", "W")
            if lat is None or lng is None:
                return True  # unreadable, but somebody's
            if (lat, lng) != (0.0, 0.0) and not is_estimate(lat, lng, ours):
                return True
    return False


def is_ours(told: Mapping[str, Any]) -> bool:
    """Whether a geotag run wrote there."""
    return any(name.startswith(f"{OWN}:") for name in told)


def has_foreign_names(told: Mapping[str, Any]) -> bool:
    """Whether there are names of a place that no geotag run wrote."""
    names = [str(told.get(name, "")) for name in NAMES]
    created = [str(told.get(name, "")) for name in CREATED]
    wrote = told.get(f"{OWN}:Names", [])
    wrote = [str(each) for each in (wrote if isinstance(wrote, list) else [wrote])]
    return bool(any(names) and names != [w.strip("-") for w in wrote[:3]]) or bool(
        any(created) and created != [w.strip("-") for w in wrote]
    )


def named(row: Row) -> Row:
    """A point by hand, with what the place is called."""
    if row.lat is None or row.lng is None or row.country:
        return row
    place = places.named([row.lat], [row.lng])[0]
    near = place.distance_km <= places.CITY_KM
    return replace(
        row, city=place.city * near, region=place.region * near, country=place.country, country_code=place.country_code
    )


def of(row: Row, about: About, old: Mapping[str, Any], in_file: bool) -> Tags:
    """The tags to set; "" removes one. ``old``: what the file says now. ``in_file``: position as Exif, not as XMP."""
    tags: Tags = {}
    hand = row.source == HAND
    if row.lat is not None and row.lng is not None:
        method = "MANUAL" if hand else about.method(row.source)
        error = "" if row.radius_m is None else f"{row.radius_m:.0f}"
        if in_file:
            tags |= {
                "GPS:GPSLatitude": f"{abs(row.lat):.7f}",
                "GPS:GPSLatitudeRef": "N" if row.lat >= 0 else "S",
                "GPS:GPSLongitude": f"{abs(row.lng):.7f}",
                "GPS:GPSLongitudeRef": "E" if row.lng >= 0 else "W",
            }
        else:
            tags |= {"XMP-exif:GPSLatitude": f"{row.lat:.7f}", "XMP-exif:GPSLongitude": f"{row.lng:.7f}"}
        where = "GPS" if in_file else "XMP-exif"
        tags |= {f"{where}:GPSHPositioningError": error, f"{where}:GPSProcessingMethod": method}
    if row.country and not has_foreign_names(old):
        names = (row.city, row.region, row.country)
        tags |= dict(zip(NAMES, names, strict=True))
        tags |= {"XMP-iptcExt:LocationCreated": ""} if any(name in old for name in CREATED) else {}
        created = zip(CREATED, (*names, row.country_code), strict=True)
        tags |= {name: value for name, value in created if value}
        tags[f"{OWN}:Names"] = [value or "-" for value in (*names, row.country_code)]
    estimated = row.lat is not None and not hand
    return tags | {
        f"{OWN}:EstimatedLatitude": f"{row.lat:.7f}" if estimated else "",
        f"{OWN}:EstimatedLongitude": f"{row.lng:.7f}" if estimated else "",
        f"{OWN}:Probability": "" if row.probability is None else f"{row.probability:.4f}",
        f"{OWN}:Source": row.source,
        f"{OWN}:Run": about.run,
        f"{OWN}:Model": str(about.model.get("sha256", "")),
    }


def adds(tags: Tags) -> bool:
    """Whether they say a place, and not only who wrote."""
    return any(not name.startswith("XMP-openplanet:") for name in tags)


def holds(told: Mapping[str, Any], row: Row) -> bool:
    """Whether a file that was written says the row's point, read back."""
    if row.lat is None or row.lng is None:
        return is_ours(told)
    for group in ("XMP-exif", "GPS"):
        lat, lng = _signed(told, group, "Latitude", "S"), _signed(told, group, "Longitude", "W")
        if lat is not None and lng is not None and max(abs(lat - row.lat), abs(lng - row.lng)) <= 1e-6:
            return True
    return False


def _estimates(told: Mapping[str, Any]) -> list[tuple[float, float]]:
    try:
        return [(float(told[f"{OWN}:EstimatedLatitude"]), float(told[f"{OWN}:EstimatedLongitude"]))]
    except (KeyError, TypeError, ValueError):
        return []


def _signed(told: Mapping[str, Any], group: str, name: str, negative: str) -> float | None:
    """Degrees; Exif keeps the sign apart."""
    try:
        value = float(told[f"{group}:GPS{name}"])
    except (KeyError, TypeError, ValueError):
        return None
    ref = str(told.get(f"{group}:GPS{name}Ref", ""))[:1].upper()
    return -value if ref == negative and value > 0 else value
