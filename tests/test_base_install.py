"""What `pip install openplanet` without extras can do: no module of PyTorch is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from geotagging.libraries import trip

WITHOUT_TORCH = """
import sys
for name in ("torch", "torchvision", "timm", "lightning"):
    sys.modules[name] = None  # importing it raises ModuleNotFoundError
from openplanet.cli import main
for line in sys.stdin.read().splitlines():
    sys.argv = ["openplanet", *line.split()]
    try:
        main()
    except SystemExit as ended:
        print(line.split()[0], ended.code or 0, flush=True)
"""


@pytest.mark.slow
def test_photos_become_a_dataset_cells_and_a_plan_without_pytorch(tmp_path: Path) -> None:
    trip(tmp_path / "trip")
    asked = """ingest trip --split-by none --out photos.ds
partition photos.ds --max-photos 2 --min-photos 1 --out cells.parquet
geotag trip --checkpoint none --out run
recipes
train photos.ds --recipe planet_cpu --out model"""
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], cwd=tmp_path, input=asked, capture_output=True, text=True, check=True
    )
    assert [line for line in ended.stdout.splitlines() if re.fullmatch("[a-z]+ [01]", line)] == [
        "ingest 0", "partition 0", "geotag 0", "recipes 0", "train 1",
    ], ended.stderr  # fmt: skip
    assert "this needs PyTorch (torch is not installed): pip install 'openplanet[torch]'" in ended.stderr
