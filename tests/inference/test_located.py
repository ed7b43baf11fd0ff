"""Which photos `locate` takes, by which names, and what it says of the rest."""

import csv
import io
import json
import os
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from openplanet.cli import cli
from openplanet.earth import geo
from openplanet.earth.partition.adaptive import build
from openplanet.errors import InputError
from openplanet.inference import locator
from openplanet.inference.finding import Names, find_photos, photographs
from openplanet.inference.located import Located
from openplanet.inference.output import FORMATS, as_geojson, as_json, as_text
from openplanet.inference.output.about import About
from openplanet.inference.output.as_map import MapPage
from openplanet.inference.prediction import Options, Prediction


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: trip/a.jpg, trip/day/b.jpg, trip/notes.txt, empty/, and a link to trip."""
    monkeypatch.chdir(tmp_path)
    for name in ("trip/a.jpg", "trip/day/b.jpg"):
        Path(name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(name)
    Path("trip/notes.txt").write_text("x")
    Path("empty").mkdir()
    Path("link").symlink_to("trip")
    return tmp_path


def test_photos_are_named_as_the_user_named_them(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    def found(*paths: str) -> list[str]:
        return [str(each.path) for each in find_photos([Path(path) for path in paths])]

    assert found("trip") == ["trip/a.jpg", "trip/day/b.jpg"]
    assert found("trip/a.jpg", "trip/day") == ["trip/a.jpg", "trip/day/b.jpg"]
    assert found(".") == ["link/a.jpg", "link/day/b.jpg"]  # the folder that comes first by name is entered
    assert found("link") == ["link/a.jpg", "link/day/b.jpg"]
    assert found("link/a.jpg") == ["link/a.jpg"]
    assert found(str(here / "trip")) == [str(here / "trip/a.jpg"), str(here / "trip/day/b.jpg")]
    assert found("trip/../trip/day") == ["trip/../trip/day/b.jpg"]
    assert caplog.messages == []


def test_what_is_left_out_is_said(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(find_photos([Path("trip"), Path("empty")])) == 2
    assert caplog.messages == ["empty: no photo found there"]
    with pytest.raises(InputError, match=r"empty: no photo found there; files that end in \.avif"):
        find_photos([Path("empty")])
    (here / "empty" / "film.mp4").write_text("x")
    with pytest.raises(InputError, match=r"files passed over: 1 \.mp4"):
        find_photos([Path("empty")])
    with pytest.raises(InputError, match=r"^gone: no such file or folder$"):
        find_photos([Path("gone")])
    (here / "photos.tar").touch()
    for name in ("photos.tar", "hf:a/b"):
        with pytest.raises(InputError, match=f"{name}: give photos or folders"):
            find_photos([Path(name)])


def test_names_that_are_no_text_break_no_output() -> None:
    name = "a" + os.fsdecode(b"\xe9") + "\n\x1b[31m ü.jpg"
    answer, about = Located(name, None, f"{name}: is empty"), About(Names([]), 1)
    (text,) = as_text.write([answer], about)
    assert text == "a\\xe9\\n\\x1b[31m ü.jpg\n  not located: a\\xe9\\n\\x1b[31m ü.jpg: is empty\n"
    assert (
        json.loads("".join(as_json.write([answer], about)).encode("utf-8"))["photos"][0]["photo"]
        == "a\\xe9\n\x1b[31m ü.jpg"
    )


def test_maps_that_cannot_be(here: Path) -> None:
    with pytest.raises(InputError, match="501 maps"):
        MapPage(Path("a.html"), About(Names([])), 501)
    with pytest.raises(InputError, match="name of a photo"):
        MapPage(Path("trip/a.jpg"), About(Names([])), 1)


def test_no_output_tells_where_on_the_machine_a_photo_lies(here: Path) -> None:
    names = Names([here / "trip", here / "empty"])
    assert names.of(here / "trip/day/b.jpg") == "trip/day/b.jpg"
    assert names.of("/elsewhere/c.jpg") == "c.jpg"
    assert Names([here / "trip/a.jpg"]).of(here / "trip/a.jpg") == "a.jpg"
    assert Names([Path("trip")]).of("trip/a.jpg") == "trip/a.jpg"
    photo = here / "trip/a.jpg"
    failed = Located(photo, None, f"{photo}: is empty")
    about = About(names, 1)
    for write in FORMATS.values():
        assert str(here) not in "".join(write([failed], about))
    page = MapPage(here / "map.html", about, 1)
    assert list(page.watch([failed])) == [failed]
    assert "is empty" in str(page.entries) and str(here) not in str(page.entries)


@pytest.mark.parametrize("options", [[], ["--json"], ["--geojson"]])
def test_answers_are_printed_and_forgotten_as_they_come(
    options: list[str], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 300 photos no more than one answer is alive at a time, and the first is printed before the second is made."""
    for number in range(300):
        (here / "empty" / f"{number:03}.jpg").touch()
    partition = build([(np.array([48.9, -33.9]), np.array([2.3, 151.2]))], max_photos=1, min_photos=1)
    alive: weakref.WeakSet[Prediction] = weakref.WeakSet()
    printed: list[str] = []
    counts: list[tuple[int, int]] = []

    class Fake:
        provenance: ClassVar = {"recipe": "fake"}

        def locate_many(self, photos: list[Path]) -> Iterator[Located]:
            for photo in photos:
                counts.append((len(alive), len(printed)))
                prediction = Prediction(partition, np.zeros(2))
                alive.add(prediction)
                yield Located(photo, prediction, None)
                del prediction

    fake = Fake()
    fake.partition = partition  # type: ignore[attr-defined]
    monkeypatch.setattr(locator, "open_locator", lambda *_, **__: fake)
    monkeypatch.setattr(click, "echo", lambda text, **_: printed.append(text))
    done = CliRunner().invoke(cli, ["locate", "empty", "--checkpoint", "none", *options])
    assert done.exit_code == 0, done.output
    assert len(counts) == 300 and max(living for living, _ in counts) <= 2
    assert all(pieces >= number for number, (_, pieces) in enumerate(counts))
    text = "".join(printed)
    if options:
        answers = json.loads(text)
        assert len(answers["photos" if options == ["--json"] else "features"]) in (300, 900)
    else:
        assert text.count(".jpg") == 300


def test_nothing_located_is_still_json() -> None:
    about = About(Names([]), 1)
    assert json.loads("".join(as_json.write([], about)))["photos"] == []
    assert json.loads("".join(as_geojson.write([], about)))["features"] == []


@pytest.fixture
def answers(here: Path) -> tuple[list[Located], About]:
    """An answer with a hostile name, one that failed, one that is no photograph."""
    lat, lng = np.repeat([48.86, 35.68], 30), np.repeat([2.35, 139.69], 30)
    cells = build([(lat + np.linspace(0, 0.2, 60), lng)], max_photos=8, min_photos=1)
    scores = np.where(np.array(cells.country_code) == "FR", 3.0, 0.0)
    name = Path("trip/=<b>&a.jpg")
    stream = [
        Located(name, Prediction(cells, scores), None),
        Located(Path("trip/b.jpg"), None, "trip/b.jpg: damaged"),
        Located(Path("trip/c.jpg"), None, None, flag="screenshot: 1170 x 2532 is a screen"),
    ]
    return stream, About(Names([Path("trip")]))


def text_of(form: str, answers: tuple[list[Located], About], **options: object) -> str:
    stream, about = answers
    return "".join(FORMATS[form](stream, replace(about, options=Options(**options))))  # type: ignore[arg-type]


def test_every_form_is_a_choice_of_the_command() -> None:
    (form,) = (each for each in cli.commands["locate"].params if each.name == "form")
    assert isinstance(form.type, click.Choice) and set(form.type.choices) == set(FORMATS)


def test_csv_has_darwin_cores_names(answers: tuple[list[Located], About]) -> None:
    first, failed, flagged = csv.DictReader(io.StringIO(text_of("csv", answers)))
    assert first["file"] == "trip/=<b>&a.jpg" and first["countryCode"] == "FR" and first["status"] == "located"
    best = answers[0][0].prediction.best_point()  # type: ignore[union-attr]
    assert float(first["decimalLatitude"]) == pytest.approx(best.lat, abs=1e-6)
    assert float(first["coordinateUncertaintyInMeters"]) == pytest.approx(1000 * best.radius_km["0.95"], abs=1)
    assert failed["note"].endswith("damaged") and failed["decimalLatitude"] == ""
    assert flagged["status"] == "no place" and "screenshot" in flagged["note"] and first["note"] == ""
    assert next(csv.DictReader(io.StringIO(text_of("csv", answers, confidence=1.0))))["note"] == "not enough evidence"


def test_kml_and_gpx_are_xml_with_the_best_point(answers: tuple[list[Located], About]) -> None:
    best = answers[0][0].prediction.best_point()  # type: ignore[union-attr]
    kml = ElementTree.fromstring(text_of("kml", answers))
    space = {"k": "http://www.opengis.net/kml/2.2"}
    (point,) = kml.findall(".//k:Point/k:coordinates", space)
    assert [float(x) for x in str(point.text).split(",")] == pytest.approx([best.lng, best.lat], abs=1e-6)
    assert kml.findtext(".//k:Placemark/k:name", namespaces=space) == "trip/=<b>&a.jpg"
    for circle, share in zip(kml.findall(".//k:LineString/k:coordinates", space), ("0.68", "0.95"), strict=False):
        lng, lat = (float(x) for x in str(circle.text).split()[7].split(","))
        assert geo.distance_km(best.lat, best.lng, lat, lng) == pytest.approx(best.radius_km[share], rel=1e-3)
    gpx = ElementTree.fromstring(text_of("gpx", answers))
    (waypoint,) = gpx.findall("{http://www.topografix.com/GPX/1/1}wpt")
    assert float(waypoint.attrib["lat"]) == pytest.approx(best.lat, abs=1e-6)
    said = waypoint.findtext("{http://www.topografix.com/GPX/1/1}desc")
    assert said == f"Paris, Île-de-France, France, 95 % within {as_text.km_words(best.radius_km['0.95'])}"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("finest", ["country", "region", "city"])
def test_no_form_tells_what_is_finer_than_asked(answers: tuple[list[Located], About], form: str, finest: str) -> None:
    best = answers[0][0].prediction.best_point()  # type: ignore[union-attr]
    text = text_of(form, answers, finest=finest)
    assert f"{best.lat:.2f}" not in text and f"{best.lng:.2f}" not in text
    if finest == "country":
        assert "Paris" not in text and "Île-de-France" not in text
    if form in ("text", "json", "csv", "geojson"):
        assert "France" in text


def test_text_says_what_is_known_at_a_glance(answers: tuple[list[Located], About]) -> None:
    text = text_of("text", answers)
    assert text.splitlines()[0].startswith("trip/=<b>&a.jpg: Paris, Île-de-France, France")
    assert "best point 48." in text and "not calibrated" in text
    assert "not a photograph of a place: screenshot" in text and "not located: trip/b.jpg: damaged" in text


def test_pictures_without_a_place_are_withdrawn(here: Path) -> None:
    Image.new("RGB", (400, 300), (90, 90, 90)).save("blank.png")
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).save("noise.png")
    cells = build([(np.array([48.86, 35.68] * 9), np.array([2.35, 139.69] * 9))], max_photos=9, min_photos=1)
    stream = [Located(Path(name), Prediction(cells, np.zeros(len(cells))), None) for name in ("blank.png", "noise.png")]
    blank, noisy = photographs(stream)
    assert blank.status == "no place" and blank.prediction is None and blank.flag.startswith("blank: grey")
    assert noisy.status == "located" and noisy.flag == ""
