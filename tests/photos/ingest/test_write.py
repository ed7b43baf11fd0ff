import hashlib
import os
from pathlib import Path

import pyarrow as pa
import pytest
from photo_files import save

from openplanet.photos import dataset as stored
from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest import write
from openplanet.photos.ingest.ingest import ingest


def ids(numbers: range) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers]


def cut(names: list[str], aim: int) -> list[list[str]]:
    return [names[start:stop] for start, stop in write.stretches(pa.chunked_array([names[:7], names[7:]]), aim)]


def test_stretches_hold_every_row_once_and_are_neither_small_nor_large() -> None:
    names = ids(range(5000))
    found = cut(names, 100)
    assert [name for stretch in found for name in stretch] == names
    sizes = [len(stretch) for stretch in found]
    assert min(sizes[:-1]) >= 50 and max(sizes) <= 200
    assert 80 < sum(sizes) / len(sizes) < 120
    assert cut(names[:1], 100) == [names[:1]]


@pytest.mark.parametrize("where", [0, 1000, 2500, 4999])
def test_an_insertion_or_a_loss_changes_the_stretches_about_it_and_no_other(where: int) -> None:
    names = ids(range(5000))
    before = {tuple(stretch) for stretch in cut(names, 100)}
    more = [*names[:where], *ids(range(9000, 9030)), *names[where:]]
    fewer = [*names[:where], *names[where + 30 :]]
    for changed in (more, fewer):
        after = {tuple(stretch) for stretch in cut(changed, 100)}
        assert len(after - before) <= 5 < 20 < len(after & before)


def inodes(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in out.glob("photos-*.parquet")}


def photos(root: Path, seeds: range, folder: str = "") -> None:
    for seed in seeds:
        save(root / (folder or f"a{seed // 8:02d}") / f"{seed}.jpg", seed, lat=1.0 + seed % 80, serial="7")


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(write, "SHARD_BYTES", 8 * write.PIXEL_BYTES * 32**2)
    photos(tmp_path / "p", range(80))
    ingest([tmp_path / "p"], tmp_path / "out", side=32, workers=1, split_by="owner")
    assert len(inodes(tmp_path / "out")) > 6
    return tmp_path


def test_a_renewal_leaves_the_shards_that_nothing_changes_where_they_are(many: Path) -> None:
    before = inodes(many / "out")
    photos(many / "p", range(80, 83), "a05x")
    (many / "p" / "a02" / "16.jpg").rename(many / "p" / "a02" / "16 renamed.jpg")
    ingest([many / "p"], many / "out", side=32, workers=1, split_by="owner")
    after = inodes(many / "out")
    assert 1 <= len(set(after.items()) - set(before.items())) <= 5
    assert len(set(after.items()) & set(before.items())) > 4
    Dataset.open(many / "out").verify()
    ingest([many / "p"], many / "afresh", side=32, workers=1, split_by="owner")
    assert {p.name: p.read_bytes() for p in many.joinpath("out").iterdir()} == {
        p.name: p.read_bytes() for p in many.joinpath("afresh").iterdir()
    }


def test_shards_in_which_a_column_changes_are_written_anew(many: Path) -> None:
    before = inodes(many / "out")
    table = many / "t.csv"
    table.write_text("file,lat,lng\np/a04/33.jpg,7,8\n")
    ingest([many / "p"], many / "out", side=32, workers=1, coordinates=table, split_by="owner")
    after = inodes(many / "out")
    assert len(set(before) - set(after)) == 1 == len(set(after) - set(before))
    rows = Dataset.open(many / "out").table(["source", "lat", "split"]).to_pylist()
    assert {row["lat"] for row in rows if row["source"] == "p/a04/33.jpg"} == {7.0}
    # An owner who comes first in the alphabet and shares an album with the other takes all of them to his split.
    table.write_text("file,lat,lng,owner\np/a04/33.jpg,7,8,4 Ada\n")
    ingest([many / "p"], many / "out", side=32, workers=1, coordinates=table, split_by="owner")
    moved = Dataset.open(many / "out").table(["split"])["split"].to_pylist()
    ingest([many / "p"], many / "afresh", side=32, workers=1, coordinates=table, split_by="owner")
    assert {row["split"] for row in rows} == {"train"} and set(moved) == {"test"}
    assert moved == Dataset.open(many / "afresh").table(["split"])["split"].to_pylist()
    assert inodes(many / "out").keys() == inodes(many / "afresh").keys()


def test_a_damaged_shard_is_replaced_even_by_one_of_the_same_name(many: Path) -> None:
    shard = Dataset.open(many / "out").shards[2]
    data = bytearray(shard.read_bytes())
    data[300] ^= 1
    shard.write_bytes(data)
    photos(many / "p", range(80, 81), "z")
    ingest([many / "p"], many / "out", side=32, workers=1, split_by="owner")
    assert shard.exists() and shard in Dataset.open(many / "out").shards
    Dataset.open(many / "out").verify()


def test_names_of_this_and_earlier_versions_are_ours_and_no_others() -> None:
    assert all(map(stored.is_ours, ["photos-00001.parquet", "photos-0-00001.parquet", "photos-0123abcd-00001.parquet"]))
    assert all(map(stored.is_ours, [stored.shard_name("0123456789abcdef"), "readings-0123abcd.parquet"]))
    assert not any(map(stored.is_ours, ["photos-mine.parquet", "photos-2020.parquet", "partition.parquet"]))
    assert not stored.is_ours(os.fsdecode(b"photos-\xe9.parquet"))
