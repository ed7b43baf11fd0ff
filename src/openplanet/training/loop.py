"""The shared training loop, of image models and of album models: Lightning's trainer, and what is kept at its end."""

import logging
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import lightning.pytorch as pl
import torch

from openplanet.errors import OpenPlaNetError, TrainingError
from openplanet.models.checkpoint import load_weights
from openplanet.models.checkpoint_folder import RESUME
from openplanet.models.device import best_device
from openplanet.progress import say
from openplanet.stores.folders import Staged
from openplanet.training.callbacks import STATE, Keeper, ProgressLine, describe
from openplanet.training.distributed import Ranks
from openplanet.training.lightning_module import TrainedModule
from openplanet.training.out import upload_epoch
from openplanet.training.photos.order import ResumableLoader
from openplanet.training.tensorboard import TensorBoardCurves

PRECISIONS: dict[str, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed"}


def run_trainer(
    module: TrainedModule,
    batches: ResumableLoader,
    val_batches: ResumableLoader | None,
    line: ProgressLine,
    work: Staged,
    start: Path | None,
    ranks: Ranks,
) -> Keeper:
    """Train as the module's recipe says, from the state ``start`` on where there is one; all that is learned on the
    way lies in ``work``, and the keeper that is returned knows the best epoch. The module ends on the CPU."""
    recipe, out = module.recipe, work.folder
    keeper = Keeper(out, recipe.save_every, recipe.patience, lambda: upload_epoch(work))
    callbacks: list[pl.Callback] = [keeper]
    if ranks.first:
        callbacks = [line, keeper]
        callbacks += [TensorBoardCurves(out / "tensorboard")] if recipe.tensorboard else []
    with quiet_lightning():
        trainer = pl.Trainer(
            **devices(ranks),
            precision=PRECISIONS[recipe.precision],
            max_epochs=recipe.epochs,
            gradient_clip_val=recipe.gradient_clip,
            accumulate_grad_batches=recipe.accumulate,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            default_root_dir=out,
        )
        with _told_when_stopped(work), _told_when_damaged(module, start):
            trainer.fit(module, batches, val_batches, ckpt_path=start, weights_only=True)
    module.cpu()
    return keeper


class Saved(Protocol):
    """A checkpoint."""

    def save(self, folder: Path) -> None: ...


AnyCheckpoint = TypeVar("AnyCheckpoint", bound=Saved)


def keep_best(
    module: TrainedModule,
    keeper: Keeper,
    checkpoint: Callable[[dict[str, Any]], AnyCheckpoint],
    work: Staged,
    ranks: Ranks,
) -> AnyCheckpoint:
    """Write the weights of the best epoch to ``work``, those of the last, where that is another, to its ``last``.

    ``checkpoint`` makes one of the weights that the module has then, and the validation figures.
    """
    last = keeper.rows[-1]
    if ranks.first and last["epoch"] != keeper.best["epoch"]:
        measured = {k.removeprefix("val_"): v for k, v in last.items() if k.startswith("val_") or k == "epoch"}
        checkpoint(measured).save(work.folder / "last")
    load_weights(module.evaluated_model, keeper.best_weights)
    result = checkpoint(keeper.best)
    ranks.wait()  # until all have read the best weights
    if ranks.first:
        result.save(work.folder)
        shutil.rmtree(keeper.folder)
        say(f"kept epoch {keeper.best['epoch']} of {module.recipe.epochs}{describe(keeper.best)}: {work.out}")
    ranks.wait()
    return result


def devices(ranks: Ranks) -> dict[str, Any]:
    """The trainer's arguments for one process, or for all that torchrun started."""
    accelerator = best_device().type  # Lightning's own choice is another than inference's
    if ranks.world == 1:
        return {"accelerator": accelerator, "devices": 1}
    return {
        "accelerator": accelerator if accelerator != "mps" else "cpu",  # Apple's has no way between processes
        "devices": ranks.local_world,
        "num_nodes": ranks.world // ranks.local_world,
        "strategy": "ddp",
        # on CPUs PyTorch has none; there each process normalises by its own photos
        "sync_batchnorm": torch.cuda.is_available(),
    }


@contextmanager
def _told_when_stopped(work: Staged) -> Iterator[None]:
    """Ctrl-C stays a KeyboardInterrupt: Lightning makes SystemExit(1) of it, and ignores further ones for good."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
        if (work.folder / RESUME / STATE).is_file():
            say(f"{work.out}: stopped; the same command with --resume goes on from the last saved step")
        raise KeyboardInterrupt from error


@contextmanager
def _told_when_damaged(module: TrainedModule, start: Path | None) -> Iterator[None]:
    """A state that cannot be gone on from is told by its file. It is read with ``weights_only``, which builds tensors
    and plain values and runs no code; whatever is raised before the first step is about it."""
    try:
        yield
    except OpenPlaNetError:
        raise
    except Exception as error:
        if start is None or module.started:
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise TrainingError(
            f"{start} is damaged, or of another version, and cannot be gone on from ({reason}): delete"
            f" {start.parent} and train again"
        ) from error


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Our own progress says what a user needs; Lightning's remarks are for people who program it."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # decoded photos come from memory: a worker process would only copy them
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # without photos in the val split there is no validation, which we have said ourselves
        warnings.filterwarnings("ignore", message=".*defined a `validation_step` but have no `val_dataloader`.*")
        # the loader counts for itself, and a process of a cluster may well have few batches
        warnings.filterwarnings("ignore", message=".*is smaller than the logging interval.*")
        # Lightning 2.6 walks trees by a name that PyTorch 2.13 deprecates; nothing that we could do differently
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
