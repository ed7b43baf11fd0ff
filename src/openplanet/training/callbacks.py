"""What happens around the training steps: progress, learning curves, and the state that a stopped run goes on from.

The state lies in OUT/resume and is removed when training ends. It is Lightning's own checkpoint, which is a pickle
file; it is only ever opened with ``weights_only=True``, which builds tensors and plain values and nothing else. The
checkpoint that people share has no such file.
"""

import csv
import io
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from safetensors.torch import save_file

from openplanet.progress import Progress
from openplanet.storage import atomic_path, write_text
from openplanet.training.module import VALIDATED_KM, TrainingModule

STATE = "last.ckpt"
CURVES = "training.csv"


class Keeper(pl.Callback):
    """After each epoch: a line of OUT/training.csv, the best weights so far, and all that resuming needs.

    Best is the epoch of lowest validation loss; where nothing was there to validate on, the last one.
    """

    def __init__(self, out: Path) -> None:
        self.curves_file, self.folder = out / CURVES, out / "resume"
        self.rows: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {}
        self._started = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Lightning saves this with its own state."""
        return {"rows": self.rows, "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Lightning gives back what ``state_dict`` gave."""
        self.rows, self.best = list(state["rows"]), dict(state["best"])

    @property
    def best_weights(self) -> Path:
        """Weights of the best epoch so far."""
        return self.folder / f"best-{self.best['epoch']:04d}.safetensors"

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        losses = module.recent_loss(steps=module.steps_per_epoch)
        row = {"epoch": trainer.current_epoch + 1, "train_loss": losses} | {
            f"val_{name}": value for name, value in module.validation.items()
        }
        row["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        row["seconds"] = round(time.monotonic() - self._started, 2)
        self.rows.append(row)
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.curves_file, text.getvalue())
        self._keep(trainer, module, row)

    def _keep(self, trainer: pl.Trainer, module: TrainingModule, row: dict[str, Any]) -> None:
        loss, least = module.validation.get("loss"), self.best.get("loss")
        if loss is None or least is None or loss < least:
            self.best = {"epoch": row["epoch"], **module.validation}
            # a name of its own, so that a kill between the two files leaves state and weights that agree
            with atomic_path(self.best_weights) as temporary:
                weights = {k: v.detach().cpu() for k, v in module.evaluated_model.state_dict().items()}
                save_file({k: v.contiguous() for k, v in weights.items()}, temporary)
        with atomic_path(self.folder / STATE) as temporary:
            trainer.save_checkpoint(temporary, weights_only=False)
        for old in self.folder.glob("best-*.safetensors"):
            if old != self.best_weights:
                old.unlink()


class ProgressLine(pl.Callback):
    """Loss, validation accuracy, photos a second and time left, on one line."""

    def __init__(self, photos: int, epochs: int) -> None:
        self.photos, self.epochs = photos, epochs
        self.progress: Progress | None = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.progress = Progress("training", self.photos * (self.epochs - trainer.current_epoch))
        self.progress.__enter__()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainingModule) and self.progress is not None
        note = f"epoch {trainer.current_epoch + 1}/{self.epochs}, loss {module.recent_loss():.3f}"
        self.progress.advance(len(batch["row"]), note + describe(module.validation))

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        self._close(exception)

    def _close(self, exception: BaseException | None = None) -> None:
        if self.progress is not None:
            self.progress.__exit__(type(exception) if exception else None, exception, None)
            self.progress = None


def describe(validation: dict[str, Any]) -> str:
    """The validation figures as text that goes behind others; empty where there are none."""
    if validation.get("within_25_km") is None:
        return ""
    shares = "/".join(f"{100 * validation[f'within_{km}_km']:.1f}" for km in VALIDATED_KM)
    return f", val within {'/'.join(map(str, VALIDATED_KM))} km {shares} %"
