"""What a reviewer decided, on the page or in a file that the page saved: into the rows of a run."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from openplanet.errors import InputError
from openplanet.geotagging.run import Run, by_hand
from openplanet.photos.sources.entry import position_problem
from openplanet.storage import generator, read_json

GENERATOR = generator("geotag decisions")


def read(run: Run, path: Path) -> int:
    """Take over the decisions that the page saved; how many photos they are about. Raises InputError, naming it."""
    told = read_json(path)
    try:
        return take(run, told)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def take(run: Run, told: Mapping[str, Any]) -> int:
    """Take over ``{"run": ID, "decisions": {FILE: {"accept": "yes", "lat": 48.9, "lng": 2.3}}}`` into ``run.rows``.

    ``lat`` and ``lng`` are there where the point was moved or another candidate chosen. All or none: raises InputError
    where one is of another run, or cannot be meant.
    """
    if told.get("run") != run.about.run:
        raise InputError(f"these decisions are of run {told.get('run')}, not of {run.about.run}")
    asked = told.get("decisions")
    if not isinstance(asked, dict):
        raise InputError("there are no decisions in it")
    rows = {row.file: row for row in run.rows}
    changed = {}
    for file, one in asked.items():
        row = rows.get(file)
        if row is None or not isinstance(one, dict) or one.get("accept") not in ("yes", "no", ""):
            raise InputError(f"{file!r} is not of this run, or its decision is none of yes, no and nothing")
        row = replace(row, accept=one["accept"])
        if "lat" in one:
            lat, lng = (_number(one.get(name), file) for name in ("lat", "lng"))
            if position_problem(lat, lng):
                raise InputError(f"{file!r}: {lat}, {lng} is no position")
            row = by_hand(replace(row, lat=round(lat, 6), lng=round(lng, 6)), run.photos[file])
        changed[file] = row
    run.rows = [changed.get(row.file, row) for row in run.rows]
    return len(changed)


def _number(value: Any, file: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InputError(f"{file!r}: lat and lng are numbers")
    return float(value)
