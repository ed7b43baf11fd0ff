"""The table of positions that comes with a test set: CSV under any of the headings that its copies have.

Shapes: N photos.
"""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from openplanet.earth.geo import check_coordinates
from openplanet.errors import InputError
from openplanet.storage import open_input

Floats = NDArray[np.float64]

# The same tables went through many hands; a heading is compared in lower case.
PHOTO = ("img_id", "image_id", "photo", "photo_id", "file", "filename", "image", "image_name", "name", "id", "panoid")
LAT = ("lat", "latitude", "gt_lat", "true_lat")
LNG = ("lng", "lon", "long", "longitude", "gt_long", "gt_lon", "true_lon")
OWNER = ("author", "owner", "owner_id", "user", "user_id", "creator_id", "photographer")
ALBUM = ("album", "album_id", "sequence", "sequence_id")


@dataclass(frozen=True)
class Table:
    """The rows of a table. ``owner`` and ``album`` hold None where it does not say."""

    path: Path
    photo: tuple[str, ...]  # as the table has it: a file name, a path, or a number
    lat: Floats
    lng: Floats
    owner: tuple[str | None, ...]
    album: tuple[str | None, ...]
    columns: dict[str, tuple[str, ...]]  # all of them, by heading in lower case

    def __len__(self) -> int:
        return len(self.photo)


def read_table(path: Path) -> Table:
    """Read a CSV with a column each for photo, latitude and longitude (degrees).

    Raises InputError naming the file for one that cannot be read, a missing column, a position that is none,
    and a photo that stands in two rows.
    """
    try:
        with TextIOWrapper(open_input(path), "utf-8-sig", "surrogateescape", newline="") as file:
            reader = csv.DictReader(file)
            heads = {head.strip().lower(): head for head in reader.fieldnames or []}
            rows = list(reader)
    except (OSError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table of positions: {error}") from error
    columns = {low: tuple((row[head] or "").strip() for row in rows) for low, head in heads.items()}
    names = columns[_heading(path, heads, PHOTO, "of the photo's file or id")]
    lat, lng = (_degrees(path, columns, heads, wanted) for wanted in (LAT, LNG))
    check_coordinates(lat, lng, str(path), first_row=1)
    if len(set(names)) < len(names):
        seen: set[str] = set()
        again = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise InputError(f"{path} has photo {again} in two rows; remove one")
    owner, album = (_optional(columns, wanted, len(names)) for wanted in (OWNER, ALBUM))
    return Table(path, names, lat, lng, owner, album, columns)


def is_table(path: Path) -> bool:
    """Whether the CSV has the headings that ``read_table`` needs."""
    try:
        with TextIOWrapper(open_input(path), "utf-8-sig", "surrogateescape") as file:
            heads = {head.strip().strip('"').lower() for head in file.readline().split(",")}
    except OSError:
        return False
    return all(heads & set(wanted) for wanted in (PHOTO, LAT, LNG))


def stem(photo: str) -> str:
    """A photo's name without folders and without a picture's suffix, by which copies of a table agree."""
    name = PurePosixPath(photo.replace("\\", "/")).name
    return name.rsplit(".", 1)[0] if "." in name else name


def fingerprint(table: Table) -> str:
    """SHA-256 of what the table says (names and positions to 1e-4 degrees), whatever its order and headings."""
    lines = sorted(
        f"{stem(photo)} {lat + 0.0:.4f} {lng + 0.0:.4f}"
        for photo, lat, lng in zip(table.photo, table.lat.tolist(), table.lng.tolist(), strict=True)
    )
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _heading(path: Path, heads: dict[str, str], wanted: Sequence[str], what: str) -> str:
    found = next((name for name in wanted if name in heads), None)
    if found is None:
        raise InputError(
            f"{path} has no column {what} (any of {', '.join(wanted)}); it has {', '.join(heads) or 'none'}"
        )
    return found


def _degrees(path: Path, columns: dict[str, tuple[str, ...]], heads: dict[str, str], wanted: Sequence[str]) -> Floats:
    name = _heading(path, heads, wanted, "of degrees")
    try:
        return np.array([float(text) for text in columns[name]])
    except ValueError as error:
        raise InputError(f"{path}: column {heads[name]} is not all numbers ({error}); correct it") from error


def _optional(columns: dict[str, tuple[str, ...]], wanted: Sequence[str], count: int) -> tuple[str | None, ...]:
    name = next((each for each in wanted if each in columns), None)
    return (None,) * count if name is None else tuple(text or None for text in columns[name])
