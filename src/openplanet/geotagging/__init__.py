"""Putting answers into a person's library: plan, review, apply, undo.

run = geotagging.plan(["Pictures"], "run", "model")     # writes nothing to photos
geotagging.apply("run", least=0.9)                      # what plan.csv accepts, and what is 90 % sure
geotagging.undo("run")
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from openplanet.errors import InputError

if TYPE_CHECKING:  # torch is loaded on first use
    from openplanet.geotagging.outcome import Outcome
    from openplanet.geotagging.planning import Options
    from openplanet.geotagging.run import Run
    from openplanet.geotagging.writing import Naming, Write

__all__ = ["apply", "plan", "undo"]


def plan(
    paths: Sequence[Path | str], out: Path | str, checkpoint: Path | str | None = None, options: "Options | None" = None
) -> "Run":
    """Find the photos that have no position, place them, and write the plan to the new folder ``out``.

    ``paths``: folders, or one server (``immich://HOST``, ``photoprism://HOST``; docs/geotag.md says where its key is).

    ``checkpoint``: of photos (then by ``travel``) or of albums; None: by given positions and tracks alone.
    Raises InputError where no photo is found, all have a position, or ``out`` exists.
    """
    from openplanet.geotagging import planning, remote  # noqa: PLC0415

    asked = options or planning.Options()
    if any(remote.is_server(str(each)) for each in paths):
        if len(paths) != 1:
            raise InputError("give one server, or folders")
        address = str(paths[0])
        return planning.plan_server(address, Path(out), checkpoint, asked, remote.open_service(address))
    return planning.plan_files([Path(each) for each in paths], Path(out), checkpoint, asked)


def apply(
    run: Path | str,
    write: "Write" = "xmp",
    naming: "Naming" = "append",
    least: float | None = None,
    decisions: Path | str | None = None,
) -> "Outcome":
    """Write what ``plan.csv`` accepts. A run that was stopped goes on where it was.

    ``write``: "xmp" (sidecars) or "exif" (the photos themselves); ``naming``: of new sidecars, "append" (a.jpg.xmp) or
    "adobe" (a.xmp); ``least``: also undecided rows of at least that probability; ``decisions``: the file that the
    review page saved, which is taken into plan.csv first. Raises InputError where the run is damaged or exiftool is
    missing; single photos that cannot be written are in the outcome.
    """
    from openplanet.geotagging import outcome, remote, writing  # noqa: PLC0415
    from openplanet.geotagging.decisions import read  # noqa: PLC0415
    from openplanet.geotagging.run import Run  # noqa: PLC0415

    opened = Run.open(Path(run))
    if decisions is not None:
        read(opened, Path(decisions))
        opened.save_rows()
    rows = outcome.chosen(opened, least)
    if opened.about.kind != "files":
        return remote.write_remote(opened, rows)
    return writing.write_files(opened, rows, write, naming)


def undo(run: Path | str) -> "Outcome":
    """Put back what was there before ``apply``, to the byte; what changed since stays, and is in the outcome."""
    from openplanet.geotagging import remote, writing  # noqa: PLC0415
    from openplanet.geotagging.run import Run  # noqa: PLC0415

    opened = Run.open(Path(run))
    return writing.restore_files(opened) if opened.about.kind == "files" else remote.restore_remote(opened)
