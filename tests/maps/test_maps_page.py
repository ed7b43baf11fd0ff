import json
import re

import pytest

from openplanet.errors import InputError
from openplanet.maps.page import answer, as_json, embedded, map_page, style, write_map_page

PIXEL = "data:image/jpeg;base64,/9j/4AAQ"
NASTY = "</script><img src=x onerror=alert(1)>\u2028<!--"


def described(page: str) -> list[dict]:
    """What stands in the page's places for maps and answers."""
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page, re.S)]


def test_page_stands_alone_and_is_small(tmp_path):
    answers = [answer("a.jpg", None, map={"label": "here"}, thumbnail=PIXEL), answer("d.jpg", None, note="ends early")]
    write_map_page(tmp_path / "map.html", "Two photos", answers)
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert described(page) == answers
    assert not re.search(
        r"""(src|href)\s*=\s*["']?(https?:)?//|url\((?!data:)|@import""", style() + page.split("op-library")[0]
    )
    assert len(page) < 900_000  # the library and the outlines are packed
    assert map_page("Two photos", answers) == page


def test_names_of_files_are_text():
    page = map_page(NASTY, [answer(NASTY, {"photo": NASTY}, map={"label": NASTY}, note=NASTY)])
    assert "<img" not in page
    (found,) = described(page)
    assert found["title"] == found["record"]["photo"] == found["map"]["label"] == NASTY
    assert "</script" not in as_json(NASTY) and "<!--" not in as_json(NASTY)
    assert described(embedded({"label": NASTY})) == [{"label": NASTY}]


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "http:" + "//example.org/a.png", 'data:image/png;base64,"x'])
def test_thumbnail_is_data_and_nothing_else(uri):
    with pytest.raises(ValueError, match="data URI"):
        answer("a", None, thumbnail=uri)


def test_unwritable_page_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"map\.html"):
        write_map_page(tmp_path / "file" / "map.html", "t", [])
