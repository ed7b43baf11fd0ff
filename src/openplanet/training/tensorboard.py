"""Curves for TensorBoard, for those who have it installed; training.csv has the same figures."""

import importlib
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from openplanet.errors import InputError
from openplanet.training.lightning_module import TrainedModule

STEPS_BETWEEN_POINTS = 20


class TensorBoardCurves(pl.Callback):
    """Writes loss and learning rate by step, and validation by epoch, below ``folder``.

    Raises InputError where the package tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            package = importlib.import_module("torch.utils.tensorboard")
        except ModuleNotFoundError as error:
            raise InputError("tensorboard=true needs its package: pip install 'openplanet[tensorboard]'") from error
        self._writer = package.SummaryWriter(str(folder))

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainedModule)
        if trainer.global_step % STEPS_BETWEEN_POINTS == 0:
            self._writer.add_scalar("train/loss", module.recent_loss(), trainer.global_step)
            rate = trainer.optimizers[0].param_groups[0]["lr"]
            self._writer.add_scalar("train/learning_rate", rate, trainer.global_step)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainedModule)
        self._writer.add_scalar("train/loss_of_epoch", module.recent_loss(module.batches), trainer.current_epoch + 1)
        for name, value in module.validation.items():
            if value is not None:
                self._writer.add_scalar(f"val/{name}", value, trainer.current_epoch + 1)
        self._writer.flush()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._writer.close()
