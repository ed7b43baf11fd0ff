import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from photo_files import FragileReadJob, save

from openplanet.cli import cli
from openplanet.errors import DatasetError, InputError
from openplanet.photos import dataset as stored
from openplanet.photos.dataset import Dataset
from openplanet.photos.files import images
from openplanet.photos.ingest import ingest as module
from openplanet.photos.ingest import parts, read, settle, write
from openplanet.photos.ingest.ingest import ingest, ingest_shard
from openplanet.photos.ingest.serials import code
from openplanet.photos.ingest.work_folder import work_folder
from openplanet.photos.sources import source
from openplanet.runners import ray as ray_runner
from openplanet.runners.job import Share

IN_A_PROCESS = """
import os, signal, sys
from pathlib import Path
from openplanet.photos.ingest import parts
from openplanet.photos.ingest.ingest import ingest
from openplanet.runners import local
parts.PART_PHOTOS = 3
if len(sys.argv) > 3:  # end, as if killed, as soon as so many parts are there
    def advance(progress, count=1, left=[int(sys.argv[3])]):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    local.Progress.advance = advance
ingest([Path(sys.argv[1])], Path(sys.argv[2]), side=64, workers=2)
"""


def rejected_lines(out: Path) -> list[tuple[str, str]]:
    with (out / "rejected.csv").open(encoding="utf-8", newline="") as file:
        return [(line["file"], line["reason"]) for line in csv.DictReader(file)]


def rows_of(out: Path) -> dict[str, dict[str, Any]]:
    columns = [name for name in stored.SCHEMA.names if name != "image"]
    return {row["source"]: row for row in Dataset.open(out).table(columns).to_pylist()}


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def keys_read(out: Path) -> set[bytes]:
    """Keys of the photos that an interrupted ingest has read."""
    stored = parts.stored(out / module.WORK / "parts")
    return {key for part in stored for key in pq.read_table(part, columns=["key"])["key"].to_pylist()}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 photos in 16 albums, large enough that reading them takes a while."""
    root = tmp_path_factory.mktemp("many") / "many"
    for seed in range(48):
        save(root / f"album{seed % 16}" / f"{seed}.jpg", seed, lat=1 + seed, size=(1000, 750))
    return root


def test_every_file_is_one_row_or_one_rejection(tmp_path: Path) -> None:
    root = tmp_path / "p"
    time_ = "2020:05:01 10:00:00"
    save(root / "rome" / "b.jpg", 1, lat=41.9, lng=-12.5, time=time_, serial="77")
    shutil.copy(root / "rome" / "b.jpg", root / "rome" / "copy.jpg")
    save(root / "oslo" / "a.jpg", 2, lat=59.9, lng=10.7)
    save(root / "scan.jpg", 3)
    save(root / "null.jpg", 4, lat=0.0)
    (root / "oslo" / "text.jpg").write_text("no photo")
    (root / "oslo" / "gone.jpg").symlink_to("nowhere")
    cut = save(root / "oslo" / "cut.jpg", 5, lat=1.0, size=(400, 300))
    cut.write_bytes(cut.read_bytes()[:-2000])
    odd = os.fsencode(root) + b"/\xe9.jpg"
    save(root / "tmp.jpg", 6, lat=3.0).rename(os.fsdecode(odd))
    (root / "notes.txt").write_text("not counted as a photo")

    manifest = ingest([root], tmp_path / "out", workers=2)
    rows, lines = rows_of(tmp_path / "out"), rejected_lines(tmp_path / "out")
    assert set(rows) == {"p/oslo/a.jpg", "p/rome/b.jpg", "p/\\xe9.jpg"}
    assert dict(lines) == {
        "p/null.jpg": "null island",
        "p/scan.jpg": "no gps",
        "p/oslo/cut.jpg": "corrupt",
        "p/oslo/gone.jpg": "unreadable",
        "p/oslo/text.jpg": "not a photo",
        "p/rome/copy.jpg": "duplicate",
    }
    counts = manifest["counts"]
    assert counts["candidates"] == 9 == counts["rows"] + len(lines)
    assert counts["rejected"] == {
        "corrupt": 1, "duplicate": 1, "no gps": 1, "not a photo": 1, "null island": 1, "unreadable": 1
    }  # fmt: skip
    assert counts["skipped_by_suffix"] == {".txt": 1}
    row = rows["p/rome/b.jpg"]
    assert (row["lat"], row["lng"]) == pytest.approx((41.9, -12.5))
    assert (row["album_id"], row["owner_id"], row["width"], row["height"]) == (
        "p/rome",
        f"Canon EOS 40D {code('77')}",
        64,
        48,
    )
    assert row["taken_at"] == datetime(2020, 5, 1, 10) and not row["taken_at_is_utc"]
    assert (tmp_path / "out" / "rejected.csv").read_text().count("the same bytes as p/rome/b.jpg") == 1


def test_pictures_are_upright_reduced_and_free_of_exif(tmp_path: Path) -> None:
    save(tmp_path / "p" / "a.jpg", 1, lat=1.0, size=(640, 480))
    ingest([tmp_path / "p"], tmp_path / "out", side=100, workers=1)
    table = Dataset.open(tmp_path / "out").table()
    picture = images.load(table["image"][0]["bytes"].as_py())
    assert picture.size == (133, 100) and table["width"][0].as_py() == 640
    assert b"Exif" not in table["image"][0]["bytes"].as_py()
    assert int(table["dhash"][0].as_py()) == images.dhash(images.load(tmp_path / "p" / "a.jpg", short_side=100))


def test_the_table_gives_what_photos_do_not_and_wins(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "p"
    for number, lat in enumerate([None, 10.0, 20.0, None]):
        save(root / f"{number}.jpg", number, lat=lat, serial="5")
    table = tmp_path / "t.csv"
    table.write_text(
        "file,lat,lng,album,album_order,taken_at,owner,licence\n"
        "0.jpg,1,2,trip,2,2020-01-01T00:00:00Z,Ada,CC0\n"
        "1.jpg,11,0,trip,1,,,\n"
        "3.jpg,91,0,,,,,\n"
        "4.jpg,1,1,,,,,\n"
    )
    manifest = ingest([root], tmp_path / "out", coordinates=table, workers=1)
    rows = rows_of(tmp_path / "out")
    assert {name: row["lat"] for name, row in rows.items()} == {"p/0.jpg": 1.0, "p/1.jpg": 11.0, "p/2.jpg": 20.0}
    assert [rows[f"p/{n}.jpg"]["album_id"] for n in range(3)] == ["trip", "trip", "p"]
    assert [rows[f"p/{n}.jpg"]["album_order"] for n in range(3)] == [1, 0, 0]
    assert [rows[f"p/{n}.jpg"]["owner_id"] for n in range(3)] == ["Ada", *[f"Canon EOS 40D {code('5')}"] * 2]
    assert rows["p/0.jpg"]["taken_at_is_utc"] and rows["p/0.jpg"]["licence"] == "CC0"
    assert rejected_lines(tmp_path / "out") == [("p/3.jpg", "out of range"), ("4.jpg", "not found")]
    assert manifest["counts"]["rejected_without_file"] == 1
    assert manifest["counts"]["table_and_exif_over_1_km_apart"] == 1
    assert "for 1 photos the table lies over 1 km from Exif" in caplog.text


def test_clocks_of_two_kinds_are_put_in_one_order(tmp_path: Path) -> None:
    """A telephone with GPS and offsets, a camera with neither, photos of which Takeout alone knows the time (UTC)."""
    root = tmp_path / "tokyo"
    for hour in range(9, 13):
        save(
            root / f"phone{hour}.jpg", hour, lat=35.69, lng=139.7, time=f"2024:05:03 {hour:02d}:00:00+09:00", model="P"
        )
        save(root / f"camera{hour}.jpg", 20 + hour, time=f"2024:05:03 {hour:02d}:20:00", serial="1")
        save(root / f"takeout{hour}.jpg", 40 + hour, model="T")
        seconds = int(datetime(2024, 5, 3, hour - 9, 40, tzinfo=UTC).timestamp())
        told = {"photoTakenTime": {"timestamp": str(seconds)}}
        (root / f"takeout{hour}.jpg.json").write_text(json.dumps(told))
    manifest = ingest([root], tmp_path / "out", keep_unlocated=True, workers=1)
    rows = sorted(rows_of(tmp_path / "out").values(), key=lambda row: row["album_order"])
    expected = [f"tokyo/{kind}{hour}.jpg" for hour in range(9, 13) for kind in ("phone", "camera", "takeout")]
    assert [row["source"] for row in rows] == expected
    assert {row["utc_offset_minutes"] for row in rows} == {540}
    assert [row["utc_offset_from"] for row in rows[:3]] == ["written", "anchor", "anchor"]
    assert rows[1]["taken_at"] == datetime(2024, 5, 3, 9, 20) and not rows[1]["taken_at_is_utc"]
    assert rows[0]["taken_at"] == datetime(2024, 5, 3, 0) and rows[0]["taken_at_is_utc"]
    said = "clocks: 4 photos without a UTC offset read as UTC+09:00: the time zone at the position of the photo nearest"
    assert said in module.summary(manifest, tmp_path / "out")
    assert manifest["counts"]["utc_offsets_from"] == {"anchor": 8, "written": 4}


def test_the_offset_beside_another_writing_of_the_same_time_counts(tmp_path: Path) -> None:
    root = tmp_path / "p"
    for name, told in (("same", "2024-05-03T09:00:00.25+09:00"), ("other", "2024-05-03T10:00:00+09:00")):
        save(root / f"{name}.jpg", len(name), lat=1.0, time="2024:05:03 09:00:00")
        about = f'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:DateCreated="{told}"'
        rdf = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
        (root / f"{name}.xmp").write_text(f"<rdf:RDF {rdf}><rdf:Description {about}/></rdf:RDF>")
    ingest([root], tmp_path / "out", workers=1)
    rows = rows_of(tmp_path / "out")
    assert (rows["p/same.jpg"]["utc_offset_minutes"], rows["p/same.jpg"]["utc_offset_from"]) == (540, "written")
    assert rows["p/other.jpg"]["taken_at"] == datetime(2024, 5, 3, 9) and not rows["p/other.jpg"]["taken_at_is_utc"]


def test_unlocated_photos_are_kept_on_request_and_the_table_alone_suffices(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / "p" / f"{number}.jpg", number)
    table = tmp_path / "t.csv"
    table.write_text("file,lat,lng\np/0.jpg,1,2\np/1.jpg,,\np/2.jpg,99,0\n")
    manifest = ingest([], tmp_path / "out", coordinates=table, keep_unlocated=True, workers=1)
    assert manifest["counts"]["rows"] == 3 and manifest["counts"]["located"] == 1
    assert Dataset.open(tmp_path / "out").count(located=True) == 1


def test_of_equal_files_the_located_one_stays(tmp_path: Path) -> None:
    save(tmp_path / "p" / "a.jpg", 1)
    shutil.copy(tmp_path / "p" / "a.jpg", tmp_path / "p" / "b.jpg")
    table = tmp_path / "t.csv"
    table.write_text("file,lat,lng\np/b.jpg,1,2\n")
    ingest([tmp_path / "p"], tmp_path / "out", coordinates=table, keep_unlocated=True, workers=1)
    assert list(rows_of(tmp_path / "out")) == ["p/b.jpg"]
    assert rejected_lines(tmp_path / "out") == [("p/a.jpg", "duplicate")]


def test_splits_stay_when_photos_are_added(tmp_path: Path) -> None:
    root = tmp_path / "p"
    for seed in range(24):
        save(root / f"album{seed % 12}" / f"{seed}.jpg", seed, lat=1 + seed)
    ingest([root], tmp_path / "before", workers=1)
    for seed in range(24, 40):
        save(root / f"album{seed % 16}" / f"more{seed}.jpg", seed, lat=1 + seed, serial=str(seed))
    ingest([root], tmp_path / "after", split_by="album", workers=1)
    before, after = rows_of(tmp_path / "before"), rows_of(tmp_path / "after")
    assert len(before) == 24 and len(after) == 40
    assert {name: after[name]["split"] for name in before} == {name: row["split"] for name, row in before.items()}
    assert len({row["split"] for row in after.values()}) > 1


def test_a_camera_without_a_serial_is_an_owner_within_its_folder(tmp_path: Path) -> None:
    root = tmp_path / "p"
    for seed in range(20):
        save(root / f"album{seed % 10}" / f"{seed}.jpg", seed, lat=1 + seed, model="Canon M5")
    ingest([root], tmp_path / "before", workers=1)
    # Cameras that come before it in the alphabet: were they keys of their folder, it would change its split.
    for seed in range(20, 30):
        save(root / f"album{seed % 10}" / f"{seed}.jpg", seed, lat=1 + seed, model="Canon A1")
    ingest([root], tmp_path / "after", workers=1)
    before, after = rows_of(tmp_path / "before"), rows_of(tmp_path / "after")
    assert before["p/album3/13.jpg"]["owner_id"] == "Canon M5, p/album3"
    assert after["p/album3/23.jpg"]["owner_id"] == "Canon A1, p/album3"
    assert {name: after[name]["split"] for name in before} == {name: row["split"] for name, row in before.items()}
    assert len({row["split"] for row in after.values()}) > 1


def test_sessions_of_one_camera_in_one_folder_are_not_cut_apart(tmp_path: Path) -> None:
    for seed in range(40):
        folder, time = tmp_path / "p" / f"{seed % 8}", f"2020:05:{1 + seed // 8:02d} 10:00:00"
        save(folder / f"{seed}.jpg", seed, lat=1 + seed % 8, time=time, model=f"Canon M{seed % 8}")
    ingest([tmp_path / "p"], tmp_path / "out", albums="sessions", workers=1)
    splits: dict[str, set[str]] = {}
    rows = rows_of(tmp_path / "out").values()
    for row in rows:
        splits.setdefault(row["owner_id"], set()).add(row["split"])
    assert len(splits) == 8 and len({row["album_id"] for row in rows}) == 40
    assert all(len(found) == 1 for found in splits.values()) and len(set.union(*splits.values())) > 1


def test_near_duplicates_of_test_photos_leave_train(tmp_path: Path) -> None:
    save(tmp_path / "p" / "album14" / "a.jpg", 1, lat=1.0, size=(640, 480))
    save(tmp_path / "p" / "album0" / "b.jpg", 1, lat=1.0, size=(320, 240))
    table = tmp_path / "t.csv"  # album names whose split is known
    table.write_text("file,lat,lng,album\np/album14/a.jpg,1,1,8\np/album0/b.jpg,1,1,0\n")
    manifest = ingest([tmp_path / "p"], tmp_path / "out", coordinates=table, split_by="album", workers=1)
    rows = rows_of(tmp_path / "out")
    test, train = rows["p/album14/a.jpg"], rows["p/album0/b.jpg"]
    assert (test["split"], train["split"]) == ("test", "none")
    assert train["near_duplicate_of"] == test["photo_id"] and test["near_duplicate_of"] is None
    assert manifest["counts"]["near_duplicates"] == 1


def test_a_missing_split_is_told_with_what_to_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for seed in range(6):
        save(tmp_path / "p" / f"a{seed}" / "x.jpg", seed, lat=1.0 + seed, serial="1")
    manifest = ingest([tmp_path / "p"], tmp_path / "out", workers=1)
    assert "--split-by album" in manifest["warnings"][0]
    assert "--split-by album" in caplog.text


def test_a_worker_that_dies_or_lacks_memory_costs_no_other_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a.jpg", "b.jpg", "bomb.jpg", "huge.jpg", "z.jpg"]
    for seed, name in enumerate(names):
        save(tmp_path / "p" / name, seed, lat=1.0)
    monkeypatch.setattr(parts, "ReadJob", FragileReadJob)
    manifest = ingest([tmp_path / "p"], tmp_path / "out", workers=2)
    assert list(rows_of(tmp_path / "out")) == ["p/a.jpg", "p/b.jpg", "p/z.jpg"]
    assert manifest["counts"]["rejected"] == {"crashed the reader": 1, "out of memory": 1}


def test_by_ray_and_in_shards_the_dataset_is_the_same(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    root = tmp_path / "photos"
    shutil.copytree(many, root / "many")
    save(root / "bomb.jpg", 90, lat=1.0)
    monkeypatch.setattr(parts, "ReadJob", FragileReadJob)
    monkeypatch.setattr(ray_runner, "MOST_LOSSES", 1)
    monkeypatch.setattr(parts, "PART_PHOTOS", 4)
    here, ray, sharded = (tmp_path / name for name in ("here", "ray", "sharded"))
    ingest([root], here, side=64, workers=2)
    ingest([root], ray, side=64, runner="ray")
    read_of = [ingest_shard([root], sharded, Share(index, 3), side=64, workers=1) for index in (2, 1)]
    assert read_of == [16, 17] and len(keys_read(sharded)) == 33, "of 49 photos, four at a time"
    ingest([root], sharded, side=64, workers=1)
    assert contents(here) == contents(ray) == contents(sharded)
    assert json.loads((ray / "manifest.json").read_text())["counts"]["rejected"]["crashed the reader"] == 1


def test_shards_read_at_once_and_an_ingest_waits_for_them(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with work_folder(out, shared=True):
        assert ingest_shard([many], out, Share(1, 2), side=64, workers=0) > 0
        with pytest.raises(DatasetError, match="another ingest is writing"):
            ingest([many], out, side=64, workers=0)
    with work_folder(out), pytest.raises(DatasetError, match="another ingest is writing"):
        ingest_shard([many], out, Share(2, 2), side=64, workers=0)


def test_a_shard_asks_for_size_and_time_of_its_own_files(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, stamp = list[Path](), source.file_stamp
    monkeypatch.setattr(source, "file_stamp", lambda path: (asked.append(path), stamp(path))[1])
    assert [ingest_shard([many], tmp_path / "out", Share(index, 2), side=64, workers=0) for index in (1, 2)] == [32, 16]
    assert len(asked) == len(set(asked)) == 48


def test_the_command_reads_a_shard(many: Path, tmp_path: Path) -> None:
    asked = ["ingest", str(many), "--out", str(tmp_path / "out"), "--side", "64", "--workers", "1"]
    done = CliRunner().invoke(cli, [*asked, "--shard", "1/1"], catch_exceptions=False)
    assert "without --shard the dataset is made" in done.stdout and not (tmp_path / "out" / "manifest.json").exists()
    assert "Taking over" in CliRunner().invoke(cli, asked, catch_exceptions=False).stderr
    assert CliRunner().invoke(cli, [*asked, "--runner", "ray"]).exit_code == 2


def test_one_worker_or_two_and_small_parts_give_the_same_bytes(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "SHARD_BYTES", 20_000)
    monkeypatch.setattr(stored, "ROW_GROUP_ROWS", 5)
    ingest([many], tmp_path / "one", side=64, workers=1)
    monkeypatch.setattr(parts, "PART_PHOTOS", 2)
    ingest([many], tmp_path / "two", side=64, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(Dataset.open(tmp_path / "one").shards) > 2
    Dataset.open(tmp_path / "one").verify()


def run(root: Path, out: Path, parts_before_the_kill: int | None = None) -> int:
    """Ingest in a process of its own; returns its exit status."""
    command = [sys.executable, "-c", IN_A_PROCESS, str(root), str(out)]
    command += [str(parts_before_the_kill)] * (parts_before_the_kill is not None)
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode


def test_after_a_kill_no_photo_is_read_twice(many: Path, tmp_path: Path) -> None:
    root = shutil.copytree(many, tmp_path / "many")
    out = tmp_path / "out"
    assert run(root, out, parts_before_the_kill=4) == -signal.SIGKILL
    path_of = {parts.key_of(str(p), [p.stat().st_size, p.stat().st_mtime_ns, None], 64): p for p in root.rglob("*.jpg")}
    done = [path_of[key] for key in keys_read(out)]
    assert 12 <= len(done) <= 24  # four parts of three photos, and at most four that were under way
    for path in done:  # whoever reads it again will find it broken, though it seems unchanged
        status = path.stat()
        path.write_bytes(bytes(status.st_size))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    manifest = ingest([root], out, side=64, workers=2)
    assert manifest["counts"]["rows"] == 48 and not (out / module.WORK).exists()


@pytest.mark.parametrize("kept", range(6))
def test_stopped_between_two_copies_of_a_photo_it_ends_with_the_same_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """A library as Takeout gives it, every photo twice; ``kept``: the parts that were done before the stop."""
    root, out = tmp_path / "p", tmp_path / "out"
    for seed in range(3):
        save(root / "a" / f"{seed}.jpg", seed, lat=1.0 + seed)
        (root / "b").mkdir(exist_ok=True)
        shutil.copy(root / "a" / f"{seed}.jpg", root / "b" / f"{seed}.jpg")
    monkeypatch.setattr(parts, "PART_PHOTOS", 1)
    ingest([root], tmp_path / "whole", workers=1)
    process = parts.process

    def stopped(tasks: Any, *rest: Any) -> None:
        process(tasks[:kept], *rest)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(parts, "process", stopped)
        ingest([root], out, workers=1)
    ingest([root], out, workers=1)
    assert contents(out) == contents(tmp_path / "whole")


def test_what_a_user_keeps_in_a_folder_of_the_works_name_stays(tmp_path: Path) -> None:
    root, out = tmp_path / "p", tmp_path / "out"
    save(root / "a.jpg", 1, lat=1.0)
    work = out / module.WORK
    own = [save(work / name, 2) for name in ("b.jpg", "parts/c.jpg", "shards/d.jpg", "holiday/e.jpg")]
    own.append(work / "parts" / "ab.parquet")
    own[-1].write_bytes(b"somebody's table")
    before = [path.read_bytes() for path in own]
    for _ in range(2):  # anew, and where nothing has changed
        ingest([root], out, workers=1)
        assert [path.read_bytes() for path in own] == before
        assert {path.name for path in work.iterdir()} == {"b.jpg", "parts", "shards", "holiday"}


def test_what_a_killed_run_was_about_to_rename_goes(tmp_path: Path) -> None:
    root, out = tmp_path / "p", tmp_path / "out"
    save(root / "a.jpg", 1, lat=1.0)
    ingest([root], out, workers=1)
    before = contents(out)
    for name in (".manifest.json.77.part", ".rejected.csv.77.part", ".parts/.ingest.json.77.part",
                 ".parts/parts/.0123456789abcdef0123456789abcdef.parquet.77.part", ".parts/next-rejected.csv",
                 ".parts/shards/.photos-next.parquet.77.part", ".parts/thumbnails.u8"):  # fmt: skip
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(b"half")
    ingest([root], out, workers=1)
    assert contents(out) == before


def test_a_mark_of_something_else_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "p" / "a.jpg", 1, lat=1.0)
    mark = tmp_path / "out" / module.WORK / "ingest.json"
    mark.parent.mkdir(parents=True)
    mark.write_text('{"mine": 1}')
    with pytest.raises(DatasetError, match=r"ingest\.json is not of an ingest"):
        ingest([tmp_path / "p"], tmp_path / "out", workers=1)
    assert mark.read_text() == '{"mine": 1}'


def test_a_photo_changed_after_an_interruption_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, out = tmp_path / "p", tmp_path / "out"
    for seed in range(4):
        save(root / f"{seed}.jpg", seed, lat=1.0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(settle, "settle", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        ingest([root], out, workers=1)
    assert len(keys_read(out)) == 4
    save(root / "0.jpg", 10, lat=5.0)
    (root / "1.jpg").unlink()
    (next((out / module.WORK / "parts").glob("*.parquet"))).with_name("0" * 32 + ".parquet").write_bytes(b"damaged")
    ingest([root], out, workers=1)
    assert {name: row["lat"] for name, row in rows_of(out).items()} == {
        "p/0.jpg": 5.0, "p/2.jpg": 1.0, "p/3.jpg": 1.0
    }  # fmt: skip


def test_a_renewal_reads_only_what_is_new_and_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "ROW_GROUP_ROWS", 4)
    root, out = tmp_path / "p", tmp_path / "out"
    for seed in range(12):
        save(root / f"a{seed % 4}" / f"{seed}.jpg", seed, lat=1.0 + seed)
    save(root / "scan.jpg", 50)
    ingest([root], out, side=40, workers=1)
    save(root / "a9" / "new.jpg", 60, lat=5.0)
    (root / "a1" / "1.jpg").rename(root / "a0" / "moved and renamed.jpg")
    (root / "a2" / "2.jpg").unlink()
    (root / "a3").rename(root / "b3")
    asked, process = list[str](), parts.process

    def watched(tasks: Any, *rest: Any) -> None:
        asked.extend(Path(task.path).name for task in tasks if not task.twins)
        process(tasks, *rest)

    monkeypatch.setattr(parts, "process", watched)
    ingest([root], out, side=40, workers=1)
    assert asked == ["new.jpg"]
    ingest([root], tmp_path / "afresh", side=40, workers=1)
    assert contents(out) == contents(tmp_path / "afresh")
    assert Dataset.open(out).count() == 12


def test_a_known_photo_is_not_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.jpg", 1, lat=3.0)
    task = read.Task(b"k" * 16, str(path))
    first, picture = read.read_photo(task, 40)
    assert picture is not None and first.photo_id is not None
    monkeypatch.setattr(images, "load", lambda *_, **__: pytest.fail("decoded"))
    again, nothing = read.read_photo(replace(task, twins=frozenset({first.photo_id})), 40)
    assert again.known and nothing is None and again.lat == first.lat == pytest.approx(3.0)


def test_damaged_shards_are_not_carried_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root, out = tmp_path / "p", tmp_path / "out"
    for seed in range(3):
        save(root / f"{seed}.jpg", seed, lat=1.0 + seed)
    ingest([root], out, workers=1)
    shard = Dataset.open(out).shards[0]
    data = bytearray(shard.read_bytes())
    data[500] ^= 1
    shard.write_bytes(data)
    save(root / "3.jpg", 3, lat=1.0)
    ingest([root], out, workers=1)
    assert "is damaged; its photos are read again" in caplog.text
    Dataset.open(out).verify()
    ingest([root], tmp_path / "afresh", workers=1)
    assert contents(out) == contents(tmp_path / "afresh")


def test_what_an_option_asks_anew_is_read_anew(tmp_path: Path) -> None:
    root, out = tmp_path / "p", tmp_path / "out"
    save(root / "located.jpg", 0, lat=1.0)
    save(root / "scan.jpg", 1)
    assert ingest([root], out, workers=1)["counts"]["rows"] == 1
    assert ingest([root], out, keep_unlocated=True, workers=1)["counts"]["rows"] == 2
    assert ingest([root], out, workers=1)["counts"]["rejected"] == {"no gps": 1}
    table = tmp_path / "t.csv"
    table.write_text("file,lat,lng\np/scan.jpg,7,8\n")
    ingest([root], out, coordinates=table, workers=1)
    assert rows_of(out)["p/scan.jpg"]["position_from"] == "table"


@pytest.mark.parametrize("step", ["_write_rejected", "write_json"])
def test_stopped_while_publishing_it_can_be_published_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    root, out = tmp_path / "p", tmp_path / "out"
    for seed in range(3):
        save(root / f"{seed}.jpg", seed, lat=1.0)
    first = ingest([root], out, workers=1)
    save(root / "3.jpg", 3, lat=1.0)
    real = getattr(module, step)

    def stop(path: Path, *values: Any) -> None:
        if path.name.startswith("next-"):
            raise KeyboardInterrupt
        real(path, *values)

    monkeypatch.setattr(module, step, stop)
    with pytest.raises(KeyboardInterrupt):
        ingest([root], out, workers=1)
    Dataset.open(out).verify()  # the old one stays until the manifest of the new one is there
    assert Dataset.open(out).count() == 3
    monkeypatch.undo()
    assert ingest([root], out, workers=1)["counts"]["rows"] == 4 == first["counts"]["rows"] + 1
    Dataset.open(out).verify()
    assert len(list(out.glob("*.parquet"))) == 2


def test_a_second_run_does_nothing_and_changes_make_a_new_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root, out = tmp_path / "p", tmp_path / "out"
    for seed in range(3):
        save(root / f"{seed}.jpg", seed, lat=1.0)
    first = ingest([root], out, workers=1)
    (out / "partition.parquet").write_bytes(b"the user's own")
    with monkeypatch.context() as patch:
        patch.setattr(parts, "process", lambda *_: pytest.fail("read photos again"))
        assert ingest([root], out, workers=1) == first
        assert "nothing has changed" in caplog.text
    (root / "2.jpg").unlink()
    assert ingest([root], out, workers=1)["counts"]["rows"] == 2
    assert ingest([root], out, side=32, workers=1)["options"]["side"] == 32
    assert (out / "partition.parquet").read_bytes() == b"the user's own"


def test_a_failed_renewal_leaves_the_old_dataset(tmp_path: Path) -> None:
    root, out = tmp_path / "p", tmp_path / "out"
    save(root / "0.jpg", 0, lat=1.0)
    ingest([root], out, workers=1)
    before = (out / stored.MANIFEST).read_bytes()
    save(root / "0.jpg", 1)
    with pytest.raises(DatasetError, match=r"none of 1 photos can be used \(1 no gps"):
        ingest([root], out, workers=1)
    assert (out / stored.MANIFEST).read_bytes() == before and Dataset.open(out).count() == 1


def test_refuses_folders_of_others_and_touches_nothing(tmp_path: Path) -> None:
    root = tmp_path / "p"
    save(root / "0.jpg", 0, lat=1.0)
    other = tmp_path / "other"
    other.mkdir()
    (other / "manifest.json").write_text(json.dumps({"format": "a web app"}))
    for out in (root, other):
        before = contents(out)
        with pytest.raises(DatasetError, match="holds other files"):
            ingest([root], out)
        assert contents(out) == before
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="is a file"):
        ingest([root], tmp_path / "file")


def test_nothing_to_ingest_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    with pytest.raises(InputError, match="no photo found there"):
        ingest([tmp_path / "p"], tmp_path / "out")
    (tmp_path / "p" / "a.gpx").write_text("")
    with pytest.raises(InputError, match=r"files passed over: 1 \.gpx"):
        ingest([tmp_path / "p"], tmp_path / "out")
    with pytest.raises(InputError, match="split by 'year'"):
        ingest([tmp_path / "p"], tmp_path / "out", split_by="year")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="side 0"):
        ingest([tmp_path / "p"], tmp_path / "out", side=0)
    assert not (tmp_path / "out").exists()


def test_no_usable_photo_is_an_error_with_reasons(tmp_path: Path) -> None:
    save(tmp_path / "p" / "a.jpg", 1)
    (tmp_path / "p" / "b.jpg").write_text("x")
    with pytest.raises(DatasetError, match=r"none of 2 photos can be used \(1 no gps, 1 not a photo"):
        ingest([tmp_path / "p"], tmp_path / "out", workers=1)
    assert len(rejected_lines(tmp_path / "out")) == 2


def test_two_ingests_into_one_folder_are_kept_apart(tmp_path: Path) -> None:
    save(tmp_path / "p" / "a.jpg", 1, lat=1.0)
    with (
        work_folder(tmp_path / "out"),
        pytest.raises(DatasetError, match="another ingest is writing"),
    ):
        ingest([tmp_path / "p"], tmp_path / "out", workers=1)


def test_an_ingest_with_nothing_to_do_leaves_the_work_of_another_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    save(tmp_path / "p" / "a.jpg", 1, lat=1.0)
    ingest([tmp_path / "p"], out, workers=1)
    with work_folder(out) as work:
        part = work / "parts" / f"{'0' * 32}.parquet"
        part.parent.mkdir()
        part.touch()
        (out / "photos-0123456789abcdef.parquet").touch()  # published, and the manifest that tells of it is to follow
        with pytest.raises(DatasetError, match="another ingest is writing"):
            ingest([tmp_path / "p"], out, workers=1)
        assert part.exists() and (out / "photos-0123456789abcdef.parquet").exists()
    ingest([tmp_path / "p"], out, workers=1)
    assert not work.exists() and not (out / "photos-0123456789abcdef.parquet").exists()


def test_exif_cases_all_end_in_one_place(exif_cases: Path, tmp_path: Path) -> None:
    manifest = ingest([exif_cases], tmp_path / "out", workers=2, side=64)
    files = rejected_lines(tmp_path / "out")
    names = [*rows_of(tmp_path / "out"), *[file for file, _ in files]]
    assert len(names) == len(set(names)) == manifest["counts"]["candidates"] > 50


def test_forty_kills_lose_nothing() -> None:
    """A small turn of the benchmark; where it kills is counted in files touched, not in seconds, for the most part."""
    script = Path(__file__).parents[3] / "benchmarks" / "kills.py"
    done = subprocess.run(
        [sys.executable, script, "--kills", "40", "--seed", "7"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "nothing lost, nothing left behind" in done.stdout, done.stdout + done.stderr


def test_a_full_disk_is_told_and_the_next_run_goes_on(tmp_path: Path) -> None:
    root, out = tmp_path / "p", tmp_path / "out"
    for seed in range(6):
        save(root / f"{seed}.jpg", seed, lat=1.0 + seed, size=(400, 300))
    script = FULL.format(root=str(root), out=str(out))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    *told, last = done.stdout.splitlines()
    assert last == "6 rows" and all("cannot be written" in line for line in told), done
    assert all(any(name in line for line in told) for name in ("ingest.json", ".parts/parts", "photos-")), told
    Dataset.open(out).verify()


# No file may grow past so many bytes: as on a full disk, a write fails half way, at ever later ones. Read in this very
# process, for a worker would keep the limit that it was born with.
FULL = """
import resource
from pathlib import Path
from openplanet.errors import InputError
from openplanet.photos.ingest import parts
from openplanet.photos.ingest.ingest import ingest

parts.PART_PHOTOS = 2
for most in [10 * 1.4**step for step in range(40)]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), resource.RLIM_INFINITY))
    try:
        print(ingest([Path({root!r})], Path({out!r}), workers=0)["counts"]["rows"], "rows")
        break
    except InputError as error:
        print(error)
"""


def test_no_file_of_a_dataset_names_a_folder_of_the_machine(tmp_path: Path) -> None:
    secret = tmp_path / "home of Ada"
    for number in range(4):
        save(secret / "p" / f"{number}.jpg", number, lat=10.0 + number)
    (secret / "p" / "bad.jpg").write_bytes(b"no photo")
    (secret / "p" / "cut.jpg").write_bytes((secret / "p" / "1.jpg").read_bytes()[:500])
    (secret / "p" / "0.jpg.xmp").write_text("<broken")
    (secret / "p" / "gone.jpg").symlink_to(secret / "nowhere")
    (secret / "t.csv").write_text("file,lat,lng\nnone.jpg,1,2\n1.jpg,99,2\n")
    out = tmp_path / "out"
    ingest([secret / "p"], out, coordinates=secret / "t.csv")
    names = [line.split(",")[0] for line in (out / "rejected.csv").read_text().splitlines()[1:]]
    assert {"p/bad.jpg", "p/cut.jpg", "p/gone.jpg", "p/1.jpg", "none.jpg"} == set(names)
    for file in out.iterdir():
        whole = str(pq.read_table(file).to_pydict()) if file.suffix == ".parquet" else file.read_text()
        assert "home of Ada" not in whole, file.name
