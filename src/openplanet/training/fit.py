"""Training: from a dataset and a recipe to a checkpoint. The trainer is Lightning's."""

import logging
import math
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pyarrow.compute as pc
import torch
from safetensors.torch import load_file

from openplanet.earth import partition as partitions_module
from openplanet.earth.combinatorial import build_turned, random_turns
from openplanet.earth.partition import Partition, Thresholds
from openplanet.errors import TrainingError
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageModel
from openplanet.models.levels import Levels
from openplanet.models.overlaid import Overlaid
from openplanet.photos.shards import Dataset
from openplanet.progress import say
from openplanet.training import data, embeddings
from openplanet.training.calibrated import calibrate
from openplanet.training.callbacks import Keeper, ProgressLine, describe
from openplanet.training.data import Photos
from openplanet.training.distributed import Ranks
from openplanet.training.module import TrainingModule
from openplanet.training.recipe import Recipe, as_dict, weights_path
from openplanet.training.run import fingerprint, finished, resume_state
from openplanet.training.tensorboard import TensorBoardCurves

PRECISIONS: dict[str, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed"}


def fit(
    dataset: Dataset,
    recipe: Recipe,
    out: Path,
    partition: Partition | Sequence[Partition] | None = None,
    resume: bool = False,
    cache: Path | None = None,
) -> Checkpoint:
    """Train ``recipe`` on the train split of ``dataset``; write the checkpoint folder ``out`` and return it.

    The weights kept are those of the epoch that places most photos of the val split (of the last epoch where there
    is none); where that was not the last epoch, out/last is a checkpoint of its weights. ``partition``: one, or
    several from coarse to fine; None: built from the train split with the recipe's thresholds. Learning curves go
    to out/training.csv. ``cache``: where features of a frozen backbone are kept, by default beside the dataset.
    After a kill, ``resume`` goes on at the last saved step, with the photos that come after it, and ends with the
    weights of an uninterrupted run (bit for bit on the CPU with one thread); a finished run is given back as is.
    Under torchrun every process calls this with the same arguments; the first one writes.
    Raises TrainingError where it cannot start or the loss is no number, RecipeError where ``resume`` finds another
    recipe, CheckpointError for unfit initial weights, DatasetError or PartitionError for damaged input.
    """
    out, ranks = Path(out), Ranks.from_environment()
    *coarser, finest = _usable_partitions(dataset, recipe, partition)
    run = fingerprint(dataset, recipe, [*coarser, finest], ranks)
    if (ended := finished(out, run, resume)) is not None:
        return ended
    start = resume_state(out, run, resume, ranks)
    model = _model(recipe, coarser, finest, load=start is None or recipe.frozen)
    train, val = _photos(dataset, recipe, finest, model, cache)
    module, keeper = _train(recipe, model, [finest, *coarser], train, val, out, start, ranks)

    def checkpoint(accuracy: dict[str, Any]) -> Checkpoint:
        summary = _summary(dataset, train, run) | {"curves": [_finite(row) for row in keeper.rows]}
        image, kept = recipe.image_config(), module.evaluated_model.eval()
        temperature = calibrate(kept, val)
        return Checkpoint(
            kept, finest, as_dict(recipe), image, accuracy, summary, coarser=tuple(coarser), calibration=temperature
        )

    last = keeper.rows[-1]
    if ranks.first and last["epoch"] != keeper.best["epoch"]:
        measured = {k.removeprefix("val_"): v for k, v in last.items() if k.startswith("val_") or k == "epoch"}
        checkpoint(measured).save(out / "last")
    module.evaluated_model.load_state_dict(load_file(keeper.best_weights))
    result = checkpoint(keeper.best)
    ranks.wait()  # until all have read the best weights
    if ranks.first:
        result.save(out)
        shutil.rmtree(keeper.folder)
        say(f"kept epoch {keeper.best['epoch']} of {recipe.epochs}{describe(keeper.best)}: {out}")
        say(result.calibration.describe())
    ranks.wait()
    return result


def prepare(
    dataset: Dataset, recipe: Recipe, partition: Partition | None = None, cache: Path | None = None
) -> tuple[ImageModel, list[Partition], Photos, Photos]:
    """What a run begins with: the model, the partitions (finest first), photos to train on and to validate with."""
    *coarser, finest = _usable_partitions(dataset, recipe, partition)
    model = _model(recipe, coarser, finest, load=True)
    return model, [finest, *coarser], *_photos(dataset, recipe, finest, model, cache)


def _usable_partitions(
    dataset: Dataset, recipe: Recipe, given: Partition | Sequence[Partition] | None
) -> list[Partition]:
    """The partitions given, or those of the recipe built from the train split; coarse to fine."""
    if not dataset.count("train", located=True):
        raise TrainingError(
            f"{dataset.path} has no photo with a position in its train split: ingest photos that know where they"
            " were taken, or give --coordinates"
        )
    if given is None and recipe.overlay:
        turns = random_turns(len(recipe.overlay), recipe.seed)
        overlaid = build_turned(dataset.coordinates("train"), [Thresholds(*pair) for pair in recipe.overlay], turns)
        answers = Thresholds(recipe.max_photos, recipe.min_photos)
        found = [*overlaid, *partitions_module.build_many(dataset.coordinates("train"), [answers])]
    elif given is None:
        wanted = [Thresholds(*pair) for pair in (*recipe.levels, (recipe.max_photos, recipe.min_photos))]
        found = partitions_module.build_many(dataset.coordinates("train"), wanted, nested=True)
    else:
        found = [given] if isinstance(given, Partition) else list(given)
    if given is not None and len(found) != 1 + len(recipe.levels or recipe.overlay):
        what = (
            f"{len(recipe.overlay)} overlaid partitions" if recipe.overlay else f"{len(recipe.levels)} coarser levels"
        )
        raise TrainingError(
            f"Recipe {recipe.name} has {what} and {len(found)} partition(s) were given:"
            " give one for each of those and the finest, or none, and they are built"
        )
    if min(len(partition) for partition in found) < 2:
        raise TrainingError(
            f"The partition has {min(len(p) for p in found)} cell(s), and there is nothing to learn with fewer than 2:"
            " lower max-photos (and min-photos), or ingest photos of more places"
        )
    return found


def _model(recipe: Recipe, coarser: Sequence[Partition], finest: Partition, load: bool) -> ImageModel:
    torch.manual_seed(recipe.seed)
    kind = Overlaid if recipe.overlay else Levels
    model = ImageModel(recipe.image_config(), len(finest), kind.of(coarser, finest))
    if load and recipe.weights is not None:
        file = weights_path(recipe)
        model.load_hub_backbone() if file is None else model.load_backbone(file)
    if recipe.frozen:
        model.backbone.requires_grad_(False)
    # on a CPU core seen as fast (resnet10t at 64 px) to 1.2 times faster (narrow resnet18 at 96 px)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def _photos(
    dataset: Dataset, recipe: Recipe, partition: Partition, model: ImageModel, cache: Path | None
) -> tuple[Photos, Photos]:
    """The photos to train on and those to validate with."""
    train: Photos
    val: Photos
    if recipe.frozen:
        folder = cache or embeddings.default_folder(dataset)
        train = embeddings.embed_split(dataset, "train", partition, model, recipe, folder, drop=True)
        val = embeddings.embed_split(dataset, "val", partition, model, recipe, folder, drop=False)
    else:
        margin_side = round(recipe.image_size * (data.CROP_MARGIN if recipe.crop > 0 else 1))
        train = data.load_split(dataset, "train", partition, margin_side, True, recipe.shuffle_buffer)
        val = data.load_split(dataset, "val", partition, recipe.image_size, False, recipe.shuffle_buffer)
    if len(train) < 2:
        raise TrainingError(
            f"{dataset.path}: {len(train)} photos to train on (with a position, in a cell, decodable);"
            " at least 2 are needed"
        )
    if not len(val):
        say("val: no located photo there: nothing to choose the best epoch by, so the last one is kept")
    return train, val


def _train(
    recipe: Recipe,
    model: ImageModel,
    partitions: Sequence[Partition],
    train: Photos,
    val: Photos,
    out: Path,
    start: Path | None,
    ranks: Ranks,
) -> tuple[TrainingModule, Keeper]:
    batches = data.loader(train, recipe.batch_size, recipe, shuffle=True, ranks=ranks)
    val_batches = data.loader(val, 2 * recipe.batch_size, recipe, shuffle=False, ranks=ranks)
    module = TrainingModule(model, recipe, partitions, len(batches), asked=len(val) + len(val.undecodable))
    if recipe.compile:
        compiled(model)
    keeper = Keeper(out, recipe.save_every, recipe.patience)
    callbacks: list[pl.Callback] = [keeper]
    if ranks.first:
        callbacks = [ProgressLine(len(train), recipe.epochs), keeper]
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
        trainer.fit(module, batches, val_batches if len(val) else None, ckpt_path=start, weights_only=True)
    module.cpu()
    return module, keeper


def compiled(model: ImageModel) -> None:
    """torch.compile ``model`` in place (done at its first batch). Raises TrainingError without a C++ compiler: PyTorch
    would only miss it then, after the data is read, with pages of traceback."""
    if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++", "cl") if name):
        raise TrainingError(
            "compile=true needs a C++ compiler (g++ or clang++), and there is none on the PATH: install one, or leave"
            " compile=false (nothing but speed changes)"
        )
    model.compile()


def devices(ranks: Ranks) -> dict[str, Any]:
    """The trainer's arguments for one process, or for all that torchrun started."""
    if ranks.world == 1:
        return {"accelerator": "auto", "devices": 1}
    return {
        "accelerator": "auto",
        "devices": ranks.local_world,
        "num_nodes": ranks.world // ranks.local_world,
        "strategy": "ddp",
        # on CPUs PyTorch has none; there each process normalises by its own photos
        "sync_batchnorm": torch.cuda.is_available(),
    }


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: the loss of an epoch of which no batch could be read."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }


def _summary(dataset: Dataset, train: Photos, run: dict[str, Any]) -> dict[str, Any]:
    licence = dataset.table(["licence"], split="train", located=True).column("licence")
    counts = {str(entry["values"] or "not stated"): entry["counts"] for entry in pc.value_counts(licence).to_pylist()}
    manifest = {k: v for k, v in dataset.manifest.items() if isinstance(v, str | int | float | bool)}
    return {
        "dataset": dataset.path.name,
        "photos": len(train),
        "in_no_cell": train.in_no_cell,
        "undecodable": train.undecodable,
        "licences": counts,
        "manifest": manifest,
        "run": {k: v for k, v in run.items() if k != "recipe"},
    }


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
