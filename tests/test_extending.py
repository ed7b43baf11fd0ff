"""What is added from outside the package, in one file each (tests/extending), and one line to make it known."""

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import dataset_files
from extending import line_output
from extending.colour_locator import ColourLocator, open_colour
from extending.low_rank_head import LowRank
from extending.surest_album import Surest
from extending.zip_source import Zip
from openplanet import album_recipes
from openplanet.cli import cli
from openplanet.earth.partition.adaptive import Partition, build
from openplanet.evaluation.compare import compare
from openplanet.evaluation.testsets.photoset import of_dataset
from openplanet.inference.album_predictor import AlbumPredictor
from openplanet.inference.finding import Names
from openplanet.inference.located import Located
from openplanet.inference.locator import OPENERS, Locator, open_locator
from openplanet.inference.output import FORMATS
from openplanet.inference.output.about import About
from openplanet.inference.output.as_map import MapPage
from openplanet.models.album.registry import ALBUM_MODELS
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.heads.registry import HEADS
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.models.merged import merge
from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest import ingest as ingesting
from openplanet.photos.sources.registry import SOURCES
from openplanet.training.album.fit_albums import fit_albums
from openplanet.training.fit import fit
from openplanet.training.recipe.recipe import Recipe

PLACES = [(48.86, 2.35), (35.68, 139.69), (-33.87, 151.21), (40.71, -74.01)]


def photo(place: int, partition: Partition) -> bytes:
    """As red as ``ColourLocator`` takes for this place."""
    lat, lng = PLACES[place]
    cell = int(partition.assign(np.array([lat]), np.array([lng]))[0])
    file = io.BytesIO()
    Image.new("RGB", (48, 32), (int((cell + 0.5) * 256 / len(partition)), 90, 60)).save(file, "JPEG")
    return file.getvalue()


def photo_of(colour: str) -> bytes:
    """A picture that near-duplicates are told apart by: noise of its own, over a colour."""
    noise = np.random.default_rng(len(colour)).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = Image.blend(Image.fromarray(noise), Image.new("RGB", (8, 6), colour), 0.2)
    file = io.BytesIO()
    picture.resize((64, 48), Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cell for each place."""
    lat_N, lng_N = (np.repeat([place[axis] for place in PLACES], 3) for axis in (0, 1))
    path = tmp_path_factory.mktemp("cells") / "cells.parquet"
    build([(lat_N, lng_N)], max_photos=3, min_photos=1).save(path)
    return path


@pytest.fixture(scope="module")
def checkpoint(cells: Path) -> Path:
    """A network with random weights over the same cells."""
    partition, config = Partition.load(cells), ImageConfig("test_resnet", image_size=32)
    torch.manual_seed(0)
    folder = cells.parent / "untrained"
    Checkpoint(ImageModel(config, len(partition)).eval(), partition, {"name": "none"}, config, {}).save(folder)
    return folder


@pytest.fixture(scope="module")
def dataset(cells: Path) -> Dataset:
    """Photos whose colour says where they are; the last of test cannot be read."""
    partition = Partition.load(cells)
    rows = []
    for number in range(24):
        place, data = number % len(PLACES), photo(number % len(PLACES), partition)
        if number == 23:
            data = b"no photo"
        row = {
            "photo_id": f"{number:064x}",
            "image": {"bytes": data, "path": f"{number}.jpg"},
            "lat": PLACES[place][0],
            "lng": PLACES[place][1],
            "taken_at_is_utc": False,
            "owner_id": f"owner {number}",
            "width": 48,
            "height": 32,
            "dhash": int(hashlib.sha256(str(number).encode()).hexdigest()[:15], 16),
            "source": f"{number}.jpg",
            "split": "train" if number < 12 else "test",
        }
        rows.append(row)
    return dataset_files.write_dataset(cells.parent / "photos.ds", rows)


@pytest.fixture
def colour(cells: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name by which the locator is known once its opener stands in the list."""
    monkeypatch.setitem(OPENERS, "colour", open_colour)
    return f"colour:{cells}"


@pytest.fixture
def files(dataset: Dataset, tmp_path: Path) -> list[Path]:
    """Photos of the first two places, and a file that is no photo."""
    images = dataset.table(["image"])["image"].to_pylist()
    for name, number in (("a.jpg", 0), ("b.jpg", 1), ("c.jpg", 23)):
        (tmp_path / name).write_bytes(images[number]["bytes"])
    return [tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg")]


def test_a_locator_is_compared_with_a_checkpoint(colour: str, checkpoint: Path, dataset: Dataset) -> None:
    found = compare([colour, str(checkpoint), "prior", "embedding"], of_dataset(dataset, "test"), dataset)
    assert tuple(row.name for row in found.rows) == ("colour", "untrained", "prior", "embedding")
    figures = {row.name: row.figures for row in found.rows}
    assert figures["colour"]["within 25 km"].value == pytest.approx(11 / 12)  # all but the one that cannot be read
    assert figures["embedding"]["within 25 km"].value == pytest.approx(11 / 12)  # by the locator's own embedding
    assert figures["untrained"]["within 25 km"].value < 0.6
    assert figures["colour"]["NLL"].value == pytest.approx(-np.log(0.925), rel=1e-4)
    assert [row.failed for row in found.rows[:2]] == [1, 1]
    assert "what the model was trained on is not known" in found.to_text()


def test_the_commands_take_a_locator_by_its_name(
    colour: str, dataset: Dataset, files: list[Path], tmp_path: Path
) -> None:
    scores, report = tmp_path / "scores.json", tmp_path / "report.html"
    done = CliRunner().invoke(
        cli,
        ["evaluate", str(dataset.path), "--checkpoint", colour, "--json", str(scores), "--report", str(report)],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    rows = {row["name"]: row for row in json.loads(scores.read_text())["rows"]}
    assert rows["model"]["within_km"][0]["top1"] == pytest.approx(11 / 12)
    assert "embedding, density" in rows and report.stat().st_size > 0
    done = CliRunner().invoke(cli, ["locate", *map(str, files), "--checkpoint", colour, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["model"] == {"model": "colour"} and len(told["photos"]) == 3


def test_every_output_takes_a_locator(colour: str, files: list[Path], tmp_path: Path) -> None:
    locator = open_locator(colour)
    about = About(Names(files), 1, locator.provenance)
    for write in FORMATS.values():
        text = "".join(write(locator.locate_many(files), about))
        assert "a.jpg" in text and "b.jpg" in text and str(tmp_path) not in text
    page = MapPage(tmp_path / "map.html", about, len(files))
    assert [each.status for each in page.watch(locator.locate_many(files))] == ["located", "located", "failed"]
    page.save("Located photos")


def test_an_output_takes_every_locator(
    colour: str, checkpoint: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMATS, "lines", line_output.write)
    locators: list[Locator] = [open_locator(colour), open_locator(checkpoint), AlbumPredictor.load(checkpoint)]
    for locator in locators:
        about = About(Names(files), 1, locator.provenance)
        first, second, failed = FORMATS["lines"](locator.locate_many(files), about)
        assert first.startswith("a.jpg located ") and second.startswith("b.jpg located ")
        assert failed.startswith("c.jpg failed nowhere by ")
    (line, *_) = FORMATS["lines"](locators[0].locate_many(files), About(Names(files), 1, locators[0].provenance))
    assert line == "a.jpg located 48.86 2.35 by colour\n"


def test_an_output_writes_as_the_answers_come(cells: Path, files: list[Path]) -> None:
    asked: list[Path] = []

    def one_by_one() -> Iterator[Path]:
        for each in files:
            asked.append(each)
            yield each

    answers: Iterator[Located] = ColourLocator(Partition.load(cells)).locate_many(one_by_one())
    next(line_output.write(answers, About(Names(files), 1)))
    assert asked == files[:1]


def test_a_head_is_trained_kept_and_asked(
    dataset: Dataset, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HEADS, "low_rank", LowRank)
    recipe = Recipe(
        name="low rank", description="for tests", seen="nothing", head="low_rank", max_photos=3, min_photos=1,
        levels=((6, 1),), backbone="test_resnet", image_size=32, optimizer="adamw", learning_rate=3e-3, epochs=2,
        batch_size=4,
    )  # fmt: skip
    trained = fit(dataset, recipe, tmp_path / "checkpoint")
    assert isinstance(trained.model.head, LowRank) and len(trained.coarser) == 1
    locator = open_locator(tmp_path / "checkpoint")
    first, _, failed = locator.locate_many(files)
    assert first.prediction is not None and failed.error is not None
    assert np.exp(first.prediction.log_probs).sum() == pytest.approx(1, abs=1e-5)
    assert len(locator.coarser) == 1
    merge(trained, smallest_km2=1.0).save(tmp_path / "shared")
    again = next(iter(open_locator(tmp_path / "shared").locate_many(files[:1])))
    assert again.prediction is not None


def test_an_album_model_places_photos(
    dataset: Dataset, checkpoint: Path, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ALBUM_MODELS, "surest", Surest)
    recipe = dataclasses.replace(album_recipes.get("average"), name="surest", variant="surest")
    fit_albums(dataset, Checkpoint.load(checkpoint), recipe, tmp_path / "albums")
    alone = [each.prediction for each in open_locator(checkpoint).locate_many(files[:2])]
    together = [each.prediction for each in open_locator(tmp_path / "albums").locate_many(files[:2])]
    surest = max((each for each in alone if each is not None), key=lambda each: each.log_probs.max())
    for each in together:
        assert each is not None
        np.testing.assert_allclose(each.log_probs, surest.log_probs, atol=1e-4)


def test_a_source_is_ingested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "zip", Zip())
    colours = {"rome/a.jpg": "red", "rome/b.jpg": "blue", "oslo/c.png": "green"}
    with zipfile.ZipFile(tmp_path / "trip.zip", "w") as archive:
        for name, colour in colours.items():
            archive.writestr(name, photo_of(colour))
        archive.writestr("rome/damaged.jpg", b"no photo")
        archive.writestr("notes.txt", b"no photo")
    out = tmp_path / "photos.ds"
    command = ["ingest", str(tmp_path / "trip.zip"), "--out", str(out), "--keep-unlocated", "--workers", "2"]
    for _ in range(2):
        done = CliRunner().invoke(cli, command, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert "nothing has changed" in done.output
    rows = Dataset.open(out).table(["source", "album_id"]).to_pylist()
    assert {row["source"] for row in rows} == {f"trip.zip/{name}" for name in colours}
    assert "trip.zip/rome/damaged.jpg,not a photo" in (out / ingesting.REJECTED).read_text()
    with zipfile.ZipFile(tmp_path / "trip.zip", "a") as archive:
        archive.writestr("oslo/d.jpg", photo_of("yellow"))
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert len(Dataset.open(out).table(["source"])) == 4
