"""The dataset on disk: Parquet shards of photos and, written last, a manifest.

The shards open with plain pyarrow, DuckDB, Polars, and Hugging Face ``datasets`` (which decodes ``image``).
A folder without ``manifest.json`` is not a dataset: its ingest has not finished.
Shapes: N photos in a batch.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from openplanet.errors import DatasetError, InputError
from openplanet.photos.ingest.split import how_to_divide
from openplanet.storage import read_json, sha256_of
from openplanet.stores.location import Location, RemotePath, listing, location
from openplanet.stores.parquet import open_parquet

FORMAT = "openplanet dataset"
FORMAT_VERSION = 2
MANIFEST = "manifest.json"
SPLITS = ("train", "val", "test", "none")
ALL = "all"
"""In place of a split: train, val and test together."""
"""``none``: a near-duplicate of a test or validation photo; no split holds it, so nothing trains on it."""

# 512 photos of short side 320 are about 15 MB: small enough to stream, large enough to read fast.
ROW_GROUP_ROWS = 512
MAX_SIDE = 4096  # pixels: what ingest takes at most
READ_BYTES = 1 << 20

_HF_TYPES = {pa.string(): "string", pa.float64(): "float64", pa.bool_(): "bool", pa.int32(): "int32"}
_HF_TYPES |= {pa.uint64(): "uint64", pa.timestamp("us"): "timestamp[us]"}


def _schema() -> pa.Schema:
    # All nullable, though most are never null: `datasets` ignores its metadata on a field that is not.
    fields = [
        pa.field("photo_id", pa.string()),  # SHA-256 of the original file, hexadecimal
        pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        pa.field("lat", pa.float64()),  # degrees, WGS 84; null where the position is not known
        pa.field("lng", pa.float64()),
        pa.field("taken_at", pa.timestamp("us")),
        pa.field("taken_at_is_utc", pa.bool_()),  # else the camera's local time
        pa.field("utc_offset_minutes", pa.int32()),  # local time minus UTC; null where not known
        pa.field("utc_offset_from", pa.string()),  # written, gps; assumed: position, anchor, album
        pa.field("album_id", pa.string()),
        pa.field("album_order", pa.int32()),  # 0, 1, 2 ... within the album
        pa.field("owner_id", pa.string()),  # who took it, which camera body, or camera and folder; null: not known
        pa.field("width", pa.int32()),  # of the original, upright
        pa.field("height", pa.int32()),
        pa.field("dhash", pa.uint64()),
        pa.field("source", pa.string()),  # file, from the name of its source folder on
        pa.field("licence", pa.string()),
        pa.field("attribution", pa.string()),  # whom to name, and how, where the licence asks for it
        pa.field("position_from", pa.string()),  # table, exif, sidecar, xmp, takeout, source
        pa.field("flag", pa.string()),  # why it may be no photo: screenshot, document, clip art, tiny, blank
        pa.field("flag_reason", pa.string()),
        pa.field("split", pa.string()),
        pa.field("near_duplicate_of", pa.string()),  # photo_id of the test or validation photo
    ]
    features: dict[str, dict[str, str]] = {
        field.name: {"dtype": _HF_TYPES[field.type], "_type": "Value"} for field in fields if field.name != "image"
    }
    features["image"] = {"_type": "Image"}
    features = {field.name: features[field.name] for field in fields}
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


SCHEMA: pa.Schema = _schema()
"""Columns of a dataset row."""
NEWER = ("utc_offset_minutes", "utc_offset_from")
"""Those that shards written before 2026-11-28 lack."""


def shard_name(tag: str) -> str:
    """File name of a shard; ``tag``: the first 16 digits of its SHA-256. The manifest tells their order."""
    return f"photos-{tag}.parquet"


def is_ours(name: str) -> bool:
    """Whether a file name is one that this or an earlier version gives to shards or readings."""
    shard = "[0-9a-f]{16}|([0-9a-f]{8}-|0-)?[0-9]{5}"
    return re.fullmatch(rf"(photos-({shard})|readings-[0-9a-f]{{8}})\.parquet", name) is not None


def open_writer(path: Path) -> pq.ParquetWriter:
    """A writer of ``SCHEMA`` rows; the same rows give the same bytes. Write tables of ROW_GROUP_ROWS rows."""
    leaves = [name for name in SCHEMA.names if name != "image"]
    return pq.ParquetWriter(
        path,
        SCHEMA,
        compression=dict.fromkeys([*leaves, "image.path"], "zstd") | {"image.bytes": "none"},  # JPEG already
        use_dictionary=["album_id", "owner_id", "licence", "split", "position_from", "flag"],
        write_statistics=leaves,  # a minimum and maximum of pictures would only be weight
        write_page_checksum=True,  # flipped bits are told when they are read, not learned from
    )


def open_reader(path: Location) -> pq.ParquetFile:
    """A shard for reading, in little memory; damaged pages raise OSError when they are read.

    By default pyarrow keeps all that it has read until the end, and looks at no checksum. Of a shard in a store only
    what is read is fetched.
    """
    source, footer = (path, None) if isinstance(path, Path) else open_parquet(path)
    return pq.ParquetFile(
        source, metadata=footer, pre_buffer=False, buffer_size=READ_BYTES, page_checksum_verification=True
    )


def check_columns(shard: Location, schema: pa.Schema, needed: Sequence[str]) -> None:
    """Raise DatasetError where a shard lacks a column that ``SCHEMA`` has, but for NEWER, or has it of another type."""
    for name in needed:
        if name not in schema.names:
            if name in NEWER:
                continue
            raise DatasetError(f"{shard} has no column {name}. Copy it again, or run the ingest again")
        if schema.field(name).type != SCHEMA.field(name).type:
            kinds = f"{schema.field(name).type}, not {SCHEMA.field(name).type}"
            raise DatasetError(f"{shard}: column {name} is {kinds}. Copy it again, or run the ingest again")


def describe_shard(path: Path, rows: int) -> dict[str, Any]:
    """The manifest's line on a finished shard."""
    return {"file": path.name, "rows": rows, "bytes": path.stat().st_size, "sha256": sha256_of(path)}


@dataclass(frozen=True)
class Dataset:
    """A finished dataset folder, opened for reading. Rows come in the order in which they are stored."""

    path: Location
    manifest: dict[str, Any]
    shards: list[Location]

    @classmethod
    def open(cls, path: str | Location) -> "Dataset":
        """Open the dataset in folder ``path``, or at a URL (s3://BUCKET/NAME): then row groups are fetched as they are
        read, and kept in a cache (``stores/cache.py``).

        Raises DatasetError where there is none, its ingest has not finished, it is of another format version,
        or a shard is missing or cut short. Contents are not re-read: pages carry checksums, which are looked at
        when they are read, and ``verify`` reads all.
        """
        path = location(path)
        files = listing(path) if isinstance(path, RemotePath) or path.is_dir() else {}
        if not files and not path.is_dir():
            raise DatasetError(f"{path}: no dataset there. Make one with: openplanet ingest SOURCE... --out {path}")
        if MANIFEST not in files or not files[MANIFEST].is_file():
            raise DatasetError(
                f"{path} has no {MANIFEST}: it is no dataset, or its ingest did not finish "
                "(then run the same ingest command again: it goes on where it stopped)"
            )
        try:
            manifest = read_json(files[MANIFEST])
        except InputError as error:
            todo = "" if isinstance(path, RemotePath) else ". Run the ingest again"  # a store's errors say what to do
            raise DatasetError(f"{error}{todo}") from error
        _check_format(path, manifest)
        shards = [_checked_shard(path, files, entry) for entry in manifest["shards"]]
        return cls(path, manifest, shards)

    def verify(self) -> None:
        """Re-read every shard; DatasetError names the first whose bytes are not those that ingest wrote."""
        for shard, entry in zip(self.shards, self.manifest["shards"], strict=True):
            if sha256_of(shard) != entry["sha256"]:
                raise DatasetError(f"{shard} is damaged: its SHA-256 is not the manifest's. Run the ingest again")

    def batches(
        self,
        columns: Sequence[str] | None = None,
        split: str | None = None,
        located: bool = False,
        batch_size: int = 1024,
    ) -> Iterator[pa.RecordBatch]:
        """Stream rows in batches of at most ``batch_size``; never an empty batch.

        ``columns`` None means all; ``split`` keeps one of SPLITS, or ALL; ``located`` drops rows without a position.
        Raises DatasetError on an unknown column or split, or a shard that cannot be read.
        """
        names = list(SCHEMA.names if columns is None else columns)
        needed = list(dict.fromkeys(names + ["split"] * (split is not None) + ["lat", "lng"] * located))
        if unknown := [name for name in names if name not in SCHEMA.names]:
            raise DatasetError(f"{self.path}: no column {', '.join(unknown)}; there are {', '.join(SCHEMA.names)}")
        if split is not None and split not in (*SPLITS, ALL):
            raise DatasetError(f"{self.path}: no split '{split}'; there are {', '.join((*SPLITS, ALL))}")
        for shard in self.shards:
            try:
                with open_reader(shard) as file:
                    check_columns(shard, file.schema_arrow, needed)
                    for batch in file.iter_batches(batch_size, columns=needed):
                        kept = select_rows(_with_newer(batch, needed), split, located).select(names)
                        if kept.num_rows:
                            yield kept
            except (OSError, pa.ArrowException) as error:
                raise DatasetError(f"{shard} cannot be read ({error}). Run the ingest again") from error

    def table(self, columns: Sequence[str] | None = None, split: str | None = None, located: bool = False) -> pa.Table:
        """The rows of ``batches`` as one table in memory (column ``image`` is nearly all of the bytes)."""
        names = list(SCHEMA.names if columns is None else columns)
        batches = list(self.batches(names, split, located, batch_size=16384))
        return pa.Table.from_batches(batches, pa.schema([SCHEMA.field(name) for name in names]))

    def coordinates(
        self, split: str | None = "train"
    ) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
        """Stream (lat_N, lng_N) in degrees of the located photos of ``split`` (None: of all)."""
        for batch in self.batches(["lat", "lng"], split, located=True, batch_size=65536):
            yield batch["lat"].to_numpy(zero_copy_only=False), batch["lng"].to_numpy(zero_copy_only=False)

    def held_out(self, split: str = "val") -> tuple[int, int]:
        """Photos with a position in ``split``, and their albums."""
        album = self.table(["album_id"], split, located=True)["album_id"]
        return len(album), pc.count_distinct(album, mode="all").as_py()

    def check_train(self) -> None:
        """Raise DatasetError, saying why and what to do, where the train split has no photo with a position."""
        if self.count("train", located=True):
            return
        located = self.table(["split"], located=True)["split"].value_counts().to_pylist()
        if not located:
            raise DatasetError(
                f"{self.path} has no photo with a position: ingest photos that know where they were taken, or give a"
                " table of --coordinates"
            )
        held_out = ", ".join(f"{each['values']} {each['counts']}" for each in located)
        raise DatasetError(
            f"{self.path} has no photo in its train split (those with a position: {held_out}): {self.how_to_divide()}"
        )

    @property
    def side(self) -> int:
        """Short side in pixels at which ingest kept the photos (smaller ones as they are)."""
        side = self.manifest.get("options", {}).get("side", 320)
        if type(side) is not int or not 0 < side <= MAX_SIDE:
            raise DatasetError(f"{self.path / MANIFEST} says that photos have a side of {repr(side)[:80]} pixels")
        return side

    def how_to_divide(self) -> str:
        """What to do where a split is empty."""
        options = self.manifest.get("options", {})
        return how_to_divide(options.get("split_by", "owner"), options.get("albums", "folder"))

    def count(self, split: str | None = None, located: bool = False) -> int:
        """How many rows ``batches`` would give."""
        return sum(batch.num_rows for batch in self.batches(["split"], split, located, batch_size=65536))


def select_rows(batch: pa.RecordBatch, split: str | None, located: bool) -> pa.RecordBatch:
    """The rows of a split (None: of every one, "none" too) and, where ``located``, with a position."""
    if split == ALL:
        batch = batch.filter(pc.not_equal(batch["split"], "none"))
    elif split is not None:
        batch = batch.filter(pc.equal(batch["split"], split))
    if located:
        batch = batch.filter(pc.and_(pc.is_valid(batch["lat"]), pc.is_valid(batch["lng"])))
    return batch


def _with_newer(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """The batch with NEWER columns that its shard lacks: null."""
    for name in NEWER:
        if name in names and name not in batch.schema.names:
            batch = batch.append_column(SCHEMA.field(name), pa.nulls(batch.num_rows, SCHEMA.field(name).type))
    return batch


def _check_format(path: Location, manifest: dict[str, Any]) -> None:
    if manifest.get("format") != FORMAT or not isinstance(manifest.get("shards"), list):
        raise DatasetError(f"{path / MANIFEST} is not the manifest of an {FORMAT}: give the folder that ingest wrote")
    if not isinstance(manifest.get("options", {}), dict):
        raise DatasetError(f"{path / MANIFEST} is damaged: its options are no object. Run the ingest again")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise DatasetError(
            f"{path} has dataset format version {manifest.get('format_version')}, "
            f"this program reads {FORMAT_VERSION}: ingest again with this version"
        )


def _checked_shard(path: Location, files: dict[str, Location], entry: dict[str, Any]) -> Location:
    try:
        name, size = Path(entry["file"]).name, int(entry["bytes"])
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{path / MANIFEST} is damaged: a bad shard entry {entry!r}. Run the ingest again"
        ) from error
    shard = files.get(name, path / name)
    if name not in files or not shard.is_file():
        raise DatasetError(f"{shard} is missing: copy the whole folder, or run the ingest again")
    if shard.stat().st_size != size:
        raise DatasetError(
            f"{shard} has {shard.stat().st_size} bytes where the manifest says {size}: "
            "copy it again, or run the ingest again"
        )
    return shard
