"""No serial number of a camera leaves the machine as it is."""

import json
from pathlib import Path

import pytest
from photo_files import save

from openplanet.errors import InputError
from openplanet.home import home
from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest.ingest import ingest
from openplanet.photos.ingest.serials import _key, code

SERIAL = "0815471142"


def test_a_code_is_the_same_for_the_same_camera_and_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = code(SERIAL)
    assert here == code(f" {SERIAL} ") != code("0815471143") and len(here) == 12 and SERIAL not in here
    assert code("0000000") == "0000000" and code("") == ""
    assert (home() / "serials.key").stat().st_mode & 0o077 == 0
    monkeypatch.setenv("OPENPLANET_HOME", str(tmp_path / "other"))
    there = code(SERIAL)
    assert there != here
    _key.cache_clear()
    assert code(SERIAL) == there
    (tmp_path / "file").touch()
    monkeypatch.setenv("OPENPLANET_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"serials\.key.*set OPENPLANET_HOME"):
        code(SERIAL)


@pytest.mark.parametrize("albums", ["folder", "sessions"])
def test_a_dataset_holds_none(albums: str, tmp_path: Path) -> None:
    for day in range(12):
        time = f"2024:05:{day + 1:02} 12:00:00"
        save(tmp_path / "p" / f"{day}.jpg", day, lat=10.0 + day, time=time, serial=SERIAL)
        save(tmp_path / "p" / f"b{day}.jpg", 50 + day, lat=10.0 + day, time=time.replace("12:", "15:"), serial="77")
    ingest([tmp_path / "p"], tmp_path / "ds", albums=albums)
    for row in Dataset.open(tmp_path / "ds").table(["owner_id", "album_id"]).to_pylist():
        assert (SERIAL not in json.dumps(row) and code(SERIAL) in row["owner_id"]) or code("77") in row["owner_id"]
    for file in (tmp_path / "ds").iterdir():
        if file.is_file() and not file.name.startswith("readings-"):  # these stay with the user, as README.md says
            assert SERIAL.encode() not in file.read_bytes(), file
    assert Dataset.open(tmp_path / "ds").manifest["clocks"]  # three hours apart, and said without the numbers


def test_splits_do_not_depend_on_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for number in range(30):
        save(tmp_path / "p" / f"{number}.jpg", number, lat=10.0 + number, serial=f"{number}1")
    splits = []
    for place in ("one", "two"):
        monkeypatch.setenv("OPENPLANET_HOME", str(tmp_path / place))
        ingest([tmp_path / "p"], tmp_path / f"{place}.ds", split_by="owner")
        rows = Dataset.open(tmp_path / f"{place}.ds").table(["photo_id", "split", "owner_id"]).to_pylist()
        splits.append({row["photo_id"]: row["split"] for row in rows})
        assert len({row["owner_id"] for row in rows}) == 30
    assert splits[0] == splits[1]
