"""What `openplanet locate` prints and writes for the photos that it located, or could not."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from openplanet.errors import InputError
from openplanet.inference.predictor import Located
from openplanet.photos.images import SUFFIXES


def find_photos(sources: Iterable[Path]) -> list[Path]:
    """Files as given, and of folders all photos below them in sorted order (hidden ones left out).

    Raises InputError for a path that is not there, and where no photo was found at all.
    """
    found: list[Path] = []
    for source in sources:
        if source.is_dir():
            found += sorted(
                path
                for path in source.rglob("*")
                if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
            )
        elif source.exists():
            found.append(source)
        else:
            raise InputError(f"{source} does not exist: give photos or folders of photos")
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
        return f"{located.photo}\n  not located: {located.error}"
    lines = [str(located.photo)]
    for candidate in located.prediction.top(top):
        lines.append(
            f"  {candidate.probability:6.1%}  {candidate.lat:9.4f} {candidate.lng:10.4f}  {candidate.place.text}"
        )
    return "\n".join(lines)
