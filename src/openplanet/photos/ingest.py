"""From a person's photos to a dataset: find, read, settle, write; stopped at any moment, it goes on where
it was.

While at work everything lies in ``.parts`` inside the dataset's folder; a dataset that is already there
stays readable until the new one is whole.
"""

import csv
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from openplanet.earth.geo import distance_km
from openplanet.errors import DatasetError, InputError
from openplanet.photos import assemble, parts, shards
from openplanet.photos.assemble import Row
from openplanet.photos.parts import Task
from openplanet.photos.plan import Options, Plan, make_plan
from openplanet.photos.shards import MANIFEST, Dataset
from openplanet.photos.sources import Rejection
from openplanet.progress import say
from openplanet.storage import atomic_path, read_json, write_json

try:
    import fcntl
except ImportError:  # Windows: two ingests into one folder are not told apart there
    fcntl = None  # type: ignore[assignment]

WORK, MARK, LOCK, REJECTED = ".parts", "ingest.json", "lock", "rejected.csv"
DISAGREE_KM = 1.0


def ingest(
    sources: Sequence[Path],
    out: Path,
    *,
    coordinates: Path | None = None,
    keep_unlocated: bool = False,
    side: int = 320,
    split_by: Literal["owner", "album"] = "owner",
    workers: int | None = None,
) -> dict[str, Any]:
    """Make the dataset ``out`` of the photos in ``sources`` (files, and folders with all below them).

    ``coordinates``: a table of positions (see ``photos/coordinates.py``); what it says wins over Exif, for
    it is what the user asked for. ``side``: pixels of the short side, never enlarged. ``workers`` None: one
    for each CPU. Every file becomes one row or one line of ``rejected.csv``. Returns the manifest; where
    ``out`` already holds just this dataset, does nothing. Raises InputError for sources and tables,
    DatasetError where ``out`` is something else or no photo can be used.
    """
    sources, out = [Path(source) for source in sources], Path(out)
    _check_ours(out)
    plan = make_plan(sources, coordinates, out, Options(side, split_by, keep_unlocated))
    if (manifest := _unchanged(out, plan)) is not None:
        shutil.rmtree(out / WORK, ignore_errors=True)
        say(f"{out} holds these photos already, nothing has changed: {_summary(manifest)}")
        return manifest
    with _work_folder(out) as work:
        parts.process([step for step in plan.steps if isinstance(step, Task)], work / "parts", side, workers)
        read = parts.readings(work / "parts")
        rows, rejected = assemble.settle(plan.candidates, plan.steps, plan.entries, read)
        rejected += plan.more_rejected
        if not rows:
            raise _nothing_left(out, plan, rejected)
        assemble.complete(rows, split_by)
        described = assemble.write_shards(rows, work / "shards")
        manifest = _manifest(plan, Options(side, split_by, keep_unlocated), rows, rejected, described)
        _publish(work, out, manifest, rejected)
    for warning in manifest["warnings"]:
        say(f"Warning: {warning}")
    say(f"{out}: {_summary(manifest)}")
    return manifest


def _check_ours(out: Path) -> None:
    """Refuse a folder that is neither empty nor of our making, before anything is touched."""
    if out.exists() and not out.is_dir():
        raise DatasetError(f"{out} is a file: give a folder for the dataset")
    names = {path.name for path in out.iterdir()} if out.exists() else set()
    if not names or names == {WORK} or (out / WORK / MARK).is_file():
        return
    try:
        ours = read_json(out / MANIFEST).get("format") == shards.FORMAT
    except InputError:
        ours = False
    if not ours:
        raise DatasetError(f"{out} holds other files and is no dataset of ours: give an empty or a new folder")


def _unchanged(out: Path, plan: Plan) -> dict[str, Any] | None:
    try:
        dataset = Dataset.open(out)
    except DatasetError:
        return None
    return dataset.manifest if dataset.manifest.get("fingerprint") == plan.fingerprint else None


@contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """The marked work folder, for one ingest at a time; it stays when the work does not come to its end."""
    work = out / WORK
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = (work / LOCK).open("w")
    except OSError as error:
        raise DatasetError(f"{out} cannot be written: {error.strerror or error}") from error
    with lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DatasetError(f"another ingest is writing {out}: wait for it, or stop it") from error
        write_json(work / MARK, {"format": shards.FORMAT, "what": "an ingest at work; safe to delete"})
        shutil.rmtree(work / "shards", ignore_errors=True)
        yield work


def _nothing_left(out: Path, plan: Plan, rejected: Sequence[Rejection]) -> DatasetError:
    reasons = ", ".join(f"{count} {reason}" for reason, count in _reasons(rejected).items())
    where = out / REJECTED if not (out / MANIFEST).exists() else out / WORK / REJECTED
    _write_rejected(where, rejected)
    return DatasetError(
        f"none of {len(plan.candidates)} photos can be used ({reasons}; each in {where}). "
        "Positions can come from a table (--coordinates); --keep-unlocated keeps photos without one"
    )


def _manifest(
    plan: Plan,
    options: Options,
    rows: Sequence[Row],
    rejected: Sequence[Rejection],
    described: list[dict[str, Any]],
) -> dict[str, Any]:
    splits = Counter(row.split for row in rows)
    disagree = _disagreements(rows)
    counts = {
        "candidates": len(plan.candidates),
        "rows": len(rows),
        "located": sum(row.lat is not None for row in rows),
        "splits": {name: splits[name] for name in shards.SPLITS},
        "albums": len({row.album for row in rows}),
        "owners": len({row.owner for row in rows} - {None}),
        "near_duplicates": splits["none"],
        "rejected": _reasons(rejected),
        "rejected_without_file": len(plan.more_rejected),  # folders, and rows of the table
        "table_and_exif_over_1_km_apart": disagree,
        "skipped_by_suffix": dict(sorted(plan.skipped.items())),
    }
    return {
        "format": shards.FORMAT,
        "format_version": shards.FORMAT_VERSION,
        "created_by": f"openplanet {metadata.version('openplanet')}",
        "fingerprint": plan.fingerprint,
        "options": {
            "side": options.side,
            "split_by": options.split_by,
            "keep_unlocated": options.keep_unlocated,
        },
        "counts": counts,
        "warnings": _warnings(splits, options.split_by, disagree),
        "shards": described,
    }


def _warnings(splits: Counter[str], split_by: str, disagree: int) -> list[str]:
    warnings = []
    if empty := [name for name in ("train", "val", "test") if not splits[name]]:
        todo = "add photos of more albums"
        if split_by == "owner":
            todo = "too few owners and albums that can be kept apart; try --split-by album"
        warnings.append(f"no photo falls into {' and '.join(empty)}: {todo}")
    if disagree:
        warnings.append(f"for {disagree} photos the table lies over {DISAGREE_KM:g} km from Exif; the table counts")
    return warnings


def _disagreements(rows: Sequence[Row]) -> int:
    both = [row for row in rows if row.lat is not None and row.reading.lat is not None]
    table = [(row.lat, row.lng) for row in both]
    exif = [(row.reading.lat, row.reading.lng) for row in both]
    if not both:
        return 0
    (lat1, lng1), (lat2, lng2) = zip(*table, strict=True), zip(*exif, strict=True)
    return int((distance_km(lat1, lng1, lat2, lng2) > DISAGREE_KM).sum())


def _publish(work: Path, out: Path, manifest: dict[str, Any], rejected: Sequence[Rejection]) -> None:
    (out / MANIFEST).unlink(missing_ok=True)  # from here to the last line there is no dataset
    for old in out.glob("photos-[0-9][0-9][0-9][0-9][0-9].parquet"):
        old.unlink()
    for shard in manifest["shards"]:
        (work / "shards" / shard["file"]).replace(out / shard["file"])
    _write_rejected(out / REJECTED, rejected)
    write_json(out / MANIFEST, manifest)
    shutil.rmtree(work, ignore_errors=True)


def _write_rejected(path: Path, rejected: Sequence[Rejection]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "reason", "detail"])
        writer.writerows([rejection.file, rejection.reason, rejection.detail] for rejection in rejected)


def _reasons(rejected: Sequence[Rejection]) -> dict[str, int]:
    return dict(sorted(Counter(rejection.reason for rejection in rejected).items()))


def _summary(manifest: dict[str, Any]) -> str:
    counts = manifest["counts"]
    splits = ", ".join(f"{name} {count}" for name, count in counts["splits"].items())
    rejected = sum(counts["rejected"].values())
    return f"{counts['rows']} photos ({splits}), {counts['located']} with a position, {rejected} rejected"
