"""The short half of ingest: from what was read of each file to the rows of the dataset, and their shards."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from openplanet.photos import albums, parts, shards, split
from openplanet.photos.coordinates import Entry
from openplanet.photos.parts import Reading, Task
from openplanet.photos.sources import Candidate, Rejection
from openplanet.storage import atomic_path

SHARD_BYTES = 200_000_000  # of pictures: a size that hubs, object stores and readers like
_NOTHING = Entry("")


@dataclass(slots=True)
class Row:
    """A photo of the dataset. Degrees; None where not known."""

    name: str
    reading: Reading
    part: Path
    part_row: int
    lat: float | None
    lng: float | None
    taken_at: datetime | None
    taken_at_is_utc: bool
    album: str
    table_order: int | None
    owner: str | None
    licence: str | None
    album_order: int = 0
    split: str = ""
    near_duplicate_of: str | None = None


def settle(
    candidates: Sequence[Candidate],
    steps: Sequence[Task | Rejection],
    entries: Mapping[int, Entry],
    read: Mapping[str, tuple[Reading, Path, int]],
) -> tuple[list[Row], list[Rejection]]:
    """Every candidate as exactly one row or one rejection, in the order of the candidates.

    ``steps``: what was to be done with each candidate; ``entries``: the user's table, by index of the
    candidate, which wins over the photo's own Exif wherever it says something. Of files with the same bytes
    the first stays (one with a position before one without).
    """
    rows: dict[int, Row] = {}
    rejected: dict[int, Rejection] = {}
    for index, (candidate, step) in enumerate(zip(candidates, steps, strict=True)):
        if isinstance(step, Rejection):
            rejected[index] = step
            continue
        reading, part, part_row = read[step.key]
        if reading.reason is not None:
            rejected[index] = Rejection(candidate.name, reading.reason, reading.detail or "")
        else:
            rows[index] = _row(candidate, entries.get(index, _NOTHING), reading, part, part_row)
    first: dict[str | None, str] = {}
    for index in sorted(rows, key=lambda index: (rows[index].lat is None, index)):
        row = rows[index]
        original = first.setdefault(row.reading.photo_id, row.name)
        if original != row.name:
            rejected[index] = Rejection(row.name, "duplicate", f"the same bytes as {original}")
    kept = [rows[index] for index in rows if index not in rejected]
    return kept, [rejected[index] for index in sorted(rejected)]


def _row(candidate: Candidate, entry: Entry, reading: Reading, part: Path, part_row: int) -> Row:
    from_table = entry.lat is not None
    timed = entry.taken_at is not None
    return Row(
        candidate.name,
        reading,
        part,
        part_row,
        lat=entry.lat if from_table else reading.lat,
        lng=entry.lng if from_table else reading.lng,
        taken_at=entry.taken_at if timed else reading.taken_at,
        taken_at_is_utc=entry.taken_at_is_utc if timed else reading.taken_at_is_utc,
        album=entry.album or candidate.album,
        table_order=entry.album_order,
        owner=albums.owner_of(entry.owner, reading.make, reading.model, reading.serial),
        licence=entry.licence,
    )


def complete(rows: Sequence[Row], split_by: str) -> None:
    """Fill in what depends on all rows: order in the album, split, near-duplicates."""
    moments = [albums.Moment(row.album, row.name, row.taken_at, row.table_order) for row in rows]
    keys = split.group_keys([row.owner for row in rows], [row.album for row in rows], split_by)
    hashed = [split.assign_split(key) for key in keys]
    dhash_N = np.array([row.reading.dhash for row in rows], np.uint64)
    grey = b"".join(row.reading.thumbnail for row in rows)
    grey_N256 = np.frombuffer(grey, np.uint8).reshape(len(rows), -1)
    splits, repeats_N = split.mark_near_duplicates(hashed, dhash_N, grey_N256)
    for row, order, name, repeats in zip(rows, albums.album_orders(moments), splits, repeats_N, strict=True):
        row.album_order, row.split = order, name
        row.near_duplicate_of = rows[repeats].reading.photo_id if repeats >= 0 else None


def write_shards(rows: Sequence[Row], folder: Path) -> list[dict[str, Any]]:
    """Write ``rows`` in order as shards into ``folder``; returns the manifest's lines on them.

    A shard ends after the row group that takes its pictures past SHARD_BYTES: the same rows, the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    described: list[dict[str, Any]] = []
    groups = _row_groups(rows)
    table = next(groups, None)
    while table is not None:
        path, written, size = folder / shards.shard_name(len(described)), 0, 0
        with atomic_path(path) as temporary, shards.open_writer(temporary) as writer:
            while table is not None and size < SHARD_BYTES:
                writer.write_table(table)
                written, size = written + table.num_rows, size + table["image"].nbytes
                table = next(groups, None)
        described.append(shards.describe_shard(path, written))
    return described


def _row_groups(rows: Sequence[Row]) -> Iterator[pa.Table]:
    # neighbours in the dataset are neighbours in the parts: a few open parts serve nearly every row
    pictures = lru_cache(maxsize=4)(parts.pictures)
    for start in range(0, len(rows), shards.ROW_GROUP_ROWS):
        group = rows[start : start + shards.ROW_GROUP_ROWS]
        values = [_values(row, pictures(row.part)[row.part_row].as_py()) for row in group]
        yield pa.Table.from_pylist(values, schema=shards.SCHEMA)


def _values(row: Row, picture: bytes) -> dict[str, Any]:
    reading = row.reading
    return {
        "photo_id": reading.photo_id,
        "image": {"bytes": picture, "path": f"{reading.photo_id}.jpg"},
        "lat": row.lat,
        "lng": row.lng,
        "taken_at": row.taken_at,
        "taken_at_is_utc": row.taken_at_is_utc,
        "album_id": row.album,
        "album_order": row.album_order,
        "owner_id": row.owner,
        "width": reading.width,
        "height": reading.height,
        "dhash": reading.dhash,
        "source": row.name,
        "licence": row.licence,
        "split": row.split,
        "near_duplicate_of": row.near_duplicate_of,
    }
