"""Commands for albums."""

import click

from openplanet.cli.base import LOCATION, Command, pairs, show
from openplanet.errors import InputError
from openplanet.stores.location import Location


@click.command(
    "train-albums",
    cls=Command,
    example="openplanet train-albums photos.ds --checkpoint model --recipe blstm --out albums",
)
@click.argument("dataset", type=LOCATION)
@click.option("--checkpoint", "image", required=True, type=LOCATION, help="Image model to build on; it is not changed.")
@click.option("--recipe", required=True, help="Album recipe (see `openplanet recipes`).")
@click.option("--out", required=True, type=LOCATION, help="Checkpoint folder to write.")
@click.option("--resume", is_flag=True, help="Resume an interrupted training.")
@click.option("--cache", type=LOCATION, help="Folder of the photos' features [default: DATASET.embeddings].")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a field of the recipe; repeatable."
)
def train_albums(
    dataset: Location,
    image: Location,
    recipe: str,
    out: Location,
    resume: bool,
    cache: Location | None,
    overrides: tuple[str, ...],
) -> None:
    """Train an album model on top of a frozen image model.

    It learns from the albums of DATASET. It reads photos without a position too; the loss leaves them out. Recipes
    that need no training (average, geometric_mean, travel) only collect statistics, once the photos are embedded.
    """
    from openplanet import album_recipes
    from openplanet.models.checkpoint import Checkpoint
    from openplanet.models.device import best_device
    from openplanet.photos.dataset import Dataset
    from openplanet.training.recipe.base import override

    chosen = override(album_recipes.get(recipe), pairs(overrides))
    data = Dataset.open(dataset)
    try:
        from openplanet.training.album.fit_albums import fit_albums
    except ModuleNotFoundError as error:
        raise InputError(
            f"training needs the package {error.name}: install it with  pip install 'openplanet[train]'"
        ) from error
    made = fit_albums(data, Checkpoint.load(image, best_device()), chosen, out, resume=resume, cache=cache)
    accuracy = ", ".join(f"{key} {value:.3g}" for key, value in made.accuracy.items() if value is not None)
    show(f"{out}: {made.config.variant}; on the val split: {accuracy or 'not measured'}")
