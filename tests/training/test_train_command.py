"""`openplanet train`: what it says at the end."""

from pathlib import Path
from typing import Any

from click.testing import CliRunner

from openplanet.cli import cli

TINY = ["backbone=test_resnet", "backbone_args={}", "image_size=32", "epochs=1", "batch_size=16"]


def test_without_validation_photos_nothing_is_claimed(make_dataset: Any, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset", val=0)
    settings = [word for text in TINY for word in ("--set", text)]
    arguments = ["train", str(dataset.path), "--recipe", "planet_cpu", "--out", str(tmp_path / "out"), *settings]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.exception
    assert "on the val split: not measured" in done.stdout
