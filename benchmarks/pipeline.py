"""Where the time of `locate` goes, from files to JSON: reading, the network, and what is left, in CPU seconds.

python benchmarks/pipeline.py MODEL --photos FOLDER --count 200
python benchmarks/pipeline.py MODEL --megapixels 12 --count 40 --engine onnx        (photos made up, with sensor noise)

The whole is measured as `locate --json` does it, on all cores (OMP_NUM_THREADS bounds them); then reading alone and the
network alone, of the same photos. The last row answers one photo after the other, without reading ahead.
"""

import argparse
import io
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from openplanet.inference.finding import Names, find_photos
from openplanet.inference.locator import open_locator
from openplanet.inference.output import as_json
from openplanet.inference.output.about import About
from openplanet.inference.photo_locator import BATCH, PhotoLocator


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--photos", type=Path, help="folder of photos")
    parser.add_argument("--megapixels", type=float, default=12.0)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--engine")
    args = parser.parse_args()
    locator = open_locator(args.model, engine=args.engine)
    assert isinstance(locator, PhotoLocator)
    with tempfile.TemporaryDirectory() as folder:
        if args.photos is None:
            paths = made_up(Path(folder), args.count, args.megapixels)
        else:
            paths = [each.path for each in find_photos([args.photos])][: args.count]
        about = About(Names(paths), 5, locator.provenance)

        def whole() -> None:
            for each in locator.locate_many(paths, all_pictures=False):
                json.dumps(as_json.record(each, about))

        def one_by_one() -> None:
            for path in paths:
                for each in locator.locate_many([path], all_pictures=False):
                    json.dumps(as_json.record(each, about))

        list(locator.locate_many(paths[:BATCH]))  # warms up
        measured = {"locate --json": taken(whole)}
        frames = []
        measured["reading alone"] = taken(lambda: frames.extend(map(locator._read_photograph, paths)))
        stacks = [np.stack(frames[first : first + BATCH]) for first in range(0, len(frames), BATCH)]
        measured["network alone"] = taken(lambda: [locator._predict(stack) for stack in stacks])
        measured["locate --json, one photo after the other"] = taken(one_by_one)
    all_cpu, count = measured["locate --json"][1], len(paths)
    print(f"{count} photos, {locator.provenance.get('engine', 'pytorch')}")
    print("| | wall ms a photo | CPU ms a photo | cores | share of CPU |\n|---|---|---|---|---|")
    for name, (wall, cpu) in measured.items():
        print(
            f"| {name} | {wall / count * 1e3:.1f} | {cpu / count * 1e3:.1f} | {cpu / wall:.2f} | {cpu / all_cpu:.0%} |"
        )


if __name__ == "__main__":
    main()
