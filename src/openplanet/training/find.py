"""Lightning's search for a batch size, for a recipe on a dataset; nothing is trained or kept."""

import tempfile
import time
import warnings
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.tuner.tuning import Tuner
from torch import Tensor

from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import TrainingError
from openplanet.models.device import best_device
from openplanet.photos.dataset import Dataset
from openplanet.progress import say
from openplanet.stores.location import Location
from openplanet.training.distributed import Ranks
from openplanet.training.fit import prepare
from openplanet.training.image_module import TrainingModule
from openplanet.training.loop import PRECISIONS, quiet_lightning
from openplanet.training.photos import data
from openplanet.training.photos.data import Photos
from openplanet.training.recipe.recipe import Recipe

STEPS_PER_SIZE = 4  # the first of a size warms up, and is not timed
LARGEST = {"cuda": 8192, "mps": 8192, "cpu": 256}
"""Batch sizes tried at most. On a CPU the memory is never tried to its end: the system would kill the process."""
NEARLY = 0.95  # of the greatest speed is as good: a smaller batch moves the weights more often


@dataclass(frozen=True)
class Found:
    """What was found: the batch size suggested, None where none could be timed; and what else there is to say."""

    suggestion: int | None
    points: list[tuple[int, float]]
    """(batch size, photos a second), ascending."""
    note: str

    def to_text(self) -> str:
        """A table with bars, and what to do with it."""
        most = max((speed for _, speed in self.points), default=1.0)
        lines = [f"{'batch size':>10}  {'photos/s':>10}"]
        lines += [f"{size:>10}  {speed:>10.1f}  {'#' * round(40 * speed / most)}" for size, speed in self.points]
        if self.suggestion is not None:
            lines.append(f"suggestion: --set batch_size={self.suggestion}")
        return "\n".join([*lines, self.note])


def find_batch_size(
    dataset: Dataset, recipe: Recipe, partition: Partition | None = None, cache: Location | None = None
) -> Found:
    """Double the batch until the device's memory is full (a GPU) or at 256 (a CPU), and time each size.

    Weights and data are those of ``fit``. Suggested is the smallest size that is nearly as fast as the fastest.
    Raises TrainingError under torchrun, and as ``fit`` does.
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
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
            default_root_dir=folder,
        )
        say("looking for a batch size: nothing is trained or kept")
        return _search(trainer, module)


class _Searched(TrainingModule):
    """Goes on where the loss is not a number, and keeps time."""

    def __init__(self, model: Any, recipe: Recipe, partitions: Any, batches: int, train: Photos) -> None:
        super().__init__(model, recipe, partitions, batches, asked=0)
        self.train_photos = train
        self.batch_size = recipe.batch_size
        self.seconds: dict[int, list[float]] = {}
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


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _search(trainer: pl.Trainer, module: _Searched) -> Found:
    kind = best_device().type
    largest = min(LARGEST[kind], len(module.train_photos)) + 1  # Lightning stops before it
    module.batch_size = 2
    fits = Tuner(trainer).scale_batch_size(
        module, mode="power", steps_per_trial=STEPS_PER_SIZE, init_val=2, max_val=largest
    )
    timed = {size: min(taken[1:]) for size, taken in module.seconds.items() if len(taken) > 1 and size <= (fits or 0)}
    points = [(size, 1 / seconds) for size, seconds in sorted(timed.items())]
    if not points:
        return Found(None, points, "No batch size could be timed: not even 2 photos fit in memory.")
    fastest = max(speed for _, speed in points)
    best = next(size for size, speed in points if speed >= NEARLY * fastest)
    tried = points[-1][0]
    if kind == "cpu":
        limit = f"Sizes up to {tried} were tried; on a CPU not until memory ends: the system would kill the process."
    elif fits == tried:
        limit = f"{tried} is the largest that fits in the GPU's memory: twice as many do not, or are not there."
    else:
        limit = f"Sizes up to {tried} were tried, and fit in the GPU's memory."
    return Found(
        best,
        points,
        f"The smallest that is at least {NEARLY:.0%} as fast as the fastest; loading and decoding not counted. {limit}"
        f" The recipe has {module.recipe.batch_size}; with another batch size look for the learning rate again.",
    )
