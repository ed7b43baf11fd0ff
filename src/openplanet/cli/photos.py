"""Commands that bring photos in: from folders, from elsewhere, and from a planet of our own."""

from pathlib import Path
from typing import Any

import click

from openplanet.cli.base import PATH, Command, show

CONTACT_HELP = "Your e-mail address or page, told to the host; or OPENPLANET_CONTACT"


@click.command(cls=Command, example="openplanet ingest ~/Pictures --out photos.ds")
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
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "owner", "album"]),
    help="What is never cut in two by train/val/test; auto: owners, or albums where one owner has most photos.",
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
    from openplanet.photos.ingest.ingest import ingest as run
    from openplanet.photos.ingest.ingest import summary

    show(summary(run(list(sources), out, **options), out))


@click.group()
def collect() -> None:
    """Fetch photos from elsewhere into a folder that ingest takes, with photos.csv on them."""


@collect.command("urls", cls=Command, example="openplanet collect urls list.csv --out got")
@click.argument("table", type=PATH, metavar="LIST.csv|LIST.parquet")
@click.option("--out", required=True, type=PATH, help="Folder to write.")
@click.option("--per-host", default=2, show_default=True, type=click.IntRange(1, 64), help="Connections to one host.")
@click.option("--workers", default=16, show_default=True, type=click.IntRange(1, 256), help="Connections in all.")
@click.option("--max-mb", default=64, show_default=True, type=click.IntRange(1, 1024), help="Larger ones are left.")
@click.option("--contact", help=f"{CONTACT_HELP} [default: none is told].")
def collect_urls(table: Path, out: Path, per_host: int, workers: int, max_mb: int, contact: str | None) -> None:
    """Fetch the photos of a table with a column url [lat, lng, album, owner, licence, ...].

    Stopped, it goes on when the same command is given again; what failed is in failed.csv and is tried again.
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
@click.option("--bbox", required=True, metavar="WEST,SOUTH,EAST,NORTH", help="Degrees; west > east: over 180.")
@click.option("--out", required=True, type=PATH, help="Folder to write.")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1), help="Photos at most.")
@click.option("--width", default=1024, show_default=True, type=click.IntRange(64, 8192), help="Pixels, of the copies.")
@click.option("--api", help="Another MediaWiki's api.php [default: Wikimedia Commons].")
@click.option("--contact", help=f"{CONTACT_HELP}; Wikimedia asks for it.")
def collect_commons(bbox: str, out: Path, limit: int, width: int, api: str | None, contact: str | None) -> None:
    """Fetch geotagged photos of Wikimedia Commons, with author, licence and attribution."""
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
@click.option("--photos", default=3000, show_default=True, type=click.IntRange(50, 1_000_000), help="How many.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Which planet.")
def synthetic(out: Path, photos: int, seed: int) -> None:
    """Make the synthetic planet: JPEG photos with Exif GPS in albums, whose exact posterior is known."""
    from openplanet.synthetic.planet import make

    make(out, photos, seed)
    show(f"{out / 'photos'}: the photos; {out / 'world.parquet'}: what is known of them, for --world")
