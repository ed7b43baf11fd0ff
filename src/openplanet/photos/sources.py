"""Finding the photos: which files are candidates, and in which order."""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openplanet.errors import InputError
from openplanet.photos.images import SUFFIXES

# Folders in which NAS boxes and archivers keep thumbnails and forks of the photos beside them.
SKIPPED_FOLDERS = frozenset({"@eaDir", "__MACOSX"})


@dataclass(frozen=True)
class Candidate:
    """A file that may be a photo."""

    path: Path
    name: str  # from the name of its source folder on: 'Pictures/rome/a.jpg'; printable, always UTF-8
    album: str  # its folder, likewise: 'Pictures/rome'


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
    """All candidates in ``sources``: folders, searched recursively, and files, which are always candidates.

    Folders are entered once, however many symbolic links or sources lead there; the one named ``out``
    never. Hidden files and those without the suffix of a photo are counted and passed over. The order is
    that of the sources, then that of the names. Raises InputError where a source is missing.
    """
    found, labels = Found(), _Labels()
    seen_folders = {_identity(out)} if out is not None and out.exists() else set()
    seen_files: set[str] = set()
    for source in sources:
        if not os.path.lexists(source):
            raise InputError(f"{printable(source)}: no such file or folder to ingest")
        is_folder = source.is_dir()
        root = source.resolve() if is_folder else source.parent.resolve()
        found.roots.append(root)
        # a linked file keeps its own name: only its folder is resolved
        for file in _walk(root, found, labels, seen_folders) if is_folder else [root / source.name]:
            real = os.path.join(os.path.realpath(file.parent), file.name)  # noqa: PTH118 (bytes of the name kept)
            if real in seen_files:
                continue
            seen_files.add(real)
            folder = labels.folder(root, file.parent)
            found.candidates.append(Candidate(file, f"{folder}/{printable(file.name)}", folder))
    return found


def candidate_size(path: Path) -> tuple[int, int] | str:
    """(bytes, time of last change in ns) of a regular file; else why it cannot be read."""
    try:
        status = path.stat()
    except OSError as error:
        return error.strerror or str(error)
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        return "it is not a regular file"
    return status.st_size, status.st_mtime_ns


def _walk(root: Path, found: Found, labels: "_Labels", seen: set[tuple[int, int]]) -> Iterator[Path]:
    def complain(error: OSError) -> None:
        folder = Path(error.filename)
        found.rejected.append(Rejection(labels.folder(root, folder), "unreadable folder", error.strerror or ""))

    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=complain):
        here = Path(folder)
        identity = _identity(here)
        if identity in seen:
            subfolders.clear()
            continue
        seen.add(identity)
        subfolders[:] = sorted(
            (name for name in subfolders if not name.startswith(".") and name not in SKIPPED_FOLDERS),
            key=os.fsencode,
        )
        for name in sorted(files, key=os.fsencode):
            if name.startswith("."):
                found.skipped["hidden"] += 1
            elif (suffix := Path(name).suffix.lower()) not in SUFFIXES:
                found.skipped[printable(suffix) or "none"] += 1
            else:
                yield here / name


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
