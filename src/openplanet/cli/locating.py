"""The command that says where photos were taken."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from openplanet.cli.albums import locate_album
from openplanet.cli.base import PATH, Command, OutputFile
from openplanet.errors import InputError
from openplanet.storage import html_page

if TYPE_CHECKING:
    from openplanet.earth.mappage import MapEntry
    from openplanet.inference.predictor import Located


@click.command(
    cls=Command,
    example="openplanet locate holiday/ --checkpoint model --map holiday.html\n"
    "openplanet locate --album holiday/ --anchors --checkpoint model --geojson > track.geojson",
)
@click.argument("photos", nargs=-1, required=True, type=PATH, metavar="PHOTO|FOLDER...")
@click.option("--checkpoint", required=True, type=PATH, help="Checkpoint folder.")
@click.option("--top", default=5, show_default=True, type=click.IntRange(1, 1000), help="Candidates a photo.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--geojson", "as_geojson", is_flag=True, help="Print GeoJSON.")
@click.option(
    "--map",
    "map_file",
    type=OutputFile(html_page("map")),
    help="Write a self-contained HTML page with a map for each photo.",
)
@click.option("--album", "as_album", is_flag=True, help="The photos are one album: place each by the others.")
@click.option("--anchors", is_flag=True, help="Keep positions that photos have, and place the others by them.")
@click.option("--clock-offset", metavar="auto|SECONDS", help="Added to the times of all cameras but the main one.")
def locate(
    photos: tuple[Path, ...],
    checkpoint: Path,
    top: int,
    as_json: bool,
    as_geojson: bool,
    map_file: Path | None,
    as_album: bool,
    anchors: bool,
    clock_offset: str | None,
) -> None:
    """Say where photos were taken: the most probable cells, named. Photos are read, never changed.

    With --album the CHECKPOINT may be one of train-albums; of one of train, how far people get in how long is used.
    """
    from openplanet.inference.finding import Names, find_photos
    from openplanet.inference.located import Output, check_map, write_map
    from openplanet.inference.predictor import Predictor

    if as_json and as_geojson:
        raise click.UsageError("give --json or --geojson, not both")
    if as_album:
        form = "json" if as_json else "geojson" if as_geojson else "text"
        return locate_album(photos, checkpoint, top, form, map_file, anchors, clock_offset)
    if anchors or clock_offset is not None:
        raise click.UsageError("--anchors and --clock-offset go with --album")
    paths = [candidate.path for candidate in find_photos(photos)]
    if map_file is not None:
        check_map(map_file, len(paths))
    output = Output(Names(photos), top)
    entries: list[MapEntry] = []
    errors: list[str] = []

    def watched() -> "Iterator[Located]":
        for each in Predictor.load(checkpoint).locate_many(paths):
            if each.error is not None:
                errors.append(each.error)
            if map_file is not None:
                entries.append(output.map_entry(each))
            yield each

    write = output.json if as_json else output.geojson if as_geojson else output.text
    for piece in write(watched()):
        click.echo(piece, nl=False)
    if map_file is not None:
        write_map(map_file, entries)
    if len(errors) == len(paths):
        raise InputError(errors[0] if len(errors) == 1 else f"none of {len(errors)} photos could be read")
    if errors:
        click.echo(f"openplanet: {len(errors)} of {len(paths)} photos could not be read", err=True)
