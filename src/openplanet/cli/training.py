"""Commands around the training of image models."""

import json
from pathlib import Path

import click

from openplanet.cli.base import LOCATION, Command, pairs, show
from openplanet.errors import InputError
from openplanet.stores.location import Location, RemotePath


@click.command(cls=Command, example="openplanet recipes --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def recipes(as_json: bool) -> None:
    """List the training recipes, with accuracy and cost."""
    # not recipes.listing(): counting parameters builds each network, which takes PyTorch and nine seconds
    rows = json.loads((Path(__file__).parents[1] / "recipes.json").read_text(encoding="utf-8"))
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        if row["of"] == "albums":
            size = "  (albums: openplanet train-albums)"
        else:
            size = f"  ({row['parameters_at_26263_cells'] / 1e6:.1f}M parameters at 26,263 cells)"
        show(f"{row['name']}{size}")
        show(f"  {row['description']}\n  Measured: {row['seen']}\n")


@click.command(cls=Command, example="openplanet train photos.ds --recipe planet_cpu --out model --set epochs=10")
@click.argument("dataset", type=LOCATION)
@click.option("--recipe", required=True, help="Recipe (see `openplanet recipes`).")
@click.option("--out", type=LOCATION, help="Checkpoint folder to write; required except with --find-batch-size.")
@click.option(
    "--partition", "partition_file", type=LOCATION, help="Partition file [default: built as the recipe says]."
)
@click.option("--resume", is_flag=True, help="Resume an interrupted training.")
@click.option("--cache", type=LOCATION, help="Folder of a frozen backbone's features [default: DATASET.embeddings].")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a field of the recipe; repeatable."
)
@click.option("--find-batch-size", is_flag=True, help="Time batch sizes and suggest one; train nothing.")
def train(
    dataset: Location,
    recipe: str,
    out: Location | None,
    partition_file: Location | None,
    resume: bool,
    cache: Location | None,
    overrides: tuple[str, ...],
    find_batch_size: bool,
) -> None:
    """Train an image model on a dataset.

    It learns from the train split of DATASET, and the best epoch on the val split is kept.
    """
    from openplanet import recipes as named
    from openplanet.earth.partition.adaptive import Partition
    from openplanet.photos.dataset import Dataset
    from openplanet.training.recipe.recipe import override

    if out is None and not find_batch_size:
        raise click.UsageError("give --out, the checkpoint folder to write")
    chosen = override(named.get(recipe), pairs(overrides))
    data = Dataset.open(dataset)
    cells = Partition.load(partition_file) if partition_file is not None else None
    try:
        from openplanet.training import find as finder
        from openplanet.training.fit import fit
    except ModuleNotFoundError as error:
        raise InputError(
            f"training needs the package {error.name}: install it with  pip install 'openplanet[train]'"
        ) from error
    if find_batch_size or out is None:
        show(finder.find_batch_size(data, chosen, cells, cache).to_text())
        return
    checkpoint = fit(data, chosen, out, partition=cells, resume=resume, cache=cache)
    measured = checkpoint.accuracy if checkpoint.accuracy.get("photos") else {}
    accuracy = ", ".join(f"{key} {value:.3g}" for key, value in measured.items() if value is not None)
    show(f"{out}: {len(checkpoint.partition):,} cells; on the val split: {accuracy or 'not measured'}")


@click.command(cls=Command, example="openplanet push model owner/name")
@click.argument("checkpoint", type=LOCATION)
@click.argument("repository", metavar="OWNER/NAME")
@click.option("--public", is_flag=True, help="Make the repository public [default: private].")
@click.option("--endpoint", help="URL of the Hub [default: HF_ENDPOINT, or Hugging Face].")
@click.option(
    "--min-cell-km2",
    default=25.0,
    show_default=True,
    type=click.FloatRange(0, 1e6),
    help="Minimum area of a cell, in km²; smaller cells are merged. 0 uploads cells and centroids as they are.",
)
def push(checkpoint: Location, repository: str, public: bool, endpoint: str | None, min_cell_km2: float) -> None:
    """Upload a checkpoint to the Hugging Face Hub.

    Every command then loads it with `--checkpoint hf:OWNER/NAME`.

    Small cells can reveal where a photographer lives. In the uploaded copy they are merged, and cell centres replace
    the photos' centroids; a merged cell's probability is the sum over its classes. CHECKPOINT is not changed.
    """
    from tempfile import TemporaryDirectory

    from openplanet.models import hub
    from openplanet.models.checkpoint import Checkpoint
    from openplanet.models.checkpoint_folder import is_album_checkpoint
    from openplanet.models.merged import merge, reveals

    if isinstance(checkpoint, RemotePath):
        checkpoint = hub.resolve(checkpoint)
    if min_cell_km2 == 0:
        show(hub.push(checkpoint, repository, endpoint, private=not public))
        return
    if is_album_checkpoint(checkpoint):
        raise InputError(
            f"{checkpoint}: cells of an album checkpoint cannot be merged: push its image model {checkpoint / 'image'},"
            " or everything as it is, small cells included, with --min-cell-km2 0"
        )
    loaded = Checkpoint.load(checkpoint)
    click.echo(f"before: {reveals(loaded.partition)}", err=True)
    merged = merge(loaded, min_cell_km2)
    click.echo(f"pushed: {reveals(merged.partition)}; cell centres replace centroids", err=True)
    with TemporaryDirectory(prefix="openplanet-push-") as folder:
        merged.save(Path(folder))
        show(hub.push(Path(folder), repository, endpoint, private=not public))
