"""The model as the trainer sees it: loss, moving average, validation.

Shapes: B photos in a batch, C cells of the finest partition, L coarser levels.
"""

import math
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from openplanet.earth.geo import distance_km, to_xyz
from openplanet.earth.partition import Partition
from openplanet.errors import TrainingError
from openplanet.models.image_model import ImageModel
from openplanet.models.overlaid import Floats, Ints, counts_and_centroids
from openplanet.progress import say
from openplanet.training.augment import augment
from openplanet.training.losses import class_weights, cross_entropy, target_distribution
from openplanet.training.optimizer import moving_average, optimizer_of, schedule
from openplanet.training.recipe import Recipe

VALIDATED_KM = (25, 750)


class TrainingModule(pl.LightningModule):
    """One training run of ``model``. After each validation ``validation`` holds photos, loss and the shares
    within 25 and 750 km (None where nothing was there to measure it).

    ``partitions``: the finest, then the coarser ones, coarse to fine (or those overlaid).
    ``batches``: of an epoch, in each process. ``asked``: validation photos, with those that cannot be decoded.
    """

    def __init__(
        self, model: ImageModel, recipe: Recipe, partitions: Sequence[Partition], batches: int, asked: int
    ) -> None:
        super().__init__()
        self.model, self.recipe, self.partition = model, recipe, partitions[0]
        self.batches, self.asked = batches, asked
        self.steps_per_epoch = math.ceil(batches / recipe.accumulate)
        self.average = None if recipe.ema_decay is None else moving_average(model, recipe.ema_decay)
        known = [(each.count, each.centroid_lat, each.centroid_lng) for each in partitions]
        if model.overlaid:
            known = counts_and_centroids(model.ancestors_LC, partitions[0])
        self.levels = nn.ModuleList(_Level(*each, recipe.class_balance) for each in known)
        self.validation = self._nothing_validated()
        self.learning_rate = recipe.learning_rate
        self._losses: list[Tensor] = []
        self._sums = torch.zeros(2 + len(VALIDATED_KM), dtype=torch.float64)
        self._failed_said: set[str] = set()

    @property
    def evaluated_model(self) -> ImageModel:
        """The weights that are validated and kept: the moving average, where the recipe has one."""
        model = self.model if self.average is None else self.average.module
        assert isinstance(model, ImageModel)
        return model

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["losses"] = torch.stack(self._losses).cpu() if self._losses else torch.empty(0)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._losses = list(checkpoint["losses"])

    def on_train_start(self) -> None:
        self._losses = [loss.to(self.device) for loss in self._losses]

    def on_train_epoch_start(self) -> None:
        self._losses.clear()

    def training_step(self, batch: dict[str, Any], batch_index: int) -> Tensor | None:
        self._say_failed(batch["failed"])
        if len(batch["row"]) < 2:
            return None  # batch norm needs two; happens only where nearly all photos of a batch cannot be read
        # by the batch, so that augmentation and dropout are the same whether or not training was stopped before it
        counter = self.current_epoch * self.batches + batch_index
        seed = self.recipe.seed * 1_000_003 + counter * self.trainer.world_size + self.global_rank
        torch.manual_seed(seed)
        outputs = self._outputs(batch, torch.Generator(self.device).manual_seed(seed))
        loss = self._loss(outputs, batch)
        if not torch.isfinite(loss):
            ids = ", ".join(batch["photo_id"][:5])
            raise TrainingError(
                f"The loss is {loss.item()} in epoch {self.current_epoch + 1}, batch {batch_index + 1}, which"
                f" begins with photos {ids}. Lower learning_rate (--set learning_rate={self.learning_rate / 3:.2g}),"
                " or set gradient_clip"
            )
        self._losses.append(loss.detach())
        return loss

    def _outputs(self, batch: dict[str, Any], generator: torch.Generator) -> list[Tensor]:
        """Logits of each level, the finest first, and of the auxiliary head if there is one."""
        if "features" in batch:
            return self.model.classify(batch["features"])
        output = self.model(augment(batch["pixels"], self.recipe, generator))
        return list(output) if isinstance(output, tuple) else [output]

    def _loss(self, outputs: list[Tensor], batch: dict[str, Any]) -> Tensor:
        """Mean over the levels, so that a learning rate means the same with one as with several; then the aux."""
        recipe = self.recipe
        xyz_B3 = torch.from_numpy(to_xyz(batch["lat"].cpu().numpy(), batch["lng"].cpu().numpy())).float()
        cells = self.model.classes_of(batch["cell"])
        losses, targets = [], []
        for level, cell_B, logits in zip(self.levels, cells, outputs[: len(cells)], strict=True):
            assert isinstance(level, _Level)
            target = target_distribution(
                cell_B, xyz_B3.to(self.device), level.centroid_xyz, recipe.smoothing_km, recipe.label_smoothing
            )
            weight_B = None if recipe.class_balance is None else level.weight_C[cell_B]
            losses.append(cross_entropy(logits, target, recipe.label_smoothing, weight_B))
            targets.append((target, weight_B))
        loss = torch.stack(losses).mean()
        if len(outputs) > len(cells):
            loss = loss + recipe.aux_weight * cross_entropy(
                outputs[-1], targets[0][0], recipe.label_smoothing, targets[0][1]
            )
        return loss

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        super().optimizer_step(*arguments, **named)
        # here and not at the batch's end: there the state is saved, and the average belongs to it
        if self.average is not None:
            self.average.update_parameters(self.model)

    def recent_loss(self, batches: int = 20) -> float:
        """Mean training loss of the last batches of this epoch, in this process."""
        return float(torch.stack(self._losses[-batches:]).mean()) if self._losses else math.nan

    def validation_step(self, batch: dict[str, Any], batch_index: int) -> None:
        self._say_failed(batch["failed"])
        if not len(batch["row"]):
            return
        model = self.evaluated_model
        logits_BC = (
            model.combine(model.classify(batch["features"])) if "features" in batch else model(batch["pixels"])
        ).float()
        known_B = batch["cell"] >= 0
        loss_B = nn.functional.cross_entropy(logits_BC, batch["cell"], reduction="none", ignore_index=-1)
        best_B = logits_BC.argmax(dim=1).cpu().numpy()
        lat_B, lng_B = self.partition.centroid_lat[best_B], self.partition.centroid_lng[best_B]
        km_B = distance_km(lat_B, lng_B, batch["lat"].cpu().numpy(), batch["lng"].cpu().numpy())
        within = [float((km_B <= km).sum()) for km in VALIDATED_KM]
        sums = [float(loss_B[known_B].double().sum()), float(known_B.sum()), *within]
        self._sums += torch.tensor(sums, dtype=torch.float64)

    def on_validation_epoch_end(self) -> None:
        sums = self._sums.to(self.device)
        if self.trainer.world_size > 1:
            torch.distributed.all_reduce(sums)  # each process validated its share
        loss, known, *within = sums.tolist()
        self._sums.zero_()
        self.validation = self._nothing_validated() | {"photos": self.asked}
        if self.asked:  # a photo that fails is a photo that is wrong
            self.validation |= {f"within_{km}_km": n / self.asked for km, n in zip(VALIDATED_KM, within, strict=True)}
        if known:
            self.validation["loss"] = loss / known

    @staticmethod
    def _nothing_validated() -> dict[str, Any]:
        return {"photos": 0, "loss": None} | {f"within_{km}_km": None for km in VALIDATED_KM}

    def configure_optimizers(self) -> Any:
        optimizer = optimizer_of(self.model, self.recipe)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(self.recipe, self.steps_per_epoch))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _say_failed(self, photo_ids: list[str]) -> None:
        for name in sorted(set(photo_ids) - self._failed_said):
            say(f"photo {name} cannot be decoded and is left out")
        self._failed_said.update(photo_ids)


class _Level(nn.Module):
    """What the loss needs of the classes of a head, on the device; not saved, for it follows from the partition."""

    centroid_xyz: Tensor
    weight_C: Tensor

    def __init__(
        self, count_C: Ints, centroid_lat_C: Floats, centroid_lng_C: Floats, class_balance: float | None
    ) -> None:
        super().__init__()
        xyz_C3 = torch.from_numpy(to_xyz(centroid_lat_C, centroid_lng_C)).float()
        weight_C = class_weights(torch.tensor(count_C), class_balance or 0.0)
        self.register_buffer("centroid_xyz", xyz_C3, persistent=False)
        self.register_buffer("weight_C", weight_C, persistent=False)
