import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from openplanet.earth import s2
from openplanet.maps.world_map import WorldMap, land_symbol

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def cells():
    rng = np.random.default_rng(0)
    lat_N, lng_N = np.degrees(np.arcsin(rng.uniform(-1, 1, 300))), rng.uniform(-180, 180, 300)
    return np.unique(s2.parent(s2.leaf_ids(lat_N, lng_N), 5))


def parse(svg):
    return ElementTree.fromstring(svg)


def test_map_by_itself_is_whole_svg_and_asks_for_nothing(cells):
    drawn = WorldMap(title="a & b").cells(cells, np.arange(1, len(cells) + 1), log=True).svg()
    root = parse(drawn)
    assert root.tag == f"{SVG}svg"
    assert root.get("aria-label") == "a & b"
    outside = re.findall(r"(?:href|src)=\"([^#][^\"]*)\"|url\(|@import", drawn)
    assert outside == []
    assert set(re.findall(r"https?://[^\"]*", drawn)) == {"http://www.w3.org/2000/svg"}
    used = set(re.findall(r'href="#([^"]*)"', drawn))
    assert used and used <= set(re.findall(r'id="([^"]*)"', drawn))


def test_world_costs_little_and_is_shared(cells):
    assert len(WorldMap().svg()) < 150_000
    assert 40_000 < len(land_symbol()) < 150_000
    shared = WorldMap().points([0], [0]).html(shared_land=True)
    assert len(shared) < 3_000
    used = set(re.findall(r'href="#([^"]*)"', shared))
    assert used == set(re.findall(r'id="([^"]*)"', land_symbol()))


def test_each_titled_cell_is_drawn_where_it_lies(cells):
    width = 720
    root = parse(WorldMap(width).cells(cells, np.ones(len(cells)), titles=s2.to_token(cells)).svg())
    paths = {path.find(f"{SVG}title").text: path.get("d") for path in root.iter(f"{SVG}path") if len(path)}
    assert set(paths) == set(s2.to_token(cells))
    lat_C, lng_C = s2.center(cells)
    for token, lat, lng in zip(s2.to_token(cells), lat_C, lng_C, strict=True):
        x, y = map(float, re.match(r"M(-?[\d.]+) (-?[\d.]+)l", paths[token]).groups())
        assert abs(x - (lng + 180) * 2) < 60 / max(np.cos(np.radians(lat)), 0.02)
        assert abs(y - (85 - lat) * 2) < 12


def test_greatest_value_is_darkest_and_least_is_left_out(cells):
    values = np.arange(len(cells), dtype=float)
    values[5] = np.nan
    root = parse(WorldMap().cells(cells, values, titles=[f"{v:g}" for v in values], least=10).svg())
    fills = {path.find(f"{SVG}title").text: path.get("fill") for path in root.iter(f"{SVG}path") if len(path)}
    assert set(fills) == {f"{v:g}" for v in values if v > 10}
    assert fills["11"] == "#fbe08a"
    assert fills[f"{values[-1]:g}"] == "#55257f"


def test_twenty_six_thousand_cells_are_few_elements():
    rng = np.random.default_rng(1)
    lat_N, lng_N = np.degrees(np.arcsin(rng.uniform(-1, 1, 60_000))), rng.uniform(-180, 180, 60_000)
    many = np.unique(s2.parent(s2.leaf_ids(lat_N, lng_N), 7))[:26_263]
    assert len(many) == 26_263
    drawn = WorldMap().cells(many, rng.lognormal(size=len(many)), log=True, titles=["x"] * len(many)).svg(True)
    assert drawn.count("<path") <= 24
    assert drawn.count("z") > 26_000
    assert len(drawn) < 2_000_000


def test_all_text_is_escaped(cells):
    nasty = "<script>\"&'"
    drawn = (
        WorldMap(title=nasty)
        .cells(cells[:3], [1, 2, 3], what=nasty, titles=[nasty] * 3)
        .points([1], [2], titles=[nasty], key=nasty)
        .line(0, 0, 1, 1, title=nasty)
        .html()
    )
    assert "<script" not in drawn
    assert '"&' not in drawn.replace('"&lt;', "")


def test_truth_lies_below_guesses_and_the_best_guess_on_top():
    svg = WorldMap().points([1, 2], [1, 2], ranks=[1, 2]).points([1], [1], kind="truth").svg(True)
    assert svg.index('r="12"') < svg.index(">2</text>") < svg.index(">1</text>")


def test_positions_that_are_no_number_are_left_out():
    svg = WorldMap().points([np.nan, 1], [0, 1], ranks=[1, 2]).line(np.nan, 0, 1, 1).svg(True)
    assert ">1</text>" not in svg and ">2</text>" in svg
    assert "nan" not in svg.lower()


def test_region_names_its_cities_without_overlap():
    region = (-36.0, 148.0, -32.0, 153.0)
    svg = WorldMap(640, region).points([-33.86], [151.21], kind="truth").cities().svg()
    names = re.findall(r'class="op-city">([^<]*)<', svg)
    assert {"Sydney", "Newcastle", "Canberra"} <= set(names)
    assert len(names) <= 10
    assert 'class="op-city"' not in WorldMap().cities().svg()


def test_photos_are_dots_of_one_path():
    svg = WorldMap().points(np.zeros(5000), np.linspace(-170, 170, 5000), kind="photo").svg(True)
    assert svg.count("h0") == 5000
    assert svg.count("<path") == 1


def test_nothing_to_shade_is_no_error(cells):
    html = WorldMap().cells(cells, np.zeros(len(cells))).html(True)
    assert "op-legend" not in html
