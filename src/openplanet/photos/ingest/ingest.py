"""From a person's photos to a dataset: find, read, settle, write; stopped at any moment, it goes on where
it was.

While at work everything lies in ``.parts`` inside the dataset's folder; a dataset that is already there
stays readable until the new one takes its place, and what it has read is taken over.
"""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from openplanet.errors import DatasetError, InputError
from openplanet.photos import dataset
from openplanet.photos.dataset import MANIFEST, Dataset
from openplanet.photos.ingest import known, leak, parts, settle, write
from openplanet.photos.ingest.manifest import manifest_of, reasons_of
from openplanet.photos.ingest.plan import Options, Plan, make_plan
from openplanet.photos.ingest.settle import Settled
from openplanet.photos.ingest.work_folder import CARD, REJECTED, WORK, clear, is_marked, next_name, work_folder
from openplanet.progress import say, warn
from openplanet.runners.job import Share
from openplanet.storage import atomic_path, inert, read_json, sha256_of, write_json, write_text
from openplanet.stores.folders import staged
from openplanet.stores.location import Location, RemotePath, is_url, location

# Hugging Face's datasets reads which files are rows from here: load_dataset("photos.ds") would take the readings too.
CARD_TEXT = """---
configs:
- config_name: default
  data_files: photos-*.parquet
---
Photos with positions, made by `openplanet ingest`: a row a photo, `split` says what it is for (`none`: a near-duplicate
of a photo held out). `manifest.json` says how near photos held out come to those that train (`near_train`), and what to
beware of (`warnings`). Positions can tell where people live: think before you share it, and keep to `licence`.

To share it, share `photos-*.parquet`, `manifest.json` and this page. `readings-*.parquet` and `rejected.csv` are for
the next ingest and for you: they hold the positions of photos that are not in the dataset, and serial numbers of
cameras.
"""
OURS = ("photos-*.parquet", "readings-*.parquet")
"""Files that an upload that was cut off may leave in a store."""


def ingest(
    sources: Sequence[Path],
    out: Location | str,
    *,
    coordinates: Path | None = None,
    keep_unlocated: bool = False,
    side: int = 320,
    split_by: Literal["auto", "owner", "album", "none"] = "auto",
    albums: Literal["folder", "sessions"] = "folder",
    workers: int | None = None,
    runner: str = "local",
) -> dict[str, Any]:
    """Make the dataset ``out`` of the photos in ``sources``: folders with all below them, files, tar files,
    ``hf:NAME``.

    ``coordinates``: a table of positions (see ``photos/sources/coordinates.py``); what it says wins over Exif, for
    it is what the user asked for. ``side``: pixels of the short side, never enlarged. ``albums``: folders, or
    each camera's photos cut where hours or kilometres lie between. ``split_by`` "auto": by owner, or where one has
    most of the photos by album, or by session; "none": all photos are in train. ``workers``: processes of the local
    ``runner``; None: one for each CPU, 0: this one.

    Every file becomes one row or one line of ``rejected.csv``. Returns the manifest; where ``out`` already
    holds just this dataset, does nothing; where it holds an earlier state of it, reads only what is new:
    files that moved are known by their bytes. Raises InputError for sources and tables, DatasetError where
    ``out`` is something else or no photo can be used. Where ``out`` is a URL the dataset is made in a local folder
    (after a stop the same call on this machine goes on with it) and uploaded.
    """
    if remote := [source for source in sources if is_url(source)]:
        raise InputError(f"{remote[0]} is a URL, and photos must be on this machine: copy them first")
    given, options = [Path(source) for source in sources], Options(side, split_by, albums, keep_unlocated)
    with staged(location(out), MANIFEST, OURS) as work:
        return _ingest(given, work.folder, coordinates, options, workers, runner)


def _ingest(
    sources: Sequence[Path], out: Path, coordinates: Path | None, options: Options, workers: int | None, runner: str
) -> dict[str, Any]:
    side = options.side
    _check_ours(out)
    plan = make_plan(sources, coordinates, out, options)
    finished = _finished(out)
    if finished is not None and finished.manifest.get("fingerprint") == plan.fingerprint:
        if (out / WORK).exists():  # of a run that was stopped, or of one that is at work with other photos
            with work_folder(out):
                clear(out, _files_of(finished.manifest))
        say(f"{out} holds these photos already, nothing has changed")
        return finished.manifest
    with work_folder(out) as work:
        at_K, read = _read(plan, work, finished, side, workers, runner)
        settled = settle.settle(plan, at_K, read, options)
        if not settled.rows.num_rows:
            raise _nothing_left(out, plan, settled)
        tag = plan.fingerprint[:8]
        earlier = finished.manifest["shards"] if finished is not None else []
        described = write.write_shards(settled.rows, read, work / "shards", side, earlier)
        index = work / "shards" / f"readings-{tag}.parquet"
        known.write_index(read, at_K[at_K >= 0], index)
        manifest = manifest_of(plan, options, settled, described)
        manifest["readings"] = {"file": index.name, "sha256": sha256_of(index)}
        _publish(work, out, manifest, plan, settled)
    for warning in manifest["warnings"]:
        warn(f"{warning}")
    return manifest


def summary(manifest: dict[str, Any], out: Location) -> str:
    """What ``ingest`` made, for a person: photos, positions, splits, and what was rejected why."""
    counts = manifest["counts"]
    splits = ", ".join(f"{name} {count:,}" for name, count in counts["splits"].items())
    rejected = ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts["rejected"].items()))
    lines = [f"{out}: {counts['rows']:,} photos, {counts['located']:,} with a position ({splits})"]
    if why := manifest["options"].get("split_by_chosen_because"):
        into = "session" if manifest["options"]["albums"] == "sessions" else "album"
        lines.append(f"divided by {into}, for {why} (--split-by owner keeps owners together)")
    if manifest.get("near_train", {}).get("test", {}).get("photos"):
        lines.append(leak.line(manifest["near_train"]))
    if rejected:
        lines.append(f"rejected: {rejected}; each is named in {out / REJECTED}")
    lines += [f"clocks: {assumed}" for assumed in manifest.get("clocks_assumed", [])]
    return "\n".join(lines)


def ingest_shard(
    sources: Sequence[Path],
    out: Location | str,
    share: Share,
    *,
    coordinates: Path | None = None,
    keep_unlocated: bool = False,
    side: int = 320,
    workers: int | None = None,
    runner: str = "local",
) -> int:
    """Read a share of the photos only, which ``ingest`` with the same arguments then takes over; returns their number.

    Several may do so at once, on machines that share a file system. Raises as ``ingest``, and DatasetError while an
    ``ingest`` is at work.
    """
    sources, out = [Path(source) for source in sources], location(out)
    if isinstance(out, RemotePath):
        raise InputError(f"{out}: shards of an ingest share a local folder; give one with --out, and upload it")
    _check_ours(out)
    plan = make_plan(sources, coordinates, out, Options(side, keep_unlocated=keep_unlocated), share)
    with work_folder(out, shared=True) as work, _writable(work):
        read = known.gather(work, known.earlier(_finished(out)))
        missing_K = _missing(plan, read)
        parts.process(plan.tasks(missing_K, _twins(plan, read)), work / "parts", side, workers, runner)
    return int(missing_K.sum())


def _read(
    plan: Plan, work: Path, finished: Dataset | None, side: int, workers: int | None, runner: str
) -> tuple[known.Indices, known.Readings]:
    """Read what no earlier run has read; returns the reading of each candidate, and all readings."""
    with _writable(work):
        lent = known.earlier(finished)
        read = known.gather(work, lent)
        missing_K = _missing(plan, read)
        if taken := int((~missing_K & _to_read(plan)).sum()):
            say(f"Taking over {taken} photos that an earlier run has read")
        if missing_K.any():
            parts.process(plan.tasks(missing_K, _twins(plan, read)), work / "parts", side, workers, runner)
            read = known.gather(work, lent)
    if _missing(plan, read).any():  # a part was damaged, or a known photo has gone, while we were at work
        raise DatasetError(f"{work} was changed by something else: run the ingest again, it goes on from here")
    return read.find(plan.table["key"], plan.needs_gps_K), read


@contextmanager
def _writable(work: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{work} cannot be written: {error.strerror or error}") from error


def _to_read(plan: Plan) -> npt.NDArray[np.bool_]:
    return np.asarray(plan.table["reason"].is_null().to_numpy())


def _missing(plan: Plan, read: known.Readings) -> npt.NDArray[np.bool_]:
    """The candidates that no reading answers, bool [K]."""
    return np.asarray(_to_read(plan) & (read.find(plan.table["key"], plan.needs_gps_K) < 0))


def _twins(plan: Plan, read: known.Readings) -> dict[int, frozenset[str]]:
    return read.known_sizes(plan.table["size"])


def _check_ours(out: Path) -> None:
    """Refuse a folder that is neither empty nor of our making, before anything is touched."""
    if out.exists() and not out.is_dir():
        raise DatasetError(f"{out} is a file: give a folder for the dataset")
    names = {path.name for path in out.iterdir()} if out.exists() else set()
    if not names or names == {WORK} or is_marked(out):
        return
    try:
        ours = read_json(out / MANIFEST).get("format") == dataset.FORMAT
    except InputError:
        ours = False
    if not ours:
        raise DatasetError(f"{out} holds other files and is no dataset of ours: give an empty or a new folder")


def _finished(out: Path) -> Dataset | None:
    try:
        return Dataset.open(out)
    except DatasetError:
        return None


def _nothing_left(out: Path, plan: Plan, settled: Settled) -> DatasetError:
    reasons = ", ".join(f"{count} {reason}" for reason, count in reasons_of(plan, settled).items())
    where = out / REJECTED if not (out / MANIFEST).exists() else out / WORK / REJECTED
    _write_rejected(out / WORK / next_name(REJECTED), plan, settled)
    (out / WORK / next_name(REJECTED)).replace(where)
    return DatasetError(
        f"none of {plan.table.num_rows} photos can be used ({reasons}; each in {where}). "
        "Positions can come from a table (--coordinates); --keep-unlocated keeps photos without one"
    )


def _publish(work: Path, out: Path, manifest: dict[str, Any], plan: Plan, settled: Settled) -> None:
    """New files beside the old ones, then the manifest, which decides; then the old ones go.

    All is written in the work folder and only renamed into ``out``, so that a kill leaves nothing half written there.
    """
    for name in sorted(_files_of(manifest)):
        if (new := work / "shards" / name).exists():
            new.replace(out / name)
    _write_rejected(work / next_name(REJECTED), plan, settled)
    (work / next_name(REJECTED)).replace(out / REJECTED)
    if not (out / CARD).exists():  # it is the user's to write on
        write_text(work / next_name(CARD), CARD_TEXT)
        (work / next_name(CARD)).replace(out / CARD)
    write_json(work / next_name(MANIFEST), manifest)
    (work / next_name(MANIFEST)).replace(out / MANIFEST)
    clear(out, _files_of(manifest))


def _files_of(manifest: dict[str, Any]) -> set[str]:
    return {shard["file"] for shard in manifest["shards"]} | {manifest["readings"]["file"]}


def _write_rejected(path: Path, plan: Plan, settled: Settled) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "reason", "detail"])
        for batch in settled.rejected.to_batches(max_chunksize=10_000):
            writer.writerows(map(inert, row) for row in zip(*batch.to_pydict().values(), strict=True))
        writer.writerows(map(inert, (each.file, each.reason, each.detail)) for each in plan.more_rejected)
