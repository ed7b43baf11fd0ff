"""Positions as a stream of batches from Parquet or CSV files, reading the columns lat and lng and no other.

Rows where either is empty (or NA, null, NaN: ``tables.NOTHING``) have no position, nor have those at 0, 0, which is
what devices write that know none: they are left out, and their number is said at the end. Text and values out of range
are errors of the file: InputError names it and the row (from 0, the header not counted), as it does for a file that is
missing, damaged, without the columns or without any position. N rows of a batch.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from openplanet import progress
from openplanet.earth import geo, tables
from openplanet.errors import InputError
from openplanet.stores.folders import copy_of
from openplanet.stores.location import Location, RemotePath

Floats = NDArray[np.float64]

COLUMNS = ["lat", "lng"]
BATCH = 1 << 18
READ_BYTES = 1 << 20
PIECE = 1 << 20  # rows


def from_file(path: Location) -> Iterator[tuple[Floats, Floats]]:
    """Stream (lat_N, lng_N) from a table of text (.csv, .tsv, .tab, .txt), or else a Parquet file.

    Of one in a store the cache gets a copy.
    """
    path = copy_of(path) if isinstance(path, RemotePath) else Path(path)
    return from_csv(path) if path.suffix.lower() in tables.SUFFIXES else from_parquet(path)


@dataclass(frozen=True)
class Rows:
    """Positions of some row groups of a Parquet file; of any other table all of them (``groups`` None)."""

    path: Path
    groups: tuple[int, ...] | None = None
    origin: str = ""
    """Of a file in a store, which machines copy each for itself: its URL and what tells its content."""

    @property
    def key(self) -> str:
        """Says when the positions may have changed."""
        if self.origin:
            return repr((self.origin, self.groups))
        status = self.path.stat()
        return repr((self.path.name, status.st_size, status.st_mtime_ns, self.groups))

    def positions(self) -> Iterator[tuple[Floats, Floats]]:
        """Stream (lat_N, lng_N)."""
        return from_file(self.path) if self.groups is None else from_parquet(self.path, groups=self.groups)


def pieces_of(path: Location, rows: int = PIECE) -> list[Rows]:
    """The positions of a file in pieces of about ``rows``, where it is Parquet; else in one."""
    origin = ""
    if isinstance(path, RemotePath):
        known = path.stat()
        origin, path = f"{path.url} {known.st_size} {known.identity}", copy_of(path)
    if path.suffix.lower() in tables.SUFFIXES:
        return [Rows(path, origin=origin)]
    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())}") from error
    ends = np.cumsum([metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)])
    pieces = [np.flatnonzero(ends // (rows + 1) == piece) for piece in np.unique(ends // (rows + 1))]
    return [Rows(path, tuple(groups.tolist()), origin) for groups in pieces]


def from_parquet(
    path: Path, batch_size: int = BATCH, groups: Sequence[int] | None = None
) -> Iterator[tuple[Floats, Floats]]:
    """Stream (lat_N, lng_N) from any Parquet file with such columns of numbers, or from some of its row ``groups``, in
    which there may be none."""
    path = Path(path)
    try:
        # By default pyarrow keeps all it has read until the end, and takes column chunks whole: gigabytes.
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=READ_BYTES) as file:
            _check_columns(path, file.schema_arrow.names)
            batches = file.iter_batches(batch_size, row_groups=groups, columns=COLUMNS)
            before = groups[0] if groups else 0
            first = sum(file.metadata.row_group(group).num_rows for group in range(before))
            yield from _positions(path, batches, first, part=groups is not None)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())}") from error


def from_csv(path: Path) -> Iterator[tuple[Floats, Floats]]:
    """Stream (lat_N, lng_N) from a table of text whose first line names the columns."""
    path = Path(path)
    try:
        form = tables.form_of(path, COLUMNS)
        names, lines = _header(path, form)
        _check_columns(path, names)
        # a name for each column, for others may be there twice
        unique = [name if name in COLUMNS else f"{index} {name}" for index, name in enumerate(names)]
        reading = pa_csv.ReadOptions(
            column_names=unique,
            skip_rows=lines,
            encoding=form.encoding if form.is_wide else "utf8",
        )
        try:
            with _open_csv(path, reading, form, pa.float64()) as rows:
                yield from _positions(path, rows)
        except pa.ArrowInvalid:
            with _open_csv(path, reading, form, pa.string()) as rows:  # pyarrow says neither the row nor the column
                for _ in _positions(path, rows):
                    pass
            raise
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (pa.ArrowException, OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV: {' '.join(str(error).split())}") from error


def _open_csv(
    path: Path, reading: pa_csv.ReadOptions, form: tables.Form, kind: pa.DataType
) -> pa_csv.CSVStreamingReader:
    kinds = dict.fromkeys(COLUMNS, kind)
    converting = pa_csv.ConvertOptions(
        column_types=kinds,
        include_columns=COLUMNS,
        null_values=[before + each for each in tables.NOTHING for before in ("", " ", "  ")],
        strings_can_be_null=True,
        decimal_point=form.decimal,
    )
    return pa_csv.open_csv(path, reading, pa_csv.ParseOptions(delimiter=form.separator), converting)


def separator_hint(names: list[str]) -> str:
    """Words that go behind a message on missing columns, where the header was cut at the wrong sign."""
    for sign, said in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(names) == 1 and sign in names[0]:
            return f"; its columns stand between {said}: save it with commas"
    return ""


def _header(path: Path, form: tables.Form) -> tuple[list[str], int]:
    """The names of the columns, and the lines that they take."""
    with path.open(encoding=form.encoding, errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, delimiter=form.separator, skipinitialspace=True)
        names = [name.strip().encode().decode() for name in next(rows, [])]
        return names, rows.line_num


def _check_columns(path: Path, names: list[str]) -> None:
    if missing := [name for name in COLUMNS if name not in names]:
        raise InputError(
            f"{path} has no column {' and no '.join(missing)} (degrees); it has: {', '.join(names) or 'none'}"
            f"{separator_hint(names)}"
        )
    if twice := [name for name in COLUMNS if names.count(name) > 1]:
        raise InputError(f"{path} has more than one column {' and '.join(twice)}: keep one of them")


def _positions(
    path: Path, batches: Iterator[pa.RecordBatch], first: int = 0, part: bool = False
) -> Iterator[tuple[Floats, Floats]]:
    row, without, at_null = first, 0, 0
    for batch in batches:
        lat, lng = (_numbers(path, batch, name, row) for name in COLUMNS)
        known_N = lat.is_valid().to_numpy(False) & lng.is_valid().to_numpy(False)
        known_N &= ~(np.isnan(lat.to_numpy(False)) | np.isnan(lng.to_numpy(False)))
        lat_N, lng_N = (np.where(known_N, column.to_numpy(False), 0.0) for column in (lat, lng))
        geo.check_coordinates(lat_N, lng_N, str(path), first_row=row)
        somewhere_N = (lat_N != 0) | (lng_N != 0)
        row += len(lat_N)
        without += int((~known_N).sum())
        at_null += int((known_N & ~somewhere_N).sum())
        if somewhere_N.all():
            yield lat_N, lng_N
        elif somewhere_N.any():
            yield lat_N[somewhere_N], lng_N[somewhere_N]
    row -= first
    if without + at_null == row and not part:
        raise InputError(f"{path}: none of its {row} rows has a position")
    if without:
        progress.say(f"{path}: {without} of {row} rows have no position and are left out")
    if at_null:
        progress.say(f"{path}: {at_null} of {row} rows lie at 0, 0, which is no position, and are left out")


def _numbers(path: Path, batch: pa.RecordBatch, name: str, first_row: int) -> pa.Array:
    """A column as float64, null where there is nothing; InputError names the row of text that is no number."""
    column = batch.column(name)
    if not pa.types.is_string(column.type):
        return column.cast(pa.float64())
    text = pc.utf8_trim_whitespace(column)
    text = pc.if_else(pc.is_in(text, pa.array(tables.NOTHING, text.type)), pa.scalar(None, text.type), text)
    for row, value in enumerate(text.to_pylist()):
        try:
            pa.scalar(value or None, pa.string()).cast(pa.float64())
        except pa.ArrowInvalid as error:
            raise InputError(
                f"{path}: row {first_row + row}: {name} {value!r} is no number of degrees; correct the row or leave it"
                " out"
            ) from error
    return text.cast(pa.float64())
