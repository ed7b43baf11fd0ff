"""Commands around models that others trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from openplanet.cli.base import LOCATION, PATH, Command, runner_options, show
from openplanet.errors import InputError
from openplanet.stores.location import Location, RemotePath


@click.command(cls=Command, example="openplanet download geoclip\nopenplanet locate holiday/")
@click.argument("name", required=False)
@click.option("--from", "given", type=PATH, help="Folder of files downloaded on another machine.")
def download(name: str | None, given: Path | None) -> None:
    """Download a published model, or list those available.

    Run it without NAME to list the models. hf:OWNER/NAME fetches an OpenPlaNet checkpoint from the Hugging Face
    Hub. Afterwards every command accepts `--checkpoint NAME`. If it is the only downloaded model,
    `locate` uses it by default.
    """
    from openplanet.models import hub
    from openplanet.models.checkpoint_folder import is_finished
    from openplanet.models.published.fetch import PUBLISHED
    from openplanet.models.published.fetch import download as fetch

    if name is not None:
        show(f"{name} is in {fetch(name, given)}: use it with --checkpoint {name}")
        return
    for model in PUBLISHED.values():
        here = f"in {hub.kept(model.name)}" if is_finished(hub.kept(model.name)) else f"{model.size / 1e9:.2f} GB"
        show(f"{model.name}  ({here})")
        show(f"  {model.description}\n  Published accuracy: {model.accuracy}")
        show(f"  Licence: {model.licence}\n  Source: {model.source}")
        for file in model.files:
            show(f"  File: {file.name}, {file.size / 1e6:,.0f} MB, from {file.where}")
        show("")


@click.command(cls=Command, example="openplanet calibrate geoclip photos.ds")
@click.argument("checkpoint", type=LOCATION)
@click.argument("dataset", type=LOCATION)
@click.option("--split", default="val", show_default=True, help="Split to fit on.")
@click.option("--check", default="test", show_default=True, help="Split on which to measure coverage.")
def calibrate(checkpoint: Location, dataset: Location, split: str, check: str) -> None:
    """Calibrate a checkpoint on your own photos.

    Fits the temperature and the radii of CHECKPOINT on the located photos of DATASET, stores them in CHECKPOINT, and
    prints their coverage. The ranking of cells does not change. Afterwards the 68 and 95 % radii of `locate` hold for
    photos like these.
    """
    from openplanet.photos.dataset import Dataset
    from openplanet.training.temperature import recalibrate

    with _own(checkpoint) as folder:
        found, coverage = recalibrate(folder, Dataset.open(dataset), split, check)
    show(found.describe())
    show(coverage)


@click.command(
    cls=Command,
    example="openplanet export model --engine openvino --precision bf16 --dataset photos.ds\n"
    "openplanet export model --engine onnx --precision int8 --dataset photos.ds --max-loss 0.02",
)
@click.argument("checkpoint", type=LOCATION)
@click.option("--engine", required=True, type=click.Choice(["openvino", "onnx"]), help="Software that runs it.")
@click.option(
    "--precision",
    default="fp32",
    show_default=True,
    type=click.Choice(["fp32", "bf16", "int8"]),
    help="Precision of the arithmetic; onnx has no bf16.",
)
@click.option(
    "--dataset", type=LOCATION, help="Its train split calibrates int8; on its val split the accuracy is compared."
)
@click.option(
    "--max-loss",
    default=0.01,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Largest fall of the share of photos within 25, 200 or 750 km; beyond it nothing is kept.",
)
def export(checkpoint: Location, engine: str, precision: str, dataset: Location | None, max_loss: float) -> None:
    """Export a checkpoint's network for faster answers on the CPU.

    Writes the engine's files into CHECKPOINT, and compares its answers and its speed with those of PyTorch. Afterwards
    `locate` and `evaluate` use the fastest network that belongs to the weights, and `locate` starts without PyTorch.
    """
    from openplanet.inference.engines.export import export as write
    from openplanet.inference.engines.exported import FOLDER as ENGINES
    from openplanet.photos.dataset import Dataset

    with _own(checkpoint) as folder:
        made = write(folder, engine, precision, None if dataset is None else Dataset.open(dataset), max_loss)
    found = made.about.measured
    place = checkpoint / ENGINES / made.name if isinstance(checkpoint, RemotePath) else made.folder
    show(f"{place}: {made.about.speedup:.1f} times as fast as PyTorch, in CPU seconds at a batch of 8")
    show(
        f"  of {found['photos']} {'photos' if dataset else 'random pictures'}: error of the embedding"
        f" {found['embedding_error']:.1e}, probability moved {found['probability_moved']:.2%}, same first cell"
        f" {found['same_first_cell']:.1%}"
    )
    for name, shares in found.items():
        if isinstance(shares, dict):
            show(f"  {name.replace('_', ' ')}: PyTorch {shares['pytorch']:.1%}, {made.name} {shares['engine']:.1%}")


@click.command(
    cls=Command,
    example="openplanet embed photos.ds --checkpoint model\n"
    "openplanet embed photos.ds --checkpoint model --shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT",
)
@click.argument("dataset", type=LOCATION)
@click.option("--checkpoint", type=LOCATION, required=True, help="Image checkpoint whose backbone looks at the photos.")
@click.option(
    "--split", "splits", multiple=True, default=["train", "val", "test"], show_default=True, help="Split; repeatable."
)
@runner_options
def embed(dataset: Location, checkpoint: Location, splits: tuple[str, ...], runner: str, shard: str | None) -> None:
    """Compute what a backbone sees of a dataset's photos.

    It is kept in DATASET.embeddings, where training on a frozen backbone, train-albums and evaluate find it. A part is
    a row group of a split; what is there already is not computed again.
    """
    from openplanet.models.embed_job import EmbedJob
    from openplanet.photos.dataset import SPLITS
    from openplanet.runners import registry
    from openplanet.runners.job import Share

    if unknown := [split for split in splits if split not in SPLITS]:
        raise InputError(f"there is no split {unknown[0]}: give one of {', '.join(SPLITS)}")
    registry.run(EmbedJob(dataset, str(checkpoint), splits), runner, None if shard is None else Share.parse(shard))


@contextmanager
def _own(checkpoint: Location) -> Iterator[Path]:
    """The folder of a checkpoint that may be written into; of one in a store a copy, which is uploaded.

    Raises InputError for one in the Hub's cache.
    """
    from openplanet.models import hub
    from openplanet.models.checkpoint_folder import CONFIG
    from openplanet.stores.folders import staged

    if isinstance(checkpoint, RemotePath):
        with staged(checkpoint, CONFIG) as work:
            yield work.folder
        return
    if str(checkpoint).startswith(hub.PREFIX) and not hub.is_kept(checkpoint):
        raise InputError(
            f"{checkpoint} is in the Hub's cache, which stays as it is: first  openplanet download {checkpoint}"
        )
    yield hub.resolve(checkpoint)
