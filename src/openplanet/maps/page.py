"""Pages with maps, each one file that opens without a network: the library, the outlines and the maps are in it.

The library and the outlines are packed (gzip, base64) and unpacked by the browser, so that a page is 0.75 MB and not
1.9. Titles, places and notes come from files of whoever made them: they stand in JSON, which no text in it can end, and
the scripts set them as text. What the scripts expect is documented at the top of static/globe.js and static/answer.js.
"""

import base64
import gzip
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from openplanet.maps.description import Description
from openplanet.storage import write_text
from openplanet.stores.location import Location

DATA_URI = re.compile(r"data:image/(jpeg|png|webp);base64,[A-Za-z0-9+/=]+")
LIBRARY, OUTLINES = "maplibre-gl.js", "countries-50m.json"
SCRIPTS = (
    "topojson-client.min.js",
    "cells.js",
    "layers.js",
    "marks.js",
    "canvas.js",
    "webgl.js",
    "globe.js",
    "answer.js",
)
CSP = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; worker-src blob:"
START = """
OpenPlaNet.ready = (async () => {
  const text = (id) => {
    const packed = new Blob([OpenPlaNet.cells.bytes(document.getElementById(id).textContent)]);
    return new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };
  OpenPlaNet.outlines = Promise.resolve().then(() => text("op-outlines")).then(JSON.parse);
  try {
    const library = document.createElement("script");
    library.textContent = await text("op-library");
    document.head.append(library);
  } catch { /* an old browser: maps are drawn without the library */ }
  OpenPlaNet.showAll(); OpenPlaNet.showAnswers();
})();
"""


def static() -> Traversable:
    """The folder of scripts, styles, the library and the outlines."""
    return files("openplanet.maps").joinpath("static")


def embedded(description: Description, kind: str = "op-globe") -> Markup:
    """A place in a page that becomes the map (or, ``kind`` op-answer, the answer) of a description."""
    return Markup('<div class="{}"><script type="application/json">{}</script></div>').format(
        kind, as_json(description)
    )


def as_json(value: Any) -> Markup:
    """JSON that can stand in a script element: no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


@lru_cache(maxsize=1)
def style() -> Markup:
    """What a page with maps has in its style element."""
    return Markup(static().joinpath("globe.css").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def scripts() -> Markup:
    """What a page with maps ends with."""
    parts = [
        Markup('<script type="text/plain" id="{}">{}</script>').format(name, _gzipped(file))
        for name, file in (("op-library", LIBRARY), ("op-outlines", OUTLINES))
    ]
    own = "\n".join(static().joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS)
    return Markup("\n").join([*parts, Markup(f"<script>{own}\n{START}</script>")])


def _gzipped(name: str) -> str:
    return base64.b64encode(gzip.compress(static().joinpath(name).read_bytes(), mtime=0)).decode("ascii")


def environment(package: str = "openplanet.maps") -> Environment:
    """Templates of a package, with what pages with maps need: ``map_style``, ``map_scripts``, ``csp``."""
    found = Environment(
        loader=PackageLoader(package, "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    found.globals |= {"map_style": style(), "map_scripts": scripts(), "csp": Markup(CSP)}
    return found


def answer(
    title: str, record: dict[str, Any] | None, *, map: Description | None = None, thumbnail: str | None = None,
    note: str = "",
) -> dict[str, Any]:  # fmt: skip
    """What static/answer.js shows: ``record`` as ``locate --json`` writes it, ``thumbnail`` a data URI.

    Raises ValueError for a thumbnail that is none: the page makes no requests.
    """
    if thumbnail is not None and not DATA_URI.fullmatch(thumbnail):
        raise ValueError("a thumbnail is a data URI of a JPEG, PNG or WebP image: the page makes no requests")
    return {"title": title, "record": record, "map": map, "thumbnail": thumbnail, "note": note}


def map_page(title: str, answers: Sequence[dict[str, Any]]) -> str:
    """A page of ``answers`` as HTML text."""
    shown = [embedded(each, "op-answer") for each in answers]
    return environment().get_template("map_page.html.j2").render(title=title, answers=shown)


def write_map_page(path: Location, title: str, answers: Sequence[dict[str, Any]]) -> None:
    """Write the page to ``path``; raises InputError where it cannot be written."""
    write_text(path, map_page(title, answers))
