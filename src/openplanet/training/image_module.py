"""The image model as the trainer sees it: its outputs, their loss.

Shapes: B photos in a batch, C cells, R rows of classes of the head.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from openplanet.earth.geo import to_xyz
from openplanet.earth.partition.adaptive import Partition
from openplanet.models.heads.head import Floats, Ints
from openplanet.models.image_model import ImageModel
from openplanet.progress import say
from openplanet.training.lightning_module import TrainedModule, validation_sums
from openplanet.training.losses import class_weights, cross_entropy, target_distribution
from openplanet.training.photos.augment import augment
from openplanet.training.recipe.recipe import Recipe


class TrainingModule(TrainedModule):
    """One training run of an image model.

    ``partitions``: that of the answer, then the further ones that the head knows.
    ``batches``: of an epoch, in each process. ``asked``: validation photos, with those that cannot be decoded.
    """

    model: ImageModel
    recipe: Recipe

    def __init__(
        self, model: ImageModel, recipe: Recipe, partitions: Sequence[Partition], batches: int, asked: int
    ) -> None:
        super().__init__(model, recipe, batches, asked)
        self.partition = partitions[0]
        self.rows = nn.ModuleList(_Row(*each, recipe.class_balance) for each in model.head.centres(partitions))
        self._failed_said: set[str] = set()

    @property
    def evaluated_model(self) -> ImageModel:
        """As for every run."""
        model = super().evaluated_model
        assert isinstance(model, ImageModel)
        return model

    def transfer_batch_to_device(self, batch: dict[str, Any], device: torch.device, dataloader_idx: int) -> Any:
        """Positions stay on the CPU as they are, float64, which not every device has; the device gets them as points
        on the unit sphere, float32, which the targets are made of."""
        at = {name: batch[name] for name in ("lat", "lng")}
        xyz_B3 = torch.from_numpy(to_xyz(at["lat"].numpy(), at["lng"].numpy())).float()
        rest = {name: value for name, value in batch.items() if name not in at} | {"xyz": xyz_B3}
        return super().transfer_batch_to_device(rest, device, dataloader_idx) | at

    def training_step(self, batch: dict[str, Any], batch_index: int) -> Tensor | None:
        self._say_failed(batch["failed"])
        if len(batch["row"]) < 2:
            return None  # batch norm needs two; happens only where nearly all photos of a batch cannot be read
        outputs = self._outputs(batch, torch.Generator(self.device).manual_seed(self.seed_for(batch_index)))
        return self.noted(
            self._loss(outputs, batch), batch_index, f"photos {', '.join(name[:12] for name in batch['photo_id'][:3])}"
        )

    def _outputs(self, batch: dict[str, Any], generator: torch.Generator) -> list[Tensor]:
        """Logits of each row, and of the auxiliary softmax if there is one."""
        if "features" in batch:
            return self.model.classify(batch["features"])
        output = self.model(augment(batch["pixels"], self.model.config.image_size, self.recipe, generator))
        return list(output) if isinstance(output, tuple) else [output]

    def _loss(self, outputs: list[Tensor], batch: dict[str, Any]) -> Tensor:
        """Mean over the rows, so that a learning rate means the same with one as with several; then the aux."""
        recipe = self.recipe
        cells = self.model.head.classes_of(batch["cell"])
        losses, targets = [], []
        for row, class_B, logits in zip(self.rows, cells, outputs[: len(cells)], strict=True):
            assert isinstance(row, _Row)
            target = target_distribution(
                class_B, batch["xyz"], row.centroid_xyz, recipe.smoothing_km, recipe.label_smoothing
            )
            weight_B = None if recipe.class_balance is None else row.weight_C[class_B]
            losses.append(cross_entropy(logits, target, recipe.label_smoothing, weight_B))
            targets.append((target, weight_B))
        loss = torch.stack(losses).mean()
        if len(outputs) > len(cells):
            loss = loss + recipe.aux_weight * cross_entropy(
                outputs[-1], targets[0][0], recipe.label_smoothing, targets[0][1]
            )
        return loss

    def validation_step(self, batch: dict[str, Any], batch_index: int) -> None:
        self._say_failed(batch["failed"])
        if not len(batch["row"]):
            return
        model = self.evaluated_model
        logits_BC = model.combine(model.classify(batch["features"])) if "features" in batch else model(batch["pixels"])
        at = [batch[name].numpy() for name in ("lat", "lng")]
        self.sums += validation_sums(logits_BC, batch["cell"], self.partition, *at)

    def _say_failed(self, photo_ids: list[str]) -> None:
        for name in sorted(set(photo_ids) - self._failed_said):
            say(f"photo {name} cannot be decoded and is left out")
        self._failed_said.update(photo_ids)


class _Row(nn.Module):
    """What the loss needs of a row of classes, on the device; not saved, for it follows from the partition."""

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
