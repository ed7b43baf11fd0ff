"""The table that a user gives: positions, albums and owners of photos that do not say so themselves."""

import csv
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from openplanet.earth import tables
from openplanet.earth.partition.positions import READ_BYTES, separator_hint
from openplanet.errors import InputError
from openplanet.photos.files import moment
from openplanet.photos.files.moment import Moment
from openplanet.photos.sources.entry import Entry, position_problem
from openplanet.photos.sources.folder import Folder
from openplanet.photos.sources.source import Candidate, Rejection, Search, printable
from openplanet.progress import warn

T = TypeVar("T")
_NUMBERS = ("lat", "lng", "album_order")
REQUIRED = ("file", "lat", "lng")
OPTIONAL = ("album", "album_order", "taken_at", "owner", "licence", "attribution")


class Table(Folder):
    """The user's table where there is no other source: the files that it names, each by its own source."""

    def takes(self, named: Path, search: Search) -> bool:
        return search.table is not None and named == search.table[0]

    def find(self, named: Path, search: Search) -> Iterator[Candidate]:
        for path in files_of(search.table[1] if search.table is not None else (), named):
            yield from search.source_of(path).find(path, search)


def read(path: Path) -> list[Entry]:
    """The rows of a table of text with a header (``earth/tables.py``) or Parquet file with columns file, lat, lng and
    perhaps OPTIONAL.

    Other columns are ignored. Empty lat and lng (``tables.NOTHING``), or 0 and 0: the table says nothing of the
    position. A taken_at or album_order that is none is left out, and their number is said. Raises InputError, naming
    the file and the columns, where it cannot be read or a column is missing.
    """
    path = Path(path)
    try:
        rows = list(_parquet_rows(path) if path.suffix.lower() in (".parquet", ".pq") else _csv_rows(path))
    except (OSError, pa.ArrowException, csv.Error, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{printable(path)} cannot be read as a table of coordinates: {why}") from error
    bad: dict[str, list[str]] = {}
    entries = [_entry(row, bad) for row in rows if _cell(row.get("file"))]
    for name, values in bad.items():
        warn(
            f"{printable(path)}: {len(values)} of {len(rows)} values of {name} are none, such as "
            f"{values[0]!r}: they are left out"
        )
    return entries


def match(entries: Sequence[Entry], table: Path, paths: Sequence[Path], roots: Sequence[Path]) -> "Matched":
    """Which entry belongs to which of the candidates' ``paths``.

    ``file`` is taken as relative to the table's folder, then to each source, then as a bare file name, if
    only one candidate and only one row of the table have it. The first row of a file counts; further rows,
    and rows whose file was not found, are rejected.
    """
    real_folder: dict[Path, str] = {}
    by_path = _Names(_real(path, real_folder) for path in paths)
    by_name = _Names(path.name for path in paths)
    in_table = _Names(_base(entry.file) for entry in entries)
    bases = list(dict.fromkeys([Path(table).absolute().parent, *roots]))
    matched: dict[int, Entry] = {}
    rejected: list[Rejection] = []
    loose: list[Entry] = []

    def take(found: Sequence[int], entry: Entry) -> None:
        if len(found) > 1:
            several = ", ".join(printable(paths[index].name) for index in found[:4])
            detail = f"{len(found)} files are called so but for letter case or accents: {several}"
            rejected.append(Rejection(printable(entry.file), "ambiguous", detail))
        elif found[0] in matched:
            rejected.append(Rejection(printable(entry.file), "repeated in table", "an earlier row counts"))
        else:
            matched[found[0]] = entry

    for entry in entries:
        files = _written(entry.file)
        places = [_real(base / file.replace("\\", "/"), real_folder) for file in files for base in bases]
        if found := by_path.find(places):
            take(found, entry)
        else:
            loose.append(entry)
    for entry in loose:
        name = _base(entry.file)
        if len(found := by_name.find(_written(name))) == 1 and len(in_table.alike(name)) == 1:
            take(found, entry)
        else:
            rejected.append(Rejection(printable(entry.file), "not found", "no such file among the sources"))
    return Matched(matched, rejected)


class _Names:
    """Names by the way they are written: exactly, then whatever the form of their accents (a Mac takes letters and
    accents apart), then whatever the letter case."""

    def __init__(self, names: Iterable[str]) -> None:
        self._ways: list[dict[str, list[int]]] = [{} for _ in _WAYS]
        for index, name in enumerate(names):
            for way, known in zip(_WAYS, self._ways, strict=True):
                known.setdefault(way(name), []).append(index)

    def find(self, names: Sequence[str]) -> list[int]:
        """The indices of the first of ``names`` that is there: exactly if any is, else as it is written otherwise."""
        ways = zip(_WAYS, self._ways, strict=True)
        return next((known[way(name)] for way, known in ways for name in names if way(name) in known), [])

    def alike(self, name: str) -> list[int]:
        """The indices of the names that are ``name`` but for letter case and accents' form."""
        return self._ways[-1].get(_WAYS[-1](name), [])


def _written(name: str) -> list[str]:
    """The name, and what it is where its bytes in Windows' code page are those of the file, as on old disks."""
    try:
        return list(dict.fromkeys([name, os.fsdecode(name.encode("cp1252"))]))
    except UnicodeEncodeError:
        return [name]


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


_WAYS: tuple[Callable[[str], str], ...] = (str, _nfc, lambda name: _nfc(_nfc(name).casefold()))


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
    form = tables.form_of(path, REQUIRED)
    # surrogateescape: a file name that is not UTF-8 still finds its file
    with path.open(encoding=form.encoding, errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file, delimiter=form.separator)
        _check_columns(path, [name.strip() for name in reader.fieldnames or []])
        reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
        for row in reader:
            if form.decimal == ",":
                row |= {name: row[name].replace(",", ".") for name in _NUMBERS if row.get(name)}
            yield row


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


def _entry(row: dict[str, Any], bad: dict[str, list[str]]) -> Entry:
    """``bad`` gathers the values of optional columns that are of no use, by column."""
    file = _cell(row.get("file"))
    lat, lng, problem, detail = _position(row)
    time = _useful(row, "taken_at", _time, bad)
    album_order = _useful(row, "album_order", _order, bad)
    texts = [_text(row.get(name)) for name in ("album", "owner", "licence", "attribution")]
    album, owner, licence, attribution = (text and printable(text) for text in texts)
    taken_at, is_utc, offset = moment.parts(time)
    return Entry(
        file, lat, lng, album, album_order, taken_at, is_utc, owner, licence, attribution, problem, detail, offset,
    )  # fmt: skip


def _useful(row: dict[str, Any], name: str, read: Callable[[Any], T], bad: dict[str, list[str]]) -> T | None:
    try:
        return read(row.get(name))
    except (ValueError, OverflowError):
        bad.setdefault(name, []).append(str(row[name]))
        return None


def _order(value: Any) -> int | None:
    text = _text(value)
    if text is None:
        return None
    order = int(float(text))
    if abs(order) >= 1 << 31:
        raise ValueError(text)
    return order


def _position(row: dict[str, Any]) -> tuple[float | None, float | None, str, str]:
    lat_text, lng_text = _text(row.get("lat")), _text(row.get("lng"))
    if lat_text is None and lng_text is None:
        return None, None, "", ""
    try:
        lat, lng = float(lat_text or ""), float(lng_text or "")
        if lat == 0 and lng == 0:  # what devices write that know none
            return None, None, "", ""
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


def _cell(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _text(value: Any) -> str | None:
    """The cell's text; None where it says nothing."""
    text = _cell(value)
    return None if tables.is_nothing(text) else text


def _base(file: str) -> str:
    return file.replace("\\", "/").rsplit("/", 1)[-1]


def _real(path: Path, folders: dict[Path, str] | None = None) -> str:
    """The file's path with links in its folder (not itself) resolved; ``folders`` remembers those seen."""
    folders = {} if folders is None else folders
    if path.parent not in folders:
        folders[path.parent] = os.path.realpath(path.parent)
    return os.path.join(folders[path.parent], path.name)  # noqa: PTH118 (bytes of the name kept)
