import json
import os
import shutil
import unicodedata
from datetime import datetime
from pathlib import Path

import pytest
from photo_files import save

from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest.ingest import ingest
from openplanet.photos.sources import takeout, takeout_names

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
        ("P7040106.jpg", "P7040106.JPG.json"),
        ("img.JPG", "IMG.jpg.SUPPLEMENTAL-METADATA.json"),
        ("IMG_1-edited(1).jpg", "IMG_1.jpg.supplemental-metadata.json"),  # a second edited copy
        ("IMG_1(1)-edited.jpg", "IMG_1.jpg(1).json"),
        ("IMG_1(2)(1).jpg", "IMG_1(2).jpg(1).json"),
        ("IMG_1(1).jpg", "IMG_1(1).jpg.supplemental-metadata(1).json"),
        ("IMG_9-編集済み.jpg", "IMG_9.jpg.json"),
        ("IMG_9-modifie\u0301.jpg", "IMG_9.jpg.json"),  # as a Mac writes it
        ("IMG_9-edited.jpg", "IMG_9.HEIC.supplemental-metadata.json"),
        (f"{LONG[:43]}-edi.jpg", f"{LONG[:43]}.jp.json"),
        ("😀" * 24 + ".jpg", "😀" * 23 + ".json"),
        ("a" + "😀" * 24 + ".jpg", "a" + "😀" * 22 + ".json"),  # the cut goes through a sign
    ]
    + [
        ("IMG_20200101_123456.jpg", f"IMG_20200101_123456.jpg{takeout_names.SUPPLEMENT[:cut]}.json")
        for cut in range(23)
    ],
)
def test_names_that_belong_together(photo: str, file: str) -> None:
    found = takeout_names.beside([photo, "other.jpg"], ["other.png.json", file, "metadata.json"])
    assert found == {photo: (takeout_names.Told(file),)}


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
    assert takeout_names.beside([photo], [file]) == {}


def test_edited_copies_of_all_languages_share_the_json_of_their_photo() -> None:
    for mark in takeout_names.EDITED:
        found = takeout_names.beside(["a.jpg", f"a{mark}.jpg", f"a{mark.upper()}(1).jpg"], ["a.jpg.json"])
        assert len(found) == 3 and {told[0].file for told in found.values()} == {"a.jpg.json"}, mark


def test_a_json_of_another_letter_case_is_not_taken_from_its_photo() -> None:
    assert takeout_names.beside(["a.jpg", "a.JPG"], ["a.JPG.json"]) == {"a.JPG": (takeout_names.Told("a.JPG.json"),)}
    both = takeout_names.beside(["a.jpg", "a.JPG"], ["a.JPG.json", "a.jpg.json"])
    assert {photo: told[0].file for photo, told in both.items()} == {"a.jpg": "a.jpg.json", "a.JPG": "a.JPG.json"}
    # an edit of a(1).jpg, whose JSON is missing, is not one of a.jpg
    assert "a-edited(1).jpg" not in takeout_names.beside(["a.jpg", "a(1).jpg", "a-edited(1).jpg"], ["a.jpg.json"])


@pytest.mark.parametrize(
    ("title", "photo", "named"),
    [
        ("IMG_1.JPG", "IMG_1.jpg", True),
        ("IMG_1.HEIC", "IMG_1(1).jpg", True),
        ("IMG_1.jpg", "IMG_1-bearbeitet(1).jpg", True),
        ("Tom &amp; Zoë: 1?.jpg", "Tom _ Zoe\u0308_ 1_.jpg", True),
        (f"{LONG}.jpg", f"{LONG[:47]}.jpg", True),
        ("IMG_2.jpg", "IMG_1.jpg", False),
        ("IMG_10.jpg", "IMG_1.jpg", False),
        ("x", "IMG_1.jpg", None),
        (None, "IMG_1.jpg", None),
        ("😀.jpg", "😀.jpg", None),
    ],
)
def test_titles(title: str | None, photo: str, named: bool | None) -> None:
    assert takeout_names.names_photo(title, photo) is named


def test_titles_are_the_last_judge(tmp_path: Path) -> None:
    """Two long names that begin alike, whose JSON files have each other's numbers; and a JSON of another photo."""
    root = tmp_path / "Photos from 2019"
    one, two = f"{LONG[:46]}1", f"{LONG[:46]}2"
    for seed, name in enumerate((one, two, "c", "d")):
        save(root / f"{name}.jpg", seed)
    (root / f"{LONG[:46]}.json").write_bytes(told((2, 2), (0, 0), title=f"{two}.jpg"))
    (root / f"{LONG[:46]}(1).json").write_bytes(told((1, 1), (0, 0), title=f"{one}.jpg"))
    (root / "c.jpg.json").write_bytes(told((3, 3), (0, 0), title="another.jpg"))
    (root / "d.jpg.json").write_bytes(told((4, 4), (0, 0), title="d.png"))
    ingest([root], tmp_path / "out", workers=1)
    rows = {Path(row["source"]).stem: row["lat"] for row in Dataset.open(tmp_path / "out").table().to_pylist()}
    assert rows == {one: 1, two: 2, "d": 4}


@pytest.mark.parametrize("whole", [False, True])
def test_a_json_in_another_part_of_the_export_is_found(tmp_path: Path, whole: bool) -> None:
    first, second, third = (tmp_path / "in" / f"takeout-{n}" / "Takeout" / "Google Photos" for n in (1, 2, 3))
    year = "Photos from 2013"
    for seed, name in enumerate(("c", "d", "e", "f")):
        save(first / year / f"{name}.jpg", seed)
    for place in (second / year, second / "Photos from 2014", second / "Zoo", third / year):
        place.mkdir(parents=True)
    (second / year / "c.jpg.supplemental-metadata.json").write_bytes(told((17, 27), (0, 0)))
    (second / "Photos from 2014" / "d.jpg.json").write_bytes(told((1, 1), (0, 0)))  # another year's d.jpg
    save(second / year / "e.jpg", 9, lat=50.0)
    (second / year / "e.jpg.json").write_bytes(told((50, 0), (0, 0)))  # of the e.jpg beside it
    for part in (second, third):  # two of them: nobody can say whose
        (part / year / "f.jpg.json").write_bytes(told((2, 2), (0, 0)))
    sources = [tmp_path / "in"] if whole else [tmp_path / "in" / f"takeout-{n}" for n in (1, 2, 3)]
    out = tmp_path / "out"
    ingest(sources, out, workers=1)
    rows = Dataset.open(out).table().to_pylist()
    assert sorted((row["source"].rsplit("/", 1)[1], row["lat"]) for row in rows) == [("c.jpg", 17), ("e.jpg", 50)]
    rejected = (out / "rejected.csv").read_text()
    assert rejected.count("give all of them together as sources") == 3
    ingest([tmp_path / "in" / "takeout-2"], tmp_path / "alone", workers=1)


def test_a_photo_outside_a_takeout_is_not_told_of_its_parts(tmp_path: Path) -> None:
    save(tmp_path / "p" / "a.jpg", 1, lat=1.0)
    save(tmp_path / "p" / "b.jpg", 2)
    ingest([tmp_path / "p"], tmp_path / "out", workers=1)
    assert "no gps" in (tmp_path / "out" / "rejected.csv").read_text()
    assert "Takeout" not in (tmp_path / "out" / "rejected.csv").read_text()


@pytest.mark.parametrize(
    "name",
    ["Photos from 2019", "Fotos von 2019", "Fotos de 2019", "Fotos del 2019", "Photos de 2019", "Foto dal 2019",
     "Foto da 2018", "Foto del 2018", "Foto_s van 2019", "Foto's uit 2019", "Zdjęcia z 2019", "Bilder från 2019",
     "Billeder fra 2019", "Bilder fra 2019", "Valokuvat vuodelta 2019", "Fotky z roku 2019", "Фото за 2019",
     "2019 年の写真", "2019年的照片", "2019년의 사진", "Foto dari tahun 2019", "2019 yılından fotoğraflar",
     "Fotografii din 2019", "Ảnh từ năm 2019"],
)  # fmt: skip
def test_year_folders(name: str) -> None:
    assert takeout_names.is_year_folder(name) and takeout_names.is_year_folder(unicodedata.normalize("NFD", name))


@pytest.mark.parametrize("name", ["Zoo 2019", "Photos Rome 2019", "2019", "Photos", "Photos from 20190", "Bilder"])
def test_folders_of_albums(name: str) -> None:
    assert not takeout_names.is_year_folder(name)


def test_the_limit_is_that_of_takeout() -> None:
    assert len("IMG_20200101_123456_and_some_more.jpg.suppleme") == takeout_names.MAX_NAME


def told(
    geo: tuple[float, float], exif: tuple[float, float], time: str = "1569946766", title: str | None = None
) -> bytes:
    places = [{"latitude": lat, "longitude": lng, "altitude": 0.0} for lat, lng in (geo, exif)]
    written = {"geoData": places[0], "geoDataExif": places[1], "photoTakenTime": {"timestamp": time}}
    return json.dumps(written | ({} if title is None else {"title": title})).encode()


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
