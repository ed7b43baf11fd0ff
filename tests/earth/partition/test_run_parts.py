"""A partition in parts: the cells of one process, bit for bit, whoever sorted the positions."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from dataset_files import write_dataset
from openplanet.cli import cli
from openplanet.earth.partition import leaf_runs, positions
from openplanet.earth.partition.count_tree import TargetCells, Thresholds
from openplanet.earth.partition.positions import Rows, pieces_of
from openplanet.earth.partition.run_parts import RunsJob, build_in_parts
from openplanet.earth.partition.several import build_set
from openplanet.errors import InputError, PartitionError
from openplanet.photos import positions as of_dataset
from openplanet.runners.job import Share
from openplanet.stores.location import RemotePath, location

RULES = [Thresholds(60, 3)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """7,000 positions in row groups of 500, one in ten without."""
    rng = np.random.default_rng(0)
    lat, lng = rng.normal(40, 5, 7000), rng.normal(10, 9, 7000)
    lat[::10] = np.nan
    pq.write_table(pa.table({"lat": lat, "lng": lng}), tmp_path / "photos.parquet", row_group_size=500)
    return tmp_path / "photos.parquet"


@pytest.fixture(autouse=True)
def _small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaf_runs, "RUN", 400)


def contents(partition: object) -> dict[str, Any]:
    return {name: np.asarray(value).tolist() for name, value in vars(partition).items() if not name.startswith("_")}


@dataclass(frozen=True)
class Deadly(Rows):
    """Its worker is killed by it once."""

    mark: Path = Path()

    def positions(self) -> Iterator[Any]:
        first, *rest = super().positions()
        yield first
        if not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), 9)
        yield from rest


@pytest.mark.slow
def test_by_ray_with_a_killed_worker_and_by_shards_the_cells_are_the_same(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    pieces = pieces_of(table, rows=1000)
    assert len(pieces) == 7
    (want,) = build_set(positions.from_file(table), RULES)
    deadly = Deadly(table, pieces[3].groups, mark=tmp_path / "killed")
    by_ray = build_in_parts([*pieces[:3], deadly, *pieces[4:]], tmp_path / "ray", RULES, runner="ray")
    assert (tmp_path / "killed").exists()
    with pytest.raises(InputError, match="7 of 7 parts are not in"):
        RunsJob(tmp_path / "shards", pieces).runs()
    for index in (2, 1):
        assert build_in_parts(pieces, tmp_path / "shards", RULES, share=Share(index, 2)) == []
    files = [{file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("ray", "shards")]
    assert files[0] == files[1] and len(files[0]) == 7
    assert contents(by_ray[0]) == contents(want)
    assert contents(build_in_parts(pieces, tmp_path / "shards", RULES)[0]) == contents(want)


@pytest.mark.parametrize(("rules", "turned"), [([TargetCells(20, 2), TargetCells(90, 2)], 1), (RULES, 3)])
def test_nested_and_turned_ones_too(
    table: Path, tmp_path: Path, rules: list[Any], turned: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunsJob, "processes", 0)
    want = build_set(positions.from_file(table), rules, turned)
    found = build_in_parts(pieces_of(table, rows=3000), tmp_path / "parts", rules, turned)
    assert [*map(contents, found)] == [*map(contents, want)] and len(found) == max(len(rules), turned)


def test_the_command_takes_parts_of_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunsJob, "processes", 0)
    rng = np.random.default_rng(1)
    rows = [
        {"photo_id": f"{n:064x}", "lat": lat, "lng": lng, "split": "test" if n % 5 == 0 else "train"}
        for n, (lat, lng) in enumerate(rng.uniform(0, 9, (40, 2)).tolist())
    ]
    dataset = write_dataset(tmp_path / "photos.ds", rows)
    assert [len(piece.shards.shards) for piece in of_dataset.pieces_of(dataset)] == [len(dataset.shards)]
    asked = ["partition", str(dataset.path), "--max-photos", "6", "--min-photos", "1", "--out"]
    for name, more in (("a", []), ("b", ["--parts", str(tmp_path / "parts")])):
        done = CliRunner().invoke(cli, [*asked, str(tmp_path / f"{name}.parquet"), *more], catch_exceptions=False)
        assert "32 of 32 photos" in done.stdout
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    shard = CliRunner().invoke(cli, [*asked, str(tmp_path / "c.parquet"), *more, "--shard", "1/2"])
    assert "shard 1/2 is done" in shard.stdout and not (tmp_path / "c.parquet").exists()
    assert CliRunner().invoke(cli, [*asked, str(tmp_path / "c.parquet"), "--shard", "1/2"]).exit_code == 2


def test_a_table_that_has_changed_and_a_damaged_part_are_not_taken(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunsJob, "processes", 0)
    build_in_parts(pieces_of(table, rows=3000), tmp_path / "parts", RULES)
    job = RunsJob(tmp_path / "parts", pieces_of(table, rows=3000))
    assert job.done(range(3)) == {0, 1, 2} and not replace(job, turn=(0.0, 1.0, 0.0, 0.0)).done(range(3))
    job.file(1).write_bytes(b"ARROW1, but no more")
    with pytest.raises(PartitionError, match="delete it"):
        build_in_parts(pieces_of(table, rows=3000), tmp_path / "parts", RULES)
    os.utime(table, (1, 1))
    assert not RunsJob(tmp_path / "parts", pieces_of(table, rows=3000)).done(range(3))


def test_a_wrong_row_is_named_by_its_number_in_the_file(table: Path, tmp_path: Path) -> None:
    columns = pq.read_table(table).to_pydict()
    columns["lat"][5555] = 91.0
    pq.write_table(pa.table(columns), table, row_group_size=500)
    with pytest.raises(InputError, match="row 5555"):
        list(Rows(table, (11,)).positions())
    assert list(Rows(table, (0,)).positions())
    text = tmp_path / "photos.csv"
    text.write_text("lat,lng\n1,2\n")
    assert pieces_of(text) == [Rows(text)]


def test_pieces_of_a_table_in_a_store_are_called_alike_on_all_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, url = tmp_path / "t.parquet", location(f"memory://{tmp_path.name}/t.parquet")
    assert isinstance(url, RemotePath)
    keys = []
    for lat in (1.0, 1.0, 2.0):
        if not keys or lat == 2.0:
            pq.write_table(pa.table({"lat": [lat], "lng": [2.0]}), table)
            url.upload(table)
        monkeypatch.setenv("OPENPLANET_HOME", str(tmp_path / str(len(keys))))  # another machine: its own copy
        keys.append([each.key for each in pieces_of(url)])
    assert keys[0] == keys[1] != keys[2]
