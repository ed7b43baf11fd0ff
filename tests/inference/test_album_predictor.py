"""A folder of photos as a journey: order, given positions, clocks, and what is written of it."""

import json
import os
import re
from datetime import datetime, timedelta

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from openplanet.cli import cli
from openplanet.earth.partition.adaptive import build
from openplanet.errors import InputError
from openplanet.inference.album_predictor import AlbumPredictor
from openplanet.inference.finding import Names
from openplanet.inference.output import FORMATS
from openplanet.inference.output.about import About
from openplanet.inference.output.as_map import MapPage
from openplanet.models.album.base import AlbumConfig
from openplanet.models.album.checkpoint import AlbumCheckpoint
from openplanet.models.album.registry import build as build_model
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel

START = datetime(2024, 5, 1, 12)
TOWNS = [(48.86, 2.35), (50.85, 4.35), (-17.8, 178.0), (-14.0, -171.8)]


def write(path, minutes=None, position=None, camera="Phone", offset=None):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = camera, camera
    if minutes is not None:
        exif.get_ifd(0x8769)[0x9003] = f"{START + timedelta(minutes=minutes):%Y:%m:%d %H:%M:%S}"
    if offset is not None:
        exif.get_ifd(0x8769)[0x9011] = offset
    if position is not None:
        lat, lng = position
        exif.get_ifd(0x8825).update(
            {1: "N" if lat >= 0 else "S", 2: _angle(lat), 3: "E" if lng >= 0 else "W", 4: _angle(lng)}
        )
    rng = np.random.default_rng(len(path.name) + sum(os.fsencode(path.name)))
    Image.fromarray(rng.integers(0, 255, (96, 96, 3), dtype=np.uint8)).save(path, exif=exif)


def _angle(degrees):
    return IFDRational(round(abs(degrees) * 10_000), 10_000), IFDRational(0, 1), IFDRational(0, 1)


def written(album, form="text"):
    return "".join(FORMATS[form](album.photos, About(Names([]), album=album)))


def write_map(path, album):
    page = MapPage(path, About(Names([]), album=album), len(album.photos))
    assert len(list(page.watch(album.photos))) == len(album.photos)
    page.save("holiday")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A network with random weights over a cell for each town, as a folder."""
    lat_N, lng_N = (np.repeat([town[axis] for town in TOWNS], 3) for axis in (0, 1))
    partition = build([(lat_N, lng_N)], max_photos=3, min_photos=1)
    config = ImageConfig("test_resnet", image_size=32)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    Checkpoint(ImageModel(config, len(partition)).eval(), partition, {"name": "none"}, config, {}).save(folder)
    return folder


@pytest.fixture(scope="module")
def predictor(checkpoint):
    return AlbumPredictor.load(checkpoint)


@pytest.fixture
def holiday(tmp_path):
    """Named against their order; the first and the last know where they are, one cannot be read, one has no time."""
    folder = tmp_path / "holiday"
    folder.mkdir()
    write(folder / "d.jpg", 0, TOWNS[0])
    write(folder / "c.jpg", 5)
    write(folder / "b.jpg", 10)
    write(folder / "a.jpg", 60 * 24 * 3, TOWNS[1])
    write(folder / "untimed.jpg")
    (folder / "broken.jpg").write_bytes(b"no photo")
    return folder


def names(album):
    return [photo.photo.name for photo in album.photos]


def test_photos_come_in_order_of_capture_and_each_has_its_own_answer(predictor, holiday):
    album = predictor.locate(holiday)
    assert names(album)[:4] == ["d.jpg", "c.jpg", "b.jpg", "a.jpg"]
    assert set(names(album)[4:]) == {"untimed.jpg", "broken.jpg"}
    assert album.variant == "travel"
    by = {photo.photo.name: photo for photo in album.photos}
    assert by["broken.jpg"].status == "failed"
    assert "broken.jpg" in by["broken.jpg"].error
    located = [photo for photo in album.photos if photo.prediction is not None]
    assert [photo.status for photo in located] == ["located"] * 5  # positions are not looked at
    assert by["d.jpg"].taken_at == START
    for photo in located:
        assert photo.prediction.probabilities.sum() == pytest.approx(1.0)
        assert (photo.prediction.log_probs != photo.alone.log_probs).any()


def test_a_picture_of_nothing_is_no_evidence(predictor, holiday):
    before = {photo.photo.name: photo.prediction for photo in predictor.locate(holiday).photos}
    Image.new("RGB", (128, 128)).save(holiday / "black.jpg")
    after = {photo.photo.name: photo for photo in predictor.locate(holiday).photos}
    black = after.pop("black.jpg")
    assert black.status == "no place" and black.flag.startswith("blank") and black.prediction is None
    for name, photo in after.items():
        if photo.prediction is not None:
            np.testing.assert_array_equal(photo.prediction.log_probs, before[name].log_probs)
    asked = {photo.photo.name: photo for photo in predictor.locate(holiday, all_pictures=True).photos}
    assert asked["black.jpg"].prediction is not None


def test_given_positions_stand_and_place_the_others(predictor, holiday):
    album = predictor.locate(holiday, anchors=True)
    by = {photo.photo.name: photo for photo in album.photos}
    assert by["d.jpg"].status == "given"
    assert by["d.jpg"].position == pytest.approx(TOWNS[0], abs=1e-4)
    # five minutes later one is where one was, whatever a network of random weights thinks
    assert by["c.jpg"].position == by["b.jpg"].position == by["d.jpg"].position
    assert by["c.jpg"].status == "located" and by["c.jpg"].between is not None
    assert by["untimed.jpg"].between is None  # it stands behind all that have a time, and may be from any of their days
    answers = json.loads(written(album, "json"))
    assert answers["photos"][0]["status"] == "given"
    assert answers["photos"][0]["best"] == {"lat": pytest.approx(TOWNS[0][0]), "lng": pytest.approx(TOWNS[0][1])}
    near = answers["photos"][1]["best"]
    assert (near["lat"], near["lng"]) == tuple(answers["photos"][0]["best"].values())
    assert [photo["source"] for photo in answers["photos"][1:3]] == ["near", "near"]  # outside the anchors
    radii = [photo["best"]["radius_km"]["0.95"] for photo in answers["photos"][1:3]]
    assert 0 < radii[0] < radii[1]  # which grow with the time since the anchor
    assert by["c.jpg"].prediction.best.cell_index == predictor.partition.assign([near["lat"]], [near["lng"]])[0]
    assert len(answers["photos"][1]["top"]) > 1
    assert "  given  " in written(album) and "   near  " in written(album)
    by_model = {photo.photo.name: photo for photo in predictor.locate(holiday).photos}
    assert all(photo.between is None for photo in by_model.values())


def test_a_track_places_the_photos_that_it_covers(predictor, holiday, checkpoint, tmp_path):
    """Five minutes after noon by the clocks there; positions are not looked at."""
    gpx = tmp_path / "walk.gpx"
    points = "".join(
        f'<trkpt lat="48.5" lon="{lng}"><time>2024-05-01T10:0{minute}:00Z</time></trkpt>'
        for minute, lng in ((4, 2.0), (6, 2.1))
    )
    gpx.write_text(f'<gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}</trkseg></trk></gpx>')
    arguments = ["locate", "--album", str(holiday), "--checkpoint", str(checkpoint), "--gpx", str(gpx), "--json"]
    done = CliRunner().invoke(cli, [*arguments, "--all-pictures"])
    by = {photo["photo"]: photo for photo in json.loads(done.stdout)["photos"]}
    name = next(name for name in by if name.endswith("c.jpg"))
    assert by[name]["source"] == "track" and by[name]["best"]["lng"] == pytest.approx(2.05)
    assert by[name]["top"][0]["cell_token"] and by[name]["best"]["radius_km"]["0.95"] > 0


def test_clocks_with_and_without_an_offset_are_one_journey(predictor, tmp_path):
    """A telephone in Paris, then in Fontainebleau; a camera with no offset goes along."""
    paris, fontainebleau = (48.86, 2.35), (48.4, 2.7)
    for minutes in range(0, 480, 30):
        place = paris if minutes < 240 else fontainebleau
        write(tmp_path / f"phone{minutes:03d}.jpg", minutes, place, offset="+02:00")
        write(tmp_path / f"camera{minutes:03d}.jpg", minutes + 10, camera="Camera")
    album = predictor.locate(tmp_path, anchors=True)
    expected = [f"{kind}{minutes:03d}.jpg" for minutes in range(0, 480, 30) for kind in ("phone", "camera")]
    assert names(album) == expected
    by = {photo.photo.name: photo for photo in album.photos}
    for minutes in range(0, 480, 30):
        photo = by[f"camera{minutes:03d}.jpg"]
        assert photo.taken_at == START + timedelta(minutes=minutes + 10)
        assert (photo.utc_offset_minutes, photo.utc_offset_from) == (120, "anchor")
        if minutes != 210:  # on the way
            assert photo.between == pytest.approx(paris if minutes < 240 else fontainebleau, abs=1e-4)
    assert by["phone000.jpg"].taken_at == START  # local time, as the telephone showed it
    note = (
        "16 photos without a UTC offset read as UTC+02:00: the time zone at the position of the photo nearest in time"
    )
    assert album.clock_notes == (note,)
    assert note in written(album) and json.loads(written(album, "json"))["album"]["clock_notes"] == [note]
    write_map(tmp_path / "map.html", album)
    assert note in (tmp_path / "map.html").read_text()
    auto = predictor.locate(tmp_path, anchors=True, clock_offset="auto")
    assert not any(offset.clear for offset in auto.offsets.values())
    assert names(auto) == expected


def test_a_time_zone_is_given_to_clocks_without_an_offset(predictor, tmp_path):
    write(tmp_path / "with.jpg", 60, offset="+00:00")
    write(tmp_path / "without.jpg", 150)  # 14:30 in Paris, 12:30 by UTC: before the other's 13:00
    album = predictor.locate(tmp_path, timezone="Europe/Paris")
    assert names(album) == ["without.jpg", "with.jpg"]
    assert [photo.utc_offset_from for photo in album.photos] == ["told", "written"]
    assert any("read as UTC+02:00: the time zone that was given" in note for note in album.clock_notes)
    (tmp_path / "without.jpg").unlink()  # the others tell their offset: the name is wrong all the same
    with pytest.raises(InputError, match="'Paris' is no time zone"):
        predictor.locate(tmp_path, timezone="Paris")


def test_clocks_that_cannot_be_compared_are_told(predictor, tmp_path):
    write(tmp_path / "a.jpg", 0, offset="Z")
    write(tmp_path / "b.jpg", 30)
    write(tmp_path / "c.jpg", 60)
    album = predictor.locate(tmp_path, anchors=True)
    assert len(album.clock_notes) == 1 and "cannot be compared in time" in album.clock_notes[0]
    assert all(photo.between is None for photo in album.photos)


def test_order_places_photos_only_among_those_without_a_time(predictor, tmp_path):
    write(tmp_path / "a.jpg", 0, TOWNS[0])
    write(tmp_path / "b.jpg", 60 * 24 * 3)  # three days after the only anchor with a time
    write(tmp_path / "c.jpg", None, TOWNS[1])
    write(tmp_path / "d.jpg")
    album = predictor.locate(tmp_path, anchors=True)
    assert names(album) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert album.photos[1].between is None
    assert album.photos[3].between == album.photos[2].position


def test_between_anchors_that_are_far_apart_the_model_answers(predictor, tmp_path):
    """On the way from Paris to Brussels within a day, 260 km: not in a field half way."""
    write(tmp_path / "a.jpg", 0, TOWNS[0])
    write(tmp_path / "b.jpg", 600)
    write(tmp_path / "c.jpg", 1200, TOWNS[1])
    middle = predictor.locate(tmp_path, anchors=True).photos[1]
    assert middle.between is None and middle.prediction is not None
    best = middle.prediction.best
    assert middle.position == (best.lat, best.lng)


def test_the_track_is_a_line_with_times_cut_at_the_antimeridian(predictor, tmp_path):
    for place, town in enumerate(TOWNS):
        write(tmp_path / f"{place}.jpg", place * 3000, town)
    track, *points = json.loads(written(predictor.locate(tmp_path, anchors=True), "geojson"))["features"]
    assert track["geometry"]["type"] == "MultiLineString"
    west, east = track["geometry"]["coordinates"]
    assert west[0] == pytest.approx([TOWNS[0][1], TOWNS[0][0]], abs=1e-4)
    assert [west[-1][0], east[0][0]] == [180.0, -180.0]
    assert west[-1][1] == east[0][1] == pytest.approx(-17.05, abs=0.05)
    assert track["properties"]["times"][0] == START.isoformat()
    assert [point["geometry"]["type"] for point in points] == ["Point"] * 4
    assert {point["properties"]["status"] for point in points} == {"given"}


def test_an_album_checkpoint_answers_by_its_own_model(checkpoint, holiday, tmp_path):
    image = Checkpoint.load(checkpoint)
    model = build_model(AlbumConfig("average"), image.partition, image.model.embedding_dim)
    AlbumCheckpoint(model, image, {"name": "average"}, {}).save(tmp_path / "album")
    album = AlbumPredictor.load(tmp_path / "album").locate(holiday)
    assert album.variant == "average"
    assert len({photo.position for photo in album.photos if photo.position}) == 1


def test_seconds_move_the_second_camera(predictor, holiday):
    write(holiday / "other.jpg", 2, camera="Camera")
    assert names(predictor.locate(holiday, anchors=True))[1] == "other.jpg"
    moved = predictor.locate(holiday, anchors=True, clock_offset=3600.0)
    assert moved.main_camera == "Phone Phone"
    assert names(moved).index("other.jpg") == 3
    assert moved.photos[3].taken_at == START + timedelta(minutes=62)
    unclear = predictor.locate(holiday, anchors=True, clock_offset="auto")
    assert not unclear.offsets["Camera Camera"].clear  # one photo says nothing
    assert names(unclear)[1] == "other.jpg"
    assert "no clear clock offset" in written(unclear)


def test_the_page_shows_the_journey_and_holds_names_as_text(predictor, holiday, tmp_path):
    write(holiday / "<b>&.jpg", 7)
    album = predictor.locate(holiday, anchors=True)
    write_map(tmp_path / "map.html", album)
    page = (tmp_path / "map.html").read_text()
    assert "<b>&.jpg" not in page
    journey, *photos = map(json.loads, re.findall(r'<script type="application/json">(.*?)</script>', page))
    assert any("<b>&.jpg" in each["title"] for each in photos)
    route = journey["map"]["route"]
    assert len(route) == sum(each.position is not None for each in album.photos)
    assert [stop["given"] for stop in route].count(True) == sum(each.given is not None for each in album.photos) > 0
    placed = [each for each in album.photos if each.position is not None]
    assert ["alone" in stop for stop in route] == [bool(each.alone) and each.by_anchors is None for each in placed]
    assert any(each["record"]["error"] for each in photos)
    assert sum(each["thumbnail"] is not None for each in photos) == 6


def test_an_empty_folder_is_told(predictor, tmp_path):
    with pytest.raises(InputError, match=f"^{re.escape(str(tmp_path))}: no photo found there"):
        predictor.locate(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"no photo")
    with pytest.raises(InputError, match="can be read"):
        predictor.locate(tmp_path)


def test_the_network_sees_each_photo_once(predictor, holiday, monkeypatch):
    for number, camera in enumerate(("Second", "Third")):
        write(holiday / f"other{number}.jpg", 20 + number, camera=camera)
    seen = []
    whole = predictor.predictor.embed_many
    monkeypatch.setattr(predictor.predictor, "embed_many", lambda photos: whole(_noted(seen, photos)))
    album = predictor.locate(holiday, anchors=True, clock_offset="auto")
    assert len(album.offsets) >= 2
    assert len(seen) == len(set(seen)) == len(album.photos)


def _noted(seen, photos):
    for photo in photos:
        seen.append(photo)
        yield photo


def test_hard_names_of_an_album_break_no_output(checkpoint, holiday, tmp_path):
    """Names that are not UTF-8, or steer a terminal; and no output names a folder of the machine."""
    write(holiday / (os.fsdecode(b"caf\xe9") + "\x1b[31m.jpg"), 3)
    for form in ([], ["--json"], ["--geojson"], ["--map", tmp_path / "map.html"]):
        done = locate("--album", holiday, "--checkpoint", checkpoint, *form)
        assert done.exit_code == 0, done.output
        assert str(tmp_path) not in done.stdout and "\x1b" not in done.stdout
        assert "caf\\" in done.stdout or form == ["--geojson"] or "caf" in done.stdout
    assert str(tmp_path) not in (tmp_path / "map.html").read_text()
    photos = json.loads(locate("--album", holiday, "--checkpoint", checkpoint, "--json").stdout)["photos"]
    assert {photo["photo"].split("/")[0] for photo in photos} == {"holiday"}
    assert all(str(tmp_path) not in (photo["error"] or "") for photo in photos)


@pytest.mark.parametrize("name", ["photos.tar", "hf:owner/name"])
def test_sources_that_are_no_folders_are_named(checkpoint, tmp_path, name):
    if not name.startswith("hf:"):
        name = tmp_path / name
        name.write_bytes(b"")
    done = locate("--album", name, "--checkpoint", checkpoint)
    assert "give photos or folders of photos; unpack it first" in str(done.exception)


def locate(*arguments):
    return CliRunner().invoke(cli, ["locate", *map(str, arguments)])


def test_the_command(checkpoint, holiday, tmp_path):
    command = ["--album", holiday, "--checkpoint", checkpoint]
    text = locate(*command, "--anchors", "--map", tmp_path / "map.html", "--clock-offset", "60")
    assert text.exit_code == 0, text.output
    assert "d.jpg" in text.output and "given" in text.output
    assert "1 of 6 photos could not be read" in text.output
    assert "The journey" in (tmp_path / "map.html").read_text()
    black = tmp_path / "black"
    black.mkdir()
    for number in range(2):
        Image.new("RGB", (128, 128)).save(black / f"{number}.jpg")
    told = json.loads(locate("--album", black, "--checkpoint", checkpoint, "--json").stdout)["photos"]
    assert [photo["status"] for photo in told] == ["no place"] * 2
    for form in ("gpx", "kml", "geojson"):  # and so they are no part of the track either
        told = locate("--album", black, "--checkpoint", checkpoint, "--format", form).stdout
        assert "trkpt" not in told and "LineString" not in told
    command.append("--all-pictures")
    album = json.loads(locate(*command, "--json", "--top", "2").stdout)
    assert [len(photo["top"]) for photo in album["photos"] if photo["error"] is None] == [2] * 5
    assert {photo["status"] for photo in album["photos"]} == {"located", "failed"}
    track = json.loads(locate(*command, "--geojson", "--anchors").stdout)
    assert track["features"][0]["geometry"]["type"] == "LineString"
    assert [point["properties"]["status"] for point in track["features"][1:]].count("given") == 2


def test_anchors_without_a_position_are_told(checkpoint, holiday):
    assert "changes nothing" not in locate("--album", holiday, "--checkpoint", checkpoint, "--anchors").output
    unlocated = holiday / "b.jpg", holiday / "c.jpg"
    done = locate("--album", *unlocated, "--checkpoint", checkpoint, "--anchors")
    assert done.exit_code == 0
    assert done.stderr.endswith("openplanet: no photo has a position: --anchors changes nothing\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--anchors"], "go with --album"), (["--clock-offset", "auto"], "go with --album"),
     (["--album", "--clock-offset", "soon"], "auto or seconds"), (["--album", "--json", "--geojson"], "give one of"),
     (["--album", "--evidence"], "not with --album"),
     (["--finest", "city", "--map", "x.html"], "draws coordinates"), (["--reference", "x"], "goes with")],
)  # fmt: skip
def test_what_makes_no_sense_is_told(checkpoint, holiday, options, message):
    done = locate(holiday, "--checkpoint", checkpoint, *options)
    assert done.exit_code == 2
    assert message in done.output
