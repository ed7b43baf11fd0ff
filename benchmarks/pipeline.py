"""Where the time of `locate` goes, from files to JSON: reading, the network, and what is left, in CPU seconds.

python benchmarks/pipeline.py MODEL --photos FOLDER --count 10000 --engine pytorch openvino onnx
python benchmarks/pipeline.py mobilenetv4_conv_medium:224 --megapixels 12 --count 40    (photos made up, sensor noise)
python benchmarks/pipeline.py vit_large_patch14_clip_quickgelu_224:224 --count 16 --engine pytorch openvino-bf16
OMP_WAIT_POLICY=active python benchmarks/pipeline.py ...                                (against passive, the default)

MODEL is a checkpoint, or the timm name and side of one that is made with random weights. Of too few photos each comes
several times. The whole is measured as `locate --json` does it, on all cores (OMP_NUM_THREADS bounds them); then
reading alone and the network alone, of the same photos. The last row answers one photo after the other, without
reading ahead: what `locate` did at first. Ratios are to that row of the first engine.
"""

import argparse
import io
import json
import os
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from evaluation import cells_of
from openplanet.inference.engines.export import export
from openplanet.inference.engines.registry import PYTORCH
from openplanet.inference.finding import Names, find_photos
from openplanet.inference.locator import open_locator
from openplanet.inference.output import as_json
from openplanet.inference.output.about import About
from openplanet.inference.photo_locator import BATCH, PhotoLocator
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel


def made_up(folder: Path, count: int, megapixels: float) -> list[Path]:
    """JPEG files of 4:3, smooth with noise, so that their size is that of a camera's."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    rng, paths = np.random.default_rng(0), []
    small = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8))
    smooth = np.asarray(small.resize((height * 4 // 3, height), Image.Resampling.BICUBIC), np.int16)
    noisy = np.clip(smooth + rng.normal(0, 6, smooth.shape).astype(np.int16), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noisy).save(stream, "JPEG", quality=92)
    for number in range(count):
        paths.append(folder / f"{number:05d}.jpg")
        paths[-1].write_bytes(stream.getvalue())
    return paths


def taken(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def random_model(text: str, cells: int, folder: Path) -> Path:
    """A checkpoint of a backbone with random weights over about so many cells."""
    name, _, side = text.partition(":")
    partition = cells_of(int(cells * 0.64), np.random.default_rng(0))
    image = ImageConfig(name, image_size=int(side))
    Checkpoint(ImageModel(image, len(partition)).eval(), partition, {}, image, {}).save(folder)
    return folder


def exported(model: str, engine: str) -> None:
    """Export the network where that is still to do."""
    name, _, precision = engine.partition("-")
    if name != PYTORCH and not (Path(model) / "engines" / f"{name}-{precision or 'fp32'}").exists():
        export(Path(model), name, precision or "fp32")


def measure(locator: PhotoLocator, paths: list[Path]) -> dict[str, tuple[float, float]]:
    """Wall and CPU seconds of each part."""
    about = About(Names(paths), 5, locator.provenance)

    def answer(some: list[Path]) -> None:
        for each in locator.locate_many(some, all_pictures=False):
            json.dumps(as_json.record(each, about))

    answer(paths[:BATCH])  # warms up
    measured = {"locate --json": taken(lambda: answer(paths))}
    part = paths[: BATCH * 8]  # of the pixels of all there may be too many
    frames = list[Any]()
    read = taken(lambda: frames.extend(map(locator._read_photograph, part)))
    stacks = [np.stack(frames[first : first + BATCH]) for first in range(0, len(frames), BATCH)]
    network = taken(lambda: [locator._predict(stack) for stack in stacks])
    for name, (wall, cpu) in {"reading alone": read, "network alone": network}.items():
        measured[name] = wall * len(paths) / len(part), cpu * len(paths) / len(part)
    measured["one photo after the other"] = taken(lambda: [answer([path]) for path in paths])
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="checkpoint, or timm name:side")
    parser.add_argument("--photos", type=Path, help="folder of photos")
    parser.add_argument("--megapixels", type=float, default=12.0)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--cells", type=int, default=26_263)
    parser.add_argument("--engine", nargs="+", default=[PYTORCH])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = str(random_model(args.model, args.cells, Path(folder) / "model")) if ":" in args.model else args.model
        if args.photos is None:
            found = made_up(Path(folder), min(args.count, 50), args.megapixels)
        else:
            found = [each.path for each in find_photos([args.photos])]
        paths = list(islice(cycle(found), args.count))
        before: tuple[float, float] | None = None
        print(f"{len(paths)} photos, OMP_WAIT_POLICY={os.environ['OMP_WAIT_POLICY']}")
        print(
            "| engine | | wall ms a photo | CPU ms a photo | share of CPU | times as fast, wall | CPU |\n"
            + "|---" * 7
            + "|"
        )
        for engine in args.engine:
            exported(model, engine)
            locator = open_locator(model, engine=engine)
            assert isinstance(locator, PhotoLocator)
            measured = measure(locator, paths)
            before = before or measured["one photo after the other"]
            for name, (wall, cpu) in measured.items():
                cells = f"{wall / len(paths) * 1e3:.2f} | {cpu / len(paths) * 1e3:.2f}"
                share = cpu / measured["locate --json"][1]
                print(
                    f"| {engine} | {name} | {cells} | {share:.0%} | {before[0] / wall:.1f} | {before[1] / cpu:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
