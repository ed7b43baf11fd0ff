"""Writing the shards: rows in their order, each with its picture from wherever it lies.

Where a shard ends is said by the photos in it, not by how many stand before it: photos that are added change the
shards that they fall into and no other, and a shard that the earlier dataset has already is left where it is.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from openplanet.photos import dataset
from openplanet.photos.ingest.known import Readings
from openplanet.storage import atomic_path

SHARD_BYTES = 100_000_000  # of pictures, about: hubs and readers like it, and one new photo makes one shard anew
PIXEL_BYTES = 0.3  # of a picture for each pixel of its short side squared: 30 kB at 320
_OPEN = 6  # row groups of pictures held at a time; neighbours here were neighbours there
_LEAVES = [name for name in dataset.SCHEMA.names if name != "image"]


def write_shards(
    rows: pa.Table, readings: Readings, folder: Path, side: int, earlier: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Write ``rows`` in order as shards into ``folder``; returns the manifest's lines on all of them.

    ``earlier``: the manifest's lines on the dataset that is renewed; what it has already is not written again.
    A shard's name comes from its bytes: the same rows give the same files, and no new file ever takes the name
    of another.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = {Path(entry["file"]).name: entry for entry in earlier}
    pictures, described = _Pictures(readings), list[dict[str, Any]]()
    for start, stop in stretches(rows["photo_id"], max(8, round(SHARD_BYTES / (PIXEL_BYTES * side**2)))):
        stretch = rows.slice(start, stop - start)
        described.append(_already_there(stretch, readings, there) or _write(stretch, pictures, folder))
    return described


def stretches(photo_id: pa.ChunkedArray, aim: int) -> Iterator[tuple[int, int]]:
    """First row of each shard and the one after its last; ``aim``: rows of a shard, which has half to twice as many.

    It ends after a photo whose id is a multiple of ``aim / 2``: behind an insertion the ends soon fall where they fell
    without it.
    """
    start, stop = 0, 0
    for chunk in photo_id.chunks:
        for name in chunk.to_pylist():
            stop += 1
            rows = stop - start
            if rows >= 2 * aim or (rows >= aim / 2 and int(name[:12], 16) % (aim // 2) == 0):
                yield start, stop
                start = stop
    if start < stop:
        yield start, stop


def _already_there(stretch: pa.Table, readings: Readings, there: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The earlier dataset's line on the shard that holds just these rows, pictures and all."""
    reading_N = stretch["reading"].to_numpy()
    file_N, row_N = readings.file_N[reading_N], readings.row_N[reading_N]
    shard = readings.files[file_N[0]]
    entry = there.get(shard.name)
    if entry is None or entry["rows"] != len(row_N):
        return None
    if (file_N != file_N[0]).any() or (row_N != np.arange(len(row_N))).any():
        return None
    return entry if pq.read_table(shard, columns=_LEAVES).equals(stretch.select(_LEAVES)) else None


def _write(stretch: pa.Table, pictures: "_Pictures", folder: Path) -> dict[str, Any]:
    path = folder / "photos-next.parquet"
    with atomic_path(path) as temporary, dataset.open_writer(temporary) as writer:
        for start in range(0, stretch.num_rows, dataset.ROW_GROUP_ROWS):
            writer.write_table(_row_group(stretch.slice(start, dataset.ROW_GROUP_ROWS), pictures))
    entry = dataset.describe_shard(path, stretch.num_rows)
    entry["file"] = dataset.shard_name(entry["sha256"][:16])
    path.replace(folder / entry["file"])
    return entry


def _row_group(rows: pa.Table, pictures: "_Pictures") -> pa.Table:
    rows = rows.combine_chunks()
    path = pc.binary_join_element_wise(rows["photo_id"].combine_chunks(), "jpg", ".")
    image = pa.StructArray.from_arrays([pictures.take(rows["reading"].to_numpy()), path], ["bytes", "path"])
    columns = {name: rows[name] for name in _LEAVES} | {"image": image}
    return pa.table([columns[name] for name in dataset.SCHEMA.names], schema=dataset.SCHEMA)


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
