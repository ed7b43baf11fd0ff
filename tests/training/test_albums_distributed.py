"""Album models: two processes on the CPU do what one does with batches twice as large."""

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import album_dataset
import pytest
from click.testing import CliRunner

from openplanet.cli import cli
from openplanet.models.album.checkpoint import AlbumCheckpoint

# nothing random, for each process draws its own; 18 albums of 4 targets each are 2 x 3 x 3
SETTINGS = {"width": 16, "epochs": 2, "learning_rate": 0.01, "smoothing_km": "none", "anchors": 0, "dropout": 0}


def test_two_processes_are_one_with_the_double_batch(tmp_path: Path) -> None:
    dataset = album_dataset.write(tmp_path / "photos.ds")
    album_dataset.image_checkpoint(dataset).save(tmp_path / "image")
    command = ["train-albums", str(dataset.path), "--checkpoint", str(tmp_path / "image"), "--recipe", "lstm_offset1"]
    command += [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    alone = CliRunner().invoke(cli, [*command, "--out", str(tmp_path / "one"), "--set", "batch_size=6"])
    assert alone.exit_code == 0, alone.output
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port", port, "-m"]
    together = subprocess.run(
        [*start, "openplanet", *command, "--out", str(tmp_path / "two"), "--set", "batch_size=3"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=1100,
        check=False,
    )
    assert together.returncode == 0, together.stderr[-3000:]
    curves = [list(csv.DictReader((tmp_path / name / "training.csv").read_text().splitlines())) for name in
              ("two", "one")]  # fmt: skip
    assert len(curves[0]) == len(curves[1]) == 2
    for ours, theirs in zip(*curves, strict=True):
        assert float(ours["val_loss"]) == pytest.approx(float(theirs["val_loss"]), rel=1e-4)
        assert ours["val_photos"] == theirs["val_photos"] == "24"
    assert AlbumCheckpoint.load(tmp_path / "two").accuracy["photos"] == 24
