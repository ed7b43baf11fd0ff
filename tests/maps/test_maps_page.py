import re

import pytest

from openplanet.errors import InputError
from openplanet.maps.page import MapEntry, map_page, write_map_page
from openplanet.maps.world_map import WorldMap

PIXEL = "data:image/jpeg;base64,/9j/4AAQ"


def test_page_stands_alone(tmp_path):
    entries = [
        MapEntry("a.jpg", WorldMap().points([1], [2], ranks=[1]), PIXEL, [(1, "Paris, France", 0.25)]),
        MapEntry("b.jpg", WorldMap()),
        MapEntry("c.jpg", WorldMap(bounds=(40, 0, 50, 10))),
        MapEntry("d.jpg", note="the image ends early"),
    ]
    write_map_page(tmp_path / "map.html", "Two photos", entries)
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\"]*", page)) == {"http://www.w3.org/2000/svg"}
    assert page.count('id="op-land"') == 1  # shared by both world maps
    assert page.count('href="#op-land"') == 4
    assert "Paris, France" in page and "25%" in page and "the image ends early" in page
    assert PIXEL in page
    assert page.count("<figure") == 3


def test_names_of_files_are_text():
    nasty = '"><img src=x onerror=alert(1)>'
    entry = MapEntry(nasty, WorldMap(title=nasty), candidates=[(1, nasty, 0.5)], note=nasty)
    page = map_page(nasty, [entry])
    assert "<img" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") == 6


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "http:" + "//example.org/a.png", 'data:image/png;base64,"x'])
def test_thumbnail_is_data_and_nothing_else(uri):
    with pytest.raises(ValueError, match="data URI"):
        MapEntry("a", thumbnail=uri)


def test_unwritable_page_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"map\.html"):
        write_map_page(tmp_path / "file" / "map.html", "t", [])
