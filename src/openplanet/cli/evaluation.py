"""Commands that measure."""

from pathlib import Path

import click

from openplanet.cli.base import (
    LOCATION,
    PATH,
    Command,
    OutputFile,
    engine_option,
    runner_options,
    show,
    terminal_width,
)
from openplanet.evaluation import kinds
from openplanet.storage import generator
from openplanet.stores.location import Location, is_url, location


@click.command(
    cls=Command,
    example="openplanet evaluate photos.ds --checkpoint model --json scores.json --report scores.html\n"
    "openplanet evaluate photos.ds --checkpoint model --albums --album-checkpoint lstm --anchors 0,10,50\n"
    "openplanet evaluate im2gps3k:~/im2gps3k photos.ds --checkpoint model --predictions theirs.csv --strict",
)
@click.argument("photos", metavar="DATASET|NAME:PATH")
@click.argument("train", type=LOCATION, required=False, metavar="[TRAIN_DATASET]")
@click.option("--checkpoint", type=LOCATION, help="Checkpoint folder, hf:OWNER/NAME, or a downloaded model.")
@click.option(
    "--predictions",
    multiple=True,
    type=PATH,
    help="Guesses of a system or of people: CSV or JSON with photo, lat, lng [, probability, player]; repeatable.",
)
@click.option(
    "--split",
    default="test",
    show_default=True,
    type=click.Choice(["train", "val", "test", "all"]),
    help="Split of DATASET to evaluate; all: for a model that was not trained on it.",
)
@click.option(
    "--strict", is_flag=True, help="Fail if the test set shares photos, owners or albums with the training set."
)
@click.option(
    "--distances", default="", metavar="KM,KM,...", help="Distances in addition to 1, 25, 200, 750 and 2500 km."
)
@click.option("--world", type=PATH, help="Folder of the synthetic planet, for its Bayes limit.")
@click.option("--no-neighbours", is_flag=True, help="Skip the baselines that search every training photo.")
@click.option("--albums", is_flag=True, help="Evaluate album models too, in a table of their own.")
@click.option(
    "--album-checkpoint",
    "album_checkpoints",
    multiple=True,
    type=LOCATION,
    help="Trained album model for that table; repeatable.",
)
@click.option(
    "--anchors", default="", metavar="%,%,...", help="Shares of each album's positions to reveal, such as 0,10,50."
)
@engine_option
@runner_options
@click.option("--json", "scores", type=OutputFile(kinds.SCORES), help="Write all figures as JSON.")
@click.option(
    "--report",
    type=OutputFile(kinds.REPORT, *kinds.TABLES),
    help="Write a self-contained HTML report, and its tables as .csv, .md and .tex.",
)
def evaluate(
    photos: str,
    train: Location | None,
    checkpoint: Location | None,
    predictions: tuple[Path, ...],
    split: str,
    strict: bool,
    distances: str,
    world: Path | None,
    no_neighbours: bool,
    albums: bool,
    album_checkpoints: tuple[Location, ...],
    anchors: str,
    engine: str | None,
    runner: str,
    shard: str | None,
    scores: Location | None,
    report: Location | None,
) -> None:
    """Measure a model, or guesses made by others.

    The table shows baselines beside it. Photos that cannot be read count as wrong.

    The test photos are a split of DATASET, or NAME:PATH with NAME one of im2gps, im2gps3k, yfcc4k, yfcc26k, gws15k,
    osv5m and folder, and PATH the folder or table as its authors publish it.

    The train split of TRAIN_DATASET [default: DATASET] is used to fit the baselines, and is searched for the test
    photos, their owners and their albums.

    With --runner or --shard the network looks at the photos in parts, as `embed` does; with --shard that is all.
    """
    if checkpoint is None and not predictions:
        raise click.UsageError("give --checkpoint or --predictions: there is nothing to score")
    if (album_checkpoints or anchors) and not albums:
        raise click.UsageError("--album-checkpoint and --anchors go with --albums")
    extra, shares = _distances(distances), _percentages(anchors)
    from openplanet.evaluation import looking
    from openplanet.evaluation.albums import evaluate_albums
    from openplanet.evaluation.evaluate import evaluate as run
    from openplanet.evaluation.report.album_section import albums_of, section
    from openplanet.evaluation.report.page import write_report, write_tables
    from openplanet.evaluation.testsets.opening import open_set
    from openplanet.inference.locator import open_locator
    from openplanet.photos.dataset import Dataset
    from openplanet.runners import registry
    from openplanet.runners.job import Share
    from openplanet.storage import write_json

    looked_at = strict or checkpoint is not None
    data = Dataset.open(photos) if _is_dataset(photos) else open_set(photos, pictures_needed=looked_at)
    trained = None if train is None else Dataset.open(train)
    predictor = None if checkpoint is None else open_locator(checkpoint, engine=engine)
    if runner != "local" or shard is not None:
        share = None if shard is None else Share.parse(shard)
        for job in looking.jobs(data, trained, predictor, checkpoint, split, not no_neighbours):
            registry.run(job, runner, share)
        if shard is not None:
            show(f"shard {shard} is done; without --shard the figures are printed")
            return
    of_albums = albums_of(data, predictor, album_checkpoints) if albums else None
    result = run(data, predictor, split, world, extra, trained, predictions, strict, not no_neighbours)
    show(result.to_text(terminal_width()))
    placed = None
    if of_albums is not None:
        placed = evaluate_albums(*of_albums, split, album_checkpoints, world, extra, shares, strict)
        show(f"\n{placed.to_text(terminal_width())}")
    if scores is not None:
        albums_dict = {} if placed is None else {"albums": placed.to_dict()}
        write_json(scores, generator("evaluation") | result.to_dict() | albums_dict)
    if report is not None:
        write_tables(report, result)  # before the page: what fails in a drawing must not cost the figures
        write_report(report, result, predictor, data, sections=[] if placed is None else [section(placed)])


@click.command(
    cls=Command,
    example="openplanet compare model_a model_b theirs.csv nearest photos.ds\n"
    "openplanet compare model album_model travel photos.ds",
)
@click.argument("contestants", nargs=-1, required=True, metavar="CONTESTANT...")
@click.argument("photos", metavar="DATASET|NAME:PATH")
@click.option("--train", type=LOCATION, help="Training dataset of the baselines [default: DATASET].")
@click.option(
    "--strict", is_flag=True, help="Fail if the test set shares photos, owners or albums with the training set."
)
@click.option(
    "--distances", default="", metavar="KM,KM,...", help="Distances in addition to 1, 25, 200, 750 and 2500 km."
)
@click.option("--json", "scores", type=OutputFile(kinds.COMPARISON), help="Write all figures as JSON.")
def compare(
    contestants: tuple[str, ...],
    photos: str,
    train: Location | None,
    strict: bool,
    distances: str,
    scores: Location | None,
) -> None:
    """Compare locators on the same test photos.

    Prints intervals, and reports which differences are real.

    A CONTESTANT is an image or album checkpoint, a downloaded model, a CSV or JSON of predictions, a baseline (random,
    prior, nearest, density, embedding) or an untrained album model (average, geometric_mean, travel). Prior, embedding
    and the untrained album models use the cells and the network of the first checkpoint.
    """
    extra = _distances(distances)
    from openplanet.evaluation.compare import compare as run
    from openplanet.evaluation.contestants.contestants import need_pictures
    from openplanet.evaluation.testsets.opening import open_set
    from openplanet.photos.dataset import Dataset
    from openplanet.storage import write_json

    fitted = train or (location(photos) if _is_dataset(photos) else None)
    photoset = open_set(photos, pictures_needed=strict or need_pictures(contestants))
    result = run(contestants, photoset, None if fitted is None else Dataset.open(fitted), extra, strict)
    show(result.to_text(terminal_width()))
    if scores is not None:
        write_json(scores, generator("comparison") | result.to_dict())


@click.command(
    cls=Command,
    example="openplanet play photos.ds --checkpoint model --out play.html\n"
    "openplanet evaluate photos.ds --checkpoint model --predictions rounds.csv",
)
@click.argument("photos", metavar="DATASET|NAME:PATH")
@click.option("--out", required=True, type=OutputFile(kinds.GAME), help="HTML page to write.")
@click.option(
    "--checkpoint", type=LOCATION, help="Model to play against: folder, hf:OWNER/NAME, or a downloaded model."
)
@click.option("--world", type=PATH, help="Folder of the synthetic planet, for its Bayes limit.")
@click.option("--rounds", default=10, show_default=True, type=click.IntRange(1, 200), help="Number of photos to place.")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    help="Random seed of the choice of photos.",
)
def play(photos: str, out: Location, checkpoint: Location | None, world: Path | None, rounds: int, seed: int) -> None:
    """Write a guessing game, as one page: you against the model.

    After each guess the page shows where the photo was taken, and how far off you, the model and the Bayes limit are.
    It saves rounds.csv; `evaluate --predictions rounds.csv` on the same photos shows each player beside the model. Give
    every player the same page. The answers are in the page, packed.
    """
    from openplanet.evaluation.testsets.opening import open_set
    from openplanet.inference.locator import open_locator
    from openplanet.serve.game import make_game, write_game

    game = make_game(open_set(photos), rounds, seed, None if checkpoint is None else open_locator(checkpoint), world)
    write_game(out, game)
    count = len(game["rounds"])
    show(f"{out}: {count} photos to be placed; then  openplanet evaluate {photos} --predictions rounds.csv")


def _is_dataset(text: str) -> bool:
    return is_url(text) or ":" not in text or Path(text).exists()


def _percentages(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) / 100 for part in text.split(",") if part.strip())
    except ValueError:
        values = (-1.0,)
    if any(not 0 <= value < 1 for value in values):
        raise click.UsageError(f"--anchors takes percentages below 100 such as 0,10,50, not {text!r}")
    return values


def _distances(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        values = (-1.0,)
    if any(not 0 < value < 20100 for value in values):
        raise click.UsageError(f"--distances takes kilometres such as 5,10,50, not {text!r}")
    return values
