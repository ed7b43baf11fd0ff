"""Speed and memory of the image model's forward: photos/s, share of the matrix-product ceiling, change of the answer.

python benchmarks/inference.py --recipe planet_modern --batch 32 256 --precision float32 bfloat16      (a GPU)
python benchmarks/inference.py --recipe probe --backbone vit_large_patch14_clip_quickgelu_224 --compile
python benchmarks/inference.py --recipe planet_cpu --cells 500 --batch 8 --steps 2        (its way through on a CPU)

Pixels, positions and weights are made up. A forward is the whole ImageModel over all cells with log_softmax, from uint8
pixels on the device to log-probabilities there: decoding and the way to the device are not in it. float32 is what
``locate`` computes in; tf32 is float32 with matrix products of 10 bits of mantissa, bfloat16 is autocast.
"""

import argparse
import dataclasses
import statistics
import time

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from openplanet import recipes
from openplanet.models.device import best_device
from openplanet.models.heads.levels import ancestors
from openplanet.models.image_model import ImageModel
from training import ceiling, name_of, partitions_of, peak_gib, synchronise

REPEATS = 5


def forward(model: ImageModel, pixels_B3HW: Tensor, precision: str) -> Tensor:
    """Log-probabilities [B, C], float32."""
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    with torch.inference_mode(), torch.autocast(pixels_B3HW.device.type, torch.bfloat16, precision == "bfloat16"):
        return torch.log_softmax(model(pixels_B3HW).float(), dim=1)


def speed(model: ImageModel, pixels_B3HW: Tensor, precision: str, steps: int) -> tuple[float, float]:
    """Photos a second: the median of REPEATS runs of ``steps`` forwards; and their spread, as a share of it."""
    device, runs = pixels_B3HW.device, []
    for _ in range(2):  # compiles, tunes
        forward(model, pixels_B3HW, precision)
    for _ in range(REPEATS):
        synchronise(device)
        started = time.perf_counter()
        for _ in range(steps):
            forward(model, pixels_B3HW, precision)
        synchronise(device)
        runs.append(steps * len(pixels_B3HW) / (time.perf_counter() - started))
    middle = statistics.median(runs)
    return middle, (max(runs) - min(runs)) / middle


def change(got_BC: Tensor, exact_BC: Tensor) -> float:
    """How far log-probabilities are from those of float32, as a share of how far these are from all cells alike."""
    flat_B1 = exact_BC.mean(dim=1, keepdim=True)
    return float(torch.linalg.norm(got_BC - exact_BC) / torch.linalg.norm(exact_BC - flat_B1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="planet_2016")
    parser.add_argument("--backbone")
    parser.add_argument("--cells", type=int, default=26_263)
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--precision", nargs="+", choices=["float32", "tf32", "bfloat16"], default=["float32"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--steps", type=int, default=10)
    args = parser.parse_args()
    recipe = recipes.get(args.recipe)
    if args.backbone is not None:
        recipe = dataclasses.replace(recipe, backbone=args.backbone, backbone_args={})
    device = best_device()
    partitions = partitions_of(args.cells, len(recipe.levels))
    torch.manual_seed(0)
    model = ImageModel(recipe.image_config(), len(partitions[0]), ancestors(partitions[:0:-1], partitions[0]))
    model.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
    side = model.config.image_size
    with FlopCounterMode(display=False) as counter:
        forward(model, torch.zeros(1, 3, side, side, dtype=torch.uint8, device=device), "float32")
    flops = counter.get_total_flops()
    batches = {n: torch.randint(0, 256, (n, 3, side, side), dtype=torch.uint8, device=device) for n in args.batch}
    exact = {n: forward(model, pixels, "float32") for n, pixels in batches.items()}
    if args.compile:
        model.compile()
    print(
        f"{recipe.name}: {recipe.backbone} at {side} px, {len(partitions[0]):,} cells, {flops / 1e9:.2f} GFLOP a photo,"
        f" compile {args.compile}, on {name_of(device)}"
    )
    print("| precision | batch | photos/s | spread | TFLOP/s | share of the ceiling | peak GiB | off float32 |")
    for precision in args.precision:
        forward(model, batches[args.batch[0]], precision)  # sets the precision that the ceiling is measured in
        top = ceiling(device, torch.bfloat16 if precision == "bfloat16" else torch.float32)
        for n, pixels in batches.items():
            torch.compiler.reset()  # else a second shape would be compiled for all shapes
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            found, spread = speed(model, pixels, precision, args.steps)
            off = change(forward(model, pixels, precision), exact[n])
            print(
                f"| {precision} | {n} | {found:,.0f} | {spread:.1%} | {found * flops / 1e12:.1f}"
                f" | {found * flops / top:.1%} | {peak_gib(device):.2f} | {off:.1e} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
