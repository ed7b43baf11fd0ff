import json
import os
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from photo_files import save

from openplanet.photos import takeout
from openplanet.photos.ingest import ingest
from openplanet.photos.shards import Dataset

LONG = "a very long name of a photo that somebody gave it on a day"


@pytest.mark.parametrize(
    ("photo", "file"),
    [
        ("IMG_1.jpg", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1.jpg", "IMG_1.jpg.suppl.json"),
        ("IMG_1(2).jpg", "IMG_1.jpg(2).json"),
        ("IMG_1(2).jpg", "IMG_1.jpg.supplemental-metadata(2).json"),
        ("IMG_1(2).jpg", "IMG_1(2).jpg.json"),
        ("IMG_1-edited.jpg", "IMG_1.jpg.json"),
        ("IMG_1-bearbeitet(1).jpg", "IMG_1.jpg(1).json"),
        (f"{LONG[:47]}.jpg", f"{LONG[:46]}.json"),
        ("IMG_20200101_123456_and_some_more.jpg", "IMG_20200101_123456_and_some_more.jpg.suppleme.json"),
        ("Holiday in a village somewhere in the hills (38).JPG", "Holiday in a village somewhere in the hills (3.json"),
        ("Days in a village somewhere in hills (38).JPG", "Days in a village somewhere in hills (38).JPG.json"),
        ("Weeks in a village somewhere in the hills (38).JPG", "Weeks in a village somewhere in the hills (38).json"),
        ("Nights in a village somewhere in hills (38).JPG", "Nights in a village somewhere in hills (38).JP.json"),
        ("Cake.jpg", "Cake.supplemental-metadata.json"),
        ("Cake-edited.jpg", "Cake.supplemental-metadata.json"),
        ("Cake(1).jpg", "Cake.supplemental-metadata(1).json"),
        ("IMG_1-ha editado.JPG", "IMG_1.JPG.json"),
        ("IMG_20200101_123456_and_some_more(1).jpg", "IMG_20200101_123456_and_some_more.jpg.suppleme(1).json"),
    ],
)
def test_names_that_belong_together(photo: str, file: str) -> None:
    assert takeout.beside([photo, "other.jpg"], ["other.png.json", file, "metadata.json"]) == {photo: file}


@pytest.mark.parametrize(
    ("photo", "file"),
    [
        ("IMG_1.jpg", "IMG_10.jpg.json"),
        ("IMG_10.jpg", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_1.jpg(1).json"),
        ("IMG_1(1).jpg", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_1.json"),
        ("IMG_1.jpg", "IMG_1.png.json"),
        ("Cake(1).jpg", "Cake.supplemental-metadata.json"),
        ("Cake.jpg", "Cakes.supplemental-metadata.json"),
        (f"{LONG[:47]}.jpg", f"{LONG[:45]}.json"),
    ],
)
def test_names_that_do_not(photo: str, file: str) -> None:
    assert takeout.beside([photo], [file]) == {}


def test_the_limit_is_that_of_takeout() -> None:
    assert len("IMG_20200101_123456_and_some_more.jpg.suppleme") == takeout.MAX_NAME


def told(geo: tuple[float, float], exif: tuple[float, float], time: str = "1569946766") -> bytes:
    places = [{"latitude": lat, "longitude": lng, "altitude": 0.0} for lat, lng in (geo, exif)]
    return json.dumps({"geoData": places[0], "geoDataExif": places[1], "photoTakenTime": {"timestamp": time}}).encode()


def test_position_and_time() -> None:
    entry = takeout.read(told((1.5, -2.5), (3, 4)))
    assert (entry.lat, entry.lng) == (1.5, -2.5)
    assert entry.taken_at == datetime(2019, 10, 1, 16, 19, 26) and entry.taken_at_is_utc
    assert takeout.read(told((0.0, 0.0), (3, 4))).lat == 3
    assert takeout.read(told((0.0, 0.0), (0.0, 0.0))).lat is None
    assert takeout.read(told((91, 0), (0, 200))).lat is None


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"\xff", b'{"geoData": 3}', b'{"geoData": {"latitude": "x"}}', b"[" * 100_000,
             b'{"photoTakenTime": {"timestamp": "1e400"}, "geoData": {"latitude": NaN, "longitude": 1}}',
             b'{"photoTakenTime": {"timestamp": "99999999999999999999"}}'],
)  # fmt: skip
def test_damage_says_nothing(data: bytes) -> None:
    entry = takeout.read(data)
    assert entry.lat is None and entry.taken_at is None


def test_album_titles() -> None:
    assert takeout.album_title(b'{"title": " Rome "}') == "Rome"
    assert takeout.album_title(b'{"albumData": {"title": "Rome"}}') == "Rome"
    assert takeout.album_title(b'{"title": ""}') is None and takeout.album_title(b"{") is None


def test_a_takeout_is_ingested(tmp_path: Path) -> None:
    root = tmp_path / "Google Photos"
    year, album = root / "Photos from 2019", root / "Zoo(1)"
    save(year / "a.jpg", 1)
    (year / "a.jpg.supplemental-metadata.json").write_bytes(told((10, 20), (0, 0)))
    album.mkdir()
    shutil.copy(year / "a.jpg", album / "a.jpg")
    (album / "a.jpg.json").write_bytes(told((10, 20), (0, 0)))
    (album / "metadata.json").write_text('{"title": "Zoo: a day out"}')
    save(year / "b.jpg", 2, lat=40.0)
    (year / "b.jpg.json").write_bytes(told((1, 2), (0, 0)))
    save(year / "c.jpg", 3)
    (year / "c.jpg.json").write_bytes(told((0, 0), (0, 0)))
    manifest = ingest([root], tmp_path / "out", workers=1)
    rows = {row["source"]: row for row in Dataset.open(tmp_path / "out").table().to_pylist()}
    assert set(rows) == {"Google Photos/Zoo(1)/a.jpg", "Google Photos/Photos from 2019/b.jpg"}
    row = rows["Google Photos/Zoo(1)/a.jpg"]
    assert (row["lat"], row["lng"], row["position_from"]) == (10, 20, "takeout") and row["taken_at_is_utc"]
    assert row["album_id"] == "Google Photos/Zoo: a day out"
    assert rows["Google Photos/Photos from 2019/b.jpg"]["position_from"] == "exif"
    assert manifest["counts"]["rejected"] == {"duplicate": 1, "no gps": 1}
    (year / "c.jpg.json").write_bytes(told((5, 6), (0, 0)))  # only the JSON changes
    assert ingest([root], tmp_path / "out", workers=1)["counts"]["located"] == 3


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["pipe", "zero", "half an emoji", "nested", "huge number", "true"])
def test_odd_metadata_stops_no_ingest(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "Rome"
    save(folder / "a.jpg", 1, lat=1.0, lng=2.0)
    save(folder / "b.jpg", 2)
    metadata, beside = folder / "metadata.json", folder / "b.jpg.json"
    if kind == "pipe":
        os.mkfifo(metadata)
        os.mkfifo(beside)
    elif kind == "zero":
        metadata.symlink_to("/dev/zero")
        beside.symlink_to("/dev/zero")
    else:
        text = {"half an emoji": r'{"title": "Rome \ud83d"}', "nested": '{"title":' * 100_000}.get(kind, '{"title": 7}')
        lat = {"huge number": "1" + "0" * 400, "true": "true"}.get(kind, "null")
        metadata.write_text(text)
        told = '{"title": "b.jpg", "description": "\\ud83d", "geoData": {"latitude": %s, "longitude": %s}}'
        beside.write_text(told % (lat, lat))
    manifest = ingest([folder], tmp_path / "ds", workers=1)
    assert manifest["counts"]["rows"] == 1 and manifest["counts"]["rejected"] == {"no gps": 1}
    (album,) = Dataset.open(tmp_path / "ds").table(["album_id"])["album_id"].to_pylist()
    assert album.encode()
