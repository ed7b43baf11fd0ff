"""From ``NAME:PATH`` to a set of photos: one of the known test sets, any folder with a table, or a dataset of ours."""

from pathlib import Path

from openplanet.errors import InputError
from openplanet.evaluation.answers import Truth
from openplanet.evaluation.testsets.known import KNOWN, KnownSet
from openplanet.evaluation.testsets.photoset import PhotoSet, of_dataset
from openplanet.evaluation.testsets.pictures import Pictures
from openplanet.evaluation.testsets.table import Table, fingerprint, is_table, read_table
from openplanet.photos.dataset import Dataset
from openplanet.photos.sources.source import printable
from openplanet.stores.location import is_url

FOLDER = "folder"
FORMS = f"DATASET, {', '.join(f'{key}:PATH' for key in KNOWN)} or {FOLDER}:PATH"


def open_set(text: str, split: str = "test", pictures_needed: bool = True) -> PhotoSet:
    """The photos that ``text`` names: ``im2gps3k:PATH``, ``folder:PATH`` or the path of a dataset of ours.

    PATH is a folder with pictures and their table, or the table, with the pictures below its folder. ``split``
    is for datasets. ``pictures_needed`` False: positions alone will do (predictions made by others).
    Raises InputError, saying what to fetch from where, where files are absent or not those of the set.
    """
    name, colon, path = text.partition(":")
    if colon and (name in KNOWN or name == FOLDER):
        return _open_table(name, Path(path).expanduser(), pictures_needed)
    if colon and not is_url(text) and not Path(text).exists():
        raise InputError(f"{text} is no set of photos: give {FORMS}")
    return of_dataset(Dataset.open(text), split)


def _open_table(name: str, path: Path, pictures_needed: bool) -> PhotoSet:
    known = KNOWN.get(name)
    table = read_table(_find_table(path, known))
    if len(table) == 0:
        raise InputError(f"{table.path} has no row; give the table of all photos")
    notes = _check(table, known) if known else []
    pictures = Pictures(path if path.is_dir() else path.parent)
    there = sum(pictures.find(photo) is not None for photo in table.photo)
    if pictures_needed:
        notes += _check_pictures(table, pictures, there, known)
    return PhotoSet(
        name=known.title if known else printable(path),
        truth=Truth(table.photo, table.photo, table.lat, table.lng, table.owner, table.album),
        images=lambda: pictures.read(table.photo),
        key=name if known else "",
        of_files=True,
        notes=tuple(notes),
        labels=_labels(table, known),
    )


def _find_table(path: Path, known: KnownSet | None) -> Path:
    help_text = f"; get {known.how_to_get}" if known else ""
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"{path} does not exist{help_text}")
    found = [each for each in sorted(path.glob("*.csv")) + sorted(path.glob("*/*.csv")) if is_table(each)]
    for wanted in known.tables if known else ():
        named = [each for each in found if each.name == wanted]
        if named:
            return named[0]
    if len(found) != 1:
        what = "none" if not found else ", ".join(each.name for each in found)
        wanted = f" (such as {known.tables[0]})" if known else ""
        raise InputError(
            f"{path} must hold one CSV with columns for photo, latitude and longitude{wanted}; it has {what}. "
            f"Give the table's own path instead{help_text}"
        )
    return found[0]


def _check(table: Table, known: KnownSet) -> list[str]:
    """Refuse a table of another number of photos; say whether it is the published one."""
    if known.counts and len(table) not in known.counts:
        counts = " or ".join(f"{count:,}" for count in known.counts)
        raise InputError(
            f"{table.path} has {len(table):,} rows, but {known.title} has {counts}: a part of it is no {known.title}. "
            f"Give the whole table, or measure it as {FOLDER}:PATH. It comes with {known.how_to_get}"
        )
    notes = [known.note] if known.note else []
    if not known.fingerprint:
        notes.append(f"{known.title}: {len(table):,} rows as published; no checksum of its table is known to us.")
    elif fingerprint(table) == known.fingerprint:
        notes.append(f"{known.title}: {len(table):,} rows, names and positions checked against the published table.")
    else:
        notes.append(
            f"{known.title}: {len(table):,} rows as published, but its names or positions are not those of the table "
            "that we know: figures may not be comparable."
        )
    return notes


def _check_pictures(table: Table, pictures: Pictures, there: int, known: KnownSet | None) -> list[str]:
    if there == 0:
        help_text = f"; get {known.how_to_get}" if known else ""
        raise InputError(
            f"{pictures.folder} and the folders below it (links too, {pictures.count:,} pictures) have none of the"
            f" {len(table):,} that {table.path.name} names (first: {printable(table.photo[0])}){help_text}"
        )
    notes = []
    if there < len(table):
        notes.append(f"{len(table) - there:,} of {len(table):,} pictures are not there; they count as wrong.")
    if pictures.count > there:
        notes.append(f"{pictures.count - there:,} pictures that lie there have no row in the table: not measured.")
    return notes


def _labels(table: Table, known: KnownSet | None) -> dict[str, tuple[str, ...]]:
    wanted = (known.labels or {}) if known else {}
    return {measure: table.columns[column] for measure, column in wanted.items() if column in table.columns}
