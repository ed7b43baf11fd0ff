"""The pictures of a test set: files below a folder, or inside zip archives there, found by the name in a table."""

import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from openplanet.evaluation.testsets.table import stem
from openplanet.photos.images import SUFFIXES


class Pictures:
    """Where each picture below ``folder`` lies. Folders and archives are listed once; nothing is unpacked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_name: dict[str, tuple[Path, str | None]] = {}
        self._twice: set[str] = set()
        for path, member in self._list():
            within = (path.relative_to(folder) / (member or "")).as_posix() if member else _relative(path, folder)
            for name in {within, within.rsplit("/", 1)[-1], stem(within)}:
                if name in self._by_name:
                    self._twice.add(name)
                self._by_name.setdefault(name, (path, member))
        self.count = sum(1 for _ in self._list())

    def find(self, photo: str) -> tuple[Path, str | None] | None:
        """Path (and member of an archive) of a photo as a table names it: by path, by file name, by name without
        suffix; a name that two pictures have is nobody's."""
        photo = photo.replace("\\", "/").lstrip("./")
        for name in (photo, photo.rsplit("/", 1)[-1], stem(photo)):
            if name in self._by_name and name not in self._twice:
                return self._by_name[name]
        return None

    def read(self, photos: Sequence[str]) -> Iterator[bytes]:
        """The files' bytes in order; b"" for one that is not there or cannot be read: it counts as wrong."""
        archives: dict[Path, zipfile.ZipFile] = {}
        try:
            for photo in photos:
                yield self._bytes(photo, archives)
        finally:
            for archive in archives.values():
                archive.close()

    def _bytes(self, photo: str, archives: dict[Path, zipfile.ZipFile]) -> bytes:
        found = self.find(photo)
        if found is None:
            return b""
        path, member = found
        try:
            if member is None:
                return path.read_bytes()
            if path not in archives:
                archives[path] = zipfile.ZipFile(path)
            return archives[path].read(member)
        except (OSError, zipfile.BadZipFile, RuntimeError):
            return b""

    def _list(self) -> Iterator[tuple[Path, str | None]]:
        for folder, folders, files in os.walk(self.folder):
            folders.sort()
            for name in sorted(files):
                path = Path(folder, name)
                if path.suffix.lower() in SUFFIXES:
                    yield path, None
                elif path.suffix.lower() == ".zip":
                    yield from ((path, member) for member in _members(path))


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return sorted(name for name in archive.namelist() if Path(name).suffix.lower() in SUFFIXES)
    except (OSError, zipfile.BadZipFile):
        return []


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
