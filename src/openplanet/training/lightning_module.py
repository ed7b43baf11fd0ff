"""What every training run has: weights and their moving average, losses, validation; whatever the model is.

Shapes: B photos, C cells.
"""

import math
from typing import Any

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from openplanet.earth.geo import distance_km
from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import TrainingError
from openplanet.training.optimizer import moving_average, optimizer_of, schedule
from openplanet.training.recipe.base import RunRecipe

VALIDATED_KM = (25, 750)


class TrainedModule(pl.LightningModule):
    """One training run of ``model``. After each validation ``validation`` holds photos, loss and the shares
    within 25 and 750 km (None where nothing was there to measure it).

    ``batches``: of an epoch, in each process. ``asked``: validation photos, with those that cannot be decoded.
    """

    def __init__(self, model: nn.Module, recipe: RunRecipe, batches: int, asked: int) -> None:
        super().__init__()
        self.model, self.recipe = model, recipe
        self.batches, self.asked = batches, asked
        self.steps_per_epoch = math.ceil(batches / recipe.accumulate)
        self.average = None if recipe.ema_decay is None else moving_average(model, recipe.ema_decay)
        self.validation = accuracy_of(torch.zeros(2 + len(VALIDATED_KM)), 0)
        self.learning_rate = recipe.learning_rate
        self._losses: list[Tensor] = []
        self.started = False  # whether a state to go on from, if there is one, has been read
        self.sums = torch.zeros(2 + len(VALIDATED_KM), dtype=torch.float64)

    @property
    def evaluated_model(self) -> nn.Module:
        """The weights that are validated and kept: the moving average, where the recipe has one."""
        model = self.model if self.average is None else self.average.module
        assert isinstance(model, nn.Module)
        return model

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["losses"] = torch.stack(self._losses).cpu() if self._losses else torch.empty(0)
        checkpoint["processes"] = self.trainer.world_size

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._losses = list(checkpoint["losses"])
        now = self.trainer.world_size
        before = checkpoint.get("processes", now)
        if before != now:
            count_batches(checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"], before, now)

    def on_train_start(self) -> None:
        self.started = True
        self._losses = [loss.to(self.device) for loss in self._losses]

    def on_train_epoch_start(self) -> None:
        self._losses.clear()

    def seed_for(self, batch_index: int) -> int:
        """Seeds torch by the batch, so that augmentation and dropout are the same whether or not training was
        stopped before it."""
        counter = self.current_epoch * self.batches + batch_index
        seed = self.recipe.seed * 1_000_003 + counter * self.trainer.world_size + self.global_rank
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(seed)  # torch.manual_seed notes a stack for devices that are not there
        else:
            torch.manual_seed(seed)
        return seed

    def noted(self, loss: Tensor, batch_index: int, first: str) -> Tensor:
        """The loss, remembered; TrainingError where it is no number, naming what the batch begins with."""
        if not torch.isfinite(loss):
            raise TrainingError(
                f"The loss is {loss.item()} in epoch {self.current_epoch + 1}, batch {batch_index + 1}, which"
                f" begins with {first}. Lower learning_rate (--set learning_rate={self.learning_rate / 3:.2g}),"
                " or set gradient_clip"
            )
        self._losses.append(loss.detach())
        return loss

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        super().optimizer_step(*arguments, **named)
        # here and not at the batch's end: there the state is saved, and the average belongs to it
        if self.average is not None:
            self.average.update_parameters(self.model)

    def recent_loss(self, batches: int = 20) -> float:
        """Mean training loss of the last batches of this epoch, in this process."""
        return float(torch.stack(self._losses[-batches:]).mean()) if self._losses else math.nan

    def on_validation_epoch_end(self) -> None:
        sums = self.sums
        if self.trainer.world_size > 1:
            sums = sums.to(self.device)  # CUDA or the CPU: both have float64
            torch.distributed.all_reduce(sums)  # each process validated its share
        self.validation = accuracy_of(sums, self.asked)
        self.sums.zero_()

    def configure_optimizers(self) -> Any:
        optimizer = optimizer_of(self.model, self.recipe)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(self.recipe, self.steps_per_epoch))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def count_batches(progress: dict[str, Any], before: int, now: int) -> None:
    """Change Lightning's counts of the batches that one of ``before`` processes has had, at the end of a step, to those
    that one of ``now`` would have had."""
    for counts in (progress["total"], progress["current"]):
        had = counts["ready"] * before // now
        behind = counts["processed"] - counts["completed"]  # the state is saved in the middle of the last one's end
        counts.update(ready=had, started=had, processed=had, completed=had - behind)


def validation_sums(
    scores_BC: Tensor,
    cell_B: Tensor,
    partition: Partition,
    lat_B: npt.NDArray[np.float64],
    lng_B: npt.NDArray[np.float64],
) -> Tensor:
    """Of photos that were asked for: loss, photos in cells, photos within each of VALIDATED_KM; float64.

    ``cell_B`` -1: in no cell, so that it has no loss.
    """
    known_B = cell_B >= 0
    loss_B = nn.functional.cross_entropy(scores_BC.float(), cell_B, reduction="none", ignore_index=-1)
    best_B = scores_BC.argmax(dim=1).cpu().numpy()
    km_B = distance_km(partition.centroid_lat[best_B], partition.centroid_lng[best_B], lat_B, lng_B)
    within = [float((km_B <= km).sum()) for km in VALIDATED_KM]
    return torch.tensor(
        [float(loss_B[known_B].cpu().double().sum()), float(known_B.sum()), *within], dtype=torch.float64
    )


def accuracy_of(sums: Tensor, asked: int) -> dict[str, Any]:
    """Validation figures of ``asked`` photos, from the ``validation_sums`` of those that could be read."""
    loss, known, *within = sums.tolist()
    found: dict[str, Any] = {"photos": asked, "loss": loss / known if known else None}
    # a photo that fails is a photo that is wrong
    return found | {f"within_{km}_km": n / asked if asked else None for km, n in zip(VALIDATED_KM, within, strict=True)}
