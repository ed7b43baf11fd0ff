"""Lightning's finders of a learning rate and of a batch size, for a recipe on a dataset; nothing is trained or kept."""

import itertools
import math
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.tuner.tuning import Tuner
from torch import Tensor

from openplanet.earth.partition import Partition
from openplanet.errors import TrainingError
from openplanet.models.device import best_device
from openplanet.photos.shards import Dataset
from openplanet.progress import say
from openplanet.training import data
from openplanet.training.data import Photos
from openplanet.training.distributed import Ranks
from openplanet.training.fit import prepare
from openplanet.training.module import TrainingModule
from openplanet.training.recipe import Recipe
from openplanet.training.trainer import PRECISIONS, quiet_lightning

What = Literal["learning_rate", "batch_size"]

RATES = (1e-6, 1.0)
"""Learning rates tried, from and to."""
STEPS = 100
"""One learning rate each."""
LEAST_POINTS = 20  # of the curve, to speak of a slope
SMOOTHED_OVER = 5
SLOPE_OVER = 0.5  # decades of learning rate: over fewer, the slope is of single batches
STEPS_PER_SIZE = 4  # the first of a size warms up, and is not timed
LARGEST = {"cuda": 8192, "mps": 8192, "cpu": 256}
"""Batch sizes tried at most. On a CPU the memory is never tried to its end: the system would kill the process."""
NEARLY = 0.95  # of the greatest speed is as good: a smaller batch moves the weights more often


@dataclass(frozen=True)
class Found:
    """What a finder found."""

    what: What
    suggestion: float | None
    """None where the curve does not tell; ``note`` says why."""
    points: list[tuple[float, float]]
    """(learning rate, smoothed loss) or (batch size, photos a second), ascending."""
    note: str

    def to_text(self) -> str:
        """A table with bars, and what to do with it."""
        names = {"learning_rate": ("learning rate", "loss, smoothed"), "batch_size": ("batch size", "photos/s")}
        shown = self.points[:: max(1, len(self.points) // 16)]
        most = max((value for _, value in shown), default=1.0)
        lines = [f"{names[self.what][0]:>14}  {names[self.what][1]:>14}"]
        lines += [f"{at:>14.4g}  {value:>14.3f}  {'#' * round(40 * value / most)}" for at, value in shown]
        if self.suggestion is not None:
            lines.append(f"suggestion: --set {self.what}={self.suggestion:.3g}")
        return "\n".join([*lines, self.note])


def find(
    what: What, dataset: Dataset, recipe: Recipe, partition: Partition | None = None, cache: Path | None = None
) -> Found:
    """Ask Lightning's finder for a learning rate or a batch size; weights and data are those of ``fit``.

    learning_rate: 100 steps at rates that grow from 1e-6 to 1; suggested is where the loss falls fastest per decade
    (Smith 2017, "Cyclical Learning Rates for Training Neural Networks", arXiv 1506.01186, section 3.3).
    batch_size: doubled until the device's memory is full (a GPU) or at 256 (a CPU), each timed; suggested is the
    smallest that is nearly as fast as the fastest. Raises TrainingError under torchrun, and as ``fit`` does.
    """
    if Ranks.from_environment().world > 1:
        raise TrainingError("--find works in one process: run it without torchrun")
    model, partitions, train, _ = prepare(dataset, recipe, partition, cache)
    batches = data.loader(train, recipe.batch_size, recipe, shuffle=True, ranks=Ranks())
    module = _Searched(model, recipe, partitions, len(batches), train)
    with quiet_lightning(), warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        # nothing is validated, as we mean it
        warnings.filterwarnings("ignore", message=".*Total length of `list` across ranks is zero.*")
        trainer = pl.Trainer(
            accelerator="auto",
            devices=1,
            precision=PRECISIONS[recipe.precision],
            max_epochs=-1,  # the finders count steps
            gradient_clip_val=recipe.gradient_clip,
            accumulate_grad_batches=recipe.accumulate if what == "learning_rate" else 1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
            default_root_dir=folder,
        )
        say(f"looking for a {what.replace('_', ' ')}: nothing is trained or kept")
        return _learning_rate(trainer, module) if what == "learning_rate" else _batch_size(trainer, module)


class _Searched(TrainingModule):
    """Goes on where the loss is no number (too high a learning rate is part of the search), and keeps time."""

    def __init__(self, model: Any, recipe: Recipe, partitions: Any, batches: int, train: Photos) -> None:
        super().__init__(model, recipe, partitions, batches, asked=0)
        self.train_photos = train
        self.batch_size = recipe.batch_size
        self.seconds: dict[int, list[float]] = {}
        self.losses: list[float] = []  # of each step that moved the weights; NaN where it was no number
        self._started = 0.0

    def train_dataloader(self) -> Any:
        """Lightning asks again for each batch size."""
        return data.loader(self.train_photos, self.batch_size, self.recipe, shuffle=True, ranks=Ranks())

    def val_dataloader(self) -> Any:
        """Lightning asks for it, and then validates nothing."""
        return []

    def training_step(self, batch: dict[str, Any], batch_index: int) -> Tensor | None:
        try:
            return super().training_step(batch, batch_index)
        except TrainingError:
            return None

    def on_train_batch_start(self, batch: Any, batch_index: int) -> None:
        self._started = _now(self.device)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_index: int) -> None:
        taken = (_now(self.device) - self._started) / max(1, len(batch["row"]))
        self.seconds.setdefault(self.batch_size, []).append(taken)
        if (batch_index + 1) % self.recipe.accumulate == 0:
            self.losses.append(float(outputs["loss"]) if outputs else math.nan)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _learning_rate(trainer: pl.Trainer, module: _Searched) -> Found:
    search = Tuner(trainer).lr_find(
        module, min_lr=RATES[0], max_lr=RATES[1], num_training=STEPS, update_attr=False, attr_name="learning_rate"
    )
    rates = search.results["lr"] if search is not None else []
    points = smoothed(list(zip(rates, module.losses, strict=False)))
    at = steepest(points)
    if at is None:
        return Found(
            "learning_rate", None, points, "The loss falls nowhere clearly: no suggestion. Is the batch large enough?"
        )
    note = (
        "That is where the loss falls fastest with the rate; the recipe's schedule rises to it and falls again. It is"
        f" a start to try around, not a result. The recipe has {module.recipe.learning_rate:g}."
    )
    return Found("learning_rate", at, points, note)


def smoothed(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means of the loss over as many points before as after, at most SMOOTHED_OVER on each side, up to the first that
    is no number. Not Lightning's running mean: its first values are too low by half, and it lags by decades."""
    finite = list(itertools.takewhile(lambda point: math.isfinite(point[1]), points))
    losses = [loss for _, loss in finite]
    found = []
    for index, (rate, _) in enumerate(finite):
        reach = min(SMOOTHED_OVER, index, len(finite) - 1 - index)
        around = losses[index - reach : index + reach + 1]
        found.append((rate, sum(around) / len(around)))
    return found


def steepest(points: list[tuple[float, float]]) -> float | None:
    """The learning rate about which the loss falls fastest per decade; None where it does not fall.

    Slopes are over half a decade, before the lowest point. Not Lightning's own suggestion: that divides by the
    rate itself, by which the noise at the smallest rates is the steepest of all.
    """
    if len(points) < LEAST_POINTS:
        return None
    lowest = min(range(len(points)), key=lambda index: points[index][1])
    best: tuple[float, float] | None = None
    for start in range(lowest):
        ends = (index for index in range(start, lowest + 1) if points[index][0] >= points[start][0] * 10**SLOPE_OVER)
        if (end := next(ends, None)) is None:
            break
        fall = (points[start][1] - points[end][1]) / math.log10(points[end][0] / points[start][0])
        if fall > 0 and (best is None or fall > best[0]):
            best = (fall, math.sqrt(points[start][0] * points[end][0]))
    # a fall that is small against the loss is noise
    return best[1] if best is not None and points[0][1] - points[lowest][1] > 0.01 * points[0][1] else None


def _batch_size(trainer: pl.Trainer, module: _Searched) -> Found:
    kind = best_device().type
    largest = min(LARGEST[kind], len(module.train_photos)) + 1  # Lightning stops before it
    module.batch_size = 2
    fits = Tuner(trainer).scale_batch_size(
        module, mode="power", steps_per_trial=STEPS_PER_SIZE, init_val=2, max_val=largest
    )
    timed = {size: min(taken[1:]) for size, taken in module.seconds.items() if len(taken) > 1 and size <= (fits or 0)}
    points = [(float(size), 1 / seconds) for size, seconds in sorted(timed.items())]
    if not points:
        return Found("batch_size", None, points, "No batch size could be timed: not even 2 photos fit in memory.")
    fastest = max(speed for _, speed in points)
    best = next(size for size, speed in points if speed >= NEARLY * fastest)
    tried = int(points[-1][0])
    if kind == "cpu":
        limit = f"Sizes up to {tried} were tried; on a CPU not until memory ends: the system would kill the process."
    elif fits == tried:
        limit = f"{tried} is the largest that fits in the GPU's memory: twice as many do not, or are not there."
    else:
        limit = f"Sizes up to {tried} were tried, and fit in the GPU's memory."
    return Found(
        "batch_size",
        best,
        points,
        f"The smallest that is at least {NEARLY:.0%} as fast as the fastest; loading and decoding not counted. {limit}"
        f" The recipe has {module.recipe.batch_size}; with another batch size look for the learning rate again.",
    )
