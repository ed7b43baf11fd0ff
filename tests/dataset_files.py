"""Datasets that tests write by hand, row by row."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from openplanet.photos import dataset as stored
from openplanet.photos.dataset import Dataset
from openplanet.storage import write_json


def write_dataset(folder: Path, rows: list[dict[str, Any]]) -> Dataset:
    """A whole dataset of one shard; columns that a row lacks are null."""
    folder.mkdir(parents=True)
    shard = folder / stored.shard_name("0")
    with stored.open_writer(shard) as writer:
        for start in range(0, max(1, len(rows)), stored.ROW_GROUP_ROWS):
            writer.write_table(pa.Table.from_pylist(rows[start : start + stored.ROW_GROUP_ROWS], schema=stored.SCHEMA))
    manifest = {"format": stored.FORMAT, "format_version": stored.FORMAT_VERSION}
    write_json(folder / stored.MANIFEST, manifest | {"shards": [stored.describe_shard(shard, len(rows))]})
    return Dataset.open(folder)
