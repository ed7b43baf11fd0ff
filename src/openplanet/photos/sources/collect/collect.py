"""Collecting photos from elsewhere into a folder that ingest takes: the files, and ``photos.csv`` on them.

A list of URLs, or Wikimedia Commons. Stopped at any moment, the same call goes on: files that are there stay.
"""

import csv
import fcntl
import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from openplanet.earth import tables
from openplanet.errors import InputError
from openplanet.photos.files.images import SUFFIXES
from openplanet.photos.sources.collect import commons
from openplanet.photos.sources.collect.fetch import CONTACT, Fetcher, Manners, contact_of, fetch_all
from openplanet.photos.sources.coordinates import OPTIONAL
from openplanet.progress import Progress, say
from openplanet.storage import atomic_path, check_outputs, inert, marked

TABLE, FAILED = "photos.csv", "failed.csv"
COLUMNS = ("file", "lat", "lng", *OPTIONAL, "url")
FAILED_COLUMNS = ("url", "reason", "detail")
MAX_CELL = 1 << 24  # characters of a cell: a list may hold pictures as data: URLs
_TEMPORARY = re.compile(r"\.(?:[0-9a-f]{32}\.[a-z]+|photos\.csv|failed\.csv)\.\d+\.part")  # of storage.atomic_path
TEXTS = frozenset({"album", "owner", "licence", "attribution", "url"})
KINDS = {
    name: marked("a table of photos that were collected", ".csv", ",".join(columns))
    for name, columns in ((TABLE, COLUMNS), (FAILED, FAILED_COLUMNS))
}


def urls(table: Path, out: Path, manners: Manners | None = None) -> dict[str, int]:
    """Fetch the photos of a CSV or Parquet file with a column ``url`` and perhaps those of a coordinates table.

    Returns how many were fetched, and how many failed for each reason (each in ``failed.csv``). Raises
    InputError where the table cannot be read or none could be fetched.
    """
    return _collect(_rows(table), out, Fetcher(manners))


def from_commons(
    bbox: tuple[float, float, float, float],
    out: Path,
    *,
    limit: int = 1000,
    width: int = 1024,
    api: str = commons.API,
    manners: Manners | None = None,
) -> dict[str, int]:
    """Fetch up to ``limit`` geotagged, freely licensed photos of Wikimedia Commons inside ``bbox``.

    ``bbox``: west, south, east, north in degrees; west > east crosses the antimeridian. ``width``: pixels of
    the scaled copies that are fetched. Author, licence and attribution are columns of ``photos.csv``.
    Raises InputError without ``manners.contact``: Wikimedia turns away clients that do not say whose they are.
    """
    manners = manners or Manners(contact=contact_of(None))
    if manners.contact is None:
        raise InputError(
            "Wikimedia Commons asks whoever fetches for an e-mail address or a page in the user agent: give "
            f"--contact you@example.org, or set {CONTACT}"
        )
    fetcher = Fetcher(manners)
    rows = itertools.islice(commons.photos(fetcher, bbox, width=width, api=api), limit)
    return _collect(rows, out, fetcher, limit, api)


def _collect(
    rows: Iterable[Mapping[str, Any]], out: Path, fetcher: Fetcher, total: int | None = None, named: str | None = None
) -> dict[str, int]:
    check_outputs([(out / name, kind) for name, kind in KINDS.items()])
    out.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {"fetched": 0}
    told: dict[str, Mapping[str, Any]] = {}

    def jobs() -> Iterator[tuple[str, Path]]:
        for row in rows:
            url = str(row.get("url") or "").strip()
            if url and url not in told:
                told[url] = {key: value for key, value in row.items() if key in COLUMNS}
                yield url, out / _file_name(url)

    # A kill leaves the files and no table; the next run writes it whole.
    with (
        _alone(out),
        atomic_path(out / TABLE) as table_part,
        atomic_path(out / FAILED) as failed_part,
        table_part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as table,
        failed_part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as failed,
        Progress("Fetching photos", total) as progress,
        closing(fetch_all(jobs(), fetcher, named)) as ended,
    ):
        good = csv.DictWriter(table, COLUMNS, restval="", lineterminator="\n")
        bad = csv.writer(failed, lineterminator="\n")
        good.writeheader()
        bad.writerow(FAILED_COLUMNS)
        for url, path, error in ended:
            progress.advance()
            row = told[url]
            told[url] = {}  # the URL itself stays, so that it is not fetched twice
            if error is None:
                cells = {key: inert(str(value)) if key in TEXTS else value for key, value in row.items()}
                good.writerow({**cells, "file": path.relative_to(out).as_posix(), "url": url})
                counts["fetched"] += 1
            else:
                bad.writerow([inert(url), error.reason, inert(str(error))])
                counts[error.reason] = counts.get(error.reason, 0) + 1
    if not counts["fetched"]:
        raise InputError(f"none of the photos could be fetched; {out / FAILED} says why of each")
    say(f"{out}: {counts['fetched']} photos; now:  openplanet ingest {out} --coordinates {out / TABLE} --out DATASET")
    return counts


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """One collect into a folder at a time; what a killed one left half written is removed."""
    folder = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"another collect is writing {out}: wait for it, or stop it") from error
        for path in [*out.glob(".*.part"), *out.glob("??/.*.part")]:
            if _TEMPORARY.fullmatch(path.name):
                with suppress(OSError):
                    path.unlink()
        yield
    finally:
        os.close(folder)


def _file_name(url: str) -> str:
    """A name of our own: what a URL ends with is not trusted as a path. 256 folders keep listings short."""
    suffix = ""
    with suppress(ValueError):  # no URL, as failed.csv will say
        suffix = PurePosixPath(urlsplit(url).path).suffix.lower()
    digest = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{digest[:2]}/{digest}{suffix if suffix in SUFFIXES else '.jpg'}"


def _rows(table: Path) -> Iterator[Mapping[str, Any]]:
    try:
        if table.suffix.lower() in (".parquet", ".pq"):
            with pq.ParquetFile(table) as file:
                names = [name for name in ("url", *COLUMNS[:-1]) if name in file.schema_arrow.names]
                _check(table, names)
                for batch in file.iter_batches(8192, columns=names):
                    yield from batch.to_pylist()
        else:
            form = tables.form_of(table, ("url", *COLUMNS))
            # surrogateescape: a line of another encoding spoils itself only
            with table.open(encoding=form.encoding, errors="surrogateescape", newline="") as file:
                reader = csv.DictReader(file, delimiter=form.separator)
                reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
                _check(table, reader.fieldnames)
                csv.field_size_limit(max(MAX_CELL, csv.field_size_limit()))
                for row in reader:
                    if form.decimal == ",":
                        row |= {name: row[name].replace(",", ".") for name in ("lat", "lng") if row.get(name)}
                    yield row
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise InputError(f"{table} cannot be read as a table of URLs: {error}") from error


def _check(table: Path, names: Iterable[str]) -> None:
    if "url" not in names:
        raise InputError(f"{table} has no column url; it needs one, and lat and lng where they are known")
