"""Who is an owner, what divides the photos, and how near those held out come to those that train."""

import random
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from photo_files import save

from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest import ingest as module
from openplanet.photos.ingest.ingest import ingest, summary

START = datetime(2024, 5, 4, 10)


def walk(path_of: Any, photos: int = 48, minutes: float = 4, model: str = "iPhone 12", lng: float = 8.0) -> None:
    """One walk with one phone: every few minutes a photo, 22 m from the last."""
    for number in range(photos):
        time = (START + timedelta(minutes=minutes * number)).strftime("%Y:%m:%d %H:%M:%S")
        save(path_of(number), 1000 * round(lng) + number, 47 + 0.0002 * number, lng, time, model=model)


def rows_of(out: Path) -> list[dict[str, Any]]:
    return Dataset.open(out).table(["source", "album_id", "owner_id", "split"]).to_pylist()


def apple(root: Path) -> Any:
    dice = random.Random(3)
    names = [str(uuid.UUID(int=dice.getrandbits(128))).upper() for _ in range(200)]
    return lambda n: root / "Photos Library.photoslibrary" / "originals" / names[n][0] / f"{names[n]}.jpeg"


def immich(root: Path) -> Any:
    dice = random.Random(4)
    names = [str(uuid.UUID(int=dice.getrandbits(128))) for _ in range(200)]
    return lambda n: root / "upload" / str(uuid.UUID(int=7)) / names[n][:2] / names[n][2:4] / f"{names[n]}.jpg"


def by_chance(root: Path) -> Any:
    dice = random.Random(5)
    folders = [dice.choice("abcdefgh") for _ in range(200)]
    return lambda n: root / f"store {folders[n]}" / f"IMG_{n}.jpg"


@pytest.mark.parametrize("layout", [apple, immich, by_chance])
@pytest.mark.parametrize("split_by", ["owner", "auto"])
def test_one_walk_of_one_phone_is_one_owner_in_one_split(tmp_path: Path, layout: Any, split_by: Any) -> None:
    walk(layout(tmp_path / "in"))
    manifest = ingest([tmp_path / "in"], tmp_path / "out", workers=1, split_by=split_by)
    rows = rows_of(tmp_path / "out")
    assert len({row["owner_id"] for row in rows}) == 1 == manifest["counts"]["owners"]
    assert len({row["split"] for row in rows}) == 1
    if layout is not by_chance:
        assert len({row["album_id"] for row in rows}) == 1


def test_strangers_with_the_same_phone_stay_apart(tmp_path: Path) -> None:
    walk(lambda n: tmp_path / "in" / "ada" / f"{n}.jpg", lng=8.0)
    walk(lambda n: tmp_path / "in" / "bo" / f"{n}.jpg", lng=9.0)  # at the same time elsewhere
    walk(lambda n: tmp_path / "in" / ("evening" if n > 23 else "morning") / f"{n}.jpg", lng=10.0)  # one after the other
    manifest = ingest([tmp_path / "in"], tmp_path / "out", workers=1)
    assert manifest["counts"]["owners"] == 4


def test_test_photos_beside_train_photos_are_told_and_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A walk that a table cuts into albums: whatever made the leak, its size is said."""
    walk(lambda n: tmp_path / "p" / f"{n}.jpg")
    table = tmp_path / "t.csv"
    table.write_text("file,lat,lng,album\n" + "".join(f"p/{n}.jpg,NA,NA,{n % 16}\n" for n in range(48)))
    manifest = ingest([tmp_path / "p"], tmp_path / "out", coordinates=table, split_by="album", workers=1)
    near = manifest["near_train"]["test"]
    assert near["photos"] > 0 and near["near"] == near["near_place"] == near["photos"]
    assert any(
        "test photos were taken within 1 hour and 200 m of a train photo" in each for each in manifest["warnings"]
    )
    assert "were taken within 1 hour" in caplog.text
    assert f"test photos near train photos: {near['near']} of {near['photos']} within" in summary(manifest, Path("x"))
    assert "near_train" in (tmp_path / "out" / "README.md").read_text()


def test_photos_far_in_time_or_space_are_no_leak(tmp_path: Path) -> None:
    for number in range(40):  # a day apart, at one place
        time = (START + timedelta(days=number)).strftime("%Y:%m:%d %H:%M:%S")
        save(tmp_path / "p" / f"a{number}" / "a.jpg", number, 47.0, 8.0, time)
        save(tmp_path / "p" / f"b{number}" / "b.jpg", 100 + number, 10.0 + number, 8.0, "2024:01:01 10:00:00")
    manifest = ingest([tmp_path / "p"], tmp_path / "out", split_by="album", workers=1)
    near = manifest["near_train"]["test"]
    assert near["near"] == 0 < near["near_place"] < near["photos"]
    assert not any("of a train photo" in each for each in manifest["warnings"])


def library(root: Path, albums: int, each: int = 3) -> None:
    for number in range(albums * each):
        time = (START + timedelta(days=number // each, minutes=number)).strftime("%Y:%m:%d %H:%M:%S")
        album = f"a{number // each}" if albums > 1 else "all"
        save(root / album / f"{number}.jpg", number, 1.0 + number // each, 8.0, time, "77")


def test_where_one_owner_has_most_photos_albums_divide_and_it_is_said(tmp_path: Path) -> None:
    library(tmp_path / "p", 40)
    for n in range(9):
        save(tmp_path / "p" / f"other{n}" / "x.jpg", 1000 + n, 60.0 + n, serial=str(n))
    manifest = ingest([tmp_path / "p"], tmp_path / "out", workers=1)
    assert (manifest["options"]["split_by"], manifest["options"]["albums"]) == ("album", "folder")
    splits = manifest["counts"]["splits"]
    assert min(splits["train"], splits["val"], splits["test"]) > 5
    assert "divided by album, for one owner (or camera) has 93% of the photos" in summary(manifest, Path("x"))
    assert any("too few to choose a model by" in each for each in manifest["warnings"])
    kept = ingest([tmp_path / "p"], tmp_path / "kept", workers=1, split_by="owner")
    assert kept["options"]["split_by"] == "owner" and "divided by" not in summary(kept, Path("x"))
    assert max(kept["counts"]["splits"].values()) >= 120


def test_all_photos_train_where_nothing_is_to_be_held_out(tmp_path: Path) -> None:
    library(tmp_path / "p", 12)
    manifest = ingest([tmp_path / "p"], tmp_path / "out", workers=1, split_by="none")
    assert manifest["counts"]["splits"] == {"train": 36, "val": 0, "test": 0, "none": 0}
    assert manifest["warnings"] == ["all photos are in train: nothing can say how good a model of them is"]


def test_where_one_album_has_most_photos_sessions_divide(tmp_path: Path) -> None:
    for number in range(120):
        time = (START + timedelta(days=number // 3, minutes=number)).strftime("%Y:%m:%d %H:%M:%S")
        save(tmp_path / "p" / f"{number}.jpg", number, 1.0 + number // 3, 8.0, time, "77")
    manifest = ingest([tmp_path / "p"], tmp_path / "out", workers=1)
    assert (manifest["options"]["split_by"], manifest["options"]["albums"]) == ("album", "sessions")
    splits = manifest["counts"]["splits"]
    assert manifest["counts"]["albums"] == 40 and min(splits["train"], splits["val"], splits["test"]) > 5
    assert "divided by session" in summary(manifest, Path("x"))


def test_many_owners_divide_by_owner(tmp_path: Path) -> None:
    for number in range(40):
        save(tmp_path / "p" / f"{number % 10}" / f"{number}.jpg", number, 1.0 + number, serial=str(number % 10))
    manifest = ingest([tmp_path / "p"], tmp_path / "out", workers=1)
    assert manifest["options"]["split_by"] == "owner" and module.summary(manifest, Path("x")).count("divided") == 0
