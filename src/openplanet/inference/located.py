"""What `openplanet locate` prints and writes for the photos that it located, or could not."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openplanet.earth.mappage import MapEntry, write_map_page
from openplanet.errors import InputError
from openplanet.inference.prediction_map import prediction_map
from openplanet.inference.predictor import Located
from openplanet.photos import hub, images, sources
from openplanet.photos.images import SUFFIXES
from openplanet.progress import plain, say

THUMBNAIL = 240  # px, short side
MAX_MAPS = 200  # sections of a page: each map is about 100 kB


def find_photos(paths: Sequence[Path]) -> list[Path]:
    """Files as given, and of folders all photos below them, as ingest finds them; each by the path as given.

    Says which folders hold none, and which could not be entered. Raises InputError for a path that is not there,
    or is a tar or a data set, and where no photo was found at all.
    """
    for path in paths:
        if str(path).startswith(hub.PREFIX) or path.suffix.lower() == ".tar":
            raise InputError(f"{sources.printable(path)}: give photos or folders of photos; unpack it first")
    found = sources.find(paths)
    photos = _as_given([candidate.path for candidate in found.candidates], paths)
    left_out = [f"{each.file}: {each.reason} {each.detail}".strip() for each in found.rejected]
    for path in paths:
        if path.is_dir() and not any(photo.is_relative_to(path) for photo in photos):
            left_out.append(f"{sources.printable(path)}: no photo found there")
    if not photos:
        skipped = ", ".join(f"{count} {suffix}" for suffix, count in sorted(found.skipped.items()))
        raise InputError(
            "; ".join(left_out)
            + (f" (files passed over: {skipped})" if skipped else "")
            + f"; files that end in {' '.join(sorted(SUFFIXES))} are looked for"
        )
    for line in left_out:
        say(line)
    return photos


def _as_given(photos: Sequence[Path], paths: Sequence[Path]) -> list[Path]:
    """``photos``, whose folders were resolved, below the ``paths`` that led to them."""
    given: dict[Path, Path] = {}
    for path in paths:
        folder = path if path.is_dir() else path.parent
        given.setdefault(folder.resolve(), folder)
    shown = []
    for photo in photos:
        root = next((folder for folder in photo.parents if folder in given), None)
        shown.append(photo if root is None else given[root] / photo.relative_to(root))
    return shown


def to_dict(located: Located, top: int) -> dict[str, Any]:
    """One photo's answer: photo, status ('located' or 'failed'), error, best {lat, lng} and top candidates."""
    answer: dict[str, Any] = {"best": None, "top": []}
    if located.prediction is not None:
        answer = located.prediction.to_dict(top)
    status = "failed" if located.prediction is None else "located"
    return {"photo": sources.printable(str(located.photo)), "status": status, "error": _error(located), **answer}


def to_geojson(results: Sequence[Located], top: int) -> dict[str, Any]:
    """All photos' candidate cells and best points in one FeatureCollection, each with its ``photo``."""
    features = []
    for located in results:
        if located.prediction is not None:
            for feature in located.prediction.to_geojson(top)["features"]:
                feature["properties"]["photo"] = sources.printable(str(located.photo))
                features.append(feature)
    return {"type": "FeatureCollection", "features": features}


def to_text(located: Located, top: int) -> str:
    """One photo's answer as lines for a person: probability, position and place of each candidate."""
    lines = [_plain(str(located.photo))]
    if located.prediction is None:
        return f"{lines[0]}\n  not located: {_plain(_error(located) or '')}"
    for candidate in located.prediction.top(top):
        lines.append(
            f"  {candidate.probability:6.1%}  {candidate.lat:9.4f} {candidate.lng:10.4f}  {candidate.place.text}"
        )
    return "\n".join(lines)


def _error(located: Located) -> str | None:
    return None if located.error is None else sources.printable(located.error)


def _plain(text: str) -> str:
    """On one line, and without what would steer a terminal: names of files may hold anything."""
    return plain(sources.printable(text))


def check_map(path: Path, photos: int) -> None:
    """Raise InputError where ``path`` is a photo's, or so many ``photos`` more than a browser would draw well."""
    if path.suffix.lower() in SUFFIXES:
        raise InputError(f"{path} has the name of a photo, which is never overwritten: give one that ends in .html")
    if photos > MAX_MAPS:
        raise InputError(
            f"{path} would hold {photos} maps, more than {MAX_MAPS}: locate fewer photos, or use --geojson"
        )


def write_map(path: Path, results: Sequence[Located], top: int) -> None:
    """Write a self-contained page: each photo with its map and named candidates, or why it was not located.

    Raises InputError where there are more photos than a browser would draw well.
    """
    check_map(path, len(results))
    write_map_page(path, "Located photos", [_entry(each, top) for each in results])


def _entry(located: Located, top: int) -> MapEntry:
    title = sources.printable(Path(str(located.photo)))
    if located.prediction is None:
        return MapEntry(title=title, note=f"Not located: {_error(located)}")
    jpeg = images.encode_jpeg(images.load(Path(str(located.photo)), short_side=THUMBNAIL))
    return MapEntry(
        title=title,
        map=prediction_map(located.prediction),
        thumbnail="data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii"),
        candidates=[(c.rank, c.place.text, c.probability) for c in located.prediction.top(top)],
    )
