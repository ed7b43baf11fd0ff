"""The pages in Chromium and Firefox: a photo, an album and a game, by the hands of a user; what is drawn."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serving import Running, Served, dated, photo
from test_game import marked

from browsers import browser
from dataset_files import write_dataset
from openplanet.evaluation.contestants.predictions import read_predictions
from openplanet.evaluation.testsets.photoset import PhotoSet, of_dataset
from openplanet.serve.game import make_game, write_game

pytestmark = pytest.mark.slow

NASTY = "<img src=x onerror='window.hacked=1'>.jpg"
TOKEN = "0123456789abcdef"
DROP = """(() => {
  const transfer = new DataTransfer();
  for (const [name, content] of FILES) {
    transfer.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name));
  }
  document.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
})()"""
CATCH = """(() => {
  window.saved = [];
  URL.createObjectURL = (blob) => { blob.text().then((text) => saved.push(text)); return "data:,"; };
})()"""


@pytest.fixture(scope="module")
def photoset(tmp_path_factory: pytest.TempPathFactory) -> PhotoSet:
    rows = [
        {"photo_id": f"{n:064x}", "image": {"bytes": marked(n), "path": None}, "split": split, "source": f"{n}.jpg",
         "lat": 10.0 + n, "lng": 20.0, "attribution": NASTY}
        for n, split in enumerate(["test", "test", "train", "train"])
    ]  # fmt: skip
    return of_dataset(write_dataset(tmp_path_factory.mktemp("page") / "ds", rows), "test")


@pytest.fixture(scope="module")
def site(running: Running, photoset: PhotoSet) -> Iterator[Served]:
    assert photoset.dataset is not None
    with running(token=TOKEN, game=make_game(photoset, 2), reference=photoset.dataset.path) as one:
        yield one


@pytest.fixture(scope="module", params=["chromium", "firefox"])
def page(request: pytest.FixtureRequest, site: Served) -> Iterator[Any]:
    # Chromium draws on a canvas but in one test: its WebGL in software takes most of a minute
    with browser(request.param, 600, 480, webgl=request.param == "firefox") as driven:
        driven.open(f"{site.url}/#token={TOKEN}")
        driven.wait("document.getElementById('model').textContent")
        yield driven


def drop(page: Any, *files: tuple[str, bytes]) -> None:
    told = json.dumps([[name, base64.b64encode(content).decode()] for name, content in files])
    page.ask(DROP.replace("FILES", told))


def text(page: Any, selector: str) -> str:
    return str(page.ask(f"document.querySelector({json.dumps(selector)}).textContent"))


def colours(page: Any, selector: str) -> int:
    """How many colours a canvas shows in a photograph of the page."""
    page.wait(f"document.querySelector({selector!r})")  # a map starts when it comes into view
    page.ask(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
    page.wait(f"'drawn' in document.querySelector({selector!r}).closest('.op-map').dataset")
    box = page.ask(f"(({{x, y, width, height}}) => [x, y, x + width, y + height])"
                   f"(document.querySelector({selector!r}).getBoundingClientRect())")  # fmt: skip
    seen = Image.open(io.BytesIO(page.photograph())).convert("RGB").crop([int(each) for each in box])
    return len(np.unique(np.asarray(seen).reshape(-1, 3) // 32, axis=0))


def sound(page: Any, site: Served) -> None:
    """No text ran, no script failed, nothing was asked of others."""
    assert page.ask("[typeof window.hacked, document.querySelectorAll('img[src=x]').length]") == ["undefined", 0]
    assert getattr(page, "errors", []) == []
    asked = getattr(page, "requests", [])
    assert [url for url in asked if not url.startswith((site.url, "data:", "blob:"))] == []


def test_chromium_asks_for_the_token_and_draws_by_webgl_under_the_servers_policy(site: Served) -> None:
    with browser("chromium", 600, 480) as driven:
        driven.open(site.url)
        driven.wait("document.getElementById('ask-token').open")
        driven.ask(f"document.getElementById('token').value = '{TOKEN}'")
        driven.ask("document.querySelector('#ask-token button').click()")
        driven.wait("document.getElementById('model').textContent")
        driven.wait("document.querySelector('#earth .op-map')?.dataset.engine === 'webgl'")
        assert colours(driven, "#earth .op-canvas canvas") > 3
        sound(driven, site)


def test_a_dropped_photo_is_answered_on_the_map_with_evidence_and_saved(page: Any, site: Served) -> None:
    assert page.ask("location.hash") == ""  # the token is out of sight
    drop(page, (NASTY, photo(2)))
    page.wait("document.querySelector('#answer .op-map')?.dataset.engine && !document.getElementById('actions').hidden")
    assert text(page, "#answer h2") == NASTY and text(page, "#answer .op-verdict") == "Not enough evidence"
    assert "Best point" in text(page, "#answer .op-words")
    assert colours(page, "#answer .op-canvas canvas") > 6
    page.ask("document.getElementById('explain').click()")
    page.wait("document.querySelector('#answer .op-evidence')")
    assert page.ask("document.querySelectorAll('#answer .op-drops span').length") == 49
    assert "2.jpg" in text(page, ".op-alike") and NASTY in text(page, ".op-alike")
    assert page.ask("document.querySelector('.op-alike img').naturalWidth") == 128
    page.ask(CATCH)
    page.ask("[...document.querySelectorAll('#exports button')].forEach((button) => button.click())")
    page.wait("saved.length === 5")
    whole, *_ = (json.loads(each) for each in page.ask("saved") if each.startswith("{") and "format_version" in each)
    assert whole["photos"][0]["photo"] == NASTY and "thumbnail" not in whole["photos"][0]
    assert {each[:5] for each in page.ask("saved")} >= {"<?xml", "file,"}
    sound(page, site)


def test_an_album_is_a_route_with_a_scrubber_that_keys_and_photos_follow(page: Any, site: Served) -> None:
    drop(page, ("c.jpg", dated(1, 30)), ("a.jpg", dated(2, 10, (40, 20))), (NASTY, dated(3, 20)), ("x.jpg", b"none"))
    page.wait("document.querySelectorAll('#strip .tile').length === 4 && !document.getElementById('actions').hidden")
    names = "[...document.querySelectorAll('#strip .tile-name')].map((each) => each.textContent)"
    assert page.ask(names) == ["a.jpg", NASTY, "c.jpg", "x.jpg"]
    assert text(page, "#status") == "4 photos: 1 given, 2 located, 1 failed."
    assert page.ask("document.querySelector('.tile.given .tile-name').textContent") == "a.jpg"
    assert colours(page, "#journey .op-canvas canvas") > 3
    slider = "document.querySelector('#journey input[type=range]')"
    assert page.ask(f"{slider}.max") == "2"
    chosen = "document.querySelector('#strip [aria-selected=true] .tile-name').textContent"
    page.ask(f"(() => {{ {slider}.value = 1; {slider}.dispatchEvent(new Event('input', {{bubbles: true}})); }})()")
    assert page.ask(chosen) == NASTY
    key = "new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true})"
    page.ask(f"document.querySelector('#strip [aria-selected=true]').dispatchEvent({key})")
    assert page.ask(chosen) == "c.jpg" and page.ask(f"{slider}.value") == "2"
    page.ask("document.getElementById('anchors').click()")
    page.wait("document.querySelector('#journey .op-before input')")  # where photos are by themselves
    page.ask("document.getElementById('together').click()")
    page.wait("document.querySelectorAll('#strip .tile').length === 4 && !document.getElementById('actions').hidden")
    assert page.ask(names) == ["c.jpg", "a.jpg", NASTY, "x.jpg"]
    sound(page, site)


def test_what_cannot_be_read_is_told(page: Any, site: Served) -> None:
    drop(page, ("x.jpg", b"none"))
    page.wait("document.querySelector('#answer .op-verdict')?.textContent.startsWith('Not located')")
    assert page.ask("document.querySelector('#answer .op-map')") is None


def test_the_page_fits_a_telephone_and_says_what_its_parts_are(page: Any) -> None:
    assert page.ask("document.documentElement.scrollWidth <= innerWidth")
    unnamed = (
        "[...document.querySelectorAll('button, input, canvas, a')].filter((each) => !(each.textContent.trim()"
        " || each.getAttribute('aria-label') || each.title || each.labels?.[0]?.textContent)).length"
    )
    assert page.ask(unnamed) == 0


def play(page: Any) -> str:
    """Two rounds: the middle of the map, and no idea; the CSV that is saved."""
    page.wait("document.querySelector('.game-start')")
    page.ask("(() => { const name = document.querySelector('.game-start input'); name.value = 'Ann, \"x\"';"
             " document.querySelector('.game-start button').click(); })()")  # fmt: skip
    button = "[...document.querySelectorAll('.game-bar button')].find((each) => each.textContent === %r)"
    page.wait("document.querySelector('.game-round .op-map')?.dataset.engine")
    assert page.ask(button % "This is the place" + ".disabled")
    page.ask(button % "Middle of the map" + ".click()")
    assert page.ask("document.querySelectorAll('.op-pin').length") == 1
    page.ask(button % "This is the place" + ".click()")
    assert page.ask("document.querySelectorAll('.game-bar tr').length") >= 2
    assert page.ask("document.querySelectorAll('.op-truth').length") == 1
    page.ask(button % "Next photo" + ".click()")
    page.wait("document.querySelector('.game-round .op-map')?.dataset.engine")
    page.ask(button % "No idea" + ".click()")
    page.ask(button % "To the summary" + ".click()")
    page.ask(CATCH)
    page.ask("[...document.querySelectorAll('button')].find((each) => each.textContent === 'Save rounds.csv').click()")
    page.wait("saved.length === 1")
    return str(page.ask("saved[0]"))


def test_the_game_is_played_and_its_rounds_are_measured(
    page: Any, site: Served, photoset: PhotoSet, tmp_path: Path
) -> None:
    page.open(f"{site.url}/game")
    (tmp_path / "rounds.csv").write_text(play(page))
    (player,) = read_predictions(tmp_path / "rounds.csv", photoset.truth)
    assert player.name == 'player Ann, "x"' and player.shown_N is not None and len(player.shown_N) == 2
    assert np.isnan(player.lat[:, 0]).sum() == 1
    sound(page, site)
    write_game(tmp_path / "play.html", make_game(photoset, 2))
    page.open((tmp_path / "play.html").as_uri())
    page.ask("OpenPlaNet.ready")
    assert play(page).splitlines()[0] == '"player","photo","lat","lng","seconds"'


def test_the_api_is_described_on_a_page_of_our_own(page: Any, site: Served) -> None:
    page.open(f"{site.url}/docs")
    page.wait("document.querySelectorAll('#paths section').length === 6")
    assert "anchors" in text(page, "#paths")
    sound(page, site)
