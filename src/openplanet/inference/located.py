"""What `openplanet locate` prints and writes for the photos that it located, or could not.

All of it streams: an answer is printed and forgotten before the next batch of photos is looked at.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from openplanet.earth.mappage import MapEntry, write_map_page
from openplanet.errors import InputError
from openplanet.inference.finding import Names
from openplanet.inference.prediction_map import prediction_map
from openplanet.inference.predictor import Located
from openplanet.photos import images
from openplanet.photos.images import SUFFIXES
from openplanet.progress import plain

THUMBNAIL = 240  # px, short side
MAX_MAPS = 200  # sections of a page: each map is about 100 kB


class Output:
    """Writes a stream of answers in one form; ``top`` candidates of each, photos called by ``names``."""

    def __init__(self, names: Names, top: int) -> None:
        self.names, self.top = names, top

    def text(self, stream: Iterable[Located]) -> Iterator[str]:
        """A piece of text for each photo: its name, then probability, position and place of each candidate."""
        for located in stream:
            yield "\n".join(map(plain, [self._name(located), *self._lines(located)])) + "\n"

    def json(self, stream: Iterable[Located]) -> Iterator[str]:
        """The pieces of a JSON array: for each photo what ``to_dict`` gives."""
        yield from _array("[", map(self.to_dict, stream), "]", indent=2)

    def geojson(self, stream: Iterable[Located]) -> Iterator[str]:
        """The pieces of one FeatureCollection: all photos' candidate cells and best points, each with its ``photo``."""
        features = (feature for located in stream for feature in self._features(located))
        yield from _array('{"type": "FeatureCollection", "features": [', features, "]}")

    def to_dict(self, located: Located) -> dict[str, Any]:
        """One photo's answer: photo, status ('located' or 'failed'), error, best {lat, lng} and top candidates."""
        answer: dict[str, Any] = {"best": None, "top": []}
        if located.prediction is not None:
            answer = located.prediction.to_dict(self.top)
        status = "failed" if located.prediction is None else "located"
        return {"photo": self._name(located), "status": status, "error": self._error(located), **answer}

    def map_entry(self, located: Located) -> MapEntry:
        """The photo's section of a page: its map and named candidates, or why it was not located."""
        title = self._name(located)
        if located.prediction is None:
            return MapEntry(title=title, note=f"Not located: {self._error(located)}")
        jpeg = images.encode_jpeg(images.load(Path(str(located.photo)), short_side=THUMBNAIL))
        return MapEntry(
            title=title,
            map=prediction_map(located.prediction),
            thumbnail="data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii"),
            candidates=[(c.rank, c.place.text, c.probability) for c in located.prediction.top(self.top)],
        )

    def _name(self, located: Located) -> str:
        return self.names.of(str(located.photo))

    def _error(self, located: Located) -> str | None:
        return None if located.error is None else self.names.within(located.error, str(located.photo))

    def _lines(self, located: Located) -> Iterator[str]:
        if located.prediction is None:
            yield f"  not located: {self._error(located)}"
            return
        for each in located.prediction.top(self.top):
            yield f"  {each.probability:6.1%}  {each.lat:9.4f} {each.lng:10.4f}  {each.place.text}"

    def _features(self, located: Located) -> Iterator[dict[str, Any]]:
        if located.prediction is not None:
            for feature in located.prediction.to_geojson(self.top)["features"]:
                feature["properties"]["photo"] = self._name(located)
                yield feature


def _array(start: str, items: Iterable[dict[str, Any]], end: str, indent: int | None = None) -> Iterator[str]:
    separator = start + "\n"
    for item in items:
        yield separator + json.dumps(item, indent=indent, ensure_ascii=False)
        separator = ",\n"
    yield (start if separator.startswith(start) else "") + "\n" + end + "\n"


def check_map(path: Path, photos: int) -> None:
    """Raise InputError where ``path`` is a photo's, or so many ``photos`` more than a browser would draw well."""
    if path.suffix.lower() in SUFFIXES:
        raise InputError(f"{path} has the name of a photo, which is never overwritten: give one that ends in .html")
    if photos > MAX_MAPS:
        raise InputError(
            f"{path} would hold {photos} maps, more than {MAX_MAPS}: locate fewer photos, or use --geojson"
        )


def write_map(path: Path, entries: list[MapEntry]) -> None:
    """Write a self-contained page of ``entries``; raises InputError where a browser would not draw so many."""
    check_map(path, len(entries))
    write_map_page(path, "Located photos", entries)
