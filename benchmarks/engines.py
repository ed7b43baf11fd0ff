"""CPU seconds a photo: PyTorch as it is and compiled, OpenVINO, ONNX Runtime, side by side in one run.

OMP_NUM_THREADS=1 python benchmarks/engines.py --photos ../shared/photos
OMP_NUM_THREADS=1 python benchmarks/engines.py --backbone vit_large_patch14_clip_quickgelu_224:224 --no-compile

Weights are random: time does not depend on them, and errors are of the arithmetic alone. One thread, so that CPU
seconds are work and not waiting; of each the least of several turns, the contestants taking turns, because other work
on the machine only ever adds. Time is from uint8 pixels to scores over all cells. The error is the mean over photos of
the distance of the embedding from PyTorch's, as a share of its length.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from openplanet.inference.engines.export import Graph
from openplanet.inference.engines.registry import ENGINES
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.models.preprocess import Pixels, pixels
from openplanet.photos.files import images

BACKBONES = ("mobilenetv4_conv_medium:224", "inception_v3:299", "vit_large_patch14_clip_quickgelu_224:224")
CALIBRATION = 64
Run = Callable[[Pixels], tuple[Any, Any]]


def photos_of(folder: Path | None, side: int, count: int) -> Pixels:
    """Real photos where there are some: int8 chooses its ranges by them."""
    files = sorted(folder.rglob("*.jpg")) if folder is not None else []
    if len(files) < count:
        return np.random.default_rng(0).integers(0, 256, (count, 3, side, side), np.uint8)
    chosen = files[:: len(files) // count][:count]
    return np.stack([pixels(images.load(file), side) for file in chosen])


def contestants(
    graph: Graph, photos: Pixels, precisions: list[str], engines: list[str], compiled: bool, folder: Path
) -> dict[str, Run]:
    def eager(pixels_B3HW: Pixels) -> tuple[Any, Any]:
        with torch.inference_mode():
            scores_BC, embedding_BD = graph(torch.from_numpy(pixels_B3HW))
        return scores_BC.numpy(), embedding_BD.numpy()

    found: dict[str, Run] = {"PyTorch": eager}
    if compiled:
        fast = torch.compile(graph)

        def run(pixels_B3HW: Pixels) -> tuple[Any, Any]:
            with torch.inference_mode():
                scores_BC, embedding_BD = fast(torch.from_numpy(pixels_B3HW))
            return scores_BC.numpy(), embedding_BD.numpy()

        found["PyTorch compiled"] = run
    for name, engine in ENGINES.items():
        for precision in (each for each in engine.precisions if each in precisions and name in engines):
            place = folder / f"{name}-{precision}"
            place.mkdir()
            try:
                engine.write(graph, photos[:2], place, precision, photos[:CALIBRATION])
                found[f"{name} {precision}"] = engine.open(place, precision, 1)
            except Exception as error:  # the others go on
                print(f"  {name} {precision}: {' '.join(str(error).split())[:160]}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", nargs="+", default=BACKBONES, help="timm name:side")
    parser.add_argument("--cells", type=int, default=26_263)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--photos", type=Path, help="folder of JPEG files")
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16", "int8"])
    parser.add_argument("--engine", nargs="+", default=list(ENGINES))
    parser.add_argument("--no-compile", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for text in args.backbone:
        name, _, side = text.partition(":")
        torch.manual_seed(0)
        model = ImageModel(ImageConfig(name, image_size=int(side)), args.cells)
        graph = Graph(model.to(memory_format=torch.channels_last)).eval().requires_grad_(False)
        photos = photos_of(args.photos, int(side), CALIBRATION + args.batch)
        with tempfile.TemporaryDirectory() as folder:
            runs = contestants(graph, photos, args.precision, args.engine, not args.no_compile, Path(folder))
            one = photos[-args.batch :]
            exact = np.array(runs["PyTorch"](one)[1])
            seconds = {each: list[float]() for each in runs}
            for _ in range(args.turns + 1):  # the first warms up
                for each, run in runs.items():
                    started = time.process_time()
                    run(one)
                    seconds[each].append(time.process_time() - started)
            print(f"\n{name}, {side} px, {args.cells:,} cells, batches of {args.batch}, one thread")
            print("| | CPU ms a photo | times PyTorch | error of the embedding |\n|---|---|---|---|")
            least = {each: min(taken[1:]) / args.batch for each, taken in seconds.items()}
            for each, run in runs.items():
                off = np.linalg.norm(run(one)[1] - exact, axis=1) / np.linalg.norm(exact, axis=1)
                ratio = least["PyTorch"] / least[each]
                print(f"| {each} | {least[each] * 1e3:.1f} | {ratio:.1f} | {off.mean():.1e} |", flush=True)


if __name__ == "__main__":
    main()
