"""Commands that bring photos in: from folders, from elsewhere, and from a planet of our own."""

from pathlib import Path
from typing import Any

import click

from openplanet.cli.base import LOCATION, PATH, Command, runner_options, show

CONTACT_HELP = "Your e-mail address or web page, sent to the host; or set OPENPLANET_CONTACT"


@click.command(cls=Command, example="openplanet ingest ~/Pictures --out photos.ds")
@click.argument("sources", nargs=-1, required=True, type=PATH, metavar="SOURCE...")
@click.option("--out", required=True, type=LOCATION, help="Dataset folder to write.")
@click.option(
    "--coordinates",
    type=PATH,
    help="Positions: CSV or Parquet with columns file, lat, lng [, album, owner, taken_at, ...].",
)
@click.option("--keep-unlocated", is_flag=True, help="Keep photos without a position.")
@click.option(
    "--side",
    default=320,
    show_default=True,
    type=click.IntRange(32, 4096),
    help="Short side of the stored photos, in pixels.",
)
@click.option(
    "--split-by",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "owner", "album", "none"]),
    help="Grouping kept within one split; auto: owners, or albums if one owner has most photos; none: all train.",
)
@click.option(
    "--albums",
    default="folder",
    show_default=True,
    type=click.Choice(["folder", "sessions"]),
    help="An album is a folder, or a session of one camera, bounded by gaps in time and place.",
)
@click.option("--workers", type=click.IntRange(1, 256), help="Number of local processes [default: one per core].")
@runner_options
def ingest(sources: tuple[Path, ...], out: Path, shard: str | None, **options: Any) -> None:
    """Read photos into a dataset.

    Photos are decoded, resized, searched for duplicates, and split into train, val and test.

    A SOURCE is a folder (with Google Takeout's JSON and XMP sidecars), a photo, an uncompressed WebDataset .tar, or
    hf:NAME (a Hugging Face dataset: a folder or a Hub id). For lists of URLs and Wikimedia Commons, run `openplanet
    collect` first.

    Every file becomes one row of the dataset, or one line of rejected.csv with the reason. The same command resumes an
    interrupted run, and reads only new files later. With --shard it reads a part of the files only; when all shards are
    read, the command without it makes the dataset.
    """
    from openplanet.photos.ingest.ingest import ingest as run
    from openplanet.photos.ingest.ingest import ingest_shard, summary
    from openplanet.runners.job import Share

    if options["workers"] is not None and options["runner"] != "local":
        raise click.UsageError("--workers goes with --runner local")
    if shard is not None:
        reading = {name: value for name, value in options.items() if name not in ("split_by", "albums")}
        count = ingest_shard(list(sources), out, Share.parse(shard), **reading)
        show(f"{out}: shard {shard} has read {count:,} photos; without --shard the dataset is made")
        return
    show(summary(run(list(sources), out, **options), out))


@click.group()
def collect() -> None:
    """Download photos into a folder, for `ingest`.

    Their positions are in photos.csv, for `ingest --coordinates`.
    """


@collect.command("urls", cls=Command, example="openplanet collect urls list.csv --out got")
@click.argument("table", type=PATH, metavar="LIST.csv|LIST.parquet")
@click.option("--out", required=True, type=PATH, help="Output folder.")
@click.option("--per-host", default=2, show_default=True, type=click.IntRange(1, 64), help="Connections per host.")
@click.option("--workers", default=16, show_default=True, type=click.IntRange(1, 256), help="Connections in total.")
@click.option(
    "--max-mb",
    default=64,
    show_default=True,
    type=click.IntRange(1, 1024),
    help="Maximum size of a file, in MB; larger ones are skipped.",
)
@click.option("--contact", help=f"{CONTACT_HELP} [default: not sent].")
def collect_urls(table: Path, out: Path, per_host: int, workers: int, max_mb: int, contact: str | None) -> None:
    """Download the photos of a table of URLs.

    The table has a column url [, lat, lng, album, owner, licence, ...].

    The same command resumes an interrupted run. Failures are listed in failed.csv, and tried again.
    """
    from openplanet.photos.sources.collect.collect import urls
    from openplanet.photos.sources.collect.fetch import Manners, contact_of

    manners = Manners(workers, per_host, max_bytes=max_mb << 20, contact=contact_of(contact))
    _say_collected(urls(table, out, manners), out)


@collect.command(
    "commons",
    cls=Command,
    example="openplanet collect commons --bbox 2.2,48.8,2.4,48.9 --out paris --contact you@example.org",
)
@click.option(
    "--bbox",
    required=True,
    metavar="WEST,SOUTH,EAST,NORTH",
    help="Bounding box in degrees; WEST > EAST crosses the 180th meridian.",
)
@click.option("--out", required=True, type=PATH, help="Output folder.")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1), help="Maximum number of photos.")
@click.option(
    "--width",
    default=1024,
    show_default=True,
    type=click.IntRange(64, 8192),
    help="Width of the downloaded copies, in pixels.",
)
@click.option("--api", help="URL of another MediaWiki's api.php [default: Wikimedia Commons].")
@click.option("--contact", help=f"{CONTACT_HELP}. Wikimedia requires it.")
def collect_commons(bbox: str, out: Path, limit: int, width: int, api: str | None, contact: str | None) -> None:
    """Download geotagged photos from Wikimedia Commons.

    photos.csv has their positions, authors, licences and attributions.
    """
    from openplanet.photos.sources.collect import commons
    from openplanet.photos.sources.collect.collect import from_commons
    from openplanet.photos.sources.collect.fetch import Manners, contact_of

    try:
        west, south, east, north = (float(part) for part in bbox.split(","))
    except ValueError as error:
        raise click.UsageError(f"--bbox takes WEST,SOUTH,EAST,NORTH such as 2.2,48.8,2.4,48.9, not {bbox!r}") from error
    box = (west, south, east, north)
    manners = Manners(contact=contact_of(contact))
    _say_collected(from_commons(box, out, limit=limit, width=width, api=api or commons.API, manners=manners), out)


def _say_collected(counts: dict[str, int], out: Path) -> None:
    failed = ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items()) if reason != "fetched")
    show(f"{out}: {counts['fetched']:,} photos" + (f"; failed: {failed}" if failed else ""))


@click.command(cls=Command, example="openplanet synthetic world --photos 3000")
@click.argument("out", type=PATH)
@click.option("--photos", default=3000, show_default=True, type=click.IntRange(50, 1_000_000), help="Number of photos.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Random seed of the planet.")
def synthetic(out: Path, photos: int, seed: int) -> None:
    """Make a synthetic planet, whose answers are known.

    It consists of albums of JPEG photos with Exif positions, whose exact posterior is known.
    """
    from openplanet.synthetic.planet import make

    make(out, photos, seed)
    show(f"{out / 'photos'}: the photos; {out / 'world.parquet'}: what is known of them, for --world")
