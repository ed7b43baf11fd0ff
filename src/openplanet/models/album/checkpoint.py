"""A trained album model as a folder that stands alone: the image checkpoint is inside.

image/              the frozen image model's checkpoint, with the partition
model.safetensors   weights of the album model, and the statistics that it keeps
README.md           model card
config.json         written last: a folder without it is not a checkpoint
"""

import dataclasses
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import torch

from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import CheckpointError, RecipeError
from openplanet.models import hub
from openplanet.models.album.base import AlbumCalibration, AlbumConfig, AlbumModel
from openplanet.models.album.card import model_card
from openplanet.models.album.registry import build, needs_training
from openplanet.models.backbone import check_size
from openplanet.models.checkpoint import Checkpoint, load_weights, most_numbers, save_weights
from openplanet.models.checkpoint_folder import (
    ALBUM_FORMAT,
    ALBUM_IMAGE,
    CARD,
    CONFIG,
    WEIGHTS,
    calibration_of,
    check_files,
    read_config,
)
from openplanet.storage import sha256_of, write_json, write_text
from openplanet.stores.location import Location

FORMAT_VERSION = 2  # 2: travel keeps what the image model says of photos in general
KINDS: dict[str, type] = {"openplanet_version": str}
KINDS |= dict.fromkeys(("album", "recipe", "accuracy", "training", "sha256"), dict)
"""What config.json has to hold."""


@dataclass
class AlbumCheckpoint:
    """An album model together with the image model whose embeddings it reads."""

    model: AlbumModel
    image: Checkpoint
    recipe: dict[str, Any]
    """The recipe's fields, as trained."""
    accuracy: dict[str, Any]
    """Measured on the validation split: photos, loss, within_25_km, within_750_km (shares 0..1), epoch."""
    training: dict[str, Any] = field(default_factory=dict)
    """What it was trained on: counts, and a summary of the dataset's manifest."""
    version: str = field(default_factory=lambda: installed_version("openplanet"))
    """openplanet that wrote it."""

    @property
    def config(self) -> AlbumConfig:
        """What the album model is built from."""
        return self.model.config

    @property
    def partition(self) -> Partition:
        """The cells that answers are over."""
        return self.image.partition

    def save(self, folder: Path) -> None:
        """Write the folder; config.json comes last and atomically, so that half a checkpoint is none."""
        folder = Path(folder)
        (folder / CONFIG).unlink(missing_ok=True)
        self.image.save(folder / ALBUM_IMAGE)
        save_weights(self.model, folder / WEIGHTS)
        config = {
            "format": ALBUM_FORMAT,
            "format_version": FORMAT_VERSION,
            "openplanet_version": self.version,
            "album": dataclasses.asdict(self.config),
            "recipe": self.recipe,
            "accuracy": self.accuracy,
            "training": self.training,
            "calibration": dataclasses.asdict(self.model.calibration),
            # the image checkpoint's own config.json has the sums of its other files
            "sha256": {name: sha256_of(folder / name) for name in (WEIGHTS, f"{ALBUM_IMAGE}/{CONFIG}")},
        }
        write_text(folder / CARD, model_card(config, self.image, sum(p.numel() for p in self.model.parameters())))
        write_json(folder / CONFIG, config)

    @classmethod
    def load(cls, folder: Location | str, device: str | torch.device = "cpu") -> "AlbumCheckpoint":
        """As ``Checkpoint.load``, which the image model inside is read by; both models are on ``device``."""
        folder = hub.resolve(folder)
        config = read_config(folder, ALBUM_FORMAT, FORMAT_VERSION, KINDS)
        check_files(folder, (WEIGHTS, f"{ALBUM_IMAGE}/{CONFIG}"), config)
        image = Checkpoint.load(folder / ALBUM_IMAGE, device)
        try:
            wanted = AlbumConfig(**config["album"])
            if needs_training(wanted):
                check_size(lambda: build(wanted, image.partition, image.model.embedding_dim), most_numbers(folder))
            model = build(wanted, image.partition, image.model.embedding_dim)
        except (TypeError, RecipeError) as error:
            raise CheckpointError(f"{folder / CONFIG} is damaged, or of another version: {error}") from error
        load_weights(model, folder / WEIGHTS)
        model.to(device).eval()
        told = config.get("calibration", {})  # of earlier checkpoints there is none
        model.calibration = AlbumCalibration(
            *(calibration_of({"calibration": told.get(name, {})}, folder / CONFIG) for name in ("alone", "anchored"))
        )
        return cls(model, image, config["recipe"], config["accuracy"], config["training"], config["openplanet_version"])
