import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from markupsafe import Markup

from openplanet.cli import cli
from openplanet.errors import InputError
from openplanet.evaluation.evaluate import evaluate
from openplanet.evaluation.measures.row import within
from openplanet.evaluation.report import headline, maps, samples
from openplanet.evaluation.report.page import Section, write_report
from openplanet.evaluation.result import Result
from openplanet.evaluation.testsets.photoset import of_dataset
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
        self.data: list[str] = []  # of maps and answers
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
        json_of = self.tags and self.tags[-1] == ("script", {"type": "application/json"}) and self.open[-1] == "script"
        (self.data if json_of else self.text).append(data)


def test_page_asks_nothing_of_the_network(page: str) -> None:
    for tag, attributes in Outline(page).tags:
        for name in ("src", "href", "srcset", "xlink:href", "data", "action"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")), (tag, value)
        assert tag not in ("link", "iframe", "object", "embed", "base")
    style = page[: page.index("</style>")]
    assert not re.search(r"url\((?!#)|@import", style)
    assert "default-src 'none'" in page and "connect-src" not in page  # tests/maps/test_globe.py hears no request


def test_page_is_well_formed(page: str) -> None:
    assert Outline(page).open == []


def test_untrusted_names_are_text(page: str, hostile: str) -> None:
    assert hostile not in page
    outline = Outline(page)
    kinds = [attributes.get("type") for tag, attributes in outline.tags if tag == "script"]
    assert kinds.count(None) == 1 and set(kinds) == {None, "text/plain", "application/json"}  # one that runs: ours
    assert hostile in str([json.loads(text) for text in outline.data])  # it is shown, as text
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
    def drawn(result: Result) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(Outline(maps.errors(result)).data[0])
        return found

    far = drawn(evaluation)
    assert far["view"]["degrees"] == 180  # five cities on five continents
    truth = evaluation.truth
    near = drawn(dataclasses.replace(evaluation, truth=dataclasses.replace(
        truth, lat=48 + 0 * truth.lat, lng=2 + 0.01 * truth.lng)))  # fmt: skip
    assert near["view"]["lat"] == 48
    readable = int(np.isfinite(evaluation.model.km[:, 0]).sum())
    assert len(near["points"]) == readable == sum(int(key["text"].split(": ")[1]) for key in near["keys"])
    assert all(float(line["title"].split()[-3].replace(",", "")) > maps.LINES_FROM_KM for line in near["lines"])


def test_the_story_is_chosen_by_how_sure_the_model_is(
    evaluation: Result, predictor: Predictor, dataset: Dataset
) -> None:
    photoset = of_dataset(dataset, "test")
    told = samples.story(evaluation, predictor, photoset, seed=0)
    assert list(told.values()) == [samples.SURE, samples.TORN, samples.HOPELESS]
    wrong = dataclasses.replace(evaluation, truth=dataclasses.replace(evaluation.truth, lat=-evaluation.truth.lat))
    assert samples.story(wrong, predictor, photoset, seed=0) == told
    sure, _, hopeless = told
    entropy = evaluation.model.answers.entropy_N
    assert entropy is not None and entropy[sure] < entropy[hopeless] == np.nanmax(entropy)


def test_the_first_table_has_few_rows_in_plain_words(evaluation: Result) -> None:
    columns, lines = headline.table(evaluation)
    assert columns[1] == ("city", "25 km") and len(lines) <= 4
    share = evaluation.model.value(within(25.0))
    assert lines[0] == ("its first guess", [*lines[0][1][:1], f"{100 * share:.0f} %", *lines[0][1][2:]])


def test_the_page_begins_with_photos_and_folds_the_tables(page: str) -> None:
    order = [page.index(each) for each in ('class="story"', "How good is it?", "<details", "All rows of the table")]
    assert order == sorted(order)
    assert len(page) < 1_500_000


def test_guesses_of_others_alone_have_a_report(dataset: Dataset, tmp_path: Path) -> None:
    photos = dataset.table(["photo_id", "lat", "lng"], "test", located=True).to_pylist()
    rows = [f"{each['photo_id']},{each['lat'] + 0.1},{each['lng']}" for each in photos]
    (tmp_path / "theirs.csv").write_text("\n".join(["photo,lat,lng", *rows]))
    command = ["evaluate", str(dataset.path), "--predictions", str(tmp_path / "theirs.csv")]
    done = CliRunner().invoke(cli, [*command, "--report", str(tmp_path / "r.html")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "r.html").read_text()
    assert "theirs" in page and "100.0" in (tmp_path / "r.csv").read_text()
    assert "The cells" not in page and "never saw before" not in page
