"""Which photos `locate` takes, by which names, and what it says of the rest."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from openplanet.errors import InputError
from openplanet.inference.finding import Names, find_photos
from openplanet.inference.located import Output, check_map
from openplanet.inference.predictor import Located


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: trip/a.jpg, trip/day/b.jpg, trip/notes.txt, empty/, and a link to trip."""
    monkeypatch.chdir(tmp_path)
    for name in ("trip/a.jpg", "trip/day/b.jpg"):
        Path(name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(name)
    Path("trip/notes.txt").write_text("x")
    Path("empty").mkdir()
    Path("link").symlink_to("trip")
    return tmp_path


def test_photos_are_named_as_the_user_named_them(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def found(*paths: str) -> list[str]:
        return [str(each.path) for each in find_photos([Path(path) for path in paths])]

    assert found("trip") == ["trip/a.jpg", "trip/day/b.jpg"]
    assert found("trip/a.jpg", "trip/day") == ["trip/a.jpg", "trip/day/b.jpg"]
    assert found(".") == ["link/a.jpg", "link/day/b.jpg"]  # the folder that comes first by name is entered
    assert found("link") == ["link/a.jpg", "link/day/b.jpg"]
    assert found("link/a.jpg") == ["link/a.jpg"]
    assert found(str(here / "trip")) == [str(here / "trip/a.jpg"), str(here / "trip/day/b.jpg")]
    assert found("trip/../trip/day") == ["trip/../trip/day/b.jpg"]
    assert capsys.readouterr().err == ""


def test_what_is_left_out_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(find_photos([Path("trip"), Path("empty")])) == 2
    assert capsys.readouterr().err == "empty: no photo found there\n"
    with pytest.raises(InputError, match=r"empty: no photo found there; files that end in \.avif"):
        find_photos([Path("empty")])
    (here / "empty" / "film.mp4").write_text("x")
    with pytest.raises(InputError, match=r"files passed over: 1 \.mp4"):
        find_photos([Path("empty")])
    with pytest.raises(InputError, match=r"^gone: no such file or folder$"):
        find_photos([Path("gone")])
    for name in ("photos.tar", "hf:a/b"):
        with pytest.raises(InputError, match=f"{name}: give photos or folders"):
            find_photos([Path(name)])


def test_names_that_are_no_text_break_no_output() -> None:
    name = "a" + os.fsdecode(b"\xe9") + "\n\x1b[31m ü.jpg"
    answer, output = Located(name, None, f"{name}: is empty"), Output(Names([]), 1)
    (text,) = output.text([answer])
    assert text == "a\\xe9\\n\\x1b[31m ü.jpg\n  not located: a\\xe9\\n\\x1b[31m ü.jpg: is empty\n"
    assert json.loads("".join(output.json([answer])).encode("utf-8"))[0]["photo"] == "a\\xe9\n\x1b[31m ü.jpg"


def test_maps_that_cannot_be(here: Path) -> None:
    with pytest.raises(InputError, match="201 maps"):
        check_map(Path("a.html"), 201)
    with pytest.raises(InputError, match="name of a photo"):
        check_map(Path("trip/a.jpg"), 1)
