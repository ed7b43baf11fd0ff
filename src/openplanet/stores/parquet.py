"""Parquet files in stores: the footer is fetched once, then column chunks as they are read."""

from functools import lru_cache

import pyarrow.parquet as pq

from openplanet.stores.client import Stat
from openplanet.stores.location import RemotePath
from openplanet.stores.ranges import RangeFile, Span, spans_of


def open_parquet(path: RemotePath) -> tuple[RangeFile, pq.FileMetaData]:
    """A file for ``pq.ParquetFile``, and its footer. Raises InputError where the store fails, pyarrow's errors where it
    is no Parquet file."""
    stat = path.stat()
    footer, spans = _footer(path.url, stat)
    return RangeFile(path.url, stat, spans), footer


@lru_cache(256)
def _footer(url: str, stat: Stat) -> tuple[pq.FileMetaData, list[Span]]:
    """The footer, and what is fetched as a whole. Columns of a row group lie one after the other."""
    footer = pq.read_metadata(RangeFile(url, stat))
    chunks = []
    for group in range(footer.num_row_groups):
        columns = footer.row_group(group)
        for index in range(columns.num_columns):
            column = columns.column(index)
            start = column.data_page_offset
            if column.has_dictionary_page:
                start = min(start, column.dictionary_page_offset)
            chunks.append((start, start + column.total_compressed_size))
    return footer, spans_of(chunks)
