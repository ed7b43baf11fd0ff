"""Answers as one GeoJSON FeatureCollection."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from openplanet.earth import geojson
from openplanet.inference.located import Located, LocatedAlbum
from openplanet.inference.output.about import About
from openplanet.storage import generator


def write(stream: Iterable[Located], about: About) -> Iterator[str]:
    """Of single photos the candidate cells and the best point, each with its ``photo``; of an album the track first
    (a LineString through the photos in order, cut at the antimeridian), then a Point for each photo."""
    head = json.dumps({"type": "FeatureCollection"} | generator("locate"))
    yield head.removesuffix("}") + ', "features": ['
    separator = "\n"
    for feature in _features(stream, about):
        yield separator + json.dumps(feature, ensure_ascii=False)
        separator = ",\n"
    yield "\n]}\n"


def _features(stream: Iterable[Located], about: About) -> Iterator[dict[str, Any]]:
    if about.album is not None and about.shows_points:
        yield from _track(about.album, about)
    for located in stream:
        if about.album is None:
            yield from _cells(located, about)
        elif (at := about.position(located)) is not None:
            yield geojson.point_feature(*at, _properties(located, about))


def _cells(located: Located, about: About) -> Iterator[dict[str, Any]]:
    if located.prediction is None:
        return
    if not about.shows_points:
        properties = {"photo": about.name(located), "place": about.place(located)}
        yield {"type": "Feature", "geometry": None, "properties": properties}
        return
    for feature in located.prediction.to_geojson(about.top, about.options.within_km)["features"]:
        feature["properties"]["photo"] = about.name(located)
        if feature["properties"].get("best"):
            feature["properties"]["in_answer"] = about.agrees(located)
        yield feature


def _track(album: LocatedAlbum, about: About) -> Iterator[dict[str, Any]]:
    placed = [(at, _iso(photo)) for photo in album.photos if (at := about.position(photo)) is not None]
    if len(placed) > 1:
        yield geojson.track_feature([at for at, _ in placed], {"times": [time for _, time in placed]})


def _properties(located: Located, about: About) -> dict[str, Any]:
    answer = about.answer(located)
    return {
        "photo": about.name(located),
        "time": _iso(located),
        "utc_offset_minutes": located.utc_offset_minutes,
        "status": located.status,
        "source": located.source,
        "place": about.place(located),
        "probability": None if answer is None else answer.probability,
        "radius_68_km": about.radius_km(located, 0.68),
        "radius_95_km": about.radius_km(located, 0.95),
    }


def _iso(located: Located) -> str | None:
    return None if located.taken_at is None else located.taken_at.isoformat()
