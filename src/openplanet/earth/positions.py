"""Positions as a stream of batches from Parquet or CSV files, reading the columns lat and lng and no other.

Rows where either is empty have no position: they are left out, and their number is said at the end. NaN and
values out of range are errors of the file: InputError names it and the row (from 0), as it does for a file
that is missing, damaged or without the columns. N rows of a batch.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from openplanet import progress
from openplanet.earth import geo
from openplanet.errors import InputError

Floats = NDArray[np.float64]

COLUMNS = ["lat", "lng"]
BATCH = 1 << 18
READ_BYTES = 1 << 20


def from_file(path: Path) -> Iterator[tuple[Floats, Floats]]:
    """Stream (lat_N, lng_N) from a .csv file, or else a Parquet file."""
    path = Path(path)
    return from_csv(path) if path.suffix.lower() == ".csv" else from_parquet(path)


def from_parquet(path: Path, batch_size: int = BATCH) -> Iterator[tuple[Floats, Floats]]:
    """Stream (lat_N, lng_N) from any Parquet file with such columns of numbers."""
    path = Path(path)
    try:
        # By default pyarrow keeps all it has read until the end, and takes column chunks whole: gigabytes.
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=READ_BYTES) as file:
            _check_columns(path, file.schema_arrow.names)
            yield from _positions(path, file.iter_batches(batch_size, columns=COLUMNS))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())}") from error


def from_csv(path: Path) -> Iterator[tuple[Floats, Floats]]:
    """Stream (lat_N, lng_N) from a CSV file whose first line names the columns."""
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig") as file:
            names = [name.strip().strip('"') for name in file.readline().split(",")]
        _check_columns(path, names)
        kinds = pa_csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.float64()), include_columns=COLUMNS)
        with pa_csv.open_csv(path, convert_options=kinds) as rows:
            yield from _positions(path, rows)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as CSV: {' '.join(str(error).split())}") from error


def _check_columns(path: Path, names: list[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise InputError(f"{path} has no column {' and no '.join(missing)} (degrees); add it")


def _positions(path: Path, batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[Floats, Floats]]:
    row = without = 0
    for batch in batches:
        lat, lng = (batch.column(name).cast(pa.float64()) for name in COLUMNS)
        if lat.null_count or lng.null_count:
            known = lat.is_valid().to_numpy(False) & lng.is_valid().to_numpy(False)
            lat_N, lng_N = (np.where(known, column.to_numpy(False), 0.0) for column in (lat, lng))
        else:
            known = slice(None)
            lat_N, lng_N = lat.to_numpy(False), lng.to_numpy(False)
        geo.check_coordinates(lat_N, lng_N, str(path), first_row=row)
        row += len(lat_N)
        lat_N, lng_N = lat_N[known], lng_N[known]
        without += len(lat) - len(lat_N)
        yield lat_N, lng_N
    if without:
        progress.say(f"{path}: {without} of {row} rows have no position and are left out")
