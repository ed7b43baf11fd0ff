"""The human baseline: a page on which people say where photos were taken, and which writes down their rounds.

The page has no answers in it and asks nothing of the network; `evaluate --predictions` measures the rounds as it does
any other guesses (``predictions.py``). Photos are drawn by chance; of each the page has the pixels, and the name that
rounds are matched by, which it does not show.

Shapes: N photos of the set.
"""

import base64
import json
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from openplanet.errors import InputError, PhotoError
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.maps.world_map import MAP_SCRIPT, MAP_STYLE, WorldMap
from openplanet.photos.files import images
from openplanet.storage import write_text

SIDE = 480  # short side of a photo, pixels: what the evaluated model sees is not more
MAP_WIDTH = 1000


def write_game(path: Path, photoset: PhotoSet, rounds: int = 10, seed: int = 0) -> int:
    """Write the page with ``rounds`` photos of the set, drawn by ``seed``, and give their number.

    Photos that cannot be read are passed over. Raises InputError where none can be, or the file cannot be written.
    """
    shown = _shown(photoset, rounds, seed)
    if not shown:
        raise InputError(f"no photo of {photoset.name} can be read: there is nothing to play")
    drawn = WorldMap(MAP_WIDTH, title="Click where the photo was taken")
    view = drawn.view
    environment = Environment(
        loader=PackageLoader("openplanet.evaluation.contestants", "."),
        autoescape=True,
        undefined=StrictUndefined,
    )
    page = environment.get_template("play.html.j2").render(
        where=photoset.name,
        count=len(shown),
        # a file's name is untrusted text: it must not end the script that it stands in
        rounds=Markup(json.dumps(shown).replace("<", "\\u003c")),
        projection=Markup(
            json.dumps({"north": view.north, "west": view.west, "x": view.x_per_degree, "y": view.y_per_degree})
        ),
        map=Markup(drawn.html()),
        map_style=Markup(MAP_STYLE),
        map_script=Markup(f"<script>{MAP_SCRIPT}</script>"),
    )
    write_text(path, page)
    return len(shown)


def _shown(photoset: PhotoSet, rounds: int, seed: int) -> list[dict[str, str]]:
    """Photos by chance, in an order of chance: what the set calls them, and a JPEG of their pixels alone."""
    order = np.random.default_rng(seed).permutation(len(photoset)).tolist()
    # some more are looked at than are wanted, for those that cannot be read
    wanted = set(order[: 2 * rounds + 10])
    found: dict[int, dict[str, str]] = {}
    for index, photo in photoset.some(wanted):
        try:
            jpeg = images.encode_jpeg(images.load(photo, short_side=SIDE), quality=86)
        except PhotoError:
            continue
        uri = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
        found[index] = {"photo": photoset.truth.photo_id[index], "image": uri}
    return [found[index] for index in order if index in found][:rounds]
