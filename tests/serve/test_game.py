"""The page of the game: which photos are on it, that no answer is, and that its rounds can be measured."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from openplanet.evaluation.contestants.play import write_game
from PIL import Image

from openplanet.errors import InputError
from openplanet.evaluation.evaluate import evaluate
from openplanet.evaluation.testsets.photoset import of_dataset


def rounds_on(path: Path) -> list[dict[str, str]]:
    return json.loads(re.search(r"ROUNDS=(\[.*?\]),P=", path.read_text(), re.DOTALL)[1])


def test_photos_are_drawn_by_chance_and_the_unreadable_passed_over(dataset, tmp_path: Path) -> None:
    photoset = of_dataset(dataset, "test")
    assert write_game(tmp_path / "all.html", photoset, rounds=20) == 19  # one of the 20 cannot be read
    drawn = {}
    for seed in (0, 0, 1):
        assert write_game(tmp_path / "some.html", photoset, rounds=5, seed=seed) == 5
        names = tuple(each["photo"] for each in rounds_on(tmp_path / "some.html"))
        assert drawn.setdefault(seed, names) == names and len(set(names)) == 5
    assert drawn[0] != drawn[1]


def test_no_answer_stands_on_the_page(dataset, tmp_path: Path) -> None:
    """Neither positions nor where the file lay; the pictures are pixels alone, also those that had Exif."""
    photoset = of_dataset(dataset, "test")
    picture, exif = io.BytesIO(), Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    Image.new("RGB", (90, 60), "red").save(picture, "JPEG", exif=exif)
    assert b"Exif" in picture.getvalue()
    marked = replace(photoset, images=lambda: iter([picture.getvalue()] * len(photoset)))
    write_game(tmp_path / "play.html", marked, rounds=20)
    page = (tmp_path / "play.html").read_text()
    truth = photoset.truth
    for lat, lng, source in zip(truth.lat, truth.lng, truth.source, strict=True):
        assert source not in page
        if lat != -75:  # that one's round numbers may stand anywhere
            assert f"{lat:.3f}" not in page and f"{lng:.3f}" not in page
    assert "album" not in page
    assert len(rounds_on(tmp_path / "play.html")) == 20 and b"RXhpZg" not in page.encode()  # "Exif" in base 64
    assert not re.search(r"""(src|href)=["']?https?:|url\(http|@import""", page)  # asks nothing of the network


def test_a_name_cannot_end_the_script(dataset, tmp_path: Path, hostile: str) -> None:
    photoset = of_dataset(dataset, "test")
    names = tuple(f"{n}</script>{hostile}" for n in range(20))
    truth = replace(photoset.truth, photo_id=names)
    write_game(tmp_path / "play.html", replace(photoset, truth=truth, name=hostile), rounds=3)
    page = (tmp_path / "play.html").read_text()
    assert page.count("</script>") == 2 and "<script>alert" not in page
    assert {each["photo"] for each in rounds_on(tmp_path / "play.html")} <= set(names)


def test_rounds_as_the_page_saves_them_stand_in_the_table(dataset, predictor, tmp_path: Path) -> None:
    """Found at their true place, at a wrong one, and not at all ("No idea"), which is wrong."""
    photoset = of_dataset(dataset, "test")
    write_game(tmp_path / "play.html", photoset, rounds=3)
    saved = []
    for n, each in enumerate(rounds_on(tmp_path / "play.html")):
        row = photoset.truth.photo_id.index(each["photo"])
        at = [(photoset.truth.lat[row], photoset.truth.lng[row]), (-80.0, 0.0), (None, None)][n]
        saved.append({"player": "ann", "photo": each["photo"], "lat": at[0], "lng": at[1], "seconds": 1.5})
    (tmp_path / "rounds.json").write_text(json.dumps({"rounds": saved}))
    found = evaluate(dataset, predictor, predictions=[tmp_path / "rounds.json"])
    player = found.row("player ann, 3 of 20 photos")
    assert player.shares == pytest.approx((1 / 3,) * 5)
    assert player.failed == 1 and player.value("median km") > 1000
    assert found.row("model, those of player ann").photos == 3


def test_nothing_to_play_is_told(dataset, tmp_path: Path) -> None:
    photoset = replace(of_dataset(dataset, "test"), images=lambda: iter([b""] * 20))
    with pytest.raises(InputError, match="no photo of the test split can be read"):
        write_game(tmp_path / "play.html", photoset)
    assert not (tmp_path / "play.html").exists()
