"""Answers as KML 2.2, for globes: a placemark a photo, with its radii as circles; of an album its track besides."""

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape

import numpy as np

from openplanet.earth import geo
from openplanet.inference.located import Located, LocatedAlbum
from openplanet.inference.output.about import About
from openplanet.inference.output.as_text import km_words

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<kml xmlns="http://www.opengis.net/kml/2.2">
<Document>
<name>OpenPlaNet locate</name>
<Style id="circle"><LineStyle><color>ff0080ff</color><width>2</width></LineStyle></Style>
<Style id="track"><LineStyle><color>ffff8000</color><width>3</width></LineStyle></Style>
"""
CORNERS = 72  # of a circle
LARGEST_KM = 5000.0  # a larger circle is no help on a globe


def write(stream: Iterable[Located], about: About) -> Iterator[str]:
    """Names of files and places are escaped. Photos without a position are left out; so are all where positions may
    not be told."""
    yield HEAD
    if about.album is not None and about.shows_points:
        yield _track(about.album, about)
    for located in stream:
        at = about.position(located)
        if at is not None:
            yield _placemark(located, at, about)
    yield "</Document>\n</kml>\n"


def _placemark(located: Located, at: tuple[float, float], about: About) -> str:
    radii = {share: about.radius_km(located, share) for share in (0.68, 0.95)}
    said = [about.place(located)]
    said += [f"{share:.0%} within {km_words(km)}" for share, km in radii.items() if km is not None]
    time = "" if located.taken_at is None else f"<TimeStamp><when>{located.taken_at.isoformat()}</when></TimeStamp>"
    mark = (
        f"<Placemark><name>{escape(about.name(located))}</name>"
        f"<description>{escape('; '.join(part for part in said if part))}</description>{time}"
        f"<Point><coordinates>{at[1]:.6f},{at[0]:.6f}</coordinates></Point></Placemark>\n"
    )
    circles = [
        f"<Placemark><name>{share:.0%}</name><styleUrl>#circle</styleUrl><LineString><tessellate>1</tessellate>"
        f"<coordinates>{_circle(at, km)}</coordinates></LineString></Placemark>\n"
        for share, km in radii.items()
        if km is not None and km <= LARGEST_KM
    ]
    return mark + "".join(circles)


def _circle(at: tuple[float, float], km: float) -> str:
    """Corners of a circle on the sphere as lng,lat."""
    middle_3 = geo.to_xyz(*at)
    pole_3 = np.array([0.0, 0.0, 1.0]) if abs(middle_3[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    east_3 = np.cross(pole_3, middle_3)
    east_3 /= np.linalg.norm(east_3)
    turn_P = np.linspace(0, 2 * np.pi, CORNERS + 1)[:, None]
    angle = km / geo.EARTH_RADIUS_KM
    rim_P3 = np.cos(turn_P) * east_3 + np.sin(turn_P) * np.cross(middle_3, east_3)
    lat_P, lng_P = geo.from_xyz(np.cos(angle) * middle_3 + np.sin(angle) * rim_P3)
    return " ".join(f"{lng:.6f},{lat:.6f}" for lat, lng in zip(lat_P.tolist(), lng_P.tolist(), strict=True))


def _track(album: LocatedAlbum, about: About) -> str:
    placed = [at for photo in album.photos if (at := about.position(photo)) is not None]
    if len(placed) < 2:
        return ""
    points = " ".join(f"{lng:.6f},{lat:.6f}" for lat, lng in placed)
    return (
        "<Placemark><name>track</name><styleUrl>#track</styleUrl><LineString><tessellate>1</tessellate>"
        f"<coordinates>{points}</coordinates></LineString></Placemark>\n"
    )
