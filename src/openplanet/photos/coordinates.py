"""The table that a user gives: positions, albums and owners of photos that do not say so themselves."""

import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from openplanet.earth.positions import READ_BYTES, separator_hint
from openplanet.errors import InputError
from openplanet.photos import moment
from openplanet.photos.entry import Entry, position_problem
from openplanet.photos.moment import Moment
from openplanet.photos.sources import Rejection, printable

REQUIRED = ("file", "lat", "lng")
OPTIONAL = ("album", "album_order", "taken_at", "owner", "licence", "attribution")


def read(path: Path) -> list[Entry]:
    """The rows of a CSV (UTF-8, with a header) or Parquet file with columns file, lat, lng and perhaps
    OPTIONAL.

    Other columns are ignored. Empty lat and lng: the table says nothing of the position. Raises InputError,
    naming the file and the columns, where it cannot be read or a column is missing.
    """
    path = Path(path)
    try:
        rows = list(_parquet_rows(path) if path.suffix.lower() in (".parquet", ".pq") else _csv_rows(path))
    except (OSError, pa.ArrowException, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{printable(path)} cannot be read as a table of coordinates: {why}") from error
    return [_entry(row) for row in rows if _text(row.get("file"))]


def match(entries: Sequence[Entry], table: Path, paths: Sequence[Path], roots: Sequence[Path]) -> "Matched":
    """Which entry belongs to which of the candidates' ``paths``.

    ``file`` is taken as relative to the table's folder, then to each source, then as a bare file name, if
    only one candidate and only one row of the table have it. The first row of a file counts; further rows,
    and rows whose file was not found, are rejected.
    """
    real_folder: dict[Path, str] = {}
    by_path = {_real(path, real_folder): index for index, path in enumerate(paths)}
    names = Counter(path.name for path in paths)
    by_name = {path.name: index for index, path in enumerate(paths) if names[path.name] == 1}
    table_names = Counter(_base(entry.file) for entry in entries)
    bases = list(dict.fromkeys([Path(table).absolute().parent, *roots]))
    matched: dict[int, Entry] = {}
    rejected: list[Rejection] = []
    loose: list[Entry] = []

    def take(index: int, entry: Entry) -> None:
        if index in matched:
            rejected.append(Rejection(printable(entry.file), "repeated in table", "an earlier row counts"))
        else:
            matched[index] = entry

    for entry in entries:
        places = (_real(base / entry.file.replace("\\", "/"), real_folder) for base in bases)
        index = next((by_path[place] for place in places if place in by_path), None)
        if index is None:
            loose.append(entry)
        else:
            take(index, entry)
    for entry in loose:
        name = _base(entry.file)
        index = by_name.get(name) if table_names[name] == 1 else None
        if index is None:
            rejected.append(Rejection(printable(entry.file), "not found", "no such file among the sources"))
        else:
            take(index, entry)
    return Matched(matched, rejected)


@dataclass(frozen=True)
class Matched:
    """``by_candidate``: index of the candidate → its entry; ``rejected``: rows of the table that found no
    use."""

    by_candidate: dict[int, Entry]
    rejected: list[Rejection]


def files_of(entries: Iterable[Entry], table: Path) -> list[Path]:
    """The files that a table names, if there is no other source: those that exist, relative to its folder."""
    folder = Path(table).absolute().parent
    return [path for entry in entries if (path := folder / entry.file).is_file()]


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    # surrogateescape: a file name that is not UTF-8 still finds its file
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file)
        _check_columns(path, [name.strip() for name in reader.fieldnames or []])
        reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
        yield from reader


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=READ_BYTES) as file:
        columns = file.schema_arrow.names
        _check_columns(path, columns)
        for batch in file.iter_batches(columns=[name for name in (*REQUIRED, *OPTIONAL) if name in columns]):
            yield from batch.to_pylist()


def _check_columns(path: Path, columns: list[str]) -> None:
    if missing := [name for name in REQUIRED if name not in columns]:
        raise InputError(
            f"{printable(path)} has no column {', '.join(missing)} (it has: {', '.join(columns) or 'none'}); "
            f"a table of coordinates needs {', '.join(REQUIRED)} in degrees{separator_hint(columns)}"
        )
    if twice := [name for name in (*REQUIRED, *OPTIONAL) if columns.count(name) > 1]:
        raise InputError(f"{printable(path)} has more than one column {', '.join(twice)}: keep one of them")


def _entry(row: dict[str, Any]) -> Entry:
    file = _text(row.get("file")) or ""
    lat, lng, problem, detail = _position(row)
    order = _text(row.get("album_order"))
    try:
        time = _time(row.get("taken_at"))
        album_order = None if order is None else int(float(order))
    except (ValueError, OverflowError) as error:
        time, album_order = None, None
        problem, detail = problem or "bad table row", detail or f"taken_at or album_order: {error}"
    texts = [_text(row.get(name)) for name in ("album", "owner", "licence", "attribution")]
    album, owner, licence, attribution = (text and printable(text) for text in texts)
    taken_at, is_utc, offset = moment.parts(time)
    return Entry(
        file, lat, lng, album, album_order, taken_at, is_utc, owner, licence, attribution, problem, detail, offset,
    )  # fmt: skip


def _position(row: dict[str, Any]) -> tuple[float | None, float | None, str, str]:
    lat_text, lng_text = _text(row.get("lat")), _text(row.get("lng"))
    if lat_text is None and lng_text is None:
        return None, None, "", ""
    try:
        lat, lng = float(lat_text or ""), float(lng_text or "")
        problem = position_problem(lat, lng)
    except ValueError:
        lat, lng, problem = 0.0, 0.0, "bad number"
    if problem:
        return None, None, problem, printable(f"table says lat '{lat_text or ''}', lng '{lng_text or ''}'")
    return lat, lng, "", ""


def _time(value: Any) -> Moment | None:
    """The moment of ISO 8601, of Exif's '2019:10:01 16:19:26', or of a Parquet file's time. ValueError for others."""
    if isinstance(value, datetime):
        return moment.of_aware(value)
    text = _text(value)
    if text is None:
        return None
    return moment.parse(text) or moment.of_aware(datetime.fromisoformat(text))


def _text(value: Any) -> str | None:
    text = "" if value is None else str(value).strip()
    return text or None


def _base(file: str) -> str:
    return file.replace("\\", "/").rsplit("/", 1)[-1]


def _real(path: Path, folders: dict[Path, str] | None = None) -> str:
    """The file's path with links in its folder (not itself) resolved; ``folders`` remembers those seen."""
    folders = {} if folders is None else folders
    if path.parent not in folders:
        folders[path.parent] = os.path.realpath(path.parent)
    return os.path.join(folders[path.parent], path.name)  # noqa: PTH118 (bytes of the name kept)
