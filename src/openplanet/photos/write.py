"""Writing the shards: rows in their order, each with its picture from wherever it lies."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from openplanet.photos import shards
from openplanet.photos.readings import Readings
from openplanet.storage import atomic_path

SHARD_BYTES = 200_000_000  # of pictures: a size that hubs, object stores and readers like
_OPEN = 6  # row groups of pictures held at a time; neighbours here were neighbours there


def write_shards(rows: pa.Table, readings: Readings, folder: Path, tag: str) -> list[dict[str, Any]]:
    """Write ``rows`` in order as shards into ``folder``; returns the manifest's lines on them.

    A shard ends after the row group that takes its pictures past SHARD_BYTES: the same rows, the same bytes.
    ``tag`` is part of the names, so that new shards never carry those of the dataset they replace.
    """
    folder.mkdir(parents=True, exist_ok=True)
    described: list[dict[str, Any]] = []
    groups = _row_groups(rows, readings)
    table = next(groups, None)
    while table is not None:
        path, written, size = folder / shards.shard_name(len(described), tag), 0, 0
        with atomic_path(path) as temporary, shards.open_writer(temporary) as writer:
            while table is not None and size < SHARD_BYTES:
                writer.write_table(table)
                written, size = written + table.num_rows, size + table["image"].nbytes
                table = next(groups, None)
        described.append(shards.describe_shard(path, written))
    return described


def _row_groups(rows: pa.Table, readings: Readings) -> Iterator[pa.Table]:
    pictures = _Pictures(readings)
    names = [name for name in shards.SCHEMA.names if name != "image"]
    for start in range(0, rows.num_rows, shards.ROW_GROUP_ROWS):
        group = rows.slice(start, shards.ROW_GROUP_ROWS).combine_chunks()
        ids = group["photo_id"].combine_chunks()
        path = pc.binary_join_element_wise(ids, "jpg", ".")
        image = pa.StructArray.from_arrays([pictures.take(group["reading"].to_numpy()), path], ["bytes", "path"])
        columns = {name: group[name] for name in names} | {"image": image}
        yield pa.table([columns[name] for name in shards.SCHEMA.names], schema=shards.SCHEMA)


class _Pictures:
    """The encoded pictures of readings, wherever they lie: in parts, or in shards of the earlier dataset."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._group = lru_cache(maxsize=_OPEN)(self._read_group)
        self._bounds = lru_cache(maxsize=None)(self._read_bounds)

    def take(self, reading_N: Any) -> pa.Array:
        """Pictures [N] of the readings."""
        file_N, row_N = self._readings.file_N[reading_N], self._readings.row_N[reading_N]
        group_N = np.zeros(len(file_N), np.int64)
        for file in np.unique(file_N):
            mine = file_N == file
            group_N[mine] = np.searchsorted(self._bounds(int(file)), row_N[mine], "right") - 1
        chunks, places, base = [], np.empty(len(file_N), np.int64), 0
        # Pictures are the bulk: what lies there in the order asked for is not copied.
        for file, group in sorted(set(zip(file_N.tolist(), group_N.tolist(), strict=True))):
            mine = (file_N == file) & (group_N == group)
            rows = row_N[mine] - self._bounds(file)[group]
            whole = (np.diff(rows) == 1).all()
            column = self._group(file, group)
            chunks.append(column.slice(rows[0], len(rows)) if whole else column.take(rows))
            places[mine] = base + np.arange(len(rows))
            base += len(rows)
        taken = pa.concat_arrays(chunks)
        return taken if (np.diff(places) == 1).all() else taken.take(places)

    def _read_bounds(self, file: int) -> Any:
        metadata = pq.read_metadata(self._readings.files[file])
        counts = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        return np.concatenate([[0], np.cumsum(counts)])[:-1]

    def _read_group(self, file: int, group: int) -> pa.Array:
        path = self._readings.files[file]
        with pq.ParquetFile(path) as opened:
            column = opened.read_row_group(group, columns=["image"])["image"]
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        return column if pa.types.is_binary(column.type) else column.field("bytes")
