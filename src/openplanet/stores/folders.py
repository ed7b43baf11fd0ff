"""Folders in stores: read as a copy in the cache, written as a local work folder that is uploaded.

An upload leaves out hidden files, and puts the folder's mark (manifest.json, config.json) last: a folder whose upload
was cut off has no mark, or still the old one with what belongs to it.
"""

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from openplanet.errors import InputError
from openplanet.home import cache_home
from openplanet.stores.cache import copied, key_of
from openplanet.stores.location import Location, RemotePath
from openplanet.stores.ranges import download


def copy_of(
    where: RemotePath, wanted: Callable[[str], bool] | None = None, sums: Mapping[str, str] | None = None
) -> Path:
    """A local copy of an object, or of the ``wanted`` ones (paths inside; None: all) of a folder; it is not to be
    changed. ``sums``: SHA-256 of some of them. Raises InputError where nothing is there, or one has another."""
    files = [each for each in where.walk_files() if wanted is None or wanted(each.below(where))]
    if not files:
        files = [RemotePath(where.url, where.stat())] if where.is_file() else []
    if not files:
        raise InputError(f"{where} does not exist")

    def write(target: Path) -> None:
        for each in files:
            inside = each.below(where)
            file = target if each == where else target / inside
            _fetch(each, file)
            if sums is not None and inside in sums and _sha256(file) != sums[inside]:
                raise InputError(f"{each} is damaged: its SHA-256 is another than was written; copy it there again")

    return copied(key_of(*((each.url, each.known) for each in files)), where.name, write)


@dataclass
class Staged:
    """A local folder that stands for ``out``: what is changed in it is uploaded by ``upload``."""

    out: Location
    folder: Path
    mark: str
    _uploaded: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Size and time of what is in the store as it is here."""

    def download(self) -> None:
        """Get what is in the store and not here: of an earlier run, here or on another machine."""
        if not isinstance(self.out, RemotePath):
            return
        there = {each.below(self.out): each for each in self.out.walk_files()}
        for name, each in there.items():
            file = self.folder / name
            if name == self.mark or not file.is_file() or file.stat().st_size != each.stat().st_size:
                _fetch(each, file)
            self._uploaded[name] = _stamp(file)

    def upload(self, below: str = "") -> None:
        """Put what has changed (in the folder or file ``below``), the mark last; then delete what is no longer here."""
        if not isinstance(self.out, RemotePath):
            return
        here = {name: file for name, file in _files(self.folder) if name.startswith(below)}
        for name in sorted(here, key=lambda name: (name == self.mark, name.endswith(".json"), name)):
            if self._uploaded.get(name) != (stamp := _stamp(here[name])):
                (self.out / name).upload(here[name])
                self._uploaded[name] = stamp
        for name in [name for name in self._uploaded if name.startswith(below) and name not in here]:
            (self.out / name).unlink()
            del self._uploaded[name]


@contextmanager
def staged(out: Location, mark: str) -> Iterator[Staged]:
    """The folder ``out`` itself where it is local. For one in a store: a folder below OPENPLANET_HOME that has what is
    there, is uploaded at the end, and is deleted then; after a failure it stays, and the next call goes on with it.

    Raises InputError where it cannot be written, another process is at work on it, or it holds other files.
    """
    if not isinstance(out, RemotePath):
        yield Staged(out, out, mark)
        return
    (out / mark).check_writable()
    place = cache_home() / "work" / f"{out.name}-{key_of(out.url)[:16]}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with (place / "lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(f"another process is writing {out}: wait for its end") from error
            work = Staged(out, place / out.name, mark)
            work.folder.mkdir(exist_ok=True)
            work.download()
            yield work
            work.upload()
            shutil.rmtree(place)
    except OSError as error:
        raise InputError(f"{error.filename or place} cannot be written: {error.strerror or error}") from error


def _fetch(each: RemotePath, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f".{file.name}.part")
    download(each.url, each.stat(), half)
    half.replace(file)


def _files(folder: Path) -> list[tuple[str, Path]]:
    """Path inside and file of all that is not hidden."""
    found = [(file.relative_to(folder), file) for file in folder.rglob("*") if file.is_file()]
    return [(name.as_posix(), file) for name, file in found if not any(part.startswith(".") for part in name.parts)]


def _stamp(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
