"""What `openplanet locate` prints and writes for the photos that it located, or could not."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openplanet.earth.mappage import MapEntry, write_map_page
from openplanet.errors import InputError
from openplanet.inference.prediction_map import prediction_map
from openplanet.inference.predictor import Located
from openplanet.photos import images, sources
from openplanet.photos.images import SUFFIXES

THUMBNAIL = 240  # px, short side
MAX_MAPS = 200  # sections of a page: each map is about 100 kB


def find_photos(paths: Sequence[Path]) -> list[Path]:
    """Files as given, and of folders all photos below them, as ingest finds them.

    Raises InputError for a path that is not there, and where no photo was found at all.
    """
    found = [candidate.path for candidate in sources.find(paths).candidates]
    if not found:
        raise InputError(f"no photo found; files that end in {' '.join(sorted(SUFFIXES))} are looked for")
    return found


def to_dict(located: Located, top: int) -> dict[str, Any]:
    """One photo's answer: photo, status ('located' or 'failed'), error, best {lat, lng} and top candidates."""
    answer: dict[str, Any] = {"best": None, "top": []}
    if located.prediction is not None:
        answer = located.prediction.to_dict(top)
    status = "failed" if located.prediction is None else "located"
    return {"photo": str(located.photo), "status": status, "error": located.error, **answer}


def to_geojson(results: Sequence[Located], top: int) -> dict[str, Any]:
    """All photos' candidate cells and best points in one FeatureCollection, each with its ``photo``."""
    features = []
    for located in results:
        if located.prediction is not None:
            for feature in located.prediction.to_geojson(top)["features"]:
                feature["properties"]["photo"] = str(located.photo)
                features.append(feature)
    return {"type": "FeatureCollection", "features": features}


def to_text(located: Located, top: int) -> str:
    """One photo's answer as lines for a person: probability, position and place of each candidate."""
    if located.prediction is None:
        return f"{sources.printable(Path(str(located.photo)))}\n  not located: {located.error}"
    lines = [sources.printable(Path(str(located.photo)))]
    for candidate in located.prediction.top(top):
        lines.append(
            f"  {candidate.probability:6.1%}  {candidate.lat:9.4f} {candidate.lng:10.4f}  {candidate.place.text}"
        )
    return "\n".join(lines)


def write_map(path: Path, results: Sequence[Located], top: int) -> None:
    """Write a self-contained page: each photo with its map and named candidates, or why it was not located.

    Raises InputError where there are more photos than a browser would draw well.
    """
    if len(results) > MAX_MAPS:
        raise InputError(
            f"{path} would hold {len(results)} maps, more than {MAX_MAPS}: locate fewer photos, or use --geojson"
        )
    write_map_page(path, "Located photos", [_entry(each, top) for each in results])


def _entry(located: Located, top: int) -> MapEntry:
    title = sources.printable(Path(str(located.photo)))
    if located.prediction is None:
        return MapEntry(title=title, note=f"Not located: {located.error}")
    jpeg = images.encode_jpeg(images.load(Path(str(located.photo)), short_side=THUMBNAIL))
    return MapEntry(
        title=title,
        map=prediction_map(located.prediction),
        thumbnail="data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii"),
        candidates=[(c.rank, c.place.text, c.probability) for c in located.prediction.top(top)],
    )
