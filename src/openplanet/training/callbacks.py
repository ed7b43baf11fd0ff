"""What happens around the training steps: progress, learning curves, and the state that a stopped run goes on from.

The state lies in OUT/resume and is removed when training ends. It is Lightning's own checkpoint, which is a pickle
file; it is only ever opened with ``weights_only=True``, which builds tensors and plain values and nothing else. The
checkpoint that people share has no such file.
"""

import csv
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from safetensors.torch import save_file

from openplanet.models.checkpoint_folder import RESUME
from openplanet.progress import Progress
from openplanet.storage import atomic_path, write_text
from openplanet.training.lightning_module import VALIDATED_KM, TrainedModule

STATE = "last.ckpt"
CURVES = "training.csv"


def places_more(now: dict[str, Any], best: dict[str, Any]) -> bool:
    """Whether an epoch's validation beats the best: by the mean share within 25 and 750 km, then by lower loss.

    Not by loss alone: where photos are few it rises from the first epochs on, as the model grows too sure, while
    the places it names are still getting better (notes/results.md, real photos).
    """
    names = [f"within_{km}_km" for km in VALIDATED_KM]
    if any(each.get(name) is None for each in (now, best) for name in names):
        return True
    gain = sum(now[name] - best[name] for name in names)
    loss, least = now.get("loss"), best.get("loss")
    return bool(gain > 0 or (gain == 0 and loss is not None and least is not None and loss < least))


class Keeper(pl.Callback):
    """After each epoch: a line of OUT/training.csv, the best weights so far, and all that resuming needs.

    Best is the epoch that places most validation photos (``places_more``); where nothing was there to validate on,
    the last one. Within an epoch the state is saved every ``save_every`` steps. Of several processes the first one
    writes.
    """

    def __init__(
        self, out: Path, save_every: int, patience: int | None, after_epoch: Callable[[], None] = lambda: None
    ) -> None:
        self.curves_file, self.folder = out / CURVES, out / RESUME
        self.save_every, self.patience, self.after_epoch = save_every, patience, after_epoch
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

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._started = time.monotonic()
        self._stop_if_no_longer_better(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._started = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainedModule)
        last = batch_idx + 1 == module.batches  # the end of the epoch is saved with its validation
        # only where the weights have moved: gradients that wait to be summed are not part of the state
        due = (batch_idx + 1) % (self.save_every * module.recipe.accumulate) == 0
        if due and not last:
            self._save_state(trainer, module)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainedModule)
        row = {"epoch": trainer.current_epoch + 1, "train_loss": module.recent_loss(module.batches)} | {
            f"val_{name}": value for name, value in module.validation.items()
        }
        row["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        row["seconds"] = round(time.monotonic() - self._started, 2)
        self.rows.append(row)
        better = places_more(module.validation, self.best)
        if better:
            self.best = {"epoch": row["epoch"], **module.validation}
        if trainer.is_global_zero:
            text = io.StringIO()
            writer = csv.DictWriter(text, fieldnames=list(row), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
            write_text(self.curves_file, text.getvalue())
            if better:
                # a name of its own, so that a kill between the two files leaves state and weights that agree
                with atomic_path(self.best_weights) as temporary:
                    weights = {k: v.detach().cpu() for k, v in module.evaluated_model.state_dict().items()}
                    save_file({k: v.contiguous() for k, v in weights.items()}, temporary)
        self._save_state(trainer, module)
        if trainer.is_global_zero:
            self.after_epoch()
        self._stop_if_no_longer_better(trainer)

    def _save_state(self, trainer: pl.Trainer, module: TrainedModule) -> None:
        """All processes come here: Lightning waits for them; the first one writes."""
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self.folder / STATE, weights_only=False)
            return
        with atomic_path(self.folder / STATE) as temporary:
            trainer.save_checkpoint(temporary, weights_only=False)
        for old in self.folder.glob("best-*.safetensors"):
            if not self.best or old != self.best_weights:
                old.unlink()

    def _stop_if_no_longer_better(self, trainer: pl.Trainer) -> None:
        if self.patience is not None and self.rows and self.rows[-1]["epoch"] - self.best["epoch"] >= self.patience:
            trainer.should_stop = True


class ProgressLine(pl.Callback):
    """Loss, validation accuracy, photos a second and time left, on one line."""

    def __init__(self, photos: int, epochs: int, unit: str = "photo") -> None:
        self.photos, self.epochs, self.unit = photos, epochs, unit
        self.progress: Progress | None = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainedModule)
        # of a state that was saved at an epoch's end, all its batches still stand as done in the next one
        within = trainer.fit_loop.epoch_loop.batch_progress.current.ready % module.batches
        done = trainer.current_epoch + within / module.batches
        self.progress = Progress("training", max(0, round(self.photos * (self.epochs - done))), self.unit)
        self.progress.__enter__()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainedModule) and self.progress is not None
        note = f"epoch {trainer.current_epoch + 1}/{self.epochs}, loss {module.recent_loss():.3f}"
        self.progress.advance(len(batch["row"]) * trainer.world_size, note + describe(module.validation))

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
