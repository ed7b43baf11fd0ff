"""What an ingest has before it: every candidate, in columns, and a fingerprint of it all.

Shapes: K candidates.
"""

import hashlib
import json
import os
import pickle
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from openplanet.errors import InputError, PhotoError
from openplanet.photos import dataset
from openplanet.photos.ingest import parts
from openplanet.photos.ingest.read import Task
from openplanet.photos.sources import coordinates
from openplanet.photos.sources.entry import Entry
from openplanet.photos.sources.registry import search
from openplanet.photos.sources.source import Candidate, Found, Rejection, Source
from openplanet.runners.job import Share
from openplanet.storage import sha256_of

MIN_SIDE, MAX_SIDE = 16, 4096
SETTLE_VERSION = 5  # raise it when the same readings would give other rows
ROWS = 16384  # candidates that are Python objects at a time

TOLD = pa.schema(
    [
        ("lat", pa.float64()), ("lng", pa.float64()), ("album", pa.string()), ("album_order", pa.int32()),
        ("taken_at", pa.timestamp("us")), ("taken_at_is_utc", pa.bool_()), ("utc_offset_minutes", pa.int32()),
        ("owner", pa.string()), ("licence", pa.string()), ("attribution", pa.string()),
    ]
)  # fmt: skip
"""What the user's table says of a candidate."""
_SCHEMA = pa.schema(
    [
        ("name", pa.string()), ("album", pa.string()), ("rank", pa.int8()), ("key", pa.binary(16)),
        ("size", pa.int64()), ("path", pa.binary()), ("source", pa.int16()), ("more", pa.binary()),
        ("reason", pa.string()), ("detail", pa.string()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What the user may choose. ``side``: pixels of the short side."""

    side: int = 320
    split_by: str = "auto"
    albums: str = "folder"
    keep_unlocated: bool = False


@dataclass(frozen=True)
class Plan:
    """``table``: a row for each candidate (``_SCHEMA``; ``reason`` where it is rejected unread), and TOLD
    with prefix ``told_``; its column ``source`` counts in ``sources``."""

    table: pa.Table
    sources: list[Source]
    needs_gps_K: npt.NDArray[np.bool_]
    more_rejected: list[Rejection]  # folders and rows of the table that lead to no file
    skipped: Counter[str]
    fingerprint: str

    def tasks(self, wanted_K: npt.NDArray[np.bool_], twins: dict[int, frozenset[str]]) -> "Tasks":
        """The tasks of the candidates ``wanted_K``; ``twins``: photo_ids of known photos by their size."""
        rows = self.table.select(["key", "size", "path", "source", "more"]).filter(pa.array(wanted_K))
        return Tasks(rows, self.needs_gps_K[wanted_K], self.sources, twins)


@dataclass(frozen=True)
class Tasks(Sequence[Task]):
    """Tasks that become Python objects as they are asked for; ``rows``: of the plan."""

    rows: pa.Table
    needs_gps: npt.NDArray[np.bool_]
    sources: list[Source]
    twins: dict[int, frozenset[str]]

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def __getitem__(self, index: int | slice) -> Any:
        """A task, or a list of some."""
        if not isinstance(index, slice):
            return self[index : index + 1][0]
        needs_gps = self.needs_gps[index].tolist()
        return list(map(self._task, self.rows[index].to_pylist(), needs_gps))

    def _task(self, row: dict[str, Any], needs_gps: bool) -> Task:
        more = pickle.loads(row["more"]) if row["more"] is not None else ()  # our own, of this run
        task = Task(row["key"], os.fsdecode(row["path"]), needs_gps, *more)
        return replace(task, twins=self.twins.get(row["size"], frozenset()), source=self.sources[row["source"]])


def make_plan(
    sources: Sequence[Path], table: Path | None, out: Path, options: Options, share: Share | None = None
) -> Plan:
    """Find the photos and the table's rows on them; reads no photo.

    ``share``: candidates are dealt out by PART_PHOTOS in their order, and those of other shares are rejected without a
    look at their size and time; the fingerprint is then that of no ingest.
    Without ``sources`` the table's files are the candidates. Raises InputError where the options are out of
    range, a source or the table is missing or unreadable, or there is no candidate at all.
    """
    check(options)
    rows = coordinates.read(table) if table is not None else []
    found, hashed, by_source = Found(), hashlib.sha256(), dict[Source, int]()
    places: list[Path] | None = [] if table is not None else None
    candidates = search(sources, found, out, (table, rows) if table is not None else None)
    batches = list(_batches(candidates, options, hashed, places, by_source, share or Share()))
    if not batches:
        skipped = ", ".join(f"{count} {suffix}" for suffix, count in sorted(found.skipped.items()))
        raise InputError(
            f"{', '.join(map(str, sources)) or table or 'no source'}: no photo found there"
            + (f" (files passed over: {skipped})" if skipped else "")
        )
    plan = pa.Table.from_batches(batches)
    matched = coordinates.Matched({}, [])
    if table is not None and places is not None:
        matched = coordinates.match(rows, table, places, found.roots)
    plan = _with_told(plan, matched.by_candidate, options)
    located_K = plan["told_lat"].is_valid().to_numpy()
    needs_gps_K = np.zeros(len(located_K), bool) if options.keep_unlocated else ~located_K
    more_rejected = found.rejected + matched.rejected
    told = {
        "versions": [dataset.FORMAT_VERSION, parts.PART_VERSION, SETTLE_VERSION],
        "options": asdict(options),
        "table": sha256_of(table) if table is not None else None,
        "candidates": hashed.hexdigest(),
        "more": [asdict(rejection) for rejection in more_rejected],
    }
    fingerprint = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return Plan(plan, list(by_source), needs_gps_K, more_rejected, found.skipped, fingerprint)


def check(options: Options) -> None:
    """InputError where an option is out of range."""
    if options.split_by not in ("auto", "owner", "album", "none"):
        raise InputError(f"split by '{options.split_by}': it can be by owner or by album, auto, or none")
    if options.albums not in ("folder", "sessions"):
        raise InputError(f"albums by '{options.albums}': it can be by folder or by sessions")
    if not MIN_SIDE <= options.side <= MAX_SIDE:
        raise InputError(f"side {options.side}: it must be {MIN_SIDE} to {MAX_SIDE} pixels")


def _batches(
    candidates: Iterator[Candidate],
    options: Options,
    hashed: Any,
    places: list[Path] | None,
    by_source: dict[Source, int],
    share: Share,
) -> Iterator[pa.RecordBatch]:
    rows: list[tuple[Any, ...]] = []
    for number, candidate in enumerate(candidates):
        source = by_source.setdefault(candidate.source, len(by_source))
        mine = number // parts.PART_PHOTOS % share.of == share.index - 1
        rows.append(_row(candidate, source, options.side) if mine else _others(candidate, source))
        hashed.update(repr(rows[-1][:4]).encode("utf-8", "backslashreplace"))
        if places is not None:
            places.append(candidate.place)
        if len(rows) == ROWS:
            yield _batch(rows)
            rows = []
    if rows:
        yield _batch(rows)


def _batch(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    return pa.record_batch([list(column) for column in zip(*rows, strict=True)], schema=_SCHEMA)


def _row(candidate: Candidate, source: int, side: int) -> tuple[Any, ...]:
    base = (candidate.name, candidate.album, candidate.rank)
    path = os.fspath(candidate.path)
    try:
        found = candidate.source.fingerprint(candidate)
    except PhotoError as error:
        return (*base, None, -1, None, source, None, error.reason, str(error))
    key = parts.key_of(path, found.stamps, side)
    more = None  # a file with nothing beside it, as most are: a million of them are at hand at a time
    if candidate.span is not None or candidate.beside or candidate.told is not None:
        more = pickle.dumps((candidate.span, candidate.beside, candidate.told), pickle.HIGHEST_PROTOCOL)
    return (*base, key, found.size, os.fsencode(path), source, more, None, None)


def _others(candidate: Candidate, source: int) -> tuple[Any, ...]:
    return (candidate.name, candidate.album, candidate.rank, None, -1, None, source, None, "another shard's", None)


def _with_told(plan: pa.Table, entries: dict[int, Entry], options: Options) -> pa.Table:
    """Add what the table says; a row whose position is of no use rejects its photo."""
    count = plan.num_rows
    problems = {index: entry for index, entry in entries.items() if entry.problem}
    if problems and not options.keep_unlocated:
        reasons, details = plan["reason"].to_pylist(), plan["detail"].to_pylist()
        for index, entry in problems.items():
            if reasons[index] is None:
                reasons[index], details[index] = entry.problem, entry.detail
        for name, values in (("reason", reasons), ("detail", details)):
            plan = plan.set_column(plan.schema.get_field_index(name), name, pa.array(values, pa.string()))
    at_K = np.full(count, -1, np.int64)
    at_K[list(entries)] = np.arange(len(entries))
    pointer = pa.array(at_K, mask=at_K < 0)
    for field in TOLD:
        values = pa.array([getattr(entry, field.name) for entry in entries.values()], field.type)
        plan = plan.append_column(f"told_{field.name}", values.take(pointer))
    return plan
