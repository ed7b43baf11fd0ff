"""Google Takeout: folders in which JSON files lie beside the photos, and what such a file tells (which one it is:
``takeout_names.py``)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openplanet.photos.sources import takeout_names
from openplanet.photos.sources.entry import Entry, position_problem
from openplanet.photos.sources.folder import AboutFolder, Folder, is_photo, walked
from openplanet.photos.sources.source import Beside, Listing, Search, identity
from openplanet.storage import open_input, parse_json

MAX_JSON = 1 << 20  # bytes of a JSON file that are read
# The album's file, in the languages in which we have seen it.
ALBUM_FILES = (
    "metadata.json", "Metadaten.json", "metadatos.json", "metadades.json", "métadonnées.json", "metadati.json",
    "metadados.json", "metagegevens.json", "metadane.json", "メタデータ.json", "元数据.json", "метаданные.json",
)  # fmt: skip


class Takeout(Folder):
    """Folders and photos as ``Folder`` finds them, where a Takeout is among what the user named."""

    def takes(self, named: Path, search: Search) -> bool:
        if not super().takes(named, search):
            return False
        if _parts(self, search).any_export:
            return True
        folder = named.parent.resolve()
        return not named.is_dir() and _is_export(folder, search.listing(folder).extra)

    def about(self, here: Path, photos: Sequence[str], files: Listing, search: Search) -> AboutFolder:
        extra = [name for name in files.extra if name.lower().endswith(".json")]
        jsons = takeout_names.beside(photos, extra) if extra else {}
        rank = int(takeout_names.is_year_folder(here.name))
        found = {
            name: [Beside("titled" if each.titled else "takeout", str(here / each.file)) for each in told]
            for name, told in jsons.items()
        }
        without = [name for name in photos if name not in jsons]
        if without:
            found |= _parts(self, search).elsewhere(here, without)
            if jsons or rank or _in_takeout(here):
                found |= {name: [Beside("parted", "")] for name in without if name not in found}
        return AboutFolder(found, rank, _title_of(here, extra))


class _Parts:
    """The JSON files of Takeouts that have no photo beside them, in all sources: an export is cut into parts of some
    gigabytes, and a photo and its JSON can come to lie in different ones."""

    def __init__(self, folders: Sequence[Path], out: Path | None) -> None:
        self.any_export = False
        self._lonely: dict[tuple[str, ...], dict[str, list[Path]]] = {}
        entered = {identity(out)} if out is not None and out.exists() else set()
        for root in folders:
            for here, files in walked(root, entered):
                self.any_export = self.any_export or _is_export(here, files)
                jsons = [name for name in files if name.lower().endswith(".json")]
                if jsons:
                    photos = [name for name in files if is_photo(name)]
                    used = {each.file for told in takeout_names.beside(photos, jsons).values() for each in told}
                    lonely = self._lonely.setdefault(_place_in_export(here), {})
                    for name in set(jsons) - used - set(ALBUM_FILES):
                        lonely.setdefault(name, []).append(here / name)

    def elsewhere(self, here: Path, photos: Sequence[str]) -> dict[str, list[Beside]]:
        """The JSON of each photo in the folder ``here``, from the same folder of another part; none where two have
        one."""
        lonely = self._lonely.get(_place_in_export(here), {})
        found = takeout_names.beside(photos, lonely) if lonely else {}
        return {
            name: [Beside("titled" if each.titled else "takeout", str(lonely[each.file][0])) for each in told]
            for name, told in found.items()
            if all(len(lonely[each.file]) == 1 for each in told)
        }


def _parts(source: Takeout, search: Search) -> _Parts:
    if source not in search.kept:
        folders = [named.resolve() for named in search.named if named.is_dir()]
        search.kept[source] = _Parts(folders, search.out)
    parts: _Parts = search.kept[source]
    return parts


def _is_export(folder: Path, files: Sequence[str]) -> bool:
    """Whether anything that ``Takeout`` adds to ``Folder`` can apply to the photos of ``folder``."""
    by_name = takeout_names.is_year_folder(folder.name) or _in_takeout(folder)
    return by_name or any(name.lower().endswith(".json") for name in files)


def _in_takeout(folder: Path) -> bool:
    return len(_place_in_export(folder)) > 1


def _place_in_export(folder: Path) -> tuple[str, ...]:
    """The names below the last folder called Takeout ('takeout-20240101T000000Z-001', 'Takeout 2'), and before them
    'takeout'; the folder's own name where there is none such."""
    parts = folder.parts
    at = next((i for i in range(len(parts) - 1, 0, -1) if parts[i].lower().startswith("takeout")), None)
    return (parts[-1],) if at is None else ("takeout", *parts[at + 1 :])


def _title_of(folder: Path, files: Sequence[str]) -> str | None:
    for name in ALBUM_FILES:
        if name in files:
            try:
                with open_input(folder / name) as file:  # a pipe would wait for ever
                    return album_title(file.read(MAX_JSON))
            except OSError:
                return None
    return None


def read(data: bytes) -> Entry:
    """Position and time (UTC) that a Takeout JSON tells; what it does not tell is None. Never raises.

    ``geoData`` is what Google Photos shows, the owner's corrections included; ``geoDataExif`` what it once
    read from the file. Zeros mean that nothing is known.
    """
    told = _object(data)
    lat = lng = None
    for name in ("geoData", "geoDataExif"):
        place = told.get(name)
        if isinstance(place, Mapping):
            lat, lng = _number(place.get("latitude")), _number(place.get("longitude"))
            if not position_problem(lat, lng):
                break
    if position_problem(lat, lng):
        lat = lng = None
    taken_at = _time(told.get("photoTakenTime"))
    return Entry(lat=lat, lng=lng, taken_at=taken_at, taken_at_is_utc=taken_at is not None)


def title(data: bytes) -> str | None:
    """The name that the photo had when it was uploaded, None where the JSON tells none."""
    told = _object(data).get("title")
    return told if isinstance(told, str) else None


def album_title(data: bytes) -> str | None:
    """The album's name in its folder's metadata.json, None where it tells none."""
    told = _object(data)
    inner = told.get("albumData")
    title = (inner if isinstance(inner, Mapping) else told).get("title")
    return title.strip() or None if isinstance(title, str) else None


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        told = parse_json(data)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return None


def _time(value: object) -> datetime | None:
    seconds = value.get("timestamp") if isinstance(value, Mapping) else None
    try:
        time = datetime.fromtimestamp(int(seconds), UTC).replace(tzinfo=None)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return time if time.year >= 1826 and time != datetime(1970, 1, 1) else None
