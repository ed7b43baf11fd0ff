"""How much memory `openplanet locate` takes as photos grow in number, and when its first answer appears.

python benchmarks/streaming.py --photos 500 5000

A network of random weights over --cells cells locates tiny photos of noise; only memory and order are looked at. Peak
memory is that of the whole process, in MiB. Needs the package psutil.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image

from openplanet.earth.partition.adaptive import TargetCells, build_many
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel


def make_checkpoint(folder: Path, cells: int) -> None:
    """A checkpoint of random weights over about so many cells."""
    rng = np.random.default_rng(0)
    xyz = rng.normal(size=(40 * cells, 3))
    lat = np.degrees(np.arcsin(xyz[:, 2] / np.linalg.norm(xyz, axis=1)))
    (partition,) = build_many([(lat, np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])))], [TargetCells(cells, 1)])
    config = ImageConfig("test_resnet", image_size=32)
    Checkpoint(ImageModel(config, len(partition)).eval(), partition, {"name": "random"}, config, {}).save(folder)
    print(f"{len(partition):,} cells")


def make_photos(folder: Path, count: int) -> None:
    """Photos of noise, 48 x 48 pixels."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(count):
        Image.fromarray(rng.integers(0, 255, (48, 48, 3), dtype=np.uint8)).save(folder / f"{number:06d}.jpg")


def run(photos: Path, checkpoint: Path, form: list[str]) -> tuple[float, float, float]:
    """Seconds to the first output and in all, and peak memory in MiB."""
    command = [sys.executable, "-m", "openplanet", "locate", str(photos), "--checkpoint", str(checkpoint), *form]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    peak, first = 0.0, 0.0
    watched = psutil.Process(process.pid)
    while process.stdout.read1(1 << 16):
        first = first or time.perf_counter() - start
        peak = max(peak, watched.memory_info().rss / 2**20)
    process.wait()
    return first, time.perf_counter() - start, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, nargs="+", default=[500, 5000])
    parser.add_argument("--cells", type=int, default=26_000)
    args = parser.parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        make_checkpoint(Path(folder) / "model", args.cells)
        for count in args.photos:
            make_photos(Path(folder) / str(count), count)
            for form in ([], ["--json"], ["--geojson"]):
                first, whole, peak = run(Path(folder) / str(count), Path(folder) / "model", form)
                name = form[0] if form else "text"
                print(f"{count:>7} photos  {name:>9}  first {first:5.1f} s  all {whole:6.1f} s  peak {peak:5.0f} MiB")


if __name__ == "__main__":
    main()
