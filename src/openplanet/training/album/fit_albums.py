"""Training of album models: from a dataset, an image checkpoint and a recipe to an album checkpoint."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from openplanet.errors import TrainingError
from openplanet.models.album.base import AlbumModel
from openplanet.models.album.checkpoint import AlbumCheckpoint
from openplanet.models.album.embedded import EmbeddedAlbum, batch, embedded_albums
from openplanet.models.album.neural import NeuralAlbumModel
from openplanet.models.album.registry import build
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.features import weights_sha256
from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest.split import too_few
from openplanet.progress import warn
from openplanet.stores.folders import Staged
from openplanet.stores.location import Location, location
from openplanet.training.album.calibrate import calibrate_albums
from openplanet.training.album.data import AlbumRows
from openplanet.training.album.module import AlbumTraining
from openplanet.training.album.recipe import AlbumRecipe
from openplanet.training.callbacks import ProgressLine
from openplanet.training.distributed import Ranks
from openplanet.training.lightning_module import VALIDATED_KM, accuracy_of, validation_sums
from openplanet.training.loop import keep_best, run_trainer
from openplanet.training.out import output_folder
from openplanet.training.photos.order import BatchOrder, ResumableLoader
from openplanet.training.recipe.base import as_dict
from openplanet.training.run import fingerprint, finished, resume_state, started_with, too_few_for

VAL_ALBUMS = 8
"""Validated at once; whole ones, however long."""


def fit_albums(
    dataset: Dataset,
    image: Checkpoint,
    recipe: AlbumRecipe,
    out: Location | str,
    resume: bool = False,
    cache: Location | None = None,
) -> AlbumCheckpoint:
    """Train ``recipe`` on the albums of the train split of ``dataset``; write the checkpoint folder ``out`` and
    return it.

    ``image`` stays as it is; its embeddings are computed once and kept in ``cache`` [default: DATASET.embeddings].
    The weights kept, learning curves and ``resume`` are as in ``training.fit.fit``. A variant that needs no training
    takes its statistics from the training albums, and is measured on the val split.
    Raises TrainingError where it cannot start or the loss is no number, RecipeError for impossible options or where
    ``resume`` finds another recipe, CheckpointError or DatasetError for damaged input.
    """
    with output_folder(location(out)) as work:
        return _fit(dataset, image, recipe, work, resume, cache)


def _fit(
    dataset: Dataset, image: Checkpoint, recipe: AlbumRecipe, work: Staged, resume: bool, cache: Location | None
) -> AlbumCheckpoint:
    out, ranks = work.folder, Ranks.from_environment()
    processes = started_with(out, recipe, ranks)
    run = fingerprint(dataset, recipe, [image.partition, *image.coarser], processes)
    run |= {"image_sha256": weights_sha256(image.model)}
    if (ended := finished(out, run, resume, AlbumCheckpoint)) is not None:
        return ended
    torch.manual_seed(recipe.seed)
    model = build(recipe.album_config(), image.partition, image.model.embedding_dim)
    start = resume_state(out, run, resume, ranks) if model.needs_training else None
    train = embedded_albums(dataset, "train", image, cache)
    val = embedded_albums(dataset, "val", image, cache)
    targets = sum(int((album.cells(image.partition) >= 0).sum()) for album in train)
    if not targets:
        raise TrainingError(f"{dataset.path}: no photo of its train split has a position in a cell of the partition")
    if val and ranks.first and (few := too_few(*dataset.held_out())):
        warn(f"val has {few}: the epoch that is kept and the accuracy rest on too little to be trusted")
    model.fit_statistics(train, image)
    summary = _summary(dataset, train, targets, run)

    def checkpoint(kept: AlbumModel, accuracy: dict[str, Any]) -> AlbumCheckpoint:
        kept.calibration = calibrate_albums(kept.eval(), image, val)
        return AlbumCheckpoint(kept, image, as_dict(recipe), accuracy, summary)

    device = image.model.mean.device
    asked = dataset.count("val", located=True)  # with those that cannot be decoded: they are wrong
    if not isinstance(model, NeuralAlbumModel):
        model.to(device)  # as a checkpoint that is loaded: both models on one device
        made = checkpoint(model, measure(model, image, val, asked))
        if ranks.first:
            made.save(out)
        ranks.wait()
        return made
    module, batches, val_batches = _module(model, recipe, image, train, val, asked, ranks, processes)
    line = ProgressLine(len(AlbumRows(train, recipe.crop)), recipe.epochs, "album")
    keeper = run_trainer(module, batches, val_batches if val else None, line, work, start, ranks)
    image.model.to(device)  # whoever called goes on with it there

    return keep_best(module, keeper, lambda accuracy: checkpoint(module.evaluated_model, accuracy), work, ranks)


def _module(
    model: NeuralAlbumModel,
    recipe: AlbumRecipe,
    image: Checkpoint,
    train: Sequence[EmbeddedAlbum],
    val: Sequence[EmbeddedAlbum],
    asked: int,
    ranks: Ranks,
    processes: int,
) -> tuple[AlbumTraining, ResumableLoader, ResumableLoader]:
    def loader(rows: AlbumRows, batch_size: int, shuffle: bool, shares: int | None = None) -> ResumableLoader:
        order = BatchOrder(
            len(rows), batch_size, recipe.seed, shuffle, rank=ranks.rank, world=ranks.world, shares=shares
        )
        return ResumableLoader(rows, batch_size=None, sampler=order)

    shares = processes * recipe.accumulate
    if len(train) < shares:
        raise too_few_for(shares, len(train), "albums")
    batches = loader(AlbumRows(train, recipe.crop), recipe.batch_size, shuffle=True, shares=shares)
    recipe = replace(recipe, accumulate=shares // ranks.world)  # of the processes of now
    val_batches = loader(AlbumRows(val, None), VAL_ALBUMS, shuffle=False)
    return AlbumTraining(model, recipe, image, train, val, len(batches), asked), batches, val_batches


def measure(model: AlbumModel, image: Checkpoint, albums: Sequence[EmbeddedAlbum], asked: int) -> dict[str, Any]:
    """The validation figures of a model as it is, no position given; an album at a time. Both models are on one
    device."""
    sums = torch.zeros(2 + len(VALIDATED_KM), dtype=torch.float64)
    for album in albums:
        with torch.no_grad():
            one = batch([album], image.model, image.partition, None, image.calibration.temperature)
            log_probs_TC = model(one)[0].cpu()  # where the positions are
        known = album.located
        cell_N = torch.from_numpy(album.cells(image.partition)[known])
        at = album.lat_T[known], album.lng_T[known]
        sums += validation_sums(log_probs_TC[torch.from_numpy(known)], cell_N, image.partition, *at)
    return accuracy_of(sums, asked)


def _summary(dataset: Dataset, train: Sequence[EmbeddedAlbum], targets: int, run: dict[str, Any]) -> dict[str, Any]:
    manifest = {k: v for k, v in dataset.manifest.items() if isinstance(v, str | int | float | bool)}
    return {
        "dataset": dataset.path.name,
        "albums": len(train),
        "photos": sum(len(album) for album in train),
        "targets": targets,
        "manifest": manifest,
        "run": {k: v for k, v in run.items() if k != "recipe"},
    }
