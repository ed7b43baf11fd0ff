import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import Markup

from openplanet.errors import InputError
from openplanet.evaluation.evaluate import evaluate
from openplanet.evaluation.report import maps, samples
from openplanet.evaluation.report.page import Section, write_report
from openplanet.evaluation.result import Result
from openplanet.inference.predictor import Predictor
from openplanet.photos.dataset import Dataset


@pytest.fixture(scope="module")
def evaluation(dataset: Dataset, predictor: Predictor) -> Result:
    return evaluate(dataset, predictor, "test")


@pytest.fixture(scope="module")
def page(evaluation: Result, predictor: Predictor, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "evaluation.html"
    sections = [Section("Extra <1>", "and <text>", Markup("<em>figure</em>"))]
    write_report(path, evaluation, predictor, dataset, title="A & B", intro="Intro <b>", sections=sections, drawn=4)
    return path.read_text(encoding="utf-8")


class Outline(HTMLParser):
    """Tags with their attributes, and whether all are closed in order."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_page_asks_nothing_of_the_network(page: str) -> None:
    for tag, attributes in Outline(page).tags:
        for name in ("src", "href", "srcset", "xlink:href", "data", "action"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")), (tag, value)
        assert tag not in ("link", "iframe", "object", "embed", "base")
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttpRequest|WebSocket", page)


def test_page_is_well_formed(page: str) -> None:
    assert Outline(page).open == []


def test_untrusted_names_are_text(page: str, hostile: str) -> None:
    assert hostile not in page
    outline = Outline(page)
    assert sum(tag == "script" for tag, _ in outline.tags) == 1  # ours
    assert hostile in "".join(outline.text)  # it is shown, as text
    assert "<title>A &amp; B</title>" in page and "Intro &lt;b&gt;" in page
    assert "Extra &lt;1&gt;" in page and "and &lt;text&gt;" in page and "<em>figure</em>" in page


def test_page_shows_table_and_counts(page: str, evaluation: Result) -> None:
    text = "".join(Outline(page).text)
    for block in evaluation.blocks():
        for line in block.lines:
            assert line.name in text
            assert all(cell in text for cell in line.cells)
    for note in evaluation.notes:
        assert note in text


def test_samples_are_drawn_by_chance_and_never_the_unreadable(evaluation: Result) -> None:
    drawn, best, worst = samples.choose(evaluation, drawn=4, extremes=2, seed=0)
    assert drawn.indices == samples.choose(evaluation, 4, 2, seed=0)[0].indices
    assert drawn.indices != samples.choose(evaluation, 4, 2, seed=1)[0].indices
    everything = samples.choose(evaluation, drawn=100, extremes=100, seed=0)
    assert all(sorted(group.indices) == list(range(19)) for group in everything)  # 19 is the broken one
    assert everything[1].indices == everything[2].indices[::-1]
    assert set(best.indices).isdisjoint(worst.indices)


def test_page_that_cannot_be_written_is_named(
    evaluation: Result, predictor: Predictor, dataset: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/report\.html"):
        write_report(tmp_path / "file" / "report.html", evaluation, predictor, dataset, drawn=1)


@pytest.mark.parametrize("km, words", [(0.1234, "123 m"), (7.24, "7.2 km"), (1234.5, "1,234 km")])
def test_distances_in_words(km: float, words: str) -> None:
    assert samples.km_words(km) == words


def test_errors_are_shown_large_only_where_most_photos_lie(evaluation: Result) -> None:
    assert maps.errors_detail(evaluation) is None  # five cities on five continents
    truth = evaluation.truth
    near = dataclasses.replace(truth, lat=48 + 0 * truth.lat, lng=2 + 0.01 * truth.lng)
    detail = maps.errors_detail(dataclasses.replace(evaluation, truth=near))
    assert detail is not None and detail.count("stroke-dasharray") >= 19  # a line for each photo with a guess
