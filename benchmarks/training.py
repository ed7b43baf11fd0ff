"""Speed and memory of training steps: photos/s, share of the matrix-product ceiling, what loading costs, hours for 91M.

python benchmarks/training.py --recipe planet_2016                  (a GPU where there is one; see notes/results.md)
python benchmarks/training.py --recipe planet_modern --side 299 --dataset photos.ds      (with loading from disk)
python benchmarks/training.py --recipe planet_cpu --cells 500 --batch 8 --steps 2        (its way through on a CPU)

Positions and, without --dataset, pixels are made up; losses, heads, optimizer, clipping, average and augmentation
are those of training. The first steps, which compile and tune, are not counted.
"""

import argparse
import dataclasses
import itertools
import resource
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from openplanet import recipes
from openplanet.earth.partition.adaptive import Partition, build_many
from openplanet.earth.partition.count_tree import TargetCells
from openplanet.models.heads.levels import ancestors
from openplanet.models.image_model import ImageModel
from openplanet.photos.dataset import Dataset
from openplanet.photos.row_groups import row_groups
from openplanet.training.distributed import Ranks
from openplanet.training.image_module import TrainingModule
from openplanet.training.photos import data, stream
from openplanet.training.recipe.recipe import Recipe

PHOTOS_OF_THE_PAPER = 91_000_000
PER_CELL = 20


def partitions_of(cells: int, levels: int) -> list[Partition]:
    """About ``cells`` cells, small where photos are many, and ``levels`` coarser ones; the finest first."""
    rng = np.random.default_rng(0)
    middle = rng.normal(size=(3000, 3))
    which = rng.choice(3000, cells * PER_CELL, p=np.arange(3000, 0, -1) / np.arange(3001).sum())
    xyz = middle[which] + rng.normal(0, 0.02, (len(which), 3))
    lat = np.degrees(np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1])))
    photos = (lat, np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])))
    wanted = [TargetCells(cells // 5**level, min_photos=1) for level in range(levels, -1, -1)]
    return build_many([photos], wanted, nested=True)[::-1]


def made_up(recipe: Recipe, partition: Partition, device: torch.device) -> Iterator[dict[str, Any]]:
    """The same batch for ever, on the device."""
    rng, count = np.random.default_rng(0), recipe.batch_size
    cell_B = rng.integers(0, len(partition), count)
    side = round((recipe.image_size or 224) * (data.CROP_MARGIN if recipe.crop > 0 else 1))
    batch = {
        "pixels": torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, device=device),
        "cell": torch.from_numpy(cell_B).to(device),
        "lat": torch.from_numpy(partition.centroid_lat[cell_B]),
        "lng": torch.from_numpy(partition.centroid_lng[cell_B]),
    }
    return itertools.repeat(batch)


class Stepper:
    """Training steps without the trainer, so that nothing but they is timed."""

    def __init__(self, recipe: Recipe, partitions: list[Partition], device: torch.device) -> None:
        torch.manual_seed(0)
        model = ImageModel(recipe.image_config(), len(partitions[0]), ancestors(partitions[:0:-1], partitions[0]))
        model.to(memory_format=torch.channels_last)
        # the module takes the coarser ones coarse to fine
        self.module = TrainingModule(model, recipe, [partitions[0], *partitions[:0:-1]], 1, 0).to(device).train()
        self.optimizer = self.module.configure_optimizers()["optimizer"]
        self.recipe, self.device = recipe, device
        self.generator = torch.Generator(device).manual_seed(0)

    def step(self, batch: dict[str, Any]) -> int:
        """One step; gives the number of photos."""
        moved = self.module.transfer_batch_to_device(batch, self.device, 0)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            loss = self.module._loss(self.module._outputs(moved, self.generator), moved)
        self.module.noted(loss, 0, "made-up photos")
        loss.backward()
        if self.recipe.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.module.model.parameters(), self.recipe.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.module.average is not None:
            self.module.average.update_parameters(self.module.model)
        return len(moved["cell"])

    def speed(self, batches: Iterable[dict[str, Any]], steps: int) -> float:
        """Photos a second over ``steps`` steps, after two to warm up: the first compiles, both tune."""
        each = iter(batches)
        for batch in itertools.islice(each, 2):
            self.step(batch)
        synchronise(self.device)
        started = time.perf_counter()
        photos = sum(self.step(batch) for batch in itertools.islice(each, steps))
        synchronise(self.device)
        return photos / (time.perf_counter() - started)


def name_of(device: torch.device) -> str:
    """For people: of the GPU, or how many threads the CPU has."""
    return torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large square matrix product: the best of five."""
    side = 8192 if device.type == "cuda" else 512
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(6):
        synchronise(device)
        started = time.perf_counter()
        a @ b
        synchronise(device)
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best


def loading(path: Path, recipe: Recipe, partition: Partition) -> Any:
    """Photos streamed from disk and decoded, as training does when they do not fit in memory, epoch after epoch."""
    side = round((recipe.image_size or 224) * (data.CROP_MARGIN if recipe.crop > 0 else 1))
    # a cell of the made-up partition does not matter to the speed, but there must be one
    photos = stream.index(row_groups(Dataset.open(path)), partition, "train", side, False, recipe.shuffle_buffer)
    loader = data.loader(photos, recipe.batch_size, recipe, shuffle=True, ranks=Ranks())
    for epoch in itertools.count():
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        for batch in loader:
            yield batch | {"cell": batch["cell"].clamp(min=0)}


def peak_gib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(recipe: Recipe, partitions: list[Partition], device: torch.device, args: argparse.Namespace) -> None:
    """Print the figures of one batch size."""
    stepper = Stepper(recipe, partitions, device)
    print(
        f"{recipe.name}: {recipe.backbone} at {recipe.image_size} px, batch {recipe.batch_size}, {recipe.precision},"
        f" {' + '.join(f'{len(p):,}' for p in partitions)} cells, head {recipe.head}, smoothing {recipe.smoothing_km},"
        f" compile {recipe.compile}, on {name_of(device)}"
    )
    batch = next(made_up(recipe, partitions[0], device))
    with FlopCounterMode(display=False) as counter:
        stepper.step(batch)
    flops = counter.get_total_flops() / recipe.batch_size
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    if recipe.compile:  # not before: under the counter PyTorch compiles nothing, then or later
        torch.compiler.reset()
        stepper.module.model.compile()
    speed = stepper.speed(itertools.repeat(batch), args.steps)
    top = ceiling(device, torch.bfloat16 if recipe.precision == "bfloat16" else torch.float32)
    print(f"compute only: {speed:,.1f} photos/s; {flops / 1e9:.2f} GFLOP a photo, forward and backward")
    print(f"ceiling of a matrix product: {top / 1e12:.2f} TFLOP/s; reached {speed * flops / top:.1%} of it")
    print(f"memory at most: {peak_gib(device):.2f} GiB {'allocated' if device.type == 'cuda' else 'resident'}")
    if args.dataset is not None:
        batches = loading(args.dataset, recipe, partitions[0])
        next(batches)
        started = time.perf_counter()
        loaded = sum(len(each["cell"]) for each in itertools.islice(batches, args.steps))
        alone = loaded / (time.perf_counter() - started)
        both = stepper.speed(batches, args.steps)
        print(f"loading alone: {alone:,.1f} photos/s with {recipe.workers} workers; together {both:,.1f} photos/s")
        print(f"loading costs {max(0.0, 1 - both / speed):.1%} of the speed")
        speed = both
    hours = PHOTOS_OF_THE_PAPER * recipe.epochs / speed / 3600
    print(f"91M photos x {recipe.epochs} epochs at that speed: {hours:,.0f} hours on one such device", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="planet_2016")
    parser.add_argument("--backbone")
    parser.add_argument("--cells", type=int, default=26_263)
    parser.add_argument("--batch", type=int, nargs="+")
    parser.add_argument("--side", type=int)
    parser.add_argument("--head", choices=["softmax", "embeddings"])
    parser.add_argument("--smoothing-km", type=float)
    parser.add_argument("--precision", choices=["float32", "bfloat16"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--dataset", type=Path)
    args = parser.parse_args()
    recipe = recipes.get(args.recipe)
    changes = {
        "backbone": args.backbone, "backbone_args": {} if args.backbone else None,
        "image_size": args.side, "head": args.head, "smoothing_km": args.smoothing_km,
        "precision": args.precision or ("bfloat16" if torch.cuda.is_available() else "float32"),
        "workers": args.workers, "compile": args.compile or None,
    }  # fmt: skip
    recipe = dataclasses.replace(
        recipe, **{name: value for name, value in changes.items() if value is not None}
    ).resolved()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    partitions = partitions_of(args.cells, len(recipe.levels))
    for batch_size in args.batch or [recipe.batch_size]:
        measure(dataclasses.replace(recipe, batch_size=batch_size), partitions, device, args)


if __name__ == "__main__":
    main()
