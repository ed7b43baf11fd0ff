"""Each public test set on small files that mimic its layout."""

import csv
import io
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openplanet.errors import InputError
from openplanet.evaluation.testsets import known, opening, pictures
from openplanet.evaluation.testsets.opening import open_set
from openplanet.evaluation.testsets.pictures import Pictures
from openplanet.evaluation.testsets.table import fingerprint, is_table, read_table


def jpeg(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (shade, 100, 50)).save(file, "JPEG")
    return file.getvalue()


def lay_out(folder: Path, names: list[str], table: str, head: list[str], pictures: str = "") -> Path:
    """A table of one row for each name, with its pictures below ``pictures``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / table).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        for i, name in enumerate(names):
            values = {"lat": 10.0 + i, "lng": -20.0 - i, "owner": f"{i % 2}@N00"}
            writer.writerow([name if n == 0 else values.get(kind, "x") for n, kind in enumerate(KINDS[len(head)])])
    for i, name in enumerate(names):
        path = folder / pictures / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(20 * i))
    return folder


KINDS = {3: ["photo", "lat", "lng"], 4: ["photo", "owner", "lat", "lng"], 5: ["photo", "city", "country", "lat", "lng"]}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The known sets with five rows."""
    for key, each in known.KNOWN.items():
        monkeypatch.setitem(opening.KNOWN, key, replace(each, counts=(5,)))


LAYOUTS = {
    "im2gps": (
        ["104123223_7410c654ba_19_19355699@N00.jpg", *(f"{i}_a_1_2@N00.jpg" for i in range(4))],
        "im2gps_places365.csv",
        ["IMG_ID", "AUTHOR", "LAT", "LON"],
        "gpgs_query_imgs",
    ),
    "im2gps3k": (
        [f"{i}_e60e9cdfb4_1125_78841376@N00.jpg" for i in range(5)],
        "im2gps3k_places365.csv",
        ["IMG_ID", "AUTHOR", "LAT", "LON"],
        "im2gps3ktest",
    ),
    "yfcc4k": ([f"1020127552{i}.jpg" for i in range(5)], "yfcc4k.csv", ["image_id", "latitude", "longitude"], "images"),
    "yfcc26k": (
        [f"4{i}/77/322851137{i}.jpg" for i in range(5)],
        "yfcc25600_places365.csv",
        ["IMG_ID", "AUTHOR", "LAT", "LON"],
        "yfcc25600",
    ),
    "gws15k": ([f"image_{i}" for i in range(5)], "metadata.csv", ["image_id", "city", "country", "lat", "lon"], ""),
}


@pytest.mark.parametrize("key", list(LAYOUTS))
def test_layout_is_read(key: str, tmp_path: Path, small: None) -> None:
    names, table, head, pictures = LAYOUTS[key]
    files = [name if name.endswith(".jpg") else f"{name}.jpg" for name in names]
    folder = lay_out(tmp_path / key, files, table, head, pictures)
    if key == "gws15k":  # its table names images without suffix
        text = (folder / table).read_text().replace(".jpg", "")
        (folder / table).write_text(text)
    found = open_set(f"{key}:{folder}")
    assert found.name == known.KNOWN[key].title and found.key == key and len(found) == 5
    np.testing.assert_allclose(found.truth.lat, 10.0 + np.arange(5))
    np.testing.assert_allclose(found.truth.lng, -20.0 - np.arange(5))
    shades = [np.asarray(Image.open(io.BytesIO(photo)))[0, 0, 0] for photo in found.images()]
    np.testing.assert_allclose(shades, 20 * np.arange(5), atol=4)  # each picture with its own row
    if len(head) == 4:
        assert found.truth.owner == ("0@N00", "1@N00", "0@N00", "1@N00", "0@N00")
        assert found.truth.groups().count == 5 or found.truth.groups().count == 2
    assert not any("not there" in note for note in found.notes)
    same = open_set(f"{key}:{folder / table}")  # by the table's own path
    assert same.truth.photo_id == found.truth.photo_id


def test_osv5m_reads_zip_archives_and_its_own_names(tmp_path: Path, small: None) -> None:
    head = (
        "id,latitude,longitude,country,sequence,unique_region,unique_sub-region,unique_city,unique_country,creator_id"
    )
    rows = [f"{i}00,{48.85 + i / 100},2.35,FR,seq{i},Île-de-France_FR,Paris_x,nan,FR,7" for i in range(5)]
    (tmp_path / "images" / "test").mkdir(parents=True)
    (tmp_path / "test.csv").write_text("\n".join([head, *rows]), encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "images" / "test" / "00.zip", "w") as archive:
        for i in range(5):
            archive.writestr(f"00/{i}00.jpg", jpeg(20 * i))
    found = open_set(f"osv5m:{tmp_path}")
    assert sum(bool(photo) for photo in found.images()) == 5
    assert found.labels["country"] == ("FR",) * 5 and found.labels["city"] == ("nan",) * 5
    assert set(found.labels) == {"country", "region", "area", "city"}
    assert found.truth.album[0] == "seq0" and found.truth.owner[0] == "7"


@pytest.mark.parametrize("rows, accepted", [(2997, True), (3000, True), (2996, False), (300, False)])
def test_im2gps3k_is_2997_or_3000(rows: int, accepted: bool, tmp_path: Path) -> None:
    lines = ["IMG_ID,LAT,LON", *(f"{i}.jpg,1.0,{i / 100}" for i in range(rows))]
    table = tmp_path / "im2gps3k_places365.csv"
    table.write_text("\n".join(lines))
    if not accepted:
        with pytest.raises(InputError, match=r"2,997 or 3,000.*folder:"):
            open_set(f"im2gps3k:{table}", pictures_needed=False)
        return
    found = open_set(f"im2gps3k:{table}", pictures_needed=False)
    assert len(found) == rows
    assert any("2,997" in note and "3,000" in note for note in found.notes)
    assert any("not those of the table that we know" in note for note in found.notes)


@pytest.mark.parametrize("key", ["im2gps", "im2gps3k", "yfcc4k", "yfcc26k"])
def test_published_tables_are_known_by_their_checksum(key: str, real_photos: Path) -> None:
    found = open_set(f"{key}:{real_photos / 'testsets' / (key + '.csv')}", pictures_needed=False)
    assert len(found) in known.KNOWN[key].counts
    assert any("checked against the published table" in note for note in found.notes)


def test_checksum_is_of_what_the_table_says(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("IMG_ID,LAT,LON\nx/1.jpg,1.5,2\n2.jpg,-3,4\n")
    (tmp_path / "b.csv").write_text("longitude,image_id,latitude\n4.00,2.jpg,-3\n2,1,1.50\n")
    (tmp_path / "c.csv").write_text("IMG_ID,LAT,LON\n1.jpg,1.5,2.001\n2.jpg,-3,4\n")
    a, b, c = (fingerprint(read_table(tmp_path / f"{name}.csv")) for name in "abc")
    assert a == b != c


def test_missing_pictures_are_said_and_read_as_nothing(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "set", ["a.jpg", "b.jpg", "c.jpg"], "mine.csv", ["photo", "lat", "lng"])
    (folder / "b.jpg").unlink()
    (folder / "extra.jpg").write_bytes(jpeg(1))
    found = open_set(f"folder:{folder}")
    assert [len(photo) > 0 for photo in found.images()] == [True, False, True]
    assert any("1 of 3 pictures are not there; they count as wrong" in note for note in found.notes)
    assert any("1 pictures that lie there have no row" in note for note in found.notes)


def test_pictures_are_found_by_absolute_paths_and_behind_links(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "set", ["a.jpg"], "mine.csv", ["photo", "lat", "lng"])
    (tmp_path / "away" / "deep").mkdir(parents=True)
    (tmp_path / "away" / "b.jpg").write_bytes(jpeg(2))
    (tmp_path / "away" / "deep" / "c.jpg").write_bytes(jpeg(3))
    (folder / "more").symlink_to(tmp_path / "away" / "deep")
    (folder / "more" / "round").symlink_to(folder)  # and back again
    (folder / "mine.csv").write_text(f"photo,lat,lng\na.jpg,1,2\n{tmp_path}/away/b.jpg,3,4\nc.jpg,5,6\n")
    assert [bool(photo) for photo in open_set(f"folder:{folder}").images()] == [True, True, True]
    (folder / "mine.csv").write_text("photo,lat,lng\nnowhere.jpg,1,2\n")
    with pytest.raises(InputError, match=r"set and the folders below it \(links too, 2 pictures\).*nowhere\.jpg"):
        open_set(f"folder:{folder}")


@pytest.mark.parametrize("key", list(known.KNOWN))
def test_absent_files_say_where_to_get_them(key: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"get .*(http|authors|GeoEstimation)"):
        open_set(f"{key}:{tmp_path / 'nowhere'}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("photo,lat\na,1\n", "no column of degrees"),
        ("photo,lat,lng\na,north,1\n", "not all numbers"),
        ("photo,lat,lng\na,95,1\n", "row 1"),
        ("photo,lat,lng\na,5,1\na,6,1\n", "two rows"),
        ("lat,lng\n5,1\n", "photo's file or id"),
        ("photo,lat,lng\n", "no row"),
    ],
)
def test_bad_tables_are_named(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=words) as error:
        open_set(f"folder:{tmp_path / 't.csv'}")
    assert "t.csv" in str(error.value)


def test_unknown_names_list_what_there_is() -> None:
    with pytest.raises(InputError, match="im2gps3k:PATH"):
        open_set("im2gps4k:somewhere")


def test_dataset_of_ours(dataset) -> None:
    found = open_set(str(dataset.path))
    assert len(found) == 20 and found.name == "the test split" and found.truth.album[0] == "album 0"


def _archive(path: Path, name: str, data: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, data)
    return bytearray(path.read_bytes())


@pytest.mark.timeout(120)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_archives_give_missing_pictures_or_whole_ones(tmp_path: Path, method: int) -> None:
    data = jpeg(7) * 3
    whole = _archive(tmp_path / "a.zip", "p.jpg", data, method)
    rng = np.random.default_rng(method)
    for _ in range(300):
        torn = bytearray(whole)
        for at in rng.integers(0, len(torn), rng.integers(1, 40)):
            torn[at] = rng.integers(256)
        (tmp_path / "a.zip").write_bytes(torn[: rng.integers(1, len(torn) + 1)] if rng.random() < 0.2 else torn)
        assert list(Pictures(tmp_path).read(["p.jpg"])) in ([data], [b""])


def test_bombs_and_locked_archives_give_missing_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_BYTES", 100_000)
    bomb = _archive(tmp_path / "a.zip", "p.jpg", bytes(10**7))
    assert list(Pictures(tmp_path).read(["p.jpg"])) == [b""]
    for sign, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):  # declared as small as a photo
        start = bomb.index(sign) + at
        bomb[start : start + 4] = (1000).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(bomb)
    assert list(Pictures(tmp_path).read(["p.jpg"])) == [b""]
    locked = _archive(tmp_path / "a.zip", "p.jpg", jpeg(1))
    for sign, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        locked[locked.index(sign) + at] |= 1
    (tmp_path / "a.zip").write_bytes(locked)
    assert list(Pictures(tmp_path).read(["p.jpg"])) == [b""]


@pytest.mark.timeout(30)
def test_pipes_and_devices_in_a_test_set_are_not_waited_for(tmp_path: Path) -> None:
    for name in ("pipe.jpg", "pipe.zip", "pipe.csv"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "zero.zip").symlink_to("/dev/zero")
    _archive(tmp_path / "a.zip", "../../up.jpg", jpeg(3))
    found = Pictures(tmp_path)
    assert list(found.read(["pipe.jpg", "zero.jpg", "up.jpg", "../up.jpg"])) == [b"", b"", jpeg(3), jpeg(3)]
    assert not is_table(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match="not a regular file"):
        read_table(tmp_path / "pipe.csv")
