"""The game: which photos are in it, who plays, and that a page's rounds can be measured."""

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serving import Running, photo

from dataset_files import write_dataset
from openplanet.errors import InputError
from openplanet.evaluation.answers import Answers
from openplanet.evaluation.testsets.photoset import PhotoSet, of_dataset
from openplanet.inference.predictor import Predictor
from openplanet.serve import game as games
from openplanet.serve.game import make_game, write_game

NASTY = "</script><img src=x onerror='window.hacked=1'>"


def marked(seed: int) -> bytes:
    """A photo with a position in its Exif."""
    picture, exif = io.BytesIO(), Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    Image.open(io.BytesIO(photo(seed))).save(picture, "JPEG", exif=exif)
    return picture.getvalue()


@pytest.fixture(scope="module")
def photoset(tmp_path_factory: pytest.TempPathFactory) -> PhotoSet:
    rows = [
        {"photo_id": f"{n:064x}", "image": {"bytes": b"" if n == 3 else marked(n), "path": None}, "split": "test",
         "source": f"secret-{n}.jpg", "lat": 10.0 + n, "lng": 20.0} for n in range(12)
    ]  # fmt: skip
    return of_dataset(write_dataset(tmp_path_factory.mktemp("game") / "ds", rows), "test")


def answers_of(game: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(base64.b64decode(each["answer"])) for each in game["rounds"]]


def test_photos_are_drawn_by_chance_and_the_unreadable_passed_over(photoset: PhotoSet) -> None:
    assert len(make_game(photoset, rounds=12)["rounds"]) == 11
    drawn = [tuple(each["photo"] for each in make_game(photoset, 5, seed)["rounds"]) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2] and len(set(drawn[0])) == 5


def test_each_round_has_the_truth_and_the_models_own_answer(photoset: PhotoSet, checkpoint: Path) -> None:
    predictor = Predictor.load(checkpoint, "cpu")
    game = make_game(photoset, 4, locator=predictor)
    for each, told in zip(game["rounds"], answers_of(game), strict=True):
        row = photoset.truth.photo_id.index(each["photo"])
        assert (told["truth"]["lat"], told["truth"]["lng"]) == (photoset.truth.lat[row], photoset.truth.lng[row])
        jpeg = base64.b64decode(each["image"].split(",", 1)[1])
        best = predictor.locate(jpeg).best_point()
        assert (told["model"]["lat"], told["model"]["lng"]) == pytest.approx((best.lat, best.lng))
        assert b"Exif" not in jpeg and "map" in told and "limit" not in told


def test_nothing_in_plain_sight_tells_a_place_and_no_name_ends_the_script(photoset: PhotoSet, tmp_path: Path) -> None:
    names = tuple(f"{n}{NASTY}" for n in range(len(photoset)))
    game = make_game(replace(photoset, truth=replace(photoset.truth, photo_id=names), name=NASTY), 3)
    write_game(tmp_path / "play.html", game)
    page = (tmp_path / "play.html").read_text()
    assert "secret" not in page and NASTY not in page and "<img src=x" not in page
    rounds = re.search(r'id="rounds">(.*?)</script>', page, re.DOTALL)
    assert rounds is not None and json.loads(rounds[1]) == game
    assert not re.search(r"\"lat\"|\"truth\"", rounds[1])
    assert len(page.encode()) < 1_500_000


def test_the_limit_is_the_best_guess_of_the_synthetic_planet(photoset: PhotoSet, monkeypatch: Any) -> None:
    def limit(world: Path, photo_ids: list[str]) -> Answers:
        return Answers("limit", "", np.full((len(photo_ids), 5), 1.5), np.full((len(photo_ids), 5), 2.5))

    monkeypatch.setattr(games, "limit_of", limit)
    assert [each["limit"] for each in answers_of(make_game(photoset, 2, world=Path("world")))] == [
        {"lat": 1.5, "lng": 2.5}
    ] * 2


def test_nothing_to_play_is_told(photoset: PhotoSet) -> None:
    with pytest.raises(InputError, match="no photo of the test split can be read"):
        make_game(replace(photoset, images=lambda: iter([b""] * len(photoset))))


def test_the_server_has_a_game_where_it_was_given_one(running: Running, photoset: PhotoSet) -> None:
    game = make_game(photoset, 2)
    with running(game=game) as one:
        assert one.get("/api/game").json() == game and one.get("/api/models").json()["game"] is True
    with running() as one:
        assert one.get("/api/game").status == 404 and one.get("/api/models").json()["game"] is False
