"""`openplanet ingest`: what it says at the end, and of a library too small to be divided."""

from pathlib import Path

from click.testing import CliRunner, Result
from photo_files import save

from openplanet.cli import cli


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_the_summary_is_said_once(tmp_path: Path) -> None:
    save(tmp_path / "p" / "a.jpg", 1, lat=1.0)
    save(tmp_path / "p" / "b.jpg", 2)
    for _ in range(2):  # anew, and where nothing has changed
        done = run("ingest", tmp_path / "p", "--out", tmp_path / "out", "--workers", 1)
        assert done.exit_code == 0, done.exception
        assert done.output.count("with a position") == 1 and "1 photos, 1 with a position" in done.stdout
        assert "no gps 1" in done.stdout


def test_one_camera_and_one_folder_are_told_what_to_do(tmp_path: Path) -> None:
    """A camera whose photos all fall into the test split: said by ingest, and by partition, which cannot go on."""
    for number in range(5):
        save(tmp_path / "p" / f"{number}.jpg", number, lat=10.0 + number, serial="4")
    out, cells = tmp_path / "out", tmp_path / "cells.parquet"
    told = run("ingest", tmp_path / "p", "--out", out, "--workers", 1).output
    assert "no photo falls into train and val" in told
    assert "--split-by album and --albums sessions" in told
    done = run("partition", out, "--max-photos", 2, "--min-photos", 1, "--out", cells)
    assert "no photo in its train split (those with a position: test 5)" in str(done.exception)
