"""Commands around models that others trained."""

from pathlib import Path

import click

from openplanet.cli.base import PATH, Command, show
from openplanet.errors import InputError


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
    from openplanet.models.checkpoint import is_finished
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
@click.argument("checkpoint", type=PATH)
@click.argument("dataset", type=PATH)
@click.option("--split", default="val", show_default=True, help="Split to fit on.")
@click.option("--check", default="test", show_default=True, help="Split on which to measure coverage.")
def calibrate(checkpoint: Path, dataset: Path, split: str, check: str) -> None:
    """Calibrate a checkpoint on your own photos.

    Fits the temperature and the radii of CHECKPOINT on the located photos of DATASET, stores them in CHECKPOINT, and
    prints their coverage. The ranking of cells does not change. Afterwards the 68 and 95 % radii of `locate` hold for
    photos like these.
    """
    from openplanet.models import hub
    from openplanet.photos.dataset import Dataset
    from openplanet.training.temperature import recalibrate

    if str(checkpoint).startswith(hub.PREFIX) and not hub.is_kept(checkpoint):
        raise InputError(
            f"{checkpoint} is in the Hub's cache, which stays as it is: first  openplanet download {checkpoint}"
        )
    found, coverage = recalibrate(hub.resolve(checkpoint), Dataset.open(dataset), split, check)
    show(found.describe())
    show(coverage)
