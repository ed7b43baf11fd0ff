"""The contract of a source of photos, and what it finds.

A source is an object without a state of its own: workers get it by pickle. ``registry.py`` picks the source for what
the user named.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from openplanet.errors import InputError, PhotoError
from openplanet.photos.sources.entry import Entry

Span = tuple[int, int]
"""First byte and number of bytes of a photo in a file; a source of other things has its own meaning for it."""


def printable(path: str | Path) -> str:
    """A file name as text that every format can hold: bytes that are not UTF-8 become backslash escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Beside:
    """A file, or stretch of one (``span``), that tells something of a photo.

    ``titled``: a Takeout's JSON that counts only where its title names the photo; ``parted``: no file, but the word
    that a Takeout has none for this photo.
    """

    kind: Literal["xmp", "takeout", "titled", "json", "parted"]
    path: str
    span: Span | None = None


class Source(Protocol):
    """Finds photos in what the user named, reads them, and tells whether one has changed.

    ``of_files``: each photo is a file of its own, so that ``locate`` can name it.
    """

    of_files: bool

    def takes(self, named: Path, search: "Search") -> bool:
        """Whether ``named`` is a source of this kind."""

    def find(self, named: Path, search: "Search") -> Iterator["Candidate"]:
        """The candidates in ``named``, in a fixed order; opens no photo. Raises InputError where it cannot be read."""

    def read(self, path: Path, span: Span | None) -> Path | bytes:
        """The encoded photo of a candidate, or the file that holds it and nothing else. Runs in a worker.

        Raises PhotoError or OSError.
        """

    def fingerprint(self, candidate: "Candidate") -> "Fingerprint":
        """What changes with the photo or with what is told of it, without reading it. Raises PhotoError."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be a photo: ``path`` and ``span`` say where, for ``source`` to read."""

    source: Source
    path: Path
    name: str  # from the name of its source folder on: 'Pictures/rome/a.jpg'; printable, always UTF-8
    album: str  # its folder, likewise: 'Pictures/rome'
    span: Span | None = None
    beside: tuple[Beside, ...] = ()  # the first that tells something counts
    told: Entry | None = None  # what its source has told already
    rank: int = 0  # of equal files the lowest stays: Takeout's folders of years repeat its albums

    @property
    def place(self) -> Path:
        """Where a table of coordinates would look for it: members of a tar lie below the tar."""
        return self.path if self.span is None else self.path / self.name.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """``size``: bytes of the encoded photo, -1 where not known; ``stamps`` have a ``repr`` that says all of them."""

    size: int
    stamps: tuple[object, ...]


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


@dataclass(frozen=True)
class Listing:
    """The names of a folder's files; ``extra``: of those that may tell something of a photo."""

    names: Sequence[str]
    extra: Sequence[str]

    @classmethod
    def of(cls, names: Sequence[str]) -> "Listing":
        """``extra`` are JSON and XMP files."""
        return cls(names, [name for name in names if name.lower().endswith((".json", ".xmp"))])


class Search:
    """What the sources of one search share: no folder is entered and no file is yielded twice."""

    def __init__(
        self,
        named: Sequence[Path],
        found: Found,
        out: Path | None = None,
        table: tuple[Path, Sequence[Entry]] | None = None,
        sources: Mapping[str, Source] | None = None,
    ) -> None:
        """``table``: the user's table of coordinates and its rows; ``sources``: those that there are."""
        self.named, self.found, self.out, self.table = named, found, out, table
        self.labels = Labels()
        self.entered = {identity(out)} if out is not None and out.exists() else set()
        self.claimed: set[str] = set()  # files that were sources themselves
        self.kept: dict[Source, Any] = {}  # what a source keeps for the length of the search
        self._sources = sources or {}
        self._listed = (Path(), Listing([], []))

    def source_of(self, named: Path) -> Source:
        """The source that takes ``named``; of several the last registered. Raises InputError where there is none."""
        for source in reversed(list(self._sources.values())):
            if source.takes(named, self):
                return source
        raise InputError(f"{printable(named)}: no such file or folder")

    def listing(self, folder: Path) -> Listing:
        """What lies in ``folder``; remembers the last one, for sources that are files of the same folder."""
        if self._listed[0] != folder:
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
            self._listed = (folder, Listing.of(names))
        return self._listed[1]

    def claim(self, file: Path, found_in_folders: bool) -> Path | None:
        """The resolved folder of ``file``, a source itself; None where it was yielded before.

        ``found_in_folders``: a source that has entered its folder has yielded it.
        """
        # a linked file keeps its own name: only its folder is resolved
        folder = file.parent.resolve()
        self.found.roots.append(folder)
        real = os.path.join(folder, file.name)  # noqa: PTH118 (bytes of the name kept)
        walked = found_in_folders and folder.exists() and identity(folder) in self.entered
        if real in self.claimed or walked:
            return None
        self.claimed.add(real)
        return folder


class Labels:
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


def identity(folder: Path) -> tuple[int, int]:
    """The same for every path that leads to ``folder``."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def file_stamp(path: Path) -> tuple[int, int] | str:
    """(bytes, time of last change in ns) of a regular file; else why it cannot be read."""
    try:
        status = path.stat()
    except OSError as error:
        return error.strerror or str(error)
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        return "it is not a regular file"
    return status.st_size, status.st_mtime_ns


def file_fingerprint(candidate: Candidate) -> Fingerprint:
    """Of a candidate that is a file or a stretch of one, and of the files beside it. Raises PhotoError."""
    stamp = file_stamp(candidate.path)
    if isinstance(stamp, str):
        raise PhotoError(stamp, "unreadable")
    stamps: list[object] = [*stamp, candidate.span]
    for beside in candidate.beside:
        stamps += [beside.kind, os.fsencode(beside.path), beside.span, file_stamp(Path(beside.path))]
    return Fingerprint(stamp[0] if candidate.span is None else candidate.span[1], tuple(stamps))
