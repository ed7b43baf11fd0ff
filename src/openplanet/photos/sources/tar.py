"""WebDataset shards: photos inside a tar file, read where they lie; nothing is ever extracted."""

import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from openplanet.errors import InputError, PhotoError
from openplanet.photos.files import moment
from openplanet.photos.files.images import SUFFIXES
from openplanet.photos.files.moment import Moment
from openplanet.photos.files.opening import MAX_BYTES
from openplanet.photos.sources.entry import Entry, position_problem
from openplanet.photos.sources.source import Beside, Candidate, Fingerprint, Search, Span, file_fingerprint, printable
from openplanet.storage import open_input, parse_json

MAX_JSON = 1 << 20  # bytes of a sample's JSON that are read
_NAMES = {
    "lat": ("lat", "latitude", "LAT"),
    "lng": ("lng", "lon", "long", "longitude", "LON"),
    "album": ("album", "album_id"),
    "owner": ("owner", "owner_id", "author", "user", "userid"),
    "licence": ("licence", "license", "license_name"),
    "attribution": ("attribution", "credit"),
    "taken_at": ("taken_at", "datetime", "date_taken"),
}


class Tar:
    """A file that ends in .tar; its folders are albums."""

    of_files = False

    def takes(self, named: Path, search: Search) -> bool:
        return named.suffix.lower() == ".tar" and os.path.lexists(named) and not named.is_dir()

    def find(self, named: Path, search: Search) -> Iterator[Candidate]:
        root = search.claim(named, found_in_folders=False)
        if root is None:
            return
        path = root / named.name
        label = f"{search.labels.folder(root, root)}/{printable(path.name)}"
        for name, span, told in samples(path):
            beside = (Beside("json", str(path), told),) if told is not None else ()
            folder = name.rpartition("/")[0]
            yield Candidate(self, path, f"{label}/{name}", f"{label}/{folder}" if folder else label, span, beside)

    def read(self, path: Path, span: Span | None) -> bytes:
        return stretch(path, span or (0, 0))

    def fingerprint(self, candidate: Candidate) -> Fingerprint:
        return file_fingerprint(candidate)


def stretch(path: Path, span: Span) -> bytes:
    """The bytes of a member. Raises PhotoError "corrupt" or "too large" for a size that cannot be read; OSError."""
    if span[1] < 0:
        raise PhotoError(f"{path}: a member of {span[1]} bytes; the file is damaged", "corrupt")
    if span[1] > MAX_BYTES:
        raise PhotoError(f"{path}: a member of {span[1]:,} bytes, more than {MAX_BYTES:,}", "too large")
    with path.open("rb") as file:
        file.seek(span[0])
        return file.read(span[1])


def samples(path: Path) -> Iterator[tuple[str, Span, Span | None]]:
    """(name, where its bytes lie, where its JSON's bytes lie) of each photo in an uncompressed tar.

    A sample's files share their path up to the first dot of the last part and follow each other, as
    WebDataset writes them. Names are made harmless: neither absolute nor with ``..``. Links, devices and
    sparse files are passed over. Raises InputError for what is no tar, a compressed one, or one with a member of a
    size that cannot be.
    """
    photos: list[tuple[str, Span]] = []
    told: Span | None = None
    key = None
    try:
        with open_input(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            end = os.fstat(file.fileno()).st_size
            for member in tar:
                # -1 would be read as all the rest of the file, and less would lead back for ever
                if member.size < 0 or (
                    member.isreg() and member.sparse is None and member.size > end - member.offset_data
                ):
                    raise ValueError(f"its member {harmless(member.name)} claims {member.size:,} bytes")
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse is not None:
                    continue
                name = harmless(member.name)
                stem, suffix = _split(name)
                if stem != key:
                    yield from ((photo, span, told) for photo, span in photos)
                    photos, told, key = [], None, stem
                span = (member.offset_data, member.size)
                if suffix == "json":
                    told = span
                elif f".{suffix.rsplit('.', 1)[-1]}" in SUFFIXES:
                    photos.append((name, span))
                tar.members = []  # type: ignore[attr-defined]  # else it keeps every member it has seen
            yield from ((photo, span, told) for photo, span in photos)
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{path} cannot be read as an uncompressed tar file ({error}); decompress it, or copy it again"
        ) from error


def harmless(name: str) -> str:
    """A member's name without what could lead elsewhere: no leading slash, no drive, no ``..``."""
    parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".", "..") and not part.endswith(":")]
    return "/".join(parts).encode("utf-8", "backslashreplace").decode() or "unnamed"


def _split(name: str) -> tuple[str, str]:
    folder, _, last = name.rpartition("/")
    stem, _, suffix = last.partition(".")
    return f"{folder}/{stem}", suffix.lower()


def read(data: bytes) -> Entry:
    """What a sample's JSON tells of it, under the usual names. Never raises."""
    try:
        told = parse_json(data)
    except ValueError:
        told = None
    return entry_of(told) if isinstance(told, dict) else Entry()


def entry_of(told: Mapping[str, Any]) -> Entry:
    """An Entry from a mapping with the usual names (``lat`` or ``latitude`` ...); also for Hugging Face rows."""
    found = {ours: next((told[n] for n in names if told.get(n) is not None), None) for ours, names in _NAMES.items()}
    lat, lng = (_number(found[name]) for name in ("lat", "lng"))
    if position_problem(lat, lng):
        lat = lng = None
    time = _time(found["taken_at"], told.get("taken_at_is_utc") is True)  # the latter in datasets of ours
    texts: dict[str, Any] = {name: _text(found[name]) for name in ("album", "owner", "licence", "attribution")}
    taken_at, is_utc, offset = moment.parts(time)
    return Entry(lat=lat, lng=lng, taken_at=taken_at, taken_at_is_utc=is_utc, utc_offset_minutes=offset, **texts)


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None  # JSON's true is no degree
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def _text(value: object) -> str | None:
    text = "" if value is None else str(value).strip()[:1000]
    return text.encode("utf-8", "backslashreplace").decode() or None


def _time(value: object, is_utc: bool) -> Moment | None:
    if isinstance(value, datetime):
        found: Moment | None = moment.of_aware(value)
    else:
        found = moment.parse(str(value))
        with suppress(ValueError, OverflowError):
            found = found or moment.of_aware(datetime.fromisoformat(str(value)))
    return replace(found, is_utc=True) if found is not None and is_utc else found
