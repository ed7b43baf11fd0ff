"""A dataset with other splits: the same photos, written again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from openplanet.photos.dataset import Dataset
from openplanet.storage import write_json


def resplit(dataset: Dataset, split_of: Callable[[dict[str, str]], str], folder: Path, what: dict[str, Any]) -> Dataset:
    """The dataset in ``folder`` whose rows (``photo_id``, ``album_id``, ``split``) have the split that ``split_of``
    gives; ``what`` goes into the manifest. What is there already is taken as it is."""
    if not (folder / "manifest.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        entries = []
        for shard, entry in zip(dataset.shards, dataset.manifest["shards"], strict=True):
            table = pq.read_table(shard)
            split = [split_of(row) for row in table.select(["photo_id", "album_id", "split"]).to_pylist()]
            table = table.set_column(table.schema.get_field_index("split"), "split", pa.array(split, pa.string()))
            pq.write_table(table, folder / shard.name, row_group_size=512)
            entries.append(entry | {"bytes": (folder / shard.name).stat().st_size})
        write_json(folder / "manifest.json", dataset.manifest | what | {"shards": entries})
    return Dataset.open(folder)
