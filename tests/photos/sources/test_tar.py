import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from photo_files import save

from openplanet.errors import InputError
from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest.ingest import ingest
from openplanet.photos.sources import tar as module


def tar(path: Path, *members: tuple[str, bytes], kind: str = "w", format_: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, kind, format=format_) as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def test_samples_carry_their_json(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", ("x/1.jpg", b"one"), ("x/1.json", b"{}"), ("2.json", b"[]"), ("2.img.png", b"two!"),
               ("3.cls", b"7"), ("4.jpg", b"four"), format_=tarfile.GNU_FORMAT)  # fmt: skip
    found = list(module.samples(path))
    assert [name for name, *_ in found] == ["x/1.jpg", "2.img.png", "4.jpg"]
    data = path.read_bytes()
    assert [data[start : start + count] for _, (start, count), _ in found] == [b"one", b"two!", b"four"]
    assert [told and data[told[0] : told[0] + told[1]] for *_, told in found] == [b"{}", b"[]", None]


def test_names_lead_nowhere(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", ("../../etc/1.jpg", b"1"), ("/abs/2.jpg", b"2"), ("C:\\x\\3.jpg", b"3"))
    with tarfile.open(path, "a") as file:
        link = tarfile.TarInfo("4.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(link)
        device = tarfile.TarInfo("5.jpg")
        device.type = tarfile.CHRTYPE
        file.addfile(device)
    assert [name for name, *_ in module.samples(path)] == ["etc/1.jpg", "abs/2.jpg", "x/3.jpg"]
    assert sorted(tmp_path.iterdir()) == [path]


def test_compressed_and_damaged_ones_are_named(tmp_path: Path) -> None:
    packed = tar(tmp_path / "a.tar", ("1.jpg", b"1"), kind="w:gz")
    with pytest.raises(InputError, match="decompress it"):
        list(module.samples(packed))
    (tmp_path / "b.tar").write_bytes(b"no tar" * 1000)
    with pytest.raises(InputError, match=r"b\.tar cannot be read"):
        list(module.samples(tmp_path / "b.tar"))


def test_entries_by_their_usual_names() -> None:
    told = {"latitude": "1.5", "lon": 2, "license": "CC0", "author": 7, "taken_at": "2020-01-01T00:00:00Z"}
    entry = module.entry_of(told)
    assert (entry.lat, entry.lng, entry.licence, entry.owner) == (1.5, 2, "CC0", "7") and entry.taken_at_is_utc
    assert module.entry_of({"lat": 0, "lng": 0}).lat is None and module.entry_of({"lat": "x", "lng": 1}).lat is None
    assert module.read(b"[") == module.read(b"[1]") == module.Entry()


def test_shards_are_ingested_where_they_lie(tmp_path: Path) -> None:
    members = []
    for seed in range(5):
        members.append((f"{seed}.jpg", save(tmp_path / "tmp.jpg", seed, lat=9.0 if seed == 4 else None).read_bytes()))
        if seed < 3:
            members.append((f"{seed}.json", json.dumps({"lat": 10 + seed, "lng": 20, "album": "trip"}).encode()))
    path = tar(tmp_path / "shard-000.tar", *members)
    manifest = ingest([path], tmp_path / "out", workers=1)
    rows = {row["source"].rsplit("/", 1)[-1]: row for row in Dataset.open(tmp_path / "out").table().to_pylist()}
    assert {name: (row["lat"], row["position_from"]) for name, row in rows.items()} == {
        "0.jpg": (10, "source"), "1.jpg": (11, "source"), "2.jpg": (12, "source"), "4.jpg": (9, "exif")
    }  # fmt: skip
    assert rows["0.jpg"]["album_id"] == "trip" and rows["4.jpg"]["album_id"].endswith("shard-000.tar")
    assert manifest["counts"]["rejected"] == {"no gps": 1}
    table = tmp_path / "t.csv"
    table.write_text("file,lat,lng\n3.jpg,50,60\n")
    ingest([path], tmp_path / "out", coordinates=table, workers=1)
    assert Dataset.open(tmp_path / "out").count(located=True) == 5


@pytest.mark.timeout(30)
@pytest.mark.parametrize("size", ["-1", "-512", "-1024", "-99999", "999999999999"])
@pytest.mark.parametrize("type_", [tarfile.REGTYPE, tarfile.DIRTYPE])
def test_a_member_of_an_impossible_size_is_refused(tmp_path: Path, size: str, type_: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as file:
        first = tarfile.TarInfo("1.jpg")
        first.type, first.pax_headers = type_, {"size": size}
        file.addfile(first)
        second = tarfile.TarInfo("2.jpg")
        second.size = 6
        file.addfile(second, io.BytesIO(b"secret"))
    if type_ == tarfile.DIRTYPE and size == "999999999999":
        return  # tarfile takes no heed of it
    with pytest.raises(InputError, match=r"a\.tar cannot be read.*1\.jpg claims"):
        list(module.samples(tmp_path / "a.tar"))


@pytest.mark.timeout(30)
def test_a_pipe_is_no_tar(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tar")
    with pytest.raises(InputError, match="not a regular file"):
        list(module.samples(tmp_path / "a.tar"))


@pytest.mark.parametrize("lat", [True, False, [1], {"a": 1}, 10**400, "1e999", float("nan")])
def test_what_is_no_number_is_no_position(lat: object) -> None:
    assert module.entry_of({"lat": lat, "lng": 2.0}).lat is None
