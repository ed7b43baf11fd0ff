import hashlib
import json
import re
from importlib.resources import files

from openplanet.maps.page import LIBRARY, OUTLINES, SCRIPTS, static


def test_what_other_people_wrote_is_what_was_pinned_and_has_its_licence():
    pinned = {each["file"]: each for each in json.loads(static().joinpath("PINNED.json").read_text())}
    for name, each in pinned.items():
        assert hashlib.sha256(static().joinpath(name).read_bytes()).hexdigest() == each["sha256"], name
    own = {"PINNED.json", "globe.css", *(name for name in SCRIPTS if name not in pinned)}
    assert {file.name for file in static().iterdir()} == own | set(pinned)
    assert {LIBRARY, OUTLINES} <= set(pinned)
    assert {f"LICENSE-{each['package']}.txt" for each in pinned.values()} <= set(pinned)


def test_our_scripts_set_text_and_never_markup():
    for name in SCRIPTS:
        text = static().joinpath(name).read_text(encoding="utf-8")
        if name != "topojson-client.min.js":
            assert "<script" not in text and "</script" not in text
            for forbidden in (
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
            ):
                assert forbidden not in text, (name, forbidden)


def test_pages_of_the_server_load_all_scripts_in_order():
    for name in ("index.html", "game.html"):
        page = files("openplanet.serve").joinpath("static", name).read_text(encoding="utf-8")
        loaded = re.findall(r'src="/static/([^"]+)"', page)
        wanted = [each for each in (LIBRARY, *SCRIPTS) if name == "index.html" or each != "answer.js"]
        assert [each for each in loaded if each in wanted] == wanted
