"""The command that puts places into a library: plan, apply, undo."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from openplanet.cli.base import LOCATION, PATH, Command, show
from openplanet.errors import CheckpointError
from openplanet.stores.location import Location, RemotePath

if TYPE_CHECKING:
    from openplanet.geotagging.outcome import Outcome
    from openplanet.geotagging.writing import Naming, Write


@click.command(
    cls=Command,
    example="openplanet geotag ~/Pictures --checkpoint model --out run    # writes nothing to photos\n"
    "openplanet geotag --apply run\n"
    "openplanet geotag --undo run",
)
@click.argument("library", nargs=-1, metavar="[FOLDER...|immich://HOST|photoprism://HOST]")
@click.option("--apply", "to_apply", type=PATH, metavar="RUN", help="Write what was accepted in RUN/plan.csv.")
@click.option("--undo", "to_undo", type=PATH, metavar="RUN", help="Put everything back that RUN wrote.")
@click.option(
    "--serve", "to_serve", type=PATH, metavar="RUN", help="Review RUN in the browser; decisions are kept at once."
)
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="With --serve: port on 127.0.0.1 [default: a free one]."
)
@click.option("--decisions", type=PATH, metavar="FILE", help="With --apply: file that the review page saved.")
@click.option("--out", type=PATH, metavar="RUN", help="Folder of the plan to make [default: geotag-DATE-TIME].")
@click.option(
    "--checkpoint",
    type=LOCATION,
    help="Checkpoint of photos or albums; none: given positions and tracks alone [default: the only downloaded one].",
)
@click.option("--gpx", multiple=True, type=PATH, metavar="FILE", help="GPX track of the photographer; repeatable.")
@click.option(
    "--timezone",
    metavar="ZONE",
    help="With --gpx: zone of camera clocks, such as Europe/Paris [default: that of the track].",
)
@click.option(
    "--hours", default=36.0, show_default=True, type=click.FloatRange(0), help="Longest time to a given position."
)
@click.option(
    "--km",
    default=100.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Longest distance between two given positions around a photo.",
)
@click.option(
    "--confidence",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Minimum probability: of lying within 25 km for a point, of a place for its name.",
)
@click.option("--own-camera", is_flag=True, help="Place photos by positions of the same camera only.")
@click.option("--overwrite-own", is_flag=True, help="Plan again also what earlier geotag runs wrote.")
@click.option(
    "--write",
    default="xmp",
    show_default=True,
    type=click.Choice(["xmp", "exif"]),
    help="With --apply: write sidecars, or into the photos.",
)
@click.option(
    "--naming",
    default="append",
    show_default=True,
    type=click.Choice(["append", "adobe"]),
    help="With --apply: name of new sidecars, a.jpg.xmp or a.xmp.",
)
@click.option(
    "--accept-above",
    "least",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="With --apply: also write undecided rows of at least this probability.",
)
def geotag(
    library: tuple[str, ...],
    to_apply: Path | None,
    to_undo: Path | None,
    to_serve: Path | None,
    port: int,
    decisions: Path | None,
    out: Path | None,
    checkpoint: Location | None,
    gpx: tuple[Path, ...],
    timezone: str | None,
    hours: float,
    km: float,
    confidence: float,
    own_camera: bool,
    overwrite_own: bool,
    write: "Write",
    naming: "Naming",
    least: float | None,
) -> None:
    """Fill in missing places of a photo library, with undo.

    Plans for all photos without a position in FOLDERs: RUN/plan.csv says for each where it was taken and how that is
    known. Photos are only changed by --apply, which writes XMP sidecars, and --undo puts every byte back. A position
    that a photo has is never changed.
    """
    from openplanet import geotagging

    if bool(library) + sum(each is not None for each in (to_apply, to_undo, to_serve)) != 1:
        raise click.UsageError("give folders of photos, or one of --apply RUN, --undo RUN and --serve RUN")
    if to_apply is not None:
        outcome = geotagging.apply(to_apply, write, naming, least, decisions)
        nothing = f"nothing is accepted: review with  openplanet geotag --serve {to_apply}  or give --accept-above 0.9"
        undo = f"undo with: openplanet geotag --undo {to_apply}"
        _tell(outcome, "written", undo if outcome.done or outcome.already else nothing)
    elif to_undo is not None:
        _tell(geotagging.undo(to_undo), "put back", "")
    elif to_serve is not None:
        _serve(to_serve, port)
    else:
        from openplanet.geotagging.placing import Windows
        from openplanet.geotagging.planning import Options

        windows = Windows(hours, km, confidence, "apart" if own_camera else "together")
        options = Options(windows, gpx, timezone, overwrite_own)
        out = out or Path(f"geotag-{datetime.now():%Y%m%d-%H%M%S}")
        geotagging.plan(library, out, _model(checkpoint), options)
        show(
            f"review {out / 'review.html'} (or: openplanet geotag --serve {out}), or write yes or no into the column "
            f"accept of {out / 'plan.csv'}; then: openplanet geotag --apply {out}"
        )


def _serve(folder: Path, port: int) -> None:
    """Serve the review until Ctrl-C."""
    from openplanet.geotagging.review import ReviewServer
    from openplanet.geotagging.run import Run

    with ReviewServer(Run.open(folder), port) as server:
        show(f"{server.url}  (Ctrl-C ends it; then: openplanet geotag --apply {folder})")
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def _model(checkpoint: Location | None) -> Path | None:
    """The checkpoint to ask; None for "none", and where none is named and not exactly one is downloaded."""
    from openplanet.models import hub

    if checkpoint is not None:
        if isinstance(checkpoint, RemotePath):
            return hub.resolve(checkpoint)
        return None if str(checkpoint) == "none" else checkpoint
    try:
        return hub.only_kept()
    except CheckpointError:
        click.echo("openplanet: no --checkpoint: given positions and tracks alone place photos", err=True)
        return None


def _tell(outcome: "Outcome", done: str, then: str) -> None:
    for file, reason in outcome.skipped:
        show(f"skipped {file}: {reason}")
    already = f", {len(outcome.already)} were already" if outcome.already else ""
    show(f"{len(outcome.done)} photos {done}{already}, {len(outcome.skipped)} skipped" + (f"; {then}" if then else ""))
