"""Answers as GPX 1.1: a waypoint a photo; of an album its track, for tools that geotag by tracks."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

from openplanet.inference.located import Located, LocatedAlbum
from openplanet.inference.output.about import About
from openplanet.inference.output.as_text import km_words

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<gpx version="1.1" creator="OpenPlaNet locate" xmlns="http://www.topografix.com/GPX/1/1">\n'
)


def write(stream: Iterable[Located], about: About) -> Iterator[str]:
    """GPX tells UTC: a time whose offset from UTC is not known is left out. Photos without a position, and all where
    positions may not be told, are left out too."""
    yield HEAD
    for located in stream:
        at = about.position(located)
        if at is not None:
            yield (
                f'<wpt lat="{at[0]:.6f}" lon="{at[1]:.6f}">{_time(located)}<name>{escape(about.name(located))}</name>'
                f"<desc>{escape(_words(located, about))}</desc></wpt>\n"
            )
    if about.album is not None and about.shows_points:
        yield _track(about.album, about)
    yield "</gpx>\n"


def _words(located: Located, about: About) -> str:
    """The place, and how far off the point may be: GPX has no field for it."""
    radius = about.radius_km(located, 0.95)
    return ", ".join(filter(None, [about.place(located), "" if radius is None else f"95 % within {km_words(radius)}"]))


def _track(album: LocatedAlbum, about: About) -> str:
    points = [
        f'<trkpt lat="{at[0]:.6f}" lon="{at[1]:.6f}">{_time(photo)}</trkpt>\n'
        for photo in album.photos
        if (at := about.position(photo)) is not None
    ]
    return f"<trk><name>album</name><trkseg>\n{''.join(points)}</trkseg></trk>\n" if len(points) > 1 else ""


def _time(located: Located) -> str:
    utc = _utc(located)
    return "" if utc is None else f"<time>{utc:%Y-%m-%dT%H:%M:%SZ}</time>"


def _utc(located: Located) -> datetime | None:
    if located.taken_at is None or located.utc_offset_minutes is None:
        return None
    local = located.taken_at
    if local.tzinfo is not None:
        return local.astimezone(UTC)
    return local - timedelta(minutes=located.utc_offset_minutes)
