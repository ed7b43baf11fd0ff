"""The map component in Chromium and Firefox: what its JavaScript computes, and what is drawn."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from browsers import browser
from openplanet.earth import geo, geojson, s2
from openplanet.maps import description
from openplanet.maps.page import answer, write_map_page

NASTY = "</script><img src=x onerror='window.hacked=1'>"
PARIS, SYDNEY = (48.86, 2.35), (-33.87, 151.21)
DRAWN = "[...document.querySelectorAll('.op-map[data-engine]')].every((map) => 'drawn' in map.dataset)"
STARTED = "document.querySelectorAll('.op-map[data-engine]').length"


def cell_about(lat: float, lng: float, level: int) -> np.uint64:
    return s2.parent(s2.leaf_ids([lat], [lng]), level)[0]


def two_continents() -> description.Description:
    ids = [cell_about(*PARIS, 8), cell_about(*SYDNEY, 8), cell_about(0.0, 20.0, 1)]
    return {
        "label": NASTY,
        "cells": description.cells(ids, [0.5, 0.3, 0.2], "mass", regions=(0.9, 0.5), held_N=[2, 1, 1]),
        "best": description.point(*PARIS, title=NASTY, radii=[{"share": 0.68, "km": 300}, {"share": 0.95, "km": 9000}]),
        "places": [
            {"rank": 1, "name": NASTY, "probability": 0.5, **description.point(*PARIS)},
            {"rank": 3, "name": "near by", "probability": 0.2, **description.point(PARIS[0] + 0.1, PARIS[1])},
            {"rank": 2, "name": "Sydney", "probability": 0.3, **description.point(*SYDNEY)},
        ],
        "truth": description.point(*SYDNEY),
    }


def near_paris() -> description.Description:
    ids = [cell_about(*PARIS, 10)]
    return {
        "cells": description.cells(ids, [1.0], "mass"),
        "best": description.point(*PARIS, radii=[{"share": 0.68, "km": 20}]),
        "labels": description.labels([PARIS[0]], [PARIS[1]]),
    }


def holiday() -> description.Description:
    stops = [description.point(48.8 + k / 10, 2.3 + k, title=f"{k} {NASTY}", given=k == 2) for k in range(5)]
    stops[1]["alone"] = description.point(40, 0)
    return {"label": "route", "route": stops}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "map.html"
    maps = [two_continents(), near_paris(), holiday()]
    record = {
        "flag": None, "error": None, "source": "model",
        "answer": {"level": "country", "name": NASTY, "probability": 0.5},
        "best": {"lat": 1.0, "lng": 2.0, "radius_km": {"0.68": 20}, "calibrated": True, "probability": 0.4,
            "in_answer": False},
        "places": [{"level": "country", "name": NASTY, "probability": 0.5, "places": []}],
        "evidence": {"prior_probability": 0.1, "drop_when_covered": [[0.1, 0.0]],
            "alike": [{"source": NASTY, "cosine": 0.9, "km": 3.0, "attribution": NASTY, "licence": None}]},
    }  # fmt: skip
    stream = io.BytesIO()
    Image.new("L", (1, 1)).save(stream, "PNG")
    pixel = f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
    answers = [answer(NASTY, record, map=each, thumbnail=pixel, note=NASTY) for each in maps]
    write_map_page(path, NASTY, [*answers, answer("", None, map=near_paris())])
    return path


@pytest.fixture(scope="module", params=["chromium", "chromium without WebGL", "firefox"])
def opened(request: pytest.FixtureRequest, page: Path) -> Iterator[Any]:
    name, *without = request.param.split(" ", 1)
    with browser(name, 760, 500, webgl=not without) as driven:
        driven.open(page.as_uri())
        driven.wait(f"{STARTED} > 0 && {DRAWN}")
        yield driven


def test_the_page_draws_without_a_request_and_no_text_runs(opened: Any) -> None:
    kind = opened.ask("document.querySelector('.op-map').dataset.engine")
    assert kind == ("webgl" if opened.webgl else "canvas")
    assert opened.ask("[typeof window.hacked, document.querySelectorAll('img[src=x]').length]") == ["undefined", 0]
    assert NASTY in opened.ask("document.querySelector('.op-verdict').textContent")
    assert opened.ask("document.querySelectorAll('.op-verdict b')[0].textContent") == "50 %"
    assert "outside of the place named" in opened.ask("document.querySelector('.op-note').textContent")
    asked = [url for url in getattr(opened, "requests", []) if not url.startswith(("data:", "blob:", "file:"))]
    assert asked == [] and getattr(opened, "errors", []) == []


def test_candidates_on_two_continents_are_in_the_first_view(opened: Any) -> None:
    frame, *marks = opened.ask(
        "(() => { const map = document.querySelector('.op-map');"
        " const box = (e) => { const { left, top, right, bottom } = e.getBoundingClientRect();"
        " return [left, top, right, bottom, e.hidden]; };"
        " return [map.querySelector('.op-frame'), ...map.querySelectorAll('.op-place, .op-truth')].map(box); })()"
    )
    assert len(marks) == 4 and marks.pop(1)[-1]  # what would cover another is hidden, and counts there
    assert opened.ask("document.querySelector('.op-place').textContent") == "70 %"
    for left, top, right, bottom, hidden in marks:
        assert not hidden
        assert frame[0] <= left and frame[1] <= top and right <= frame[2] and bottom <= frame[3]


def test_cells_have_the_colour_of_the_legend_where_they_lie(opened: Any) -> None:
    opened.ask("document.querySelectorAll('.op-map')[1].scrollIntoView({block: 'center'})")
    opened.wait(f"document.querySelectorAll('.op-map')[1].dataset.drawn === '' && {DRAWN}")
    (lat,), (lng,) = s2.center([cell_about(*PARIS, 10)])
    box = opened.ask(
        "(() => { const frame = document.querySelectorAll('.op-map')[1].querySelector('.op-frame');"
        " const box = frame.getBoundingClientRect(); return [box.left, box.top]; })()"
    )
    picture = Image.open(io.BytesIO(opened.photograph())).convert("RGB")

    def colour(lng: float) -> Any:
        x, y = opened.ask(f"OpenPlaNet.shown[1].engine.project([{lng}, {lat}])")
        return picture.getpixel((int(box[0] + x), int(box[1] + y)))

    inside, outside = colour(lng), colour(lng + 0.2)
    assert inside[2] > inside[1] + 40, inside  # the strong end of the ramp is purple
    assert min(outside) > 200, outside  # land


def test_no_more_maps_are_alive_than_browsers_allow(opened: Any) -> None:
    opened.ask("OpenPlaNet.mostAlive = 2")
    for index in (3, 2, 0):
        opened.ask(f"document.querySelectorAll('.op-map')[{index}].scrollIntoView({{block: 'center'}})")
        opened.wait(f"OpenPlaNet.shown[{index}].engine")
        assert opened.ask("OpenPlaNet.shown.filter((map) => map.engine).length") <= 2


def test_a_route_has_a_scrubber_that_says_where_and_when(opened: Any) -> None:
    slider = "document.querySelectorAll('.op-map')[2].querySelector('input[type=range]')"
    opened.ask(f"(() => {{ const s = {slider}; s.value = 1; s.dispatchEvent(new Event('input')); }})()")
    assert opened.ask(f"{slider}.getAttribute('aria-valuetext')") == f"2 of 5 · 1 {NASTY}"
    before = "document.querySelectorAll('.op-map')[2].querySelector('.op-before input')"
    assert opened.ask(f"{before}.type") == "checkbox"


def test_maps_are_reached_by_keyboard_and_named(opened: Any) -> None:
    found = opened.ask(
        "[...document.querySelectorAll('.op-canvas canvas')].map((e) => [e.tabIndex, e.getAttribute('aria-label')])"
    )
    assert found and all(index == 0 and label for index, label in found)
    assert opened.ask("document.querySelector('.op-buttons button').getAttribute('aria-label')") == "Zoom in"


def ids_of_all_kinds() -> np.ndarray:
    rng = np.random.default_rng(0)
    lat, lng = np.degrees(np.arcsin(rng.uniform(-1, 1, 60))), rng.uniform(-180, 180, 60)
    lat, lng = np.append(lat, [89.9, -89.9, 0, 10]), np.append(lng, [0, 100, 179.99, -179.99])
    leaf = s2.leaf_ids(lat, lng)
    return np.concatenate([s2.parent(leaf, level) for level in (0, 1, 3, 9, 16, 24)])


def test_cells_are_those_of_earth_s2(opened: Any) -> None:
    ids = ids_of_all_kinds()
    packed = description.packed(ids, "<u8")
    areas, rings = opened.ask(
        f"(() => {{ const cells = OpenPlaNet.cells.decode('{packed}');"
        " return [cells.map(OpenPlaNet.cells.area), cells.map((cell) => OpenPlaNet.cells.ring(cell))]; })()"
    )
    assert np.allclose(areas, s2.area_km2(ids), rtol=1e-6)
    lat_N4, lng_N4 = s2.vertices(ids)
    for ring, lat_4, lng_4, mine in zip(rings, lat_N4, lng_N4, geojson.rings_of_cells(ids), strict=True):
        ring_lat, ring_lng = np.array(ring)[:, 1], np.array(ring)[:, 0]
        for lat, lng in zip(lat_4, lng_4, strict=True):
            assert geo.distance_km(ring_lat, ring_lng, lat, lng).min() < 1e-6
        assert np.allclose(ring[0], ring[-1])
        flat = sum(abs(shoelace(each[:, 1], each[:, 0])) for each in mine)
        assert abs(shoelace(ring_lng, ring_lat)) == pytest.approx(flat, rel=0.02)  # around poles and over the seam too


def shoelace(x: np.ndarray, y: np.ndarray) -> float:
    """Signed area of a closed ring in the plane of degrees."""
    x, y = x - x.mean(), y - y.mean()
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


def test_the_border_of_a_set_leaves_out_what_lies_within(opened: Any) -> None:
    parent = cell_about(*PARIS, 7)
    children = s2.children([parent])[0]
    smaller = s2.children([children[0]])[0]

    def length(ids: Any) -> float:
        lines = opened.ask(f"OpenPlaNet.cells.border(OpenPlaNet.cells.decode('{description.packed(ids, '<u8')}'))")
        parts = [np.array(line) for line in lines]
        return sum(float(geo.distance_km(p[:-1, 1], p[:-1, 0], p[1:, 1], p[1:, 0]).sum()) for p in parts)

    whole = length([parent])
    assert length(children) == pytest.approx(whole, rel=1e-3)
    assert length([*smaller, *children[1:]]) == pytest.approx(whole, rel=1e-3)
    assert length(children[:1]) == pytest.approx(whole / 2, rel=0.05)
    faces = s2.from_token(["1", "3", "5", "7", "9", "b"])
    assert length(faces) == 0  # the whole sphere has none, over the edges of faces too
