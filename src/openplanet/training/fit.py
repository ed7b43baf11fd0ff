"""Training: from a dataset and a recipe to a checkpoint. The trainer is Lightning's."""

import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import torch

from openplanet.earth.partition.adaptive import Partition, Thresholds
from openplanet.errors import RecipeError, TrainingError
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.checkpoint_folder import CONFIG
from openplanet.models.heads.registry import HEADS
from openplanet.models.image_model import ImageModel
from openplanet.models.merged import reveals
from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest.split import too_few
from openplanet.progress import say, warn
from openplanet.storage import check_writable
from openplanet.stores.folders import Staged
from openplanet.stores.location import Location, location
from openplanet.training.callbacks import Keeper, ProgressLine
from openplanet.training.discriminant import fit_discriminant
from openplanet.training.distributed import Ranks
from openplanet.training.image_module import TrainingModule
from openplanet.training.loop import keep_best, run_trainer
from openplanet.training.out import output_folder
from openplanet.training.photos import data, frozen_features
from openplanet.training.photos.data import Photos
from openplanet.training.photos.order import LANES
from openplanet.training.recipe.recipe import Recipe, as_dict, weights_path
from openplanet.training.run import fingerprint, finished, resume_state, started_with, too_few_for
from openplanet.training.temperature import calibrate


def fit(
    dataset: Dataset,
    recipe: Recipe,
    out: Location | str,
    partition: Partition | Sequence[Partition] | None = None,
    resume: bool = False,
    cache: Location | None = None,
) -> Checkpoint:
    """Train ``recipe`` on the train split of ``dataset``; write the checkpoint folder ``out`` and return it.

    The weights kept are those of the epoch that places most photos of the val split (of the last epoch where there
    is none); where that was not the last epoch, out/last is a checkpoint of its weights. ``partition``: one, or
    several from coarse to fine; None: built from the train split with the recipe's thresholds. Learning curves go
    to out/training.csv. ``cache``: where features of a frozen backbone are kept, by default beside the dataset.
    After a kill, ``resume`` goes on at the last saved step, with the photos that come after it, and ends with the
    weights of an uninterrupted run (bit for bit on the CPU with one thread); a finished run is given back as is.
    Under torchrun every process calls this with the same arguments; the first one writes. Where ``out`` is a URL the
    folder is local until its end; after each epoch what resuming needs is uploaded (``training/out.py``).
    Raises InputError where ``out`` cannot be written, TrainingError where it cannot start or the loss is no number,
    RecipeError where ``resume`` finds another recipe or the backbone cannot be built, CheckpointError for unfit
    initial weights, DatasetError or PartitionError for damaged input and for a dataset without training photos.
    """
    with output_folder(location(out)) as work:
        return _fit(dataset, recipe.resolved(), work, partition, resume, cache)


def _fit(
    dataset: Dataset,
    recipe: Recipe,
    work: Staged,
    partition: Partition | Sequence[Partition] | None,
    resume: bool,
    cache: Location | None,
) -> Checkpoint:
    out, ranks = work.folder, Ranks.from_environment()
    check_writable(out / CONFIG)
    *coarser, finest = _usable_partitions(dataset, recipe, partition)
    processes = started_with(out, recipe, ranks)
    run = fingerprint(dataset, recipe, [*coarser, finest], processes)
    if (ended := finished(out, run, resume, Checkpoint)) is not None:
        return ended
    start = resume_state(out, run, resume, ranks)
    model = _model(dataset, recipe, coarser, finest, load=start is None or recipe.frozen)
    shares = processes * recipe.accumulate
    train, val = _photos(dataset, recipe, finest, model, cache, shares // ranks.world)
    if len(train) < 2 * shares:
        raise too_few_for(shares, len(train), "photos")
    if len(val) and ranks.first and (few := too_few(*dataset.held_out())):
        warn(f"val has {few}: the epoch that is kept and the temperature rest on too little to be trusted")
    module, keeper = _train(recipe, model, [finest, *coarser], train, val, work, start, ranks, shares)

    def checkpoint(accuracy: dict[str, Any]) -> Checkpoint:
        summary = _summary(dataset, train, run) | {"curves": [_finite(row) for row in keeper.rows]}
        kept = module.evaluated_model.eval()
        temperature = calibrate(kept, finest, val)
        return Checkpoint(
            kept,
            finest,
            as_dict(recipe),
            kept.config,
            accuracy,
            summary,
            coarser=tuple(coarser),
            calibration=temperature,
        )

    result = keep_best(module, keeper, checkpoint, work, ranks)
    if ranks.first:
        say(result.calibration.describe())
        say(f"{reveals(finest)}; whoever has the checkpoint can read that (`openplanet push` merges them)")
    return result


def prepare(
    dataset: Dataset, recipe: Recipe, partition: Partition | None = None, cache: Location | None = None
) -> tuple[ImageModel, list[Partition], Photos, Photos]:
    """What a run begins with: the model, the partitions (finest first), photos to train on and to validate with."""
    *coarser, finest = _usable_partitions(dataset, recipe, partition)
    model = _model(dataset, recipe, coarser, finest, load=True)
    return model, [finest, *coarser], *_photos(dataset, recipe, finest, model, cache)


def _usable_partitions(
    dataset: Dataset, recipe: Recipe, given: Partition | Sequence[Partition] | None
) -> list[Partition]:
    """The partitions given, or those of the recipe built from the train split; the answer's comes last."""
    dataset.check_train()
    if given is None:
        further, cells = [Thresholds(*pair) for pair in recipe.levels], Thresholds(recipe.max_photos, recipe.min_photos)
        found = HEADS[recipe.head].partitions(dataset.coordinates("train"), further, cells, recipe.seed)
    else:
        found = [given] if isinstance(given, Partition) else list(given)
        if len(found) != 1 + len(recipe.levels):
            raise TrainingError(
                f"Recipe {recipe.name} has {len(recipe.levels)} levels and {len(found)} partition(s) were given:"
                " give one for each level and the finest, or none, and they are built"
            )
    if min(len(partition) for partition in found) < 2:
        raise TrainingError(
            f"The partition has {min(len(p) for p in found)} cell(s), and there is nothing to learn with fewer than 2:"
            " lower max-photos (and min-photos), or ingest photos of more places"
        )
    return found


def _model(dataset: Dataset, recipe: Recipe, coarser: Sequence[Partition], finest: Partition, load: bool) -> ImageModel:
    torch.manual_seed(recipe.seed)
    model = ImageModel(recipe.image_config(dataset.side), len(finest), HEADS[recipe.head].class_map(coarser, finest))
    model.check_input()
    if load and recipe.init is not None:
        model.backbone.load_state_dict(Checkpoint.load(recipe.init).model.backbone.state_dict())
    if load and recipe.weights is not None:
        file = weights_path(recipe)
        model.load_hub_backbone() if file is None else model.load_backbone(file)
    if recipe.frozen:
        model.backbone.requires_grad_(False)
    # on a CPU core seen as fast (resnet10t at 64 px) to 1.2 times faster (narrow resnet18 at 96 px)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def _photos(
    dataset: Dataset,
    recipe: Recipe,
    partition: Partition,
    model: ImageModel,
    cache: Location | None,
    shares: int = 1,
) -> tuple[Photos, Photos]:
    """The photos to train on and those to validate with; ``shares``: batches of a step in this process."""
    train: Photos
    val: Photos
    if recipe.frozen:
        if recipe.weights is None and recipe.init is None:
            raise RecipeError(
                f"Recipe {recipe.name}: a frozen backbone needs weights: --set weights=hub, a safetensors file,"
                " or --set init=CHECKPOINT"
            )
        train = frozen_features.load_split(dataset, "train", partition, model, drop=True, folder=cache)
        val = frozen_features.load_split(dataset, "val", partition, model, drop=False, folder=cache)
    else:
        side, crop = model.config.image_size, model.config.centre_crop
        margin_side = round(side * (data.CROP_MARGIN if recipe.crop > 0 else 1))
        buffer = recipe.shuffle_buffer // recipe.accumulate * shares
        train = data.load_split(dataset, "train", partition, margin_side, True, buffer, crop, LANES * shares)
        val = data.load_split(dataset, "val", partition, side, False, recipe.shuffle_buffer, crop)
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
    work: Staged,
    start: Path | None,
    ranks: Ranks,
    shares: int,
) -> tuple[TrainingModule, Keeper]:
    if recipe.optimizer == "lda":
        assert isinstance(train, data.SplitPhotos), "the features of a frozen backbone are in memory"
        fit_discriminant(model, train.inputs["features"], torch.from_numpy(train.cell_N), recipe.shrinkage)
        recipe = replace(recipe, epochs=1, warmup=0)
    batches = data.loader(train, recipe.batch_size, recipe, shuffle=True, ranks=ranks, shares=shares)
    val_batches = data.loader(val, 2 * recipe.batch_size, recipe, shuffle=False, ranks=ranks)
    recipe = replace(recipe, accumulate=shares // ranks.world)  # of the processes of now
    module = TrainingModule(model, recipe, partitions, len(batches), asked=len(val) + len(val.undecodable))
    if recipe.compile:
        compiled(model)
    line = ProgressLine(len(train), recipe.epochs)
    return module, run_trainer(module, batches, val_batches if len(val) else None, line, work, start, ranks)


def compiled(model: ImageModel) -> None:
    """torch.compile ``model`` in place (done at its first batch). Raises TrainingError without a C++ compiler: PyTorch
    would only miss it then, after the data is read, with pages of traceback."""
    if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++", "cl") if name):
        raise TrainingError(
            "compile=true needs a C++ compiler (g++ or clang++), and there is none on the PATH: install one, or leave"
            " compile=false (nothing but speed changes)"
        )
    model.compile()


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: the loss of an epoch of which no batch could be read."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }


def _summary(dataset: Dataset, train: Photos, run: dict[str, Any]) -> dict[str, Any]:
    licence = dataset.table(["licence"], split="train", located=True).column("licence")
    counts = {str(entry["values"] or "not stated"): entry["counts"] for entry in pc.value_counts(licence).to_pylist()}
    manifest = {k: v for k, v in dataset.manifest.items() if isinstance(v, str | int | float | bool)}
    photos, albums = dataset.held_out()
    return {
        "dataset": dataset.path.name,
        "validation": {"photos": photos, "albums": albums},
        "photos": len(train),
        "in_no_cell": train.in_no_cell,
        "undecodable": train.undecodable,
        "licences": counts,
        "manifest": manifest,
        "run": {k: v for k, v in run.items() if k != "recipe"},
    }
