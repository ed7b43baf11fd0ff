"""From a person's photos to a dataset: find, read, settle, write; stopped at any moment, it goes on where
it was.

While at work everything lies in ``.parts`` inside the dataset's folder; a dataset that is already there
stays readable until the new one takes its place, and what it has read is taken over.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from openplanet.earth.geo import distance_km
from openplanet.errors import DatasetError, InputError
from openplanet.photos import dataset
from openplanet.photos.dataset import MANIFEST, Dataset
from openplanet.photos.ingest import known, leak, parts, settle, write
from openplanet.photos.ingest.plan import Options, Plan, make_plan
from openplanet.photos.ingest.settle import Settled
from openplanet.photos.ingest.split import how_to_divide, too_few
from openplanet.photos.ingest.work_folder import CARD, REJECTED, WORK, clear, is_marked, next_name, work_folder
from openplanet.progress import say, warn
from openplanet.storage import atomic_path, inert, read_json, sha256_of, write_json, write_text
from openplanet.stores.folders import staged
from openplanet.stores.location import Location, location

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
DISAGREE_KM = 1.0
OURS = ("photos-*.parquet", "readings-*.parquet", REJECTED, CARD)
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
) -> dict[str, Any]:
    """Make the dataset ``out`` of the photos in ``sources``: folders with all below them, files, tar files,
    ``hf:NAME``.

    ``coordinates``: a table of positions (see ``photos/sources/coordinates.py``); what it says wins over Exif, for
    it is what the user asked for. ``side``: pixels of the short side, never enlarged. ``albums``: folders, or
    each camera's photos cut where hours or kilometres lie between. ``split_by`` "auto": by owner, or where one has
    most of the photos by album, or by session; "none": all photos are in train. ``workers`` None: one for each CPU.

    Every file becomes one row or one line of ``rejected.csv``. Returns the manifest; where ``out`` already
    holds just this dataset, does nothing; where it holds an earlier state of it, reads only what is new:
    files that moved are known by their bytes. Raises InputError for sources and tables, DatasetError where
    ``out`` is something else or no photo can be used. Where ``out`` is a URL the dataset is made in a local folder
    (after a stop the same call on this machine goes on with it) and uploaded.
    """
    given, options = [Path(source) for source in sources], Options(side, split_by, albums, keep_unlocated)
    with staged(location(out), MANIFEST, OURS) as work:
        return _ingest(given, work.folder, coordinates, options, workers)


def _ingest(
    sources: Sequence[Path], out: Path, coordinates: Path | None, options: Options, workers: int | None
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
        at_K, read = _read(plan, work, finished, side, workers)
        settled = settle.settle(plan, at_K, read, options)
        if not settled.rows.num_rows:
            raise _nothing_left(out, plan, settled)
        tag = plan.fingerprint[:8]
        earlier = finished.manifest["shards"] if finished is not None else []
        described = write.write_shards(settled.rows, read, work / "shards", side, earlier)
        index = work / "shards" / f"readings-{tag}.parquet"
        known.write_index(read, at_K[at_K >= 0], index)
        manifest = _manifest(plan, options, settled, described)
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


def _read(
    plan: Plan, work: Path, finished: Dataset | None, side: int, workers: int | None
) -> tuple[known.Indices, known.Readings]:
    """Read what no earlier run has read; returns the reading of each candidate, and all readings."""
    try:
        lent = known.earlier(finished)
        read = known.gather(work, lent)
        to_read = plan.table["reason"].is_null().to_numpy()
        at_K = read.find(plan.table["key"], plan.needs_gps_K)
        todo = np.flatnonzero(to_read & (at_K < 0))
        if taken := int(to_read.sum()) - len(todo):
            say(f"Taking over {taken} photos that an earlier run has read")
        if len(todo):
            tasks = plan.tasks(todo, read.known_sizes(plan.table["size"].take(todo)))
            parts.process(tasks, len(todo), work / "parts", side, workers)
            read = known.gather(work, lent)
            at_K = read.find(plan.table["key"], plan.needs_gps_K)
    except OSError as error:
        raise InputError(f"{work} cannot be written: {error.strerror or error}") from error
    if (to_read & (at_K < 0)).any():  # a part was damaged, or a known photo has gone, while we were at work
        raise DatasetError(f"{work} was changed by something else: run the ingest again, it goes on from here")
    return at_K, read


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
    reasons = ", ".join(f"{count} {reason}" for reason, count in _reasons(plan, settled).items())
    where = out / REJECTED if not (out / MANIFEST).exists() else out / WORK / REJECTED
    _write_rejected(out / WORK / next_name(REJECTED), plan, settled)
    (out / WORK / next_name(REJECTED)).replace(where)
    return DatasetError(
        f"none of {plan.table.num_rows} photos can be used ({reasons}; each in {where}). "
        "Positions can come from a table (--coordinates); --keep-unlocated keeps photos without one"
    )


def _manifest(plan: Plan, options: Options, settled: Settled, described: list[dict[str, Any]]) -> dict[str, Any]:
    rows = settled.rows
    splits = _counts(rows["split"])
    disagree, near = _disagreements(rows), leak.report(rows)
    counts = {
        "candidates": plan.table.num_rows,
        "rows": rows.num_rows,
        "located": rows.num_rows - rows["lat"].null_count,
        "splits": {name: splits.get(name, 0) for name in dataset.SPLITS},
        "albums": pc.count_distinct(rows["album_id"]).as_py(),
        "owners": pc.count_distinct(rows["owner_id"], mode="only_valid").as_py(),
        "near_duplicates": splits.get("none", 0),
        "flagged": _counts(rows["flag"]),
        "positions_from": _counts(rows["position_from"]),
        "utc_offsets_from": _counts(rows["utc_offset_from"]),
        "rejected": _reasons(plan, settled),
        "rejected_without_file": len(plan.more_rejected),  # folders, and rows of the table
        "table_and_exif_over_1_km_apart": disagree,
        "skipped_by_suffix": dict(sorted(plan.skipped.items())),
    }
    return {
        "format": dataset.FORMAT,
        "format_version": dataset.FORMAT_VERSION,
        "created_by": f"openplanet {metadata.version('openplanet')}",
        "fingerprint": plan.fingerprint,
        "options": {
            "side": options.side,
            "split_by": settled.divided.split_by,
            "albums": settled.divided.albums,
            "split_by_chosen_because": settled.divided.why,
            "keep_unlocated": options.keep_unlocated,
        },
        "counts": counts,
        "clocks": settled.clocks,
        "clocks_assumed": settled.assumed,
        "near_train": near,
        "warnings": _warnings(splits, settled, disagree) + leak.warnings(near),
        "shards": described,
    }


def _warnings(splits: dict[str, int], settled: Settled, disagree: int) -> list[str]:
    warnings, divided = [], settled.divided
    if divided.split_by == "none":
        warnings.append("all photos are in train: nothing can say how good a model of them is")
    elif empty := [name for name in ("train", "val", "test") if not splits.get(name)]:
        todo = how_to_divide(divided.split_by, divided.albums)
        warnings.append(f"no photo falls into {' and '.join(empty)}: {todo}")
    if divided.split_by != "none" and (few := _few(settled.rows, splits)):
        warnings.append(f"{few}: too few to choose a model by or to tell how good it is; add photos of more albums")
    if disagree:
        warnings.append(f"for {disagree} photos the table lies over {DISAGREE_KM:g} km from Exif; the table counts")
    warnings += [
        f"the clock of {clock['other']} seems {abs(clock['minutes']):g} minutes "
        f"{'ahead of' if clock['minutes'] > 0 else 'behind'} that of {clock['camera']}: their albums are out of order"
        for clock in settled.clocks
    ]
    return warnings


def _few(rows: pa.Table, splits: dict[str, int]) -> str:
    few = []
    for name in ("val", "test"):
        held = rows.filter(pc.equal(rows["split"], name))
        albums = pc.count_distinct(held["album_id"]).as_py()
        if splits.get(name) and (said := too_few(held.num_rows, albums)):
            few.append(f"{name} has {said}")
    return " and ".join(few)


def _disagreements(rows: pa.Table) -> int:
    both = rows.filter(pc.and_(rows["lat"].is_valid(), rows["exif_lat"].is_valid()))
    lat1, lng1, lat2, lng2 = (both[name].to_numpy() for name in ("lat", "lng", "exif_lat", "exif_lng"))
    return int((distance_km(lat1, lng1, lat2, lng2) > DISAGREE_KM).sum())


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


def _reasons(plan: Plan, settled: Settled) -> dict[str, int]:
    reasons = Counter(_counts(settled.rejected["reason"]))
    reasons.update(rejection.reason for rejection in plan.more_rejected)
    return dict(sorted(reasons.items()))


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    counted = column.drop_null().value_counts().to_pylist()
    return dict(sorted((each["values"], each["counts"]) for each in counted))
