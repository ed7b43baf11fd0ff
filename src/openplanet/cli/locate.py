"""The command that says where photos were taken."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from openplanet.cli.base import LOCATION, PATH, Command, OutputFile, engine_option, runner_options
from openplanet.errors import InputError
from openplanet.progress import say
from openplanet.storage import html_page
from openplanet.stores.location import Location

if TYPE_CHECKING:
    from openplanet.inference.album_predictor import Clock
    from openplanet.inference.finding import Names, Paths
    from openplanet.inference.located import Located
    from openplanet.inference.located_parts import LocateJob
    from openplanet.inference.prediction import Finest

REGIONAL = 0.5  # share of training photos of one country from which on a model is called regional


@click.command(
    cls=Command,
    example="openplanet locate holiday/ --checkpoint model --map holiday.html\n"
    "openplanet locate --album holiday/ --anchors --checkpoint model --geojson > track.geojson",
)
@click.argument("photos", nargs=-1, type=PATH, metavar="PHOTO|FOLDER...")
@click.option(
    "--files-from",
    type=click.File("rb"),
    metavar="LIST",
    help="Locate the photos that LIST names, one path per line; -: standard input.",
)
@click.option(
    "--checkpoint",
    type=LOCATION,
    help="Checkpoint folder, hf:OWNER/NAME, or a downloaded model [default: the only downloaded one].",
)
@click.option("--top", default=5, show_default=True, type=click.IntRange(1, 1000), help="Candidate cells per photo.")
@click.option(
    "--within",
    "within_km",
    default=25.0,
    show_default=True,
    metavar="KM",
    type=click.FloatRange(0.001, 5000),
    help="Search radius, in km: the best point maximises the probability within it.",
)
@click.option(
    "--confidence",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Minimum probability of the place to name; below it a coarser place is named.",
)
@click.option(
    "--finest",
    default="cell",
    show_default=True,
    type=click.Choice(["country", "region", "city", "cell"]),
    help="Finest level to print; coordinates are printed only for cell.",
)
@click.option("--all-pictures", is_flag=True, help="Locate screenshots, documents and blank pictures too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "geojson", "kml", "csv", "gpx"]),
    help="Output format [default: text].",
)
@click.option("--json", "as_json", is_flag=True, help="Same as --format json.")
@click.option("--geojson", "as_geojson", is_flag=True, help="Same as --format geojson.")
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
@click.option("--gpx", multiple=True, type=PATH, metavar="FILE", help="With --album: GPX track; repeatable.")
@click.option(
    "--clock-offset",
    metavar="auto|SECONDS",
    help="Seconds to add to the times of all cameras but the main one; auto estimates them.",
)
@click.option(
    "--timezone", metavar="ZONE", help="With --album: zone of clocks that tell no offset, such as Europe/Paris."
)
@click.option("--language", metavar="CODE", help="Language of country names, such as de [default: en].")
@engine_option
@click.option("--parts", type=LOCATION, metavar="FOLDER", help="With --json: answer in parts, which FOLDER keeps.")
@runner_options
@click.option("--evidence", is_flag=True, help="Add an occlusion map; about 50 extra forward passes per photo.")
@click.option("--reference", type=LOCATION, metavar="DATASET", help="With --evidence: list its most similar photos.")
def locate(
    photos: tuple[Path, ...],
    files_from: BinaryIO | None,
    checkpoint: Location | None,
    top: int,
    within_km: float,
    confidence: float,
    finest: "Finest",
    all_pictures: bool,
    form: str | None,
    as_json: bool,
    as_geojson: bool,
    map_file: Location | None,
    evidence: bool,
    reference: Location | None,
    as_album: bool,
    anchors: bool,
    gpx: tuple[Path, ...],
    clock_offset: str | None,
    timezone: str | None,
    language: str | None,
    engine: str | None,
    parts: Location | None,
    runner: str,
    shard: str | None,
) -> None:
    """Locate photos, or whole albums.

    Prints for each photo the most specific place above the confidence threshold, the best point with the radii of
    circles that contain the true location of 68 and 95 % of photos, and the most probable places. Photos are never
    changed.

    With --album, CHECKPOINT is an album checkpoint, or an image checkpoint, whose answers are then combined by a model
    of how far people travel in a given time.
    """
    from openplanet.earth import languages
    from openplanet.inference.finding import Names, photographs
    from openplanet.inference.locator import open_locator, places_albums
    from openplanet.inference.output import FORMATS
    from openplanet.inference.output.about import About
    from openplanet.inference.photo_locator import PhotoLocator
    from openplanet.inference.prediction import Options
    from openplanet.models import hub

    if (form is not None) + as_json + as_geojson > 1:
        raise click.UsageError("give one of --format, --json and --geojson")
    if reference is not None and not evidence:
        raise click.UsageError("--reference goes with --evidence")
    if evidence and (as_album or finest != "cell"):
        raise click.UsageError(
            "--evidence goes with single photos and coordinates, not with --album or a coarser --finest"
        )
    if bool(photos) == (files_from is not None):
        raise click.UsageError("give photos or folders, or --files-from LIST")
    if files_from is not None and as_album:
        raise click.UsageError("--files-from goes with single photos: give the photos of an album, or their folder")
    form = form or ("json" if as_json else "geojson" if as_geojson else "text")
    if map_file is not None and finest != "cell":
        raise click.UsageError(f"--map draws coordinates, which --finest {finest} does not tell")
    if not as_album and (anchors or clock_offset is not None or gpx or timezone):
        raise click.UsageError("--anchors, --gpx, --clock-offset and --timezone go with --album")
    if language is not None:
        languages.use(language)
    options = Options(within_km, confidence, finest)
    if parts is None and (runner != "local" or shard is not None):
        raise click.UsageError("--runner and --shard go with --parts")
    if parts is not None:
        if form != "json" or as_album or evidence or map_file is not None:
            raise click.UsageError("--parts goes with --json, and not with --album, --evidence or --map")
        from openplanet.inference.located_parts import LocateJob

        found, names = _found(photos, files_from)
        model = str(checkpoint or hub.only_kept())
        _in_parts(LocateJob(parts, model, found, names, top, options, all_pictures, engine), runner, shard)
        return
    clock, checkpoint = _clock(clock_offset), checkpoint or hub.only_kept()
    stream: Iterable[Located]
    if as_album:
        from openplanet.inference.album_predictor import AlbumPredictor
        from openplanet.photos.albums.tracks import Tracks

        tracks = Tracks.read(gpx, timezone) if gpx else None
        locator = AlbumPredictor.load(checkpoint, engine=engine)
        album = locator.locate(photos, anchors, clock, all_pictures, tracks, timezone)
        about = About(Names(photos), top, locator.provenance, album, options)
        about_partition = locator.partition
        stream, number = album.photos, len(album.photos)
    else:
        paths, names = _found(photos, files_from)
        single = open_locator(checkpoint, engine=engine)
        if places_albums(single):
            raise InputError(f"{checkpoint} is a checkpoint of albums: add --album, or give {checkpoint / 'image'}")
        about = About(names, top, single.provenance, options=options)
        about_partition = single.partition
        if isinstance(single, PhotoLocator):
            stream = single.locate_many(paths, all_pictures=all_pictures)
        else:
            stream = single.locate_many(paths) if all_pictures else photographs(single.locate_many(paths))
        number = len(paths)
        if evidence:
            from openplanet.inference.evidence import with_evidence
            from openplanet.photos.dataset import Dataset

            known = None if reference is None else Dataset.open(reference)
            stream = with_evidence(stream, single, within_km, known)
    country, share = about_partition.mostly()
    if country and share >= REGIONAL:
        say(f"the model was trained on photos of {country} ({share:.0%}): of other places it knows little")
    page = None
    if map_file is not None:
        from openplanet.inference.output.as_map import MapPage

        page = MapPage(map_file, about, number)
    counts = Counter[str]()
    error: str | None = None

    def watched() -> "Iterator[Located]":
        nonlocal error
        for each in stream if page is None else page.watch(stream):
            counts[each.status] += 1
            error = error or about.error(each)
            yield each
            each.forget()  # an album keeps all its photos: without 300 kB for each at 26,000 cells

    for piece in FORMATS[form](watched(), about):
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


def _found(photos: tuple[Path, ...], files_from: BinaryIO | None) -> "tuple[Paths, Names]":
    """The photos to be located, and what they are called."""
    from openplanet.inference.finding import Names, Paths, find_photos

    if files_from is not None:
        listed = Paths.listed(files_from, getattr(files_from, "name", "standard input"))
        return listed, Names(listed)
    return Paths(os.fsencode(candidate.path) for candidate in find_photos(photos)), Names(photos)


def _in_parts(job: "LocateJob", runner: str, shard: str | None) -> None:
    """Do the parts, and print all answers unless this is one shard of several."""
    from openplanet.inference.output import as_json
    from openplanet.runners import registry
    from openplanet.runners.job import Share

    share = None if shard is None else Share.parse(shard)
    registry.run(job, runner, share)
    if share is not None:
        click.echo(f"openplanet: shard {shard} is done; without --shard the answers are printed", err=True)
        return
    records = job.records()
    for piece in as_json.laid_out(next(records), records):
        click.echo(piece, nl=False)


def _clock(text: str | None) -> "Clock":
    if text in (None, "auto"):
        return "auto" if text else None
    try:
        return float(str(text))
    except ValueError:
        raise click.UsageError(f"--clock-offset takes auto or seconds, not {text!r}") from None
