"""The command that says where photos were taken."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from openplanet.cli.base import PATH, Command, OutputFile
from openplanet.errors import InputError
from openplanet.storage import html_page

if TYPE_CHECKING:
    from openplanet.inference.album_predictor import Clock
    from openplanet.inference.located import Located


@click.command(
    cls=Command,
    example="openplanet locate holiday/ --checkpoint model --map holiday.html\n"
    "openplanet locate --album holiday/ --anchors --checkpoint model --geojson > track.geojson",
)
@click.argument("photos", nargs=-1, required=True, type=PATH, metavar="PHOTO|FOLDER...")
@click.option(
    "--checkpoint",
    type=PATH,
    help="Checkpoint folder, hf:OWNER/NAME, or a downloaded model [default: the only downloaded one].",
)
@click.option("--top", default=5, show_default=True, type=click.IntRange(1, 1000), help="Candidate cells per photo.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--geojson", "as_geojson", is_flag=True, help="Print GeoJSON.")
@click.option(
    "--map",
    "map_file",
    type=OutputFile(html_page("map")),
    help="Write a self-contained HTML page with a map of each photo.",
)
@click.option(
    "--album", "as_album", is_flag=True, help="Treat the photos as one album: each helps to place the others."
)
@click.option("--anchors", is_flag=True, help="Keep the positions that photos have, and use them to place the others.")
@click.option(
    "--clock-offset",
    metavar="auto|SECONDS",
    help="Seconds to add to the times of all cameras but the main one; auto estimates them.",
)
def locate(
    photos: tuple[Path, ...],
    checkpoint: Path | None,
    top: int,
    as_json: bool,
    as_geojson: bool,
    map_file: Path | None,
    as_album: bool,
    anchors: bool,
    clock_offset: str | None,
) -> None:
    """Locate photos, or whole albums.

    Prints the most probable cells of each photo, with place names. Photos are never changed.

    With --album, CHECKPOINT is an album checkpoint, or an image checkpoint, whose answers are then combined by a model
    of how far people travel in a given time.
    """
    from openplanet.inference.finding import Names, find_photos
    from openplanet.inference.locator import open_locator, places_albums
    from openplanet.inference.output import FORMATS
    from openplanet.inference.output.about import About
    from openplanet.inference.output.as_map import MapPage
    from openplanet.models import hub

    if as_json and as_geojson:
        raise click.UsageError("give --json or --geojson, not both")
    if not as_album and (anchors or clock_offset is not None):
        raise click.UsageError("--anchors and --clock-offset go with --album")
    clock, names, checkpoint = _clock(clock_offset), Names(photos), checkpoint or hub.only_kept()
    stream: Iterable[Located]
    if as_album:
        from openplanet.inference.album_predictor import AlbumPredictor

        locator = AlbumPredictor.load(checkpoint)
        album = locator.locate(photos, anchors, clock)
        about, stream, number = About(names, top, locator.provenance, album), album.photos, len(album.photos)
    else:
        paths = [candidate.path for candidate in find_photos(photos)]
        single = open_locator(checkpoint)
        if places_albums(single):
            raise InputError(f"{checkpoint} is a checkpoint of albums: add --album, or give {checkpoint / 'image'}")
        about, stream, number = About(names, top, single.provenance), single.locate_many(paths), len(paths)
    page = None if map_file is None else MapPage(map_file, about, number)
    counts = Counter[str]()
    error: str | None = None

    def watched() -> "Iterator[Located]":
        nonlocal error
        for each in stream if page is None else page.watch(stream):
            counts[each.status] += 1
            error = error or about.error(each)
            yield each

    for piece in FORMATS["json" if as_json else "geojson" if as_geojson else "text"](watched(), about):
        click.echo(piece, nl=False)
    if page is not None:
        page.save(", ".join(path.name for path in photos) if as_album else "Located photos")
    if anchors and not counts["given"]:
        click.echo("openplanet: no photo has a position: --anchors changes nothing", err=True)
    failed, total = counts["failed"], counts.total()
    if failed == total:
        raise InputError(error if failed == 1 and error else f"none of {failed} photos could be read")
    if failed:
        click.echo(f"openplanet: {failed} of {total} photos could not be read", err=True)


def _clock(text: str | None) -> "Clock":
    if text in (None, "auto"):
        return "auto" if text else None
    try:
        return float(str(text))
    except ValueError:
        raise click.UsageError(f"--clock-offset takes auto or seconds, not {text!r}") from None
