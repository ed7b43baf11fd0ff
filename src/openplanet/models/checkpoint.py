"""A trained model as a folder: weights, partition, configuration and model card, each checked when loaded.

model.safetensors   weights (never a pickle: opening a checkpoint runs no code of a stranger)
partition.parquet   the cells: what a class index means
level-N.parquet     the coarser partitions, coarse to fine, or those overlaid, where the head knows of several
README.md           model card
config.json         written last: a folder without it is not a checkpoint
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.overrides import TorchFunctionMode

from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import CheckpointError, PartitionError, RecipeError
from openplanet.models import hub
from openplanet.models.backbone import check_size
from openplanet.models.calibration import Calibration
from openplanet.models.card import model_card
from openplanet.models.checkpoint_folder import (
    CARD,
    CONFIG,
    FORMAT,
    FORMAT_VERSION,
    PARTITION,
    WEIGHTS,
    calibration_of,
    check_files,
    level_name,
    sound_config,
)
from openplanet.models.heads.registry import HEADS
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.models.merged import Merged, reveals
from openplanet.storage import atomic_path, sha256_of, write_json, write_text
from openplanet.stores.location import Location

CONSTANTS = 1 << 26
"""Numbers that a model may hold beside its weights (masks of attention windows, levels)."""


@dataclass
class Checkpoint:
    """A model together with all that its answers need to mean something."""

    model: ImageModel
    partition: Partition
    recipe: dict[str, Any]
    """The recipe's fields, as trained."""
    image: ImageConfig
    accuracy: dict[str, Any]
    """Measured on the validation split: photos, loss, within_25_km, within_750_km (shares 0..1), epoch."""
    training: dict[str, Any] = field(default_factory=dict)
    """What it was trained on: counts, and a summary of the dataset's manifest."""
    version: str = field(default_factory=lambda: installed_version("openplanet"))
    """openplanet that wrote it."""
    coarser: tuple[Partition, ...] = ()
    """Partitions of the model's coarser levels, coarse to fine (or those that it overlays); ``partition`` is the
    finest, which answers are in."""
    calibration: Calibration = field(default_factory=Calibration)
    merged: Merged | None = None
    """What the scores are divided by before the softmax; 1 for checkpoints from before it was fitted."""

    def save(self, folder: Path) -> None:
        """Write the folder; config.json comes last and atomically, so that half a checkpoint is none."""
        folder = Path(folder)
        (folder / CONFIG).unlink(missing_ok=True)
        save_weights(self.model, folder / WEIGHTS)
        partitions = [PARTITION, *(level_name(index) for index in range(len(self.coarser)))]
        for name, partition in zip(partitions, (self.partition, *self.coarser), strict=True):
            partition.save(folder / name)
        config = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "openplanet_version": self.version,
            "cells": len(self.partition),
            "coarser": [len(partition) for partition in self.coarser],
            **({"merged": self.merged.to_dict()} if self.merged else {}),
            "image": dataclasses.asdict(self.image),
            "preprocessing": {
                "decode": "short side to decoded_side at most", "crop": "centre, centre_crop of the short side",
                "resize": "to image_size, bicubic", "input": "RGB uint8 0..255",
                "normalised_by": "mean and std, inside the model",
            },
            "recipe": self.recipe,
            "accuracy": self.accuracy,
            "calibration": dataclasses.asdict(self.calibration),
            "training": self.training,
            "privacy": reveals(self.partition),
            "sha256": {name: sha256_of(folder / name) for name in (WEIGHTS, *partitions)},
        }  # fmt: skip
        write_text(folder / CARD, model_card(config, sum(p.numel() for p in self.model.parameters())))
        write_json(folder / CONFIG, config)

    def save_calibration(self, folder: Path) -> None:
        """Write ``calibration`` alone into the checkpoint in ``folder``, and into its card."""
        config = sound_config(folder)
        config["calibration"] = dataclasses.asdict(self.calibration)
        write_text(folder / CARD, model_card(config, sum(p.numel() for p in self.model.parameters())))
        write_json(folder / CONFIG, config)

    @classmethod
    def load(cls, folder: Location | str, device: str | torch.device = "cpu") -> "Checkpoint":
        """Read a checkpoint folder, or "hf:owner/name" from a Hub; the model is on ``device``, in evaluation mode.

        Raises CheckpointError, naming the file and what to do, where one is missing, damaged (SHA-256), of
        another format or of another shape than config.json says.
        """
        folder = hub.resolve(folder)
        config = sound_config(folder)
        levels = [level_name(index) for index in range(len(config.get("coarser", ())))]
        if config.get("overlaid") is True:  # as it was written before this was a head like any other
            config["image"]["head"] = "overlaid"
        check_files(folder, (WEIGHTS, PARTITION, *levels), config)
        partition = Partition.load(folder / PARTITION)
        if len(partition) != config["cells"]:
            raise CheckpointError(
                f"{folder / PARTITION} has {len(partition)} cells, {CONFIG} says {config['cells']}: they belong"
                " to different checkpoints; copy the whole folder again"
            )
        coarser = tuple(Partition.load(folder / name) for name in levels)
        try:
            image = ImageConfig.from_dict(config["image"])
            merged = Merged.from_dict(config["merged"], len(partition)) if "merged" in config else None
            classes = merged.classes if merged else HEADS[image.head].class_map(coarser, partition)
            check_size(lambda: ImageModel(image, classes.cells, classes), most_numbers(folder))
            with Unfilled():
                model = ImageModel(image, classes.cells, classes)
            model.merged = merged
        except CheckpointError as error:
            raise CheckpointError(f"{folder / CONFIG} is damaged: {error}") from error
        except RecipeError as error:
            raise CheckpointError(
                f"{folder / CONFIG} describes a model that cannot be built (written with another timm?): {error}"
            ) from error
        except PartitionError as error:
            raise CheckpointError(
                f"{folder / CONFIG} and its partitions do not belong together ({error}); copy the checkpoint again"
            ) from error
        calibration = calibration_of(config, folder / CONFIG)
        load_weights(model, folder / WEIGHTS)
        model.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        return cls(
            model,
            partition,
            config["recipe"],
            image,
            config["accuracy"],
            config["training"],
            config["openplanet_version"],
            coarser,
            calibration,
            merged,
        )


def image_config_of(folder: Path) -> ImageConfig:
    """The configuration of the image model in a checkpoint folder, without its weights; CheckpointError as ``load``."""
    try:
        return ImageConfig.from_dict(sound_config(folder)["image"])
    except CheckpointError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from error


def most_numbers(folder: Path) -> int:
    """Parameters and buffers that a model may have whose weights are in ``folder``: memory is never made room for
    on the word of config.json alone. Constant buffers are not in the file."""
    return (folder / WEIGHTS).stat().st_size + CONSTANTS


def save_weights(model: nn.Module, path: Path) -> None:
    """Write all that ``model`` keeps as a safetensors file, atomically."""
    with atomic_path(path) as temporary:
        save_file({k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}, temporary)


class Unfilled(TorchFunctionMode):
    """Leaves parameters as they are allocated while a model is built: random numbers for 300 million of them take
    longer than reading the weights that replace them."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        in_place = func.__name__.endswith("_") and not func.__name__.endswith("__")
        if in_place and args and isinstance(args[0], nn.Parameter):
            return args[0]
        return func(*args, **(kwargs or {}))


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill ``model`` from a safetensors file that fits it exactly; CheckpointError where it does not."""
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read as safetensors: {error}; copy it again") from error
    own = {name: value.dtype for name, value in model.state_dict().items()}
    state = {name: value.to(own.get(name, value.dtype)) for name, value in state.items()}
    try:
        model.load_state_dict(state, strict=True, assign=True)  # the tensors themselves: a copy would be a second model
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{path} does not fit the model that {CONFIG} describes (was one of the two edited?): {detail}"
        ) from error
