"""All readings at hand, in columns: those in the parts, and those of the finished dataset that is renewed.

Shapes: N readings, K photos asked for.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest import duplicates, parts
from openplanet.photos.ingest.read import SCHEMA, SEEN
from openplanet.progress import warn
from openplanet.storage import atomic_path, sha256_of

ROWS = 8192  # read and written at a time
_LIGHT = [name for name in SCHEMA.names if name != "thumbnail"]
_PIXELS = duplicates.SIDE**2
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Readings:
    """``table``: SCHEMA without the thumbnails; ``thumbnails``: a file mapped into memory, uint8 [N, 256].

    The picture of reading n is row ``row_N[n]`` of ``files[file_N[n]]``, none where that is -1.
    ``best_M``: the readings that are of use, of those with the same key the best first.
    """

    table: pa.Table
    thumbnails: npt.NDArray[np.uint8]
    files: list[Path]
    file_N: Indices
    row_N: Indices
    best_M: Indices

    def find(self, key_K: pa.ChunkedArray, needs_gps_K: npt.NDArray[np.bool_]) -> Indices:
        """The reading that answers each key, -1 where there is none.

        One that was rejected for want of a position answers only where a position is needed still.
        """
        at_K = _index_in(key_K, self.table["key"].take(self.best_M))
        if len(self.best_M):
            at_K = np.where(at_K >= 0, self.best_M[at_K], np.int64(-1))
            unlocated_N = self.table["unlocated"].to_numpy()
            at_K[(at_K >= 0) & unlocated_N[at_K] & ~needs_gps_K] = -1
        return np.asarray(at_K, np.int64)

    def known_sizes(self, wanted: pa.ChunkedArray) -> dict[int, frozenset[str]]:
        """photo_ids of the photos whose picture is at hand, by size of file; only of sizes ``wanted``."""
        at_hand = pc.and_(pa.array(self.file_N >= 0), pc.is_in(self.table["size"], wanted.combine_chunks()))
        light = self.table.select(["size", "photo_id"]).filter(at_hand)
        light = light.group_by("size").aggregate([("photo_id", "distinct")])
        lists = light["photo_id_distinct"].to_pylist() if light.num_rows else []
        return dict(zip(light["size"].to_pylist(), map(frozenset, lists), strict=True))


@dataclass(frozen=True)
class Earlier:
    """What the dataset that is renewed lends: its readings, and the shards that are as they were written."""

    index: Path | None
    shards: list[Path]


def earlier(finished: Dataset | None) -> Earlier:
    """Checks every byte of the ``finished`` dataset."""
    index = _index_file(finished)
    return Earlier(index, _whole_shards(finished) if index is not None and finished is not None else [])


def gather(work: Path, lent: Earlier) -> Readings:
    """Every reading that still holds: from the parts in ``work``, and those of the dataset that is renewed.

    The thumbnails go to a file in ``work`` that is gone with the process. Where a key has several readings the one
    with a picture counts.
    """
    index, whole = lent.index, lent.shards
    stored = parts.stored(work / "parts")
    sources = ([index] if index is not None else []) + stored
    with tempfile.TemporaryFile(dir=work) as thumbnails:  # without a name: shards of one ingest may do this at once
        tables = [table for source in sources for table in _light(source, thumbnails)]
        table = pa.concat_tables(tables) if tables else SCHEMA.empty_table().drop_columns(["thumbnail"])
        pictures = np.zeros((0, _PIXELS), np.uint8)
        if table.num_rows:  # an empty file cannot be mapped
            thumbnails.flush()
            pictures = np.memmap(thumbnails, np.uint8, "r+").reshape(-1, _PIXELS)
    indexed = 0 if index is None else pq.read_metadata(index).num_rows
    files, file_N, row_N = _places(table, whole, stored, indexed)
    table = _fill_known(table, pictures, file_N, row_N)
    return Readings(table, pictures, files, file_N, row_N, _best(table, file_N))


def write_index(readings: Readings, at_K: Indices, path: Path) -> None:
    """Write the readings ``at_K`` in that order, for the next run to find."""
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for start in range(0, len(at_K), ROWS):
            at = at_K[start : start + ROWS]
            light = readings.table.take(at).combine_chunks()
            # what the pixels gave stands; how it came here does not matter to the next run
            light = light.set_column(_LIGHT.index("known"), SCHEMA.field("known"), pa.array(np.zeros(len(at), bool)))
            grey = pa.FixedSizeBinaryArray.from_buffers(
                SCHEMA.field("thumbnail").type,
                len(at),
                [None, pa.py_buffer(np.ascontiguousarray(readings.thumbnails[at]))],
            )
            grey = pc.if_else(pc.is_null(light["reason"]).combine_chunks(), grey, pa.scalar(None, grey.type))
            writer.write_table(light.append_column(SCHEMA.field("thumbnail"), grey).cast(SCHEMA))


def _index_file(finished: Dataset | None) -> Path | None:
    told = finished.manifest.get("readings") if finished is not None else None
    if finished is None or not isinstance(told, dict):
        return None
    path = Path(str(finished.path)) / Path(str(told.get("file"))).name
    try:
        return path if sha256_of(path) == told.get("sha256") and pq.read_schema(path).equals(SCHEMA) else None
    except (OSError, pa.ArrowException):
        return None


def _whole_shards(finished: Dataset) -> list[Path]:
    """The shards whose bytes are still those that were written: nothing damaged is carried on."""
    whole = []
    for shard, entry in zip(finished.shards, finished.manifest["shards"], strict=True):
        if sha256_of(shard) == entry["sha256"]:
            whole.append(Path(str(shard)))
        else:
            warn(f"{shard} is damaged; its photos are read again")
    return whole


def _light(source: Path, thumbnails: object) -> Iterator[pa.Table]:
    with pq.ParquetFile(source) as file:
        for batch in file.iter_batches(ROWS, columns=SCHEMA.names):
            blank = pa.scalar(bytes(_PIXELS), pa.binary(_PIXELS))
            grey = pc.fill_null(batch["thumbnail"], blank) if batch["thumbnail"].null_count else batch["thumbnail"]
            raw = np.frombuffer(grey.buffers()[1], np.uint8)[grey.offset * _PIXELS :][: len(grey) * _PIXELS]
            thumbnails.write(raw.tobytes())  # type: ignore[attr-defined]
            yield pa.Table.from_batches([batch.select(_LIGHT)])


def _places(
    table: pa.Table, shards: list[Path], stored: list[Path], indexed: int
) -> tuple[list[Path], Indices, Indices]:
    """Where the pictures lie: of the first ``indexed`` readings in the shards, by photo_id, else in their part."""
    files = [*shards, *stored]
    file_N, row_N = np.full(table.num_rows, -1, np.int64), np.full(table.num_rows, -1, np.int64)
    at = indexed
    for number, part in enumerate(stored):
        count = pq.read_metadata(part).num_rows
        file_N[at : at + count], row_N[at : at + count] = len(shards) + number, np.arange(count)
        at += count
    usable_N = table["reason"].is_null().to_numpy() & ~table["known"].to_numpy()
    file_N[~usable_N] = -1
    in_shards = [pq.read_table(shard, columns=["photo_id"])["photo_id"] for shard in shards]
    if in_shards:
        counts = [len(column) for column in in_shards]
        of_M = np.repeat(np.arange(len(shards)), counts)
        row_M = np.concatenate([np.arange(count) for count in counts])
        at_N = _index_in(table["photo_id"], pa.chunked_array([c for column in in_shards for c in column.chunks]))
        moved_N = (at_N >= 0) & (file_N < 0) & table["reason"].is_null().to_numpy()
        file_N[moved_N], row_N[moved_N] = of_M[at_N[moved_N]], row_M[at_N[moved_N]]
    return files, file_N, row_N


def _fill_known(table: pa.Table, thumbnails: npt.NDArray[np.uint8], file_N: Indices, row_N: Indices) -> pa.Table:
    """Give readings of known bytes what was seen in the pixels when they were first read, and that picture.

    Changes ``thumbnails``, ``file_N`` and ``row_N``; ``file_N`` to -1 where the photo that they repeat has gone.
    """
    is_known_N = table["known"].to_numpy()
    known = np.flatnonzero(is_known_N)
    seen = np.flatnonzero(~is_known_N & (file_N >= 0))
    if not len(known) or not len(seen):
        file_N[known] = -1
        return table
    at = _index_in(table["photo_id"].take(known), table["photo_id"].take(seen))
    file_N[known[at < 0]] = -1
    known, twin = known[at >= 0], seen[at[at >= 0]]
    from_N = np.arange(table.num_rows)
    from_N[known] = twin
    thumbnails[known] = thumbnails[twin]
    file_N[known], row_N[known] = file_N[twin], row_N[twin]
    for name in SEEN:
        if name != "thumbnail":
            table = table.set_column(_LIGHT.index(name), SCHEMA.field(name), table[name].take(from_N))
    return table


def _best(table: pa.Table, file_N: Indices) -> Indices:
    """With a picture before rejected before rejected for want of a position; then the newest. Those that need
    a picture and have none are left out."""
    good_N = table["reason"].is_null().to_numpy()
    worth_N = np.where(good_N, np.where(file_N >= 0, 3, 0), 2) - table["unlocated"].to_numpy()
    best_N = np.lexsort((-np.arange(len(worth_N)), -worth_N))
    return np.asarray(best_N[worth_N[best_N] > 0], np.int64)


def _index_in(wanted: pa.ChunkedArray, values: pa.ChunkedArray) -> Indices:
    found = pc.index_in(wanted, value_set=values.combine_chunks(), skip_nulls=True)
    return np.array(pc.fill_null(found, -1).to_numpy(), np.int64)
