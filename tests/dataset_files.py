"""Datasets that tests write by hand, row by row."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from openplanet.photos import shards
from openplanet.photos.shards import Dataset
from openplanet.storage import write_json


def write_dataset(folder: Path, rows: list[dict[str, Any]]) -> Dataset:
    """A whole dataset of one shard; columns that a row lacks are null."""
    folder.mkdir(parents=True)
    shard = folder / shards.shard_name("0")
    with shards.open_writer(shard) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=shards.SCHEMA))
    manifest = {"format": shards.FORMAT, "format_version": shards.FORMAT_VERSION}
    write_json(folder / shards.MANIFEST, manifest | {"shards": [shards.describe_shard(shard, len(rows))]})
    return Dataset.open(folder)
