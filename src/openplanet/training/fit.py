"""Training: from a dataset and a recipe to a checkpoint. The trainer is Lightning's."""

import hashlib
import json
import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pyarrow.compute as pc
import torch
from safetensors.torch import load_file

from openplanet.earth import partition as partitions
from openplanet.earth.partition import Partition
from openplanet.errors import RecipeError, TrainingError
from openplanet.models import checkpoint as checkpoints
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageModel
from openplanet.photos.shards import Dataset
from openplanet.progress import say
from openplanet.storage import read_json, write_json
from openplanet.training import data
from openplanet.training.callbacks import STATE, Keeper, ProgressLine, describe
from openplanet.training.data import SplitPhotos
from openplanet.training.module import TrainingModule
from openplanet.training.recipe import Recipe, as_dict, weights_path

PRECISIONS: dict[str, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed"}


def fit(
    dataset: Dataset, recipe: Recipe, out: Path, partition: Partition | None = None, resume: bool = False
) -> Checkpoint:
    """Train ``recipe`` on the train split of ``dataset``; write the checkpoint folder ``out`` and return it.

    The weights kept are those of the epoch with the lowest loss on the val split (of the last epoch where there
    is none). ``partition`` None: built from the train split with the recipe's thresholds. Learning curves go to
    out/training.csv. After a kill, ``resume`` goes on at the start of the epoch that was cut, and ends with the
    weights of an uninterrupted run (bit for bit on the CPU with one thread); a finished run is given back as is.
    Raises TrainingError where it cannot start or the loss is no number, RecipeError where ``resume`` finds another
    recipe, CheckpointError for unfit initial weights, DatasetError or PartitionError for damaged input.
    """
    out = Path(out)
    partition = _usable_partition(dataset, recipe, partition)
    run = _fingerprint(dataset, recipe, partition)
    if (finished := _finished(out, run, resume)) is not None:
        return finished
    start = _resume_state(out, run, resume)
    train, val = _photos(dataset, recipe, partition)
    module, keeper = _train(recipe, partition, train, val, out, start)
    module.model.load_state_dict(load_file(keeper.best_weights))
    result = Checkpoint(
        model=module.model.eval(),
        partition=partition,
        recipe=as_dict(recipe),
        image=recipe.image_config(),
        accuracy=keeper.best,
        training=_summary(dataset, train, run),
    )
    result.save(out)
    shutil.rmtree(keeper.folder)
    say(f"kept epoch {keeper.best['epoch']} of {recipe.epochs}{describe(keeper.best)}: {out}")
    return result


def _usable_partition(dataset: Dataset, recipe: Recipe, partition: Partition | None) -> Partition:
    """The partition given, or one built from the train split."""
    if not dataset.count("train", located=True):
        raise TrainingError(
            f"{dataset.path} has no photo with a position in its train split: ingest photos that know where they"
            " were taken, or give --coordinates"
        )
    if partition is None:
        partition = partitions.build(dataset.coordinates("train"), recipe.max_photos, recipe.min_photos)
    if len(partition) < 2:
        raise TrainingError(
            f"The partition has {len(partition)} cell(s), and there is nothing to learn with fewer than 2: lower"
            " max-photos (and min-photos), or ingest photos of more places"
        )
    return partition


def _photos(dataset: Dataset, recipe: Recipe, partition: Partition) -> tuple[SplitPhotos, SplitPhotos]:
    """The photos to train on and those to validate with."""
    margin_side = round(recipe.image_size * (data.CROP_MARGIN if recipe.crop > 0 else 1))
    train = data.load_split(dataset, "train", partition, margin_side, drop_in_no_cell=True)
    if len(train) < 2:
        raise TrainingError(
            f"{dataset.path}: {len(train)} photos to train on (with a position, in a cell, decodable);"
            " at least 2 are needed"
        )
    val = data.load_split(dataset, "val", partition, recipe.image_size, drop_in_no_cell=False)
    if not len(val):
        say("val: no located photo there: nothing to choose the best epoch by, so the last one is kept")
    return train, val


def _train(
    recipe: Recipe, partition: Partition, train: SplitPhotos, val: SplitPhotos, out: Path, start: Path | None
) -> tuple[TrainingModule, Keeper]:
    torch.manual_seed(recipe.seed)
    model = ImageModel(recipe.image_config(), len(partition))
    if (weights := weights_path(recipe)) is not None and start is None:
        model.load_backbone(weights)
    # on a CPU core seen as fast (resnet10t at 64 px) to 1.2 times faster (narrow resnet18 at 96 px)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = data.loader(train, recipe.batch_size, recipe.seed, shuffle=True, workers=recipe.workers)
    val_batches = data.loader(val, 2 * recipe.batch_size, recipe.seed, shuffle=False, workers=recipe.workers)
    module = TrainingModule(model, recipe, partition, train, val, steps=len(batches))
    keeper = Keeper(out)
    with _quiet_lightning():
        trainer = pl.Trainer(
            accelerator="auto",
            devices=1,
            precision=PRECISIONS[recipe.precision],
            max_epochs=recipe.epochs,
            gradient_clip_val=recipe.gradient_clip,
            callbacks=[ProgressLine(len(train), recipe.epochs), keeper],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            default_root_dir=out,
        )
        trainer.fit(module, batches, val_batches if len(val) else None, ckpt_path=start, weights_only=True)
    return module, keeper


def _fingerprint(dataset: Dataset, recipe: Recipe, partition: Partition) -> dict[str, Any]:
    """What must be the same for a run to be the same run."""
    manifest = json.dumps(dataset.manifest, sort_keys=True, default=str).encode()
    cells = hashlib.sha256(partition.cell_id.tobytes() + partition.centroid_lat.tobytes())
    return {
        "recipe": as_dict(recipe),
        "dataset_sha256": hashlib.sha256(manifest).hexdigest(),
        "partition_sha256": cells.hexdigest(),
    }


def _finished(out: Path, run: dict[str, Any], resume: bool) -> Checkpoint | None:
    """The checkpoint in ``out``, if it holds the end of this very run and ``resume`` asks for it."""
    if not checkpoints.is_finished(out):
        return None
    if not resume:
        raise TrainingError(f"{out} already holds a finished checkpoint: give another --out, or delete that folder")
    finished = Checkpoint.load(out)
    _check_same({"recipe": finished.recipe, **finished.training.get("run", {})}, run, out)
    say(f"{out}: this training has already ended")
    return finished


def _resume_state(out: Path, run: dict[str, Any], resume: bool) -> Path | None:
    """The state to go on from, None to start anew; run.json says to a later call which run this is."""
    folder = out / "resume"
    if (folder / STATE).is_file():
        if not resume:
            raise TrainingError(f"{out} holds a training that was stopped: give --resume, another --out, or delete it")
        _check_same(read_json(folder / "run.json"), run, out)
        say(f"{out}: going on with a training that was stopped")
        return folder / STATE
    if resume:
        say(f"{out}: no training was stopped there after its first epoch: starting from the beginning")
    write_json(folder / "run.json", run)
    return None


def _check_same(before: dict[str, Any], now: dict[str, Any], out: Path) -> None:
    old, new = before.get("recipe", {}), now["recipe"]
    if changed := sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k) and k != "workers"):
        raise RecipeError(f"{out} was started with another {', '.join(changed)}: use the same, or another --out")
    for what in ("dataset", "partition"):
        if before.get(f"{what}_sha256") != now[f"{what}_sha256"]:
            raise TrainingError(f"{out} was started with another {what}: use the same, or give another --out")


def _summary(dataset: Dataset, train: SplitPhotos, run: dict[str, Any]) -> dict[str, Any]:
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
def _quiet_lightning() -> Iterator[None]:
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
        # Lightning 2.6 walks trees by a name that PyTorch 2.13 deprecates; nothing that we could do differently
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
