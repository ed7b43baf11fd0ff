"""The game: photos to be placed on the globe, against the model and, on the synthetic planet, the Bayes limit.

One page for both ways: a file of its own (`openplanet play`), and an address of the server (`openplanet serve --game`).
Answers lie packed beside their photos, so that nobody sees them by accident; who opens the source can read them.

Shapes: N photos of the set.
"""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from openplanet.earth import places
from openplanet.errors import InputError, PhotoError
from openplanet.evaluation.contestants.bayes import limit_of
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.inference.locator import Locator
from openplanet.inference.output.prediction_map import prediction_map
from openplanet.maps.page import as_json, environment
from openplanet.photos.files import images
from openplanet.serve.static_files import own_text
from openplanet.storage import write_text
from openplanet.stores.location import Location

SIDE = 480  # short side of a photo, pixels: what the evaluated model sees is not more
CELLS = 1000  # of the model's answer to a round


def make_game(
    photoset: PhotoSet, rounds: int = 10, seed: int = 0, locator: Locator | None = None, world: Path | None = None
) -> dict[str, Any]:
    """What static/game.js plays: ``rounds`` photos of the set, drawn by ``seed``, with their answers packed.

    ``locator`` plays too; ``world`` is the folder of the synthetic planet that the photos are of. Photos that cannot be
    read are passed over. Raises InputError where none can be, DatasetError where photos are not of the planet.
    """
    chosen = _chosen(photoset, rounds, seed)
    if not chosen:
        raise InputError(f"no photo of {photoset.name} can be read: there is nothing to play")
    truth, index = photoset.truth, [row for row, _ in chosen]
    named = places.named(truth.lat[index], truth.lng[index])
    answers: list[dict[str, Any]] = [
        {"truth": {"lat": float(truth.lat[row]), "lng": float(truth.lng[row]), "place": place.name}}
        for row, place in zip(index, named, strict=True)
    ]
    if locator is not None:
        for told, located in zip(answers, locator.locate_many([photo for _, photo in chosen]), strict=True):
            if located.prediction is not None:
                best, answer = located.prediction.best_point(), located.prediction.answer()
                told["model"] = {"lat": best.lat, "lng": best.lng, "place": answer.text, "sure": answer.probability}
                told["map"] = prediction_map(located.prediction, most_cells=CELLS)
    if world is not None:
        limit = limit_of(world, [truth.photo_id[row] for row in index])
        for told, lat, lng in zip(answers, limit.lat[:, 0].tolist(), limit.lng[:, 0].tolist(), strict=True):
            told["limit"] = {"lat": lat, "lng": lng}
    return {
        "where": photoset.name,
        "rounds": [
            {"photo": truth.photo_id[row], "image": _uri(photo), "answer": _packed(told)}
            for (row, photo), told in zip(chosen, answers, strict=True)
        ],
    }


def write_game(path: Location, game: dict[str, Any]) -> None:
    """Write the game as one file that needs nothing else; raises InputError where it cannot be written."""
    template = environment("openplanet.serve").get_template("game_page.html.j2")
    write_text(path, template.render(game=as_json(game), style=own_text("app.css"), script=own_text("game.js")))


def _chosen(photoset: PhotoSet, rounds: int, seed: int) -> Sequence[tuple[int, bytes]]:
    """Photos by chance, in an order of chance, as JPEG of their pixels alone."""
    order = np.random.default_rng(seed).permutation(len(photoset)).tolist()
    # some more are looked at than are wanted, for those that cannot be read
    found: dict[int, bytes] = {}
    for index, photo in photoset.some(set(order[: 2 * rounds + 10])):
        try:
            found[index] = images.encode_jpeg(images.load(photo, short_side=SIDE), quality=86)
        except PhotoError:
            continue
    return [(index, found[index]) for index in order if index in found][:rounds]


def _uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _packed(told: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(told, allow_nan=False).encode("utf-8")).decode("ascii")
