"""The model as the trainer sees it: loss, optimizer, schedule, moving average, validation.

Shapes: B photos in a batch, C cells, N validation photos.
"""

import math
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from openplanet.earth.geo import distance_km, to_xyz
from openplanet.earth.partition import Partition
from openplanet.errors import TrainingError
from openplanet.models.image_model import ImageModel
from openplanet.progress import say
from openplanet.training.augment import augment
from openplanet.training.data import SplitPhotos
from openplanet.training.losses import cross_entropy, target_distribution
from openplanet.training.recipe import Recipe

VALIDATED_KM = (25, 750)


class TrainingModule(pl.LightningModule):
    """One training run of ``model``. After each validation ``validation`` holds photos, loss and the shares
    within 25 and 750 km (None where nothing was there to measure it)."""

    centroid_xyz: Tensor

    def __init__(
        self, model: ImageModel, recipe: Recipe, partition: Partition, train: SplitPhotos, val: SplitPhotos, steps: int
    ) -> None:
        super().__init__()
        self.model, self.recipe, self.partition = model, recipe, partition
        self.train_photos, self.val_photos, self.steps_per_epoch = train, val, steps
        decay = recipe.ema_decay
        self.average = None if decay is None else AveragedModel(model, multi_avg_fn=_ema(decay), use_buffers=True)
        xyz_C3 = to_xyz(partition.centroid_lat, partition.centroid_lng)
        self.register_buffer("centroid_xyz", torch.from_numpy(xyz_C3).float(), persistent=False)
        self.validation = self._nothing_validated()
        self.train_loss = math.nan
        self._losses: list[Tensor] = []
        self._answers: list[tuple[Tensor, Tensor, Tensor]] = []
        self._failed_said: set[str] = set()

    @property
    def evaluated_model(self) -> ImageModel:
        """The weights that are validated and kept: the moving average, where the recipe has one."""
        model = self.model if self.average is None else self.average.module
        assert isinstance(model, ImageModel)
        return model

    def on_train_epoch_start(self) -> None:
        self._losses.clear()

    def training_step(self, batch: dict[str, Any], batch_index: int) -> Tensor | None:
        self._say_failed(batch["failed"])
        if len(batch["row"]) < 2:
            return None  # batch norm needs two; happens only where nearly all photos of a batch cannot be read
        # by the step, so that augmentation and dropout are the same whether or not training was stopped before it
        seed = self.recipe.seed * 1_000_003 + self.global_step
        torch.manual_seed(seed)
        generator = torch.Generator(self.device).manual_seed(seed)
        output = self.model(augment(batch["pixels"], self.recipe, generator))
        logits_BC, aux_BC = output if isinstance(output, tuple) else (output, None)
        recipe = self.recipe
        xyz_B3 = torch.from_numpy(to_xyz(batch["lat"].cpu().numpy(), batch["lng"].cpu().numpy())).float()
        target = target_distribution(
            batch["cell"], xyz_B3.to(self.device), self.centroid_xyz, recipe.smoothing_km, recipe.label_smoothing
        )
        loss = cross_entropy(logits_BC, target, recipe.label_smoothing)
        if aux_BC is not None:
            loss = loss + recipe.aux_weight * cross_entropy(aux_BC, target, recipe.label_smoothing)
        if not torch.isfinite(loss):
            ids = ", ".join(self.train_photos.photo_ids[row] for row in batch["row"].tolist()[:5])
            raise TrainingError(
                f"The loss is {loss.item()} in epoch {self.current_epoch + 1}, batch {batch_index + 1}, which"
                f" begins with photos {ids}. Lower learning_rate (--set learning_rate={recipe.learning_rate / 3:.2g}),"
                " or set gradient_clip"
            )
        self._losses.append(loss.detach())
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_index: int) -> None:
        if self.average is not None:
            self.average.update_parameters(self.model)

    def on_train_epoch_end(self) -> None:
        self.train_loss = float(torch.stack(self._losses).mean()) if self._losses else math.nan

    def recent_loss(self, steps: int = 20) -> float:
        """Mean training loss of the last steps of this epoch."""
        return float(torch.stack(self._losses[-steps:]).mean()) if self._losses else math.nan

    def validation_step(self, batch: dict[str, Any], batch_index: int) -> None:
        self._say_failed(batch["failed"])
        if len(batch["row"]):
            logits_BC = self.evaluated_model(batch["pixels"]).float()
            known_B = batch["cell"] >= 0
            loss_B = nn.functional.cross_entropy(logits_BC, batch["cell"], reduction="none", ignore_index=-1)
            self._answers.append((logits_BC.argmax(dim=1).cpu(), batch["row"].cpu(), loss_B[known_B].cpu()))

    def on_validation_epoch_end(self) -> None:
        photos = self.val_photos
        asked = len(photos) + len(photos.undecodable)  # a photo that fails is a photo that is wrong
        self.validation = self._nothing_validated() | {"photos": asked}
        if self._answers:
            cell_N, row_N, loss_N = (torch.cat(parts).numpy() for parts in zip(*self._answers, strict=True))
            km_N = distance_km(
                self.partition.centroid_lat[cell_N],
                self.partition.centroid_lng[cell_N],
                photos.lat_N[row_N],
                photos.lng_N[row_N],
            )
            self.validation |= {f"within_{km}_km": float(np.sum(km_N <= km)) / asked for km in VALIDATED_KM}
            if len(loss_N):
                self.validation["loss"] = float(loss_N.mean())
        self._answers.clear()

    @staticmethod
    def _nothing_validated() -> dict[str, Any]:
        return {"photos": 0, "loss": None} | {f"within_{km}_km": None for km in VALIDATED_KM}

    def configure_optimizers(self) -> Any:
        recipe, parameters = self.recipe, [p for p in self.model.parameters() if p.requires_grad]
        # weight decay on matrices and kernels only: on a bias or a norm's scale it does nothing useful
        groups = [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer: torch.optim.Optimizer
        if recipe.optimizer == "adagrad":
            # 0.1 as TensorFlow starts it: from 0 the first step would move every weight by the whole learning rate
            optimizer = torch.optim.Adagrad(groups, lr=recipe.learning_rate, initial_accumulator_value=0.1)
        else:
            optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._schedule)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _schedule(self, step: int) -> float:
        """The learning rate at ``step`` (from 0), as a share of the recipe's."""
        warmup, total = self.recipe.warmup * self.steps_per_epoch, self.recipe.epochs * self.steps_per_epoch
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if self.recipe.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1.0, total - warmup))))

    def _say_failed(self, photo_ids: list[str]) -> None:
        for name in sorted(set(photo_ids) - self._failed_said):
            say(f"photo {name} cannot be decoded and is left out")
        self._failed_said.update(photo_ids)


def _ema(decay: float) -> Any:
    """Moving average whose decay grows from 0.1, so that random first weights are soon forgotten."""

    def update(average: Any, current: Any, steps: Any) -> None:
        now = min(decay, (1 + int(steps)) / (10 + int(steps)))
        for old, new in zip(average, current, strict=True):
            if old.is_floating_point():
                old.lerp_(new, 1 - now)
            else:
                old.copy_(new)  # batch norm's counters

    return update
