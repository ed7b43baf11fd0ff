"""What a request may ask of an answer, and the answer in the form that is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from fastapi import Query

from openplanet.inference.finding import Names
from openplanet.inference.located import Located, LocatedAlbum
from openplanet.inference.output import FORMATS, as_json
from openplanet.inference.output.about import About
from openplanet.inference.output.prediction_map import MOST_CELLS, prediction_map
from openplanet.inference.prediction import CONFIDENCE, Finest, Options
from openplanet.models.regions import WITHIN_KM
from openplanet.serve.engine import Seen

Form = Literal["json", "geojson", "kml", "csv", "gpx", "text"]
MEDIA_TYPES: dict[str, str] = {
    "json": "application/json",
    "geojson": "application/geo+json",
    "kml": "application/vnd.google-earth.kml+xml",
    "csv": "text/csv; charset=utf-8",
    "gpx": "application/gpx+xml",
    "text": "text/plain; charset=utf-8",
}
LEVELS: tuple[Finest, ...] = get_args(Finest)
"""Coarse to fine."""


@dataclass(frozen=True)
class Asked:
    """The options of `openplanet locate`, and what the page asks for besides."""

    top: Annotated[int, Query(ge=1, le=100, description="Candidate cells per photo.")] = 5
    within: Annotated[float, Query(ge=0.001, le=5000, description="Search radius of the best point, km.")] = WITHIN_KM
    confidence: Annotated[float, Query(ge=0, le=1, description="Minimum probability of the place to name.")] = (
        CONFIDENCE
    )
    finest: Annotated[Finest, Query(description="Finest level to tell; coordinates for cell only.")] = "cell"
    all_pictures: Annotated[bool, Query(description="Locate screenshots, documents and blank pictures too.")] = False
    map: Annotated[bool, Query(description="Add a map description to each record.")] = False
    thumbnail: Annotated[bool, Query(description="Add a small JPEG to each record, as a data URI.")] = False
    files: Annotated[str, Query(description="Add whole files in these formats: geojson,kml,csv,gpx,text.")] = ""

    def options(self, finest: Finest) -> Options:
        """What is asked of each answer; no finer than the server's ``finest``."""
        coarser = LEVELS[min(LEVELS.index(self.finest), LEVELS.index(finest))]
        return Options(self.within, self.confidence, coarser)

    @property
    def forms(self) -> list[str]:
        """The formats of ``files``; those that there are none of are passed over."""
        return [name for name in self.files.split(",") if name in FORMATS and name != "json"]


def about_of(asked: Asked, finest: Finest, model: dict[str, Any], album: LocatedAlbum | None = None) -> About:
    """What all forms say of the photos as a whole."""
    return About(Names(()), asked.top, model, album, asked.options(finest))


def named(album: LocatedAlbum, photos: Sequence[Seen]) -> tuple[LocatedAlbum, list[int]]:
    """An engine's album with the photos' names, and their places in ``photos``."""
    places = [int(str(each.photo)) for each in album.photos]
    found = [replace(each, photo=Path(photos[place].name)) for place, each in zip(places, album.photos, strict=True)]
    return replace(album, photos=tuple(found)), places


def record(
    located: Located, about: About, asked: Asked, thumbnail: str | None = None, most_cells: int = MOST_CELLS
) -> dict[str, Any]:
    """A record of JSON format 2, with ``thumbnail`` and ``map`` (of ``most_cells``) where they are asked for."""
    told = as_json.record(located, about)
    if asked.thumbnail:
        told["thumbnail"] = thumbnail
    if asked.map:
        told["map"] = None
        if located.prediction is not None and about.shows_points:
            alike = () if located.evidence is None else located.evidence.alike
            told["map"] = prediction_map(located.prediction, None, asked.within, most_cells, alike)
    return told


def whole(records: Sequence[dict[str, Any]], located: Sequence[Located], about: About, asked: Asked) -> dict[str, Any]:
    """The object of JSON format 2 around the ``records``, with ``files`` where they are asked for."""
    told = as_json.head(about) | {"photos": list(records)}
    if asked.forms:
        told["files"] = {form: "".join(FORMATS[form](iter(located), about)) for form in asked.forms}
    return told
