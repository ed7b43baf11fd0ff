"""`openplanet partition`: thresholds or a number of cells, and what it writes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from openplanet.cli import cli
from openplanet.earth.partition import adaptive
from openplanet.earth.partition.adaptive import Partition


@pytest.fixture
def coordinates(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "photos.parquet"
    columns = {"lat": rng.normal(40, 5, 5000), "lng": rng.normal(10, 9, 5000)}
    pq.write_table(pa.table(columns), path)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["partition", *map(str, arguments)])


def test_target_cells_and_report(coordinates: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "cells.parquet", tmp_path / "cells.html"
    done = run(coordinates, "--target-cells", 120, "--min-photos", 3, "--out", out, "--report", page)
    assert done.exit_code == 0, done.output
    cells = Partition.load(out)
    assert abs(len(cells) - 120) <= 2
    assert f"found --max-photos {cells.max_photos} --min-photos 3" in done.output
    assert f"{len(cells)} cells" in done.output
    assert f"<h1>{len(cells)} cells" in page.read_text(encoding="utf-8")
    again = adaptive.build_from_file(coordinates, cells.max_photos, 3)
    assert again.cell_id.tolist() == cells.cell_id.tolist()
    assert run(coordinates, "--target-cells", 120, "--out", out).exit_code == 0
    assert Partition.load(out).min_photos == max(1, Partition.load(out).max_photos // 200)


def test_csv(tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text("file,lat,lng\n" + "a,1,2\n" * 9)
    done = run(tmp_path / "photos.csv", "--max-photos", 9, "--min-photos", 1, "--out", tmp_path / "cells.parquet")
    assert done.exit_code == 0 and done.output.endswith("hold 9 of 9 photos\n")  # and nothing on what was dropped


@pytest.mark.parametrize(
    "arguments",
    [
        ["--max-photos", 5],
        ["--min-photos", 5],
        [],
        ["--max-photos", 5, "--min-photos", 1, "--target-cells", 9],
        ["--target-cells", 0],
        ["--target-cells", "9,many"],
        ["--target-cells", "90,9"],
    ],
)
def test_thresholds_or_a_target(coordinates: Path, tmp_path: Path, arguments: list[object]) -> None:
    assert run(coordinates, *arguments, "--out", tmp_path / "x.parquet").exit_code == 2


def test_several_numbers_of_cells_are_nested_and_read_once(coordinates: Path, tmp_path: Path) -> None:
    done = run(coordinates, "--target-cells", "12,60,240", "--min-photos", 2, "--out", tmp_path / "cells.parquet",
               "--report", tmp_path / "cells.html")  # fmt: skip
    assert done.exit_code == 0, done.output
    coarse, middle, fine = (Partition.load(tmp_path / f"cells-{number}.parquet") for number in (1, 2, 3))
    assert [abs(len(cells) - wanted) <= 3 for cells, wanted in ((coarse, 12), (middle, 60), (fine, 240))] == [True] * 3
    for upper, lower in ((coarse, middle), (middle, fine)):
        assert (upper.assign_leaves(lower.cell_id) >= 0).all() and lower.level.min() >= upper.level.min()
    assert f"<h1>{len(middle)} cells" in (tmp_path / "cells-2.html").read_text(encoding="utf-8")
    assert not (tmp_path / "cells.parquet").exists()


def test_turned_partitions_lie_askew(coordinates: Path, tmp_path: Path) -> None:
    thresholds = ("--max-photos", 200, "--min-photos", 2)
    done = run(coordinates, *thresholds, "--turned", 2, "--out", tmp_path / "cells.parquet")
    assert done.exit_code == 0, done.output
    plain, askew = (Partition.load(tmp_path / f"cells-{number}.parquet") for number in (1, 2))
    assert run(coordinates, *thresholds, "--out", tmp_path / "one.parquet").exit_code == 0
    assert plain.cell_id.tolist() == Partition.load(tmp_path / "one.parquet").cell_id.tolist()
    assert askew.turn != plain.turn and askew.total_photos == plain.total_photos == 5000


def test_no_output_destroys_anything(coordinates: Path, tmp_path: Path) -> None:
    two = ("--target-cells", "12,60")
    one = ("--target-cells", 12)
    source = coordinates.rename(tmp_path / "cells-2.parquet")
    before = source.read_bytes()
    for arguments, says in (
        ((source, *two, "--out", tmp_path / "cells.parquet"), "is an input"),
        ((source, *two, "--out", tmp_path / "x.parquet", "--geojson", tmp_path / "cells.parquet"), "is an input"),
        ((source, *one, "--out", tmp_path / "x", "--report", tmp_path / "x"), "written twice"),
        ((source, *two, "--out", tmp_path / "x", "--geojson", tmp_path / "y", "--report", tmp_path / "y"), "twice"),
    ):
        done = run(*arguments)
        assert done.exit_code == 1 and says in str(done.exception), done.output
    other = tmp_path / "photos.parquet"
    pq.write_table(pa.table({"lat": [1.0]}), other)
    assert "not a partition" in str(run(source, *one, "--out", other).exception)
    (tmp_path / "notes.txt").write_text("mine")
    assert "not a partition" in str(run(source, *one, "--out", tmp_path / "notes.txt").exception)
    assert source.read_bytes() == before and pq.read_table(other).num_rows == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cells-2.parquet", "notes.txt", "photos.parquet"]
