"""The command that says where photos were taken."""

import json
from pathlib import Path

import click

from openplanet.cli.albums import locate_album
from openplanet.cli.base import OUTPUT, PATH, Command
from openplanet.errors import InputError


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
@click.option("--map", "map_file", type=OUTPUT, help="Write a self-contained HTML page with a map for each photo.")
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
    from openplanet.inference import located as output
    from openplanet.inference.predictor import Predictor

    if as_json and as_geojson:
        raise click.UsageError("give --json or --geojson, not both")
    if as_album:
        form = "json" if as_json else "geojson" if as_geojson else "text"
        return locate_album(photos, checkpoint, top, form, map_file, anchors, clock_offset)
    if anchors or clock_offset is not None:
        raise click.UsageError("--anchors and --clock-offset go with --album")
    paths = output.find_photos(photos)
    if map_file is not None:
        output.check_map(map_file, len(paths))
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
