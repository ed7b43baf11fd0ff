"""A page of its own for maps: one section to a photo, with its candidates; opens without a network.

Titles, places and notes come from files of whoever made them, so that the template escapes all of them; only
the maps, which escape their own text, go in as they are.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from openplanet.maps.legend import percentage
from openplanet.maps.world_map import MAP_SCRIPT, MAP_STYLE, WorldMap, land_symbol
from openplanet.storage import write_text

DATA_URI = re.compile(r"data:image/(jpeg|png|webp);base64,[A-Za-z0-9+/=]+")


@dataclass(frozen=True)
class MapEntry:
    """One section of the page: ``thumbnail`` a data URI, ``candidates`` (rank, place, probability 0..1)."""

    title: str
    map: WorldMap | None = None  # none for a photo that could not be located: say why in the note
    thumbnail: str | None = None
    candidates: Sequence[tuple[int, str, float]] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if self.thumbnail is not None and not DATA_URI.fullmatch(self.thumbnail):
            raise ValueError("a thumbnail is a data URI of a JPEG, PNG or WebP image: the page makes no requests")

    @property
    def map_html(self) -> Markup:
        return Markup("" if self.map is None else self.map.html(shared_land=True))


def map_page(title: str, entries: Sequence[MapEntry]) -> str:
    """The page as HTML text."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = percentage
    source = files("openplanet.maps").joinpath("map_page.html.j2").read_text(encoding="utf-8")
    needs_land = any(entry.map is not None and entry.map.view.is_world for entry in entries)
    return environment.from_string(source).render(
        title=title,
        entries=entries,
        style=Markup(MAP_STYLE),
        script=Markup(MAP_SCRIPT),
        land=Markup(land_symbol() if needs_land else ""),
    )


def write_map_page(path: Path, title: str, entries: Sequence[MapEntry]) -> None:
    """Write the page to ``path``; raises InputError where it cannot be written."""
    write_text(path, map_page(title, entries))
