"""The command line: one command for each arrow of the pipeline.

Exit status 0 when done; 1 with one line on standard error for anything that a user can put right; 2 for usage.
Commands import what they need when they run, so that ``--help`` and ``recipes`` answer at once.
"""

import json
import sys
from pathlib import Path
from typing import Any, Literal

import click

from openplanet import __version__
from openplanet.errors import InputError, OpenPlaNetError

PATH = click.Path(path_type=Path)


class Command(click.Command):
    """A command whose help ends with an example, kept as typed."""

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example"):
            for line in self.example.strip().splitlines():
                formatter.write_text(line.strip())


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="openplanet")
def cli() -> None:
    """From the pixels of a photo, a probability over the Earth.

    The line: ingest photos, partition the Earth, train, evaluate, locate. `openplanet demo` runs all of it
    on a synthetic planet.
    """


@cli.command(cls=Command, example="openplanet ingest ~/Pictures --out photos.ds")
@click.argument("sources", nargs=-1, required=True, type=PATH, metavar="SOURCE...")
@click.option("--out", required=True, type=PATH, help="Dataset folder to write.")
@click.option(
    "--coordinates",
    type=PATH,
    help="CSV or Parquet with columns file, lat, lng [album, owner, taken_at, ...].",
)
@click.option("--keep-unlocated", is_flag=True, help="Keep photos that have no position.")
@click.option("--side", default=320, show_default=True, type=click.IntRange(32, 4096), help="Short side kept, px.")
@click.option(
    "--split-by",
    default="owner",
    show_default=True,
    type=click.Choice(["owner", "album"]),
    help="What is never cut in two by train/val/test.",
)
@click.option(
    "--albums",
    default="folder",
    show_default=True,
    type=click.Choice(["folder", "sessions"]),
    help="Folders, or outings of each camera by gaps in time and place.",
)
@click.option("--workers", type=click.IntRange(1, 256), help="Processes [default: one a core].")
def ingest(sources: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Read photos into a DATASET: decoded, resized, de-duplicated, split.

    A SOURCE is a folder (Google Takeout and XMP sidecars are understood), a photo, a WebDataset .tar, or hf:NAME (a
    Hugging Face dataset, a folder or a hub id). For lists of URLs and Wikimedia Commons: openplanet collect.

    Every file ends in one row of the dataset or one line of rejected.csv with the reason. A run that was stopped
    goes on where it was when the same command is given again, and a later one reads only what is new.
    """
    from openplanet.photos.ingest import ingest as run

    manifest = run(list(sources), out, **options)
    click.echo(_manifest_summary(manifest, out))


def _manifest_summary(manifest: dict[str, Any], out: Path) -> str:
    counts = manifest["counts"]
    splits = ", ".join(f"{name} {count:,}" for name, count in counts["splits"].items())
    rejected = ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts["rejected"].items()))
    lines = [f"{out}: {counts['rows']:,} photos, {counts['located']:,} with a position ({splits})"]
    if rejected:
        lines.append(f"rejected: {rejected}; each is named in {out / 'rejected.csv'}")
    return "\n".join(lines)


@cli.group()
def collect() -> None:
    """Fetch photos from elsewhere into a folder that ingest takes, with photos.csv on them."""


@collect.command("urls", cls=Command, example="openplanet collect urls list.csv --out got")
@click.argument("table", type=PATH, metavar="LIST.csv|LIST.parquet")
@click.option("--out", required=True, type=PATH, help="Folder to write.")
@click.option("--per-host", default=2, show_default=True, type=click.IntRange(1, 64), help="Connections to one host.")
@click.option("--workers", default=16, show_default=True, type=click.IntRange(1, 256), help="Connections in all.")
@click.option("--max-mb", default=64, show_default=True, type=click.IntRange(1, 1024), help="Larger ones are left.")
def collect_urls(table: Path, out: Path, per_host: int, workers: int, max_mb: int) -> None:
    """Fetch the photos of a table with a column url [lat, lng, album, owner, licence, ...].

    Stopped, it goes on when the same command is given again; what failed is in failed.csv and is tried again.
    """
    from openplanet.photos.collect import urls
    from openplanet.photos.fetch import Manners

    _say_collected(urls(table, out, Manners(workers=workers, per_host=per_host, max_bytes=max_mb << 20)), out)


@collect.command("commons", cls=Command, example="openplanet collect commons --bbox 2.2,48.8,2.4,48.9 --out paris")
@click.option("--bbox", required=True, metavar="WEST,SOUTH,EAST,NORTH", help="Degrees; west > east: over 180.")
@click.option("--out", required=True, type=PATH, help="Folder to write.")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1), help="Photos at most.")
@click.option("--width", default=1024, show_default=True, type=click.IntRange(64, 8192), help="Pixels, of the copies.")
@click.option("--api", help="Another MediaWiki's api.php [default: Wikimedia Commons].")
def collect_commons(bbox: str, out: Path, limit: int, width: int, api: str | None) -> None:
    """Fetch geotagged photos of Wikimedia Commons, with author, licence and attribution."""
    from openplanet.photos import commons
    from openplanet.photos.collect import from_commons

    try:
        west, south, east, north = (float(part) for part in bbox.split(","))
    except ValueError as error:
        raise click.UsageError(f"--bbox takes WEST,SOUTH,EAST,NORTH such as 2.2,48.8,2.4,48.9, not {bbox!r}") from error
    box = (west, south, east, north)
    _say_collected(from_commons(box, out, limit=limit, width=width, api=api or commons.API), out)


def _say_collected(counts: dict[str, int], out: Path) -> None:
    failed = ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items()) if reason != "fetched")
    click.echo(f"{out}: {counts['fetched']:,} photos" + (f"; failed: {failed}" if failed else ""))


@cli.command(cls=Command, example="openplanet partition photos.ds --max-photos 100 --min-photos 5 --out cells.parquet")
@click.argument("source", type=PATH, metavar="DATASET|COORDINATES")
@click.option("--max-photos", type=click.IntRange(1), help="Split a cell that holds more.")
@click.option("--min-photos", type=click.IntRange(1), help="Then drop a cell that holds fewer.")
@click.option("--target-cells", type=click.IntRange(1), help="Find the --max-photos that gives so many cells.")
@click.option("--max-level", default=30, show_default=True, type=click.IntRange(0, 30), help="Finest S2 level.")
@click.option("--out", required=True, type=PATH, help="Partition file to write (Parquet).")
@click.option("--geojson", type=PATH, help="Also write the cells as GeoJSON.")
@click.option("--report", type=PATH, help="Also write a self-contained HTML page that shows the cells.")
def partition(
    source: Path,
    max_photos: int | None,
    min_photos: int | None,
    target_cells: int | None,
    max_level: int,
    out: Path,
    geojson: Path | None,
    report: Path | None,
) -> None:
    """Split the Earth into cells, small where photos are many (PlaNet, section 3).

    From the train split of a dataset, or from all rows of a Parquet or CSV file with columns lat and lng; in
    memory that does not grow with their number (8 bytes a photo of temporary files go to TMPDIR).

    Give --max-photos and --min-photos, or --target-cells, with or without --min-photos [default then: a 200th of
    the --max-photos that is found, as the paper's 50 of 10,000].
    """
    from openplanet.earth.geojson import cells_feature_collection
    from openplanet.earth.partition import TargetCells, Thresholds, build_many
    from openplanet.earth.partitionreport import write_report
    from openplanet.earth.positions import from_file
    from openplanet.photos.shards import Dataset
    from openplanet.storage import write_json

    rule: TargetCells | Thresholds
    if target_cells is not None and max_photos is None:
        rule = TargetCells(target_cells, min_photos, max_level)
    elif target_cells is None and max_photos is not None and min_photos is not None:
        rule = Thresholds(max_photos, min_photos, max_level)
    else:
        raise click.UsageError("give --max-photos and --min-photos, or --target-cells")
    if not source.exists():
        raise InputError(f"{source} does not exist: give a dataset folder, or a Parquet or CSV file with lat and lng")
    batches = Dataset.open(source).coordinates("train") if source.is_dir() else from_file(source)
    [cells] = build_many(batches, [rule])
    cells.save(out)
    if geojson is not None:
        write_json(geojson, cells_feature_collection(cells))
    if report is not None:
        write_report(report, cells, source.name)
    levels = cells.level
    if target_cells is not None:
        click.echo(f"found --max-photos {cells.max_photos} --min-photos {cells.min_photos}")
    click.echo(
        f"{out}: {len(cells):,} cells at levels {levels.min()} to {levels.max()} hold {cells.count.sum():,} of "
        f"{cells.total_photos:,} photos; {cells.dropped_cells:,} cells with fewer than {cells.min_photos} photos were "
        f"dropped with their {cells.dropped_photos:,} photos"
    )


@cli.command(cls=Command, example="openplanet train photos.ds --recipe planet_cpu --out model --set epochs=10")
@click.argument("dataset", type=PATH)
@click.option("--recipe", required=True, help="Name of a recipe; `openplanet recipes` lists them.")
@click.option("--out", type=PATH, help="Checkpoint folder to write (needed, except with --find).")
@click.option("--partition", "partition_file", type=PATH, help="Cells to use [default: built by the recipe].")
@click.option("--resume", is_flag=True, help="Go on with a training that was stopped.")
@click.option("--cache", type=PATH, help="Features of a frozen backbone [default: DATASET.embeddings].")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a field of the recipe.")
@click.option(
    "--find",
    type=click.Choice(["learning_rate", "batch_size"]),
    help="Do not train: look for a good value, and show the curve.",
)
def train(
    dataset: Path,
    recipe: str,
    out: Path | None,
    partition_file: Path | None,
    resume: bool,
    cache: Path | None,
    overrides: tuple[str, ...],
    find: Literal["learning_rate", "batch_size"] | None,
) -> None:
    """Train an image model on the train split of DATASET; choose the best epoch on its val split."""
    from openplanet import recipes as named
    from openplanet.earth.partition import Partition
    from openplanet.photos.shards import Dataset
    from openplanet.training.recipe import override

    if out is None and find is None:
        raise click.UsageError("give --out, the checkpoint folder to write")
    chosen = override(named.get(recipe), _pairs(overrides))
    data = Dataset.open(dataset)
    cells = Partition.load(partition_file) if partition_file is not None else None
    try:
        from openplanet.training import find as finder
        from openplanet.training.fit import fit
    except ModuleNotFoundError as error:
        raise InputError(
            f"training needs the package {error.name}: install it with  pip install 'openplanet[train]'"
        ) from error
    if find is not None or out is None:
        click.echo(finder.find(find or "learning_rate", data, chosen, cells, cache).to_text())
        return
    checkpoint = fit(data, chosen, out, partition=cells, resume=resume, cache=cache)
    accuracy = ", ".join(f"{key} {value:.3g}" for key, value in checkpoint.accuracy.items())
    click.echo(f"{out}: {len(checkpoint.partition):,} cells; on the val split: {accuracy or 'not measured'}")


@cli.command(cls=Command, example="openplanet push model owner/name")
@click.argument("checkpoint", type=PATH)
@click.argument("repository", metavar="OWNER/NAME")
@click.option("--public", is_flag=True, help="For everyone to see [default: private].")
@click.option("--endpoint", help="Another Hub than the one HF_ENDPOINT names.")
def push(checkpoint: Path, repository: str, public: bool, endpoint: str | None) -> None:
    """Share a CHECKPOINT on a Hugging Face Hub; then `--checkpoint hf:OWNER/NAME` loads it."""
    from openplanet.models import hub

    click.echo(hub.push(checkpoint, repository, endpoint, private=not public))


def _pairs(overrides: tuple[str, ...]) -> dict[str, str]:
    for text in overrides:
        if "=" not in text:
            raise click.UsageError(f"--set takes KEY=VALUE, not {text!r}")
    return dict(text.split("=", 1) for text in overrides)


@cli.command(
    cls=Command,
    example="openplanet evaluate photos.ds --checkpoint model --json scores.json --report scores.html\n"
    "openplanet evaluate im2gps3k:~/im2gps3k photos.ds --checkpoint model --predictions theirs.csv --strict",
)
@click.argument("photos", metavar="DATASET|NAME:PATH")
@click.argument("train", type=PATH, required=False, metavar="[TRAIN_DATASET]")
@click.option("--checkpoint", type=PATH, help="Checkpoint folder, or geoclip:CELLS.parquet.")
@click.option(
    "--predictions",
    multiple=True,
    type=PATH,
    help="Guesses of another system, or of people: CSV or JSON with photo, lat, lng [, probability, player].",
)
@click.option(
    "--split",
    default="test",
    show_default=True,
    type=click.Choice(["train", "val", "test"]),
    help="Photos of DATASET to score.",
)
@click.option("--strict", is_flag=True, help="Refuse a set that has photos, owners or albums of the training set.")
@click.option("--distances", default="", metavar="KM,KM,...", help="Distances besides 1, 25, 200, 750 and 2500 km.")
@click.option("--world", type=PATH, help="Folder of the synthetic planet, for the Bayes limit.")
@click.option("--json", "json_file", type=PATH, help="Write all figures as JSON.")
@click.option("--report", type=PATH, help="Write a self-contained HTML report (and .csv, .md, .tex).")
def evaluate(
    photos: str,
    train: Path | None,
    checkpoint: Path | None,
    predictions: tuple[Path, ...],
    split: str,
    strict: bool,
    distances: str,
    world: Path | None,
    json_file: Path | None,
    report: Path | None,
) -> None:
    """Score a checkpoint, or guesses made by others, beside baselines; photos that fail count as wrong.

    On the split of a DATASET, or on NAME:PATH: im2gps, im2gps3k, yfcc4k, yfcc26k, gws15k, osv5m or folder, PATH
    being the folder (or table) as its authors publish it. Baselines are fitted on the train split of TRAIN_DATASET
    [default: DATASET], and the set is searched for photos, owners and albums of it.
    """
    if checkpoint is None and not predictions:
        raise click.UsageError("give --checkpoint or --predictions: there is nothing to score")
    if report is not None and checkpoint is None:
        raise click.UsageError("--report needs --checkpoint: it shows what the model says of photos")
    extra = _distances(distances)
    from openplanet.evaluation.evaluate import evaluate as run
    from openplanet.evaluation.geoclip import open_locator
    from openplanet.evaluation.report import write_report, write_tables
    from openplanet.evaluation.testsets.opening import open_set
    from openplanet.photos.shards import Dataset
    from openplanet.storage import write_json

    data = Dataset.open(photos) if _is_dataset(photos) else open_set(photos, pictures_needed=checkpoint is not None)
    trained = None if train is None else Dataset.open(train)
    predictor = None if checkpoint is None else open_locator(checkpoint)
    result = run(data, predictor, split, world, extra, trained, predictions, strict)
    click.echo(result.to_text())
    if json_file is not None:
        write_json(json_file, result.to_dict())
    if report is not None and predictor is not None:
        write_report(report, result, predictor, data)
        write_tables(report, result)


@cli.command(cls=Command, example="openplanet compare model_a model_b theirs.csv nearest photos.ds")
@click.argument("contestants", nargs=-1, required=True, metavar="CONTESTANT...")
@click.argument("photos", metavar="DATASET|NAME:PATH")
@click.option("--train", type=PATH, help="Dataset for the baselines [default: DATASET].")
@click.option("--distances", default="", metavar="KM,KM,...", help="Distances besides 1, 25, 200, 750 and 2500 km.")
@click.option("--json", "json_file", type=PATH, help="Write all figures as JSON.")
def compare(
    contestants: tuple[str, ...], photos: str, train: Path | None, distances: str, json_file: Path | None
) -> None:
    """Put locators side by side on the test photos, with intervals, and say which differences are real.

    A CONTESTANT is a checkpoint folder, a CSV or JSON of predictions, or a baseline: random, nearest, density.
    """
    extra = _distances(distances)
    from openplanet.evaluation.compare import compare as run
    from openplanet.evaluation.testsets.opening import open_set
    from openplanet.photos.shards import Dataset
    from openplanet.storage import write_json

    fitted = train or (Path(photos) if _is_dataset(photos) else None)
    result = run(contestants, open_set(photos), None if fitted is None else Dataset.open(fitted), extra)
    click.echo(result.to_text())
    if json_file is not None:
        write_json(json_file, result.to_dict())


def _is_dataset(text: str) -> bool:
    return ":" not in text or Path(text).exists()


def _distances(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        values = (-1.0,)
    if any(not 0 < value < 20100 for value in values):
        raise click.UsageError(f"--distances takes kilometres such as 5,10,50, not {text!r}")
    return values


@cli.command(cls=Command, example="openplanet locate holiday/ --checkpoint model --map holiday.html")
@click.argument("photos", nargs=-1, required=True, type=PATH, metavar="PHOTO|FOLDER...")
@click.option("--checkpoint", required=True, type=PATH, help="Checkpoint folder.")
@click.option("--top", default=5, show_default=True, type=click.IntRange(1, 1000), help="Candidates a photo.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--geojson", "as_geojson", is_flag=True, help="Print GeoJSON.")
@click.option("--map", "map_file", type=PATH, help="Write a self-contained HTML page with a map for each photo.")
def locate(
    photos: tuple[Path, ...],
    checkpoint: Path,
    top: int,
    as_json: bool,
    as_geojson: bool,
    map_file: Path | None,
) -> None:
    """Say where photos were taken: the most probable cells, named. Photos are read, never changed."""
    from openplanet.inference import located as output
    from openplanet.inference.predictor import Predictor

    if as_json and as_geojson:
        raise click.UsageError("give --json or --geojson, not both")
    paths = output.find_photos(photos)
    predictor = Predictor.load(checkpoint)
    results = list(predictor.locate_many(paths))
    if as_json:
        click.echo(json.dumps([output.to_dict(each, top) for each in results], indent=2, ensure_ascii=False))
    elif as_geojson:
        click.echo(json.dumps(output.to_geojson(results, top), ensure_ascii=False))
    else:
        for each in results:
            click.echo(output.to_text(each, top))
    if map_file is not None:
        output.write_map(map_file, results, top)
    failed = [each for each in results if each.prediction is None]
    if len(failed) == len(results):
        raise InputError(failed[0].error if len(failed) == 1 else f"none of {len(failed)} photos could be read")
    if failed:
        click.echo(f"openplanet: {len(failed)} of {len(results)} photos could not be read", err=True)


@cli.command(cls=Command, example="openplanet recipes --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def recipes(as_json: bool) -> None:
    """List the training recipes: what each is, and what it was seen to give and cost."""
    from openplanet import recipes as named

    rows = named.listing()
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        million = row["parameters_at_26263_cells"] / 1e6
        click.echo(f"{row['name']}  ({million:.1f}M parameters at 26,263 cells)")
        click.echo(f"  {row['description']}\n  Seen: {row['seen']}\n")


@cli.command(cls=Command, example="openplanet synthetic world --photos 3000")
@click.argument("out", type=PATH)
@click.option("--photos", default=3000, show_default=True, type=click.IntRange(50, 1_000_000), help="How many.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Which planet.")
def synthetic(out: Path, photos: int, seed: int) -> None:
    """Make the synthetic planet: JPEG photos with Exif GPS in albums, whose exact posterior is known."""
    from openplanet.photos.synthetic import make

    make(out, photos, seed)
    click.echo(f"{out / 'photos'}: the photos; {out / 'world.parquet'}: what is known of them, for --world")


@cli.command(cls=Command, example="openplanet demo --out demo")
@click.option("--out", default=Path("demo"), show_default=True, type=PATH, help="Folder to write.")
@click.option("--photos", default=3000, show_default=True, type=click.IntRange(200, 1_000_000), help="How many.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Which planet.")
def demo(out: Path, photos: int, seed: int) -> None:
    """The whole line on a synthetic planet: photos, cells, training, table and map, in minutes."""
    from openplanet.demo import run

    click.echo(run(out, photos, seed))


def main() -> None:
    """Entry point: errors that a user can put right become one line and exit status 1."""
    try:
        status = cli.main(standalone_mode=False)
    except OpenPlaNetError as error:
        click.echo(f"openplanet: error: {' '.join(str(error).split())}", err=True)
        status = 1
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except click.Abort:
        click.echo("openplanet: stopped", err=True)
        status = 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader (head, less) has gone: nothing is left to say
        status = 1
    sys.exit(status)
