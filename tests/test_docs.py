"""What the documents say is so: commands exist with those options, files that are named are there."""

import importlib.util
import json
import re
from pathlib import Path

import click
import pytest

from openplanet import album_recipes, recipes
from openplanet.cli import cli

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "ARCHITECTURE.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


def commands_in(page: str) -> list[list[str]]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [line.split() for line in re.findall(r"^    openplanet (.+)$", text, re.MULTILINE)]


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_options_exist(page: str) -> None:
    for words in commands_in(page):
        command = cli.commands.get(words[0])
        if isinstance(command, click.Group):
            command = command.commands.get(words[1])
        assert isinstance(command, click.Command), f"{page}: openplanet {words[0]} does not exist"
        known = {option for parameter in command.params for option in parameter.opts}
        used = {word.split("=")[0] for word in words if word.startswith("--")}
        assert used <= known, f"{page}: {' '.join(words)}"


def test_readme_shows_the_five_commands() -> None:
    shown = {words[0] for words in commands_in("README.md")}
    assert shown >= {"ingest", "partition", "train", "evaluate", "locate"}


@pytest.mark.parametrize("page", PAGES)
def test_linked_and_named_files_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    base = (ROOT / page).parent
    for link in links:
        assert (base / link).exists(), f"{page} links to {link}"
    for name in re.findall(r"`((?:earth|photos|models|training|inference|evaluation)/[\w/]+\.py)`", text):
        assert (ROOT / "src" / "openplanet" / name).exists(), f"{page} names {name}"


@pytest.mark.parametrize(
    "page",
    sorted(path.stem for path in (ROOT / "docs").glob("*.md") if path.stem not in ("results", "reliability", "api")),
)
def test_prose_keeps_to_100_columns(page: str) -> None:
    lines = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []


def test_every_command_has_a_line_in_the_list() -> None:
    for name, command in cli.commands.items():
        line = command.get_short_help_str(limit=60)
        assert line and not line.endswith("..."), f"{name}: its first sentence is too long for `openplanet --help`"


def test_every_recipe_is_in_the_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for name in [*recipes.RECIPES, *album_recipes.RECIPES]:
        assert f"`{name}`" in text


def test_the_demos_table_is_written_from_its_scores(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("results", ROOT / "scripts" / "results.py")
    assert spec is not None and spec.loader is not None
    results = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(results)
    within = [{"km": km, "top1": km / 5000, "top1_interval_95": [0.1, 0.25]} for km in results.KM]
    model = {
        "name": "model", "within_km": within, "best_of": [], "median_km": 1234.5, "geoscore": 3000.4,
        "country_accuracy": 0.5, "probabilities": {"levels": [{"ece": 0.035}]},
    }  # fmt: skip
    points = model | {"name": "model, best point", "best_of": None}
    told = [("city", 0.4, 0.7), ("region", 0.1, None), ("country", 0.2, 0.9), ("nothing", 0.3, None)]
    naming = {
        "by_confidence": [
            {"confidence": 0.5, "told": [dict(zip(("level", "share", "right"), each, strict=True)) for each in told]}
        ],
        "coverage": [{"share": 0.9, "radius": 0.92, "cells": 0.881}],
    }
    row = {"name": "travel", "within_km": within, "points_within": [0.5] * 5}
    albums = {"photos": 470, "albums": 51, "distances_km": list(results.KM), "rows": [row]}
    scores = {
        "naming": naming, "albums": albums, "photos": 475,
        "drawn_together": {"what": "albums", "count": 51, "effective": 40.2},
        "headline": ["Within 25 km."],
        "rows": [model, points], "model_share_of_bayes_limit": [{"km": 25.0, "share": 0.75}],
    }  # fmt: skip
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    page = tmp_path / "page.md"
    page.write_text(f"before\n{results.BEGIN}\nold 99.9\n{results.END}\nafter\n")
    for _ in range(2):  # the second time nothing changes
        results.main(str(tmp_path / "scores.json"), str(page))
        text = page.read_text()
        assert text.startswith("before\n") and text.endswith("\nafter\n") and "99.9" not in text
        assert "| model | 0.0 | 0.5 | 4.0 | 15.0 | 50.0 | 1,234 km | 3,000 | 50.0 |" in text
        assert "| model, best point | 0.0 | 0.5 | 4.0 | 15.0 | 50.0 |  |  |  |" in text
        assert "| confidence 50 % | 40.0 (70.0) | 10.0 (–) | 20.0 (90.0) | 30.0 |" in text
        assert "| regions hold, % | 90 % stated |" in text and "| set of cells | 88.1 |" in text
        assert "470 photos in 51 albums" in text and "| travel | 0.0 | 0.5 | 4.0 | 15.0 | 50.0 | 50.0 | 50.0 |" in text
        assert "75 % of the limit" in text and "10.0 to 25.0" in text and "3.5 %" in text and "Within 25 km." in text
    page.write_text("no marks")
    with pytest.raises(ValueError, match="begin"):
        results.main(str(tmp_path / "scores.json"), str(page))
