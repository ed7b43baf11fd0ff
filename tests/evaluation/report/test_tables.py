import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openplanet.earth.geo import distance_km
from openplanet.evaluation.evaluate import evaluate
from openplanet.evaluation.measures.labels import label_accuracy
from openplanet.evaluation.report import tables
from openplanet.evaluation.report.tables import Block, Line
from openplanet.evaluation.result import Result
from openplanet.evaluation.testsets.photoset import PhotoSet, of_dataset
from openplanet.evaluation.testsets.published import published_on


@pytest.fixture(scope="module")
def guessed(dataset, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Someone's guesses of a set on which others report, and two players' rounds; nothing of ours."""
    truth = of_dataset(dataset, "test").truth
    photoset = PhotoSet("Im2GPS3k", truth, lambda: iter([b""] * 20), key="im2gps3k")
    folder: Path = tmp_path_factory.mktemp("guesses")
    theirs = [f"{p},{a},{b}" for p, a, b in zip(truth.photo_id[:15], truth.lat, truth.lng, strict=False)]
    (folder / "theirs.csv").write_text("\n".join(["photo,lat,lng", *theirs]))
    game = [f"{p},0,0,ann & bob" for p in truth.photo_id[:4]]
    (folder / "game.csv").write_text("\n".join(["photo,lat,lng,player", *game]))
    return evaluate(photoset, None, predictions=[folder / "theirs.csv", folder / "game.csv"], train=dataset)


def test_other_systems_stand_beside_what_is_published(guessed: Result) -> None:
    assert guessed.subject == "theirs"
    assert guessed.rows[0].shares[0] == 0.75 and guessed.rows[0].failed == 5
    titles = [block.title for block in guessed.blocks()]
    assert "published, not run, % within" in titles
    text = guessed.to_text()
    assert "PlaNet (2016)" in text and "Vo et al. kNN (2017) †" in text
    planet = next(line for line in text.splitlines() if line.startswith("PlaNet"))
    assert planet.split()[2:] == ["8.5", "24.8", "34.3", "48.4", "64.6"]
    assert "Published, not run: Vo et al. kNN (2017): Vo, Jacobs, Hays, ICCV 2017" in text  # with its source
    assert "† Written down from memory" in text and "Guesses are as given" in text


def test_published_columns_are_those_that_are_reported(guessed: Result) -> None:
    osv = replace(guessed, published=published_on("osv5m"))
    (block,) = [block for block in osv.blocks() if block.title == "published, not run, % within"]
    assert block.columns == ("mean", "GeoScore")
    assert {line.name: line.cells for line in block.lines}["PLONK (2024)"] == ("1,069 km", "3,767")


def test_players_are_counted_on_their_rounds(guessed: Result) -> None:
    (row,) = [row for row in guessed.rows if row.name.startswith("player")]
    assert row.name == "player ann & bob, 4 of 20 photos" and row.photos == 4


def test_players_stand_beside_the_model_on_the_same_photos(dataset, predictor, tmp_path: Path) -> None:
    truth = of_dataset(dataset, "test").truth
    lines = [f"{p},{a},{b},ann" for p, a, b in zip(truth.photo_id[:6], truth.lat, truth.lng, strict=False)]
    (tmp_path / "game.csv").write_text("\n".join(["photo,lat,lng,player", *lines]))
    found = evaluate(dataset, predictor, predictions=[tmp_path / "game.csv"])
    player, model = found.rows[-2:]
    assert player.shares[0] == 1 and model.name == "model, those of player ann"
    assert model.photos == 6 and "in 0 of 6 rounds" in model.answers.what


def test_strict_refuses_shared_albums(dataset, predictor) -> None:
    with pytest.raises(Exception, match=r"leaks into training.*albums: 20 of 20"):
        evaluate(dataset, predictor, strict=True)


def test_csv_has_every_figure(guessed: Result) -> None:
    rows = list(csv.DictReader(io.StringIO(guessed.to_csv())))
    assert {"table": "first guess, % within", "row": "theirs", "column": "1 km", "value": "75.0"} in rows
    assert any(row["table"] == "Continent" and row["row"] == "Europe" for row in rows)


def test_best_of_one_to_five_stands_in_every_table(dataset, predictor) -> None:
    """A photo counts where any of its first k guesses is near, one after the other."""
    found = evaluate(dataset, predictor)
    (block,) = (each for each in found.all_blocks() if each.title == "model: best of its guesses, % within")
    truth, model = found.truth, found.model.answers
    for k, line in enumerate(block.lines, 1):
        for km, cell in zip(found.distances_km, line.cells, strict=True):
            near = 0
            for n in range(len(truth.lat)):
                off = [distance_km(model.lat[n, i], model.lng[n, i], truth.lat[n], truth.lng[n]) for i in range(k)]
                near += any(each <= km for each in off)
            assert cell == f"{100 * near / len(truth.lat):.1f}"
    assert [line.name for line in block.lines] == [f"best of {k}" for k in range(1, 6)]
    assert "| best of 3 |" in found.to_markdown() and "best of 4 &" in found.to_latex()


def test_latex_is_escaped_and_balanced(guessed: Result) -> None:
    text = guessed.to_latex()
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert r"player ann \& bob" in body and r"\% within" in body and r"$^\dagger$" in body
    assert body.count(r"\begin{tabular}") == body.count(r"\end{tabular}") >= 5
    for line in body.splitlines():
        if line.endswith(r"\\"):
            cells = line.replace(r"\&", "").count("&")
            assert cells > 3


def test_markdown_keeps_its_columns() -> None:
    text = tables.markdown(Block("a|b", ("x",), (Line("row", ("1",)),)))
    assert all(line.count("|") == 3 for line in text.splitlines())


def test_a_wide_table_goes_on_below_where_the_terminal_is_narrow() -> None:
    block = Block("share", ("1 km", "25 km", "median"), (Line("prior", ("0.1", "2.0", "8,234 km")),))
    whole, folded = tables.text(block), tables.text(block, 20)
    assert len(whole.splitlines()) == 3 and max(map(len, folded.splitlines())) <= 20 < max(map(len, whole.splitlines()))
    first, second = folded.split("\n\n")
    assert first.split()[-3:] == ["prior", "0.1", "2.0"] and second.split()[-3:] == ["prior", "8,234", "km"]
    assert all(part in tables.text(block, 1) for part in ("1 km", "25 km", "8,234 km"))


def test_names_of_the_authors_are_compared_without_accents() -> None:
    lat, lng = np.array([48.8566, 48.8566, np.nan]), np.array([2.3522, 2.3522, np.nan])
    labels = {"country": ("FR", "DE", "FR"), "region": ("Ile-de-France_FR", "nan", "Ile-de-France_FR")}
    found = dict(label_accuracy(labels, lat, lng))
    assert found["country"] == pytest.approx(1 / 3)  # the photo without a guess is wrong
    assert found["region"] == pytest.approx(1 / 2)  # the one without a name is left out


def test_every_figure_of_the_csv_has_a_name_of_its_own(dataset, predictor) -> None:
    rows = list(csv.DictReader(io.StringIO(evaluate(dataset, predictor).to_csv())))
    names = [(row["table"], row["row"], row["column"]) for row in rows]
    assert len(names) == len(set(names)) > 300
