"""The pictures of a test set: files below a folder, or inside zip archives there, found by the name in a table."""

import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from openplanet.errors import PhotoError
from openplanet.evaluation.testsets.table import stem
from openplanet.photos.files.images import SUFFIXES
from openplanet.photos.files.opening import open_file
from openplanet.photos.sources.source import printable
from openplanet.progress import say
from openplanet.storage import open_input

MOST_BYTES = 1 << 27
"""Of a picture in an archive, unpacked: a few kB of archive can hold gigabytes."""
# NotImplementedError (a RuntimeError): a method that zipfile lacks; RuntimeError: encrypted
DAMAGED = (
    OSError, ValueError, EOFError, RuntimeError, KeyError, IndexError, OverflowError, MemoryError, struct.error,
    zlib.error, lzma.LZMAError, zipfile.BadZipFile, zipfile.LargeZipFile,
)  # fmt: skip
"""What zipfile raises, one time or another, at archives that are cut, altered or encrypted."""


class Pictures:
    """Where each picture below ``folder`` lies. Folders and archives are listed once; nothing is unpacked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_name: dict[str, tuple[Path, str | None]] = {}
        self._twice: set[str] = set()
        listed = list(self._list())
        self.count = len(listed)
        for path, member in listed:
            within = (path.relative_to(folder) / (member or "")).as_posix() if member else _relative(path, folder)
            for name in {within, within.rsplit("/", 1)[-1], stem(within)}:
                if name in self._by_name:
                    self._twice.add(name)
                self._by_name.setdefault(name, (path, member))

    def find(self, photo: str) -> tuple[Path, str | None] | None:
        """Path (and member of an archive) of a photo as a table names it: by path (an absolute one is looked for where
        it says), by file name, by name without suffix; a name that two pictures have is nobody's."""
        named = Path(photo)
        if named.is_absolute() and named.suffix.lower() in SUFFIXES and named.is_file():
            return named, None
        photo = photo.replace("\\", "/").lstrip("./")
        for name in (photo, photo.rsplit("/", 1)[-1], stem(photo)):
            if name in self._by_name and name not in self._twice:
                return self._by_name[name]
        return None

    def read(self, photos: Sequence[str]) -> Iterator[bytes]:
        """The files' bytes in order; b"" for one that is not there or cannot be read: it counts as wrong."""
        archives: dict[Path, zipfile.ZipFile] = {}
        with ExitStack() as files:
            for photo in photos:
                yield self._bytes(photo, archives, files)

    def _bytes(self, photo: str, archives: dict[Path, zipfile.ZipFile], files: ExitStack) -> bytes:
        found = self.find(photo)
        if found is None:
            return b""
        path, member = found
        try:
            if member is None:
                with open_file(path) as file:
                    return file.read()
            if path not in archives:
                archives[path] = zipfile.ZipFile(files.enter_context(open_input(path)))
            with archives[path].open(member) as packed:
                # what is declared is no more than a claim; zipfile checks what comes against it, and its checksum
                if archives[path].getinfo(member).file_size > MOST_BYTES:
                    return b""
                return packed.read(MOST_BYTES + 1)
        except (PhotoError, *DAMAGED):
            return b""

    def _list(self) -> Iterator[tuple[Path, str | None]]:
        entered = set[str]()
        for folder, folders, files in os.walk(self.folder, followlinks=True):
            if (real := os.path.realpath(folder)) in entered:  # a link to where one has been leads in circles
                folders.clear()
                continue
            entered.add(real)
            folders.sort()
            for name in sorted(files):
                path = Path(folder, name)
                if path.suffix.lower() in SUFFIXES:
                    yield path, None
                elif path.suffix.lower() == ".zip":
                    yield from ((path, member) for member in _members(path))


def _members(path: Path) -> list[str]:
    try:
        with open_input(path) as file, zipfile.ZipFile(file) as archive:
            return sorted(name for name in archive.namelist() if Path(name).suffix.lower() in SUFFIXES)
    except DAMAGED as error:
        say(f"{printable(path)} cannot be read as a zip archive, and its pictures count as missing ({error})")
        return []


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
