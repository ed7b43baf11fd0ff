"""The page of a partition: complete, without requests, right for tiny, turned and one-cell partitions."""

import base64
import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from openplanet.earth import geo
from openplanet.earth.partition import adaptive
from openplanet.earth.partition.adaptive import Thresholds
from openplanet.earth.partition.combinatorial import build_turned, random_turns
from openplanet.maps import partition_page


@pytest.fixture(scope="module")
def cells():
    """Cells about Suva, across the antimeridian, and in Paris; one cell dropped."""
    rng = np.random.default_rng(0)
    lat = np.concatenate([rng.normal(-17, 2, 300), rng.normal(48.86, 0.02, 3000), [60.0]])
    lng = np.concatenate([(rng.normal(180, 3, 300) + 180) % 360 - 180, rng.normal(2.34, 0.03, 3000), [-150.0]])
    return adaptive.build([(lat, lng)], max_photos=60, min_photos=5)


def test_the_page_says_what_the_partition_holds(cells, tmp_path):
    path = tmp_path / "report.html"
    partition_page.write_report(path, cells, "photos & <more>.parquet")
    page = path.read_text(encoding="utf-8")
    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert f"{len(cells):,} cells, small where photos are many" in text
    assert "From 3,301 positions in photos &amp; &lt;more&gt;.parquet" in text
    assert f"of the photos were dropped: {cells.dropped_photos}, in {cells.dropped_cells} cells" in text
    share = cells.dropped_area_km2 / partition_page.EARTH_KM2
    assert f"{100 * share:.3g}% of the Earth was in dropped cells" in text
    assert re.search(r"The cells are smallest in [^<]*, France", page)
    drawn = described(page)
    assert (
        len(base64.b64decode(drawn["cells"]["ids"]))
        == 8 * len(cells)
        == 2 * len(base64.b64decode(drawn["cells"]["values"]))
    )
    assert [each["what"] for each in drawn["cells"]["also"]] == ["level (higher is smaller)", "photos in the cell"]
    assert [view["name"] for view in drawn["views"]][::2] == ["World", "The Pacific"]
    assert len(page) < 1_000_000
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?https?:", page)
    for level, number in zip(*np.unique(cells.level, return_counts=True), strict=True):
        assert f"<title>level {level}: {number:,} cells</title>" in page
    Strict().feed(page)


def described(page):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])


class Strict(HTMLParser):
    """Refuses a closing tag that does not match the open one."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "input", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_histograms_count_every_cell(cells):
    for figure in partition_page._histograms(cells):
        numbers = [int(n.replace(",", "")) for n in re.findall(r": ([\d,]+) cells</title>", figure)]
        assert sum(numbers) == len(cells) and numbers[0] > 0 and numbers[-1] > 0


def test_city_map_is_where_the_small_cells_are(cells):
    name, view = partition_page._densest(cells)
    assert name.endswith("France")
    assert geo.distance_km(48.86, 2.34, view["lat"], view["lng"]) < 9
    assert view["degrees"] == pytest.approx(9 / 111.2, rel=0.01)


def test_odd_partitions():
    one = adaptive.build([([10.0], [20.0])], 5, 1)
    assert one.level.tolist() == [0]
    page = partition_page.report(one, "x")
    assert "100%" in page
    levels = np.frombuffer(base64.b64decode(described(page)["cells"]["also"][0]["values"]), "<f4")
    assert 0 < levels[0] < 1  # a face of the cube is level 0, and is drawn
    pole = adaptive.build([(np.full(9, 90.0), np.zeros(9))], 2, 1)  # one leaf
    assert "cm²" in partition_page.report(pole, "x")
    rng = np.random.default_rng(1)
    [turned] = build_turned(
        [(rng.uniform(-90, 90, 500), rng.uniform(-180, 180, 500))], [Thresholds(20, 1)], [random_turns(2)[1]]
    )
    assert "turned sphere" in partition_page.report(turned, "x")
    nameless = dataclasses.replace(one, city=("",), country=("",))
    assert "The cells are smallest in 10.00, 20.00" in partition_page.report(nameless, "x")


def test_of_too_many_cells_the_smallest_beyond_the_city_are_left_out(cells, monkeypatch):
    monkeypatch.setattr(partition_page, "MOST_CELLS", 10)
    page = partition_page.report(cells, "x")
    ids = np.frombuffer(base64.b64decode(described(page)["cells"]["ids"]), "<u8")
    shown, (_, view) = np.isin(cells.cell_id, ids), partition_page._densest(cells)
    in_city = geo.distance_km(cells.lat, cells.lng, view["lat"], view["lng"]) < 40
    assert len(ids) == 10 and in_city[shown].all() and in_city.sum() > 10
    assert cells.area_km2[shown].min() >= cells.area_km2[in_city & ~shown].max()
    assert f"The {len(cells) - 10} smallest cells elsewhere are not drawn" in page


def test_shares_and_areas_in_words():
    words = [partition_page._percent(share) for share in (0, 1e-9, 0.0123, 0.5, 0.9995, 1.0)]
    assert words == ["0%", "<0.01%", "1.23%", "50%", ">99.9%", "100%"]
    areas = [partition_page._area(km2) for km2 in (21_252_745.2, 5.81, 0.1, 2e-4, 2e-7, 4.4e-11)]
    assert areas == ["21,252,745 km²", "5.8 km²", "0.1 km²", "200 m²", "0.2 m²", "0.44 cm²"]
