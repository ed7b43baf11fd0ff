"""Row groups of a dataset: the pieces that are read whole, in any order, so that a dataset need not fit in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from openplanet.errors import DatasetError
from openplanet.photos.dataset import Dataset, check_columns, open_reader, select_rows
from openplanet.stores.location import Location


@dataclass(frozen=True)
class RowGroup:
    """A piece of a shard, of some hundred photos."""

    shard: Location
    index: int

    def read(self, columns: Sequence[str], split: str | None = None, located: bool = False) -> pa.Table:
        """Its rows, of a split and located if asked for, in stored order; DatasetError where it cannot be read."""
        needed = list(dict.fromkeys([*columns, "split", "lat", "lng"]))
        try:
            with open_reader(self.shard) as file:
                check_columns(self.shard, file.schema_arrow, needed)
                table = file.read_row_group(self.index, columns=needed)
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{self.shard} cannot be read ({error}). Run the ingest again") from error
        return select_rows(table, split, located).select(list(columns))


def row_groups(dataset: Dataset) -> list[RowGroup]:
    """All row groups, in stored order; DatasetError where a shard cannot be read."""
    groups: list[RowGroup] = []
    for shard in dataset.shards:
        try:
            with open_reader(shard) as file:
                groups += [RowGroup(shard, index) for index in range(file.num_row_groups)]
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{shard} cannot be read ({error}). Run the ingest again") from error
    return groups
