"""Finding the photos: which are candidates, in which order, and what lies beside them.

A source is a folder, a photo, a tar file of photos or a Hugging Face dataset (``hf:NAME``). Whatever it is,
it becomes a stream of candidates; no photo is opened here.
"""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from openplanet.errors import InputError
from openplanet.photos.files import xmp
from openplanet.photos.files.images import SUFFIXES
from openplanet.photos.sources import huggingface, takeout, takeout_names, tar
from openplanet.photos.sources.entry import Entry
from openplanet.storage import open_input

# Folders in which NAS boxes and archivers keep thumbnails and forks of the photos beside them.
_RANDOM_NAME = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}|[0-9a-f]{24,}", re.I)
_HASH_FOLDERS = re.compile(r"(?<=.)(/[0-9a-f]{1,3})+$", re.I)
SKIPPED_FOLDERS = frozenset({"@eaDir", "__MACOSX"})


@dataclass(frozen=True, slots=True)
class Beside:
    """A file, or stretch of one (``span``: first byte, number of bytes), that tells something of a photo.

    ``titled``: a Takeout's JSON that counts only where its title names the photo; ``parted``: no file, but the word
    that a Takeout has none for this photo.
    """

    kind: Literal["xmp", "takeout", "titled", "json", "parted"]
    path: str
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be a photo: a file, a ``span`` of a tar file, or row ``span[0]`` of the dataset ``origin``."""

    path: Path
    name: str  # from the name of its source folder on: 'Pictures/rome/a.jpg'; printable, always UTF-8
    album: str  # its folder, likewise: 'Pictures/rome'
    span: tuple[int, int] | None = None
    beside: tuple[Beside, ...] = ()  # the first that tells something counts
    told: Entry | None = None  # what its source has told already
    origin: str = ""
    rank: int = 0  # of equal files the lowest stays: Takeout's folders of years repeat its albums

    @property
    def place(self) -> Path:
        """Where a table of coordinates would look for it: members of a tar lie below the tar."""
        return self.path if self.span is None else self.path / self.name.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Rejection:
    """A line of rejected.csv: ``reason`` is one of a few short words, ``detail`` says more."""

    file: str
    reason: str
    detail: str = ""


@dataclass
class Found:
    """What ``find`` found; ``skipped`` counts the files passed over, by suffix ('hidden' for hidden ones)."""

    candidates: list[Candidate] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    roots: list[Path] = field(default_factory=list)


def printable(path: str | Path) -> str:
    """A file name as text that every format can hold: bytes that are not UTF-8 become backslash escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def find(sources: Sequence[Path], out: Path | None = None) -> Found:
    """``search`` with all candidates in a list."""
    found = Found()
    found.candidates.extend(search(sources, found, out))
    return found


def search(sources: Sequence[Path], found: Found, out: Path | None = None) -> Iterator[Candidate]:
    """All candidates in ``sources``: folders, searched recursively, and files, which are always candidates.

    Folders are entered once, however many symbolic links or sources lead there; the one named ``out``
    never. Hidden files and those without the suffix of a photo are counted and passed over. The order is
    that of the sources, then that of the names. What else there is to say goes into ``found``. Raises
    InputError where a source is missing.
    """
    for source in sources:
        if not str(source).startswith(huggingface.PREFIX) and not os.path.lexists(source):
            raise InputError(f"{printable(source)}: no such file or folder")
    folders = [
        source.resolve() for source in sources if not str(source).startswith(huggingface.PREFIX) and source.is_dir()
    ]
    walk = _Walk(found, out, _Parts(folders, out))
    for source in sources:
        if str(source).startswith(huggingface.PREFIX):
            yield from _hub_rows(str(source))
        elif source.is_dir():
            yield from walk.folder(source.resolve())
        else:
            yield from walk.file(source)


def candidate_size(path: Path) -> tuple[int, int] | str:
    """(bytes, time of last change in ns) of a regular file; else why it cannot be read."""
    try:
        status = path.stat()
    except OSError as error:
        return error.strerror or str(error)
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        return "it is not a regular file"
    return status.st_size, status.st_mtime_ns


def _hub_rows(origin: str) -> Iterator[Candidate]:
    folder = Path(origin.removeprefix(huggingface.PREFIX))
    label = printable(f"{huggingface.PREFIX}{folder.resolve().name}" if folder.exists() else origin)
    for index, (name, told) in enumerate(huggingface.entries(origin)):
        yield Candidate(Path(origin), f"{label}/{name}", label, (index, 0), (), told, origin)


class _Walk:
    """Enters every folder once and yields every file once, over all sources."""

    def __init__(self, found: Found, out: Path | None, takeouts: "_Parts | None" = None) -> None:
        self._found, self._labels, self._takeouts = found, _Labels(), takeouts
        self._entered = {_identity(out)} if out is not None and out.exists() else set()
        self._named: set[str] = set()  # files that were sources themselves
        self._listed: tuple[Path, list[str]] = (Path(), [])

    def folder(self, root: Path) -> Iterator[Candidate]:
        self._found.roots.append(root)
        for here, files in self.walked(root):
            photos = self._photos(files)
            real = os.path.realpath(here)
            photos = [name for name in photos if os.path.join(real, name) not in self._named]  # noqa: PTH118
            yield from self._in_folder(root, here, photos, files)

    def walked(self, root: Path) -> Iterator[tuple[Path, list[str]]]:
        """Each folder at and below ``root`` that was not entered before, and the names of its files."""
        for folder, subfolders, files in os.walk(root, followlinks=True, onerror=lambda e: self._complain(root, e)):
            here = Path(folder)
            identity = _identity(here)
            if identity in self._entered:
                subfolders.clear()
                continue
            self._entered.add(identity)
            subfolders[:] = sorted(
                (name for name in subfolders if not name.startswith(".") and name not in SKIPPED_FOLDERS),
                key=os.fsencode,
            )
            yield here, files

    def file(self, source: Path) -> Iterator[Candidate]:
        # a linked file keeps its own name: only its folder is resolved
        folder = source.parent.resolve()
        self._found.roots.append(folder)
        real = os.path.join(folder, source.name)  # noqa: PTH118 (bytes of the name kept)
        walked = folder.exists() and _identity(folder) in self._entered and _is_photo(source.name)
        if real in self._named or walked:
            return
        self._named.add(real)
        if source.suffix.lower() == ".tar":
            yield from self._in_tar(folder, folder / source.name)
        else:
            if self._listed[0] != folder:
                self._listed = (folder, [path.name for path in folder.iterdir()] if folder.is_dir() else [])
            yield from self._in_folder(folder, folder, [source.name], self._listed[1])

    def _photos(self, files: Sequence[str]) -> list[str]:
        photos = []
        for name in sorted(files, key=os.fsencode):
            if name.startswith("."):
                self._found.skipped["hidden"] += 1
            elif _is_photo(name):
                photos.append(name)
            else:
                self._found.skipped[printable(Path(name).suffix.lower()) or "none"] += 1
        return photos

    def _in_folder(self, root: Path, here: Path, photos: Sequence[str], files: Sequence[str]) -> Iterator[Candidate]:
        album = self._labels.folder(root, here)
        extra = [name for name in files if name.lower().endswith((".json", ".xmp"))]
        sidecars = xmp.beside(photos, files) if extra else {}
        jsons = takeout_names.beside(photos, extra) if extra else {}
        rank = int(takeout_names.is_year_folder(here.name))
        paths = {
            name: [Beside("titled" if each.titled else "takeout", str(here / each.file)) for each in told]
            for name, told in jsons.items()
        }
        without = [name for name in photos if name not in jsons]
        if without and self._takeouts is not None:
            paths |= self._takeouts.elsewhere(here, without)
            if jsons or rank or _in_takeout(here):
                paths |= {name: [Beside("parted", "")] for name in without if name not in paths}
        album = _without_hashes(album, photos)
        title = self._album_title(here, extra)
        if title is not None:
            album = f"{album.rpartition('/')[0]}/{printable(title)}".removeprefix("/")
        label = self._labels.folder(root, here)
        for name in photos:
            beside = []
            if name in sidecars:
                beside.append(Beside("xmp", str(here / sidecars[name])))
            beside += paths.get(name, [])
            yield Candidate(here / name, f"{label}/{printable(name)}", album, None, tuple(beside), rank=rank)

    def _album_title(self, here: Path, extra: Sequence[str]) -> str | None:
        for name in takeout.ALBUM_FILES:
            if name in extra:
                try:
                    with open_input(here / name) as file:  # a pipe would wait for ever
                        return takeout.album_title(file.read(takeout.MAX_JSON))
                except OSError:
                    return None
        return None

    def _in_tar(self, root: Path, path: Path) -> Iterator[Candidate]:
        label = f"{self._labels.folder(root, root)}/{printable(path.name)}"
        for name, span, told in tar.samples(path):
            beside = (Beside("json", str(path), told),) if told is not None else ()
            folder = name.rpartition("/")[0]
            album = f"{label}/{folder}" if folder else label
            yield Candidate(path, f"{label}/{name}", album, span, beside)

    def _complain(self, root: Path, error: OSError) -> None:
        label = self._labels.folder(root, Path(error.filename))
        self._found.rejected.append(Rejection(label, "unreadable folder", error.strerror or ""))


def _without_hashes(album: str, photos: Sequence[str]) -> str:
    """The library's folder, where programs spread its photos by the first digits of their random names: Apple Photos
    (originals/3/3F98E277-....jpeg), Immich (upload/USER/ab/cd/abcd....jpg)."""
    if not photos or not all(_RANDOM_NAME.match(name) for name in photos):
        return album
    return _HASH_FOLDERS.sub("", album)


class _Parts:
    """The JSON files of Takeouts that have no photo beside them, in all sources: an export is cut into parts of some
    gigabytes, and a photo and its JSON can come to lie in different ones."""

    def __init__(self, folders: Sequence[Path], out: Path | None) -> None:
        self._lonely: dict[tuple[str, ...], dict[str, list[Path]]] = {}
        walk = _Walk(Found(), out)
        for root in folders:
            for here, files in walk.walked(root):
                jsons = [name for name in files if name.lower().endswith(".json")]
                if jsons:
                    photos = [name for name in files if _is_photo(name)]
                    used = {each.file for told in takeout_names.beside(photos, jsons).values() for each in told}
                    lonely = self._lonely.setdefault(_place_in_export(here), {})
                    for name in set(jsons) - used - set(takeout.ALBUM_FILES):
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


def _in_takeout(folder: Path) -> bool:
    return len(_place_in_export(folder)) > 1


def _place_in_export(folder: Path) -> tuple[str, ...]:
    """The names below the last folder called Takeout ('takeout-20240101T000000Z-001', 'Takeout 2'), and before them
    'takeout'; the folder's own name where there is none such."""
    parts = folder.parts
    at = next((i for i in range(len(parts) - 1, 0, -1) if parts[i].lower().startswith("takeout")), None)
    return (parts[-1],) if at is None else ("takeout", *parts[at + 1 :])


def _is_photo(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


class _Labels:
    """Names of source folders: the folder's own; a second folder of that name becomes 'photos (2)'.

    So names hold nothing of where on this machine the source lies, and a source added behind the others
    changes none of theirs.
    """

    def __init__(self) -> None:
        self._label: dict[Path, str] = {}

    def folder(self, root: Path, folder: Path) -> str:
        """The printable name of ``folder`` below ``root``."""
        if root not in self._label:
            name, taken = printable(root.name) or "root", set(self._label.values())
            numbered = (f"{name} ({number})" for number in range(2, len(taken) + 3))
            self._label[root] = name if name not in taken else next(n for n in numbered if n not in taken)
        below = folder.relative_to(root).as_posix()
        return self._label[root] if below == "." else f"{self._label[root]}/{printable(below)}"
