"""Folders in stores: read as a copy in the cache, written as a local work folder that is uploaded.

An upload leaves out hidden files, and puts the folder's mark (manifest.json, config.json) last: a folder whose upload
was cut off has no mark, or still the old one with what belongs to it.
"""

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from openplanet.errors import InputError, OpenPlaNetError
from openplanet.home import cache_home
from openplanet.progress import say
from openplanet.stores.cache import copied, key_of
from openplanet.stores.location import Location, RemotePath
from openplanet.stores.ranges import download

AT_ONCE = 8
"""Files that are copied at a time."""
LARGE = (".parquet", ".safetensors")
Item = TypeVar("Item")


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
        def fetch(each: RemotePath) -> None:
            inside = each.below(where)
            file = target if each == where else target / inside
            _fetch(each, file)
            if sums is not None and inside in sums and _sha256(file) != sums[inside]:
                raise InputError(f"{each} is damaged: its SHA-256 is another than was written; copy it there again")

        _at_once(fetch, files)

    return copied(key_of(*((each.url, each.known) for each in files)), where.name, write)


@dataclass
class Staged:
    """A local folder that stands for ``out``: what is changed in it is uploaded by ``upload``."""

    out: Location
    folder: Path
    mark: str
    ours: Sequence[str] = ()
    """Patterns of files (paths inside) that nobody else has there: those are deleted where they are not here."""
    _uploaded: dict[str, tuple[int, int]] = field(default_factory=dict)
    """What is in the store: size and time of the same file here."""

    def upload(self) -> None:
        """Put what has changed, the mark last; then delete what is no longer here. Nothing for a local folder."""
        if not isinstance(self.out, RemotePath):
            return
        out, here = self.out, dict(_files(self.folder))

        def put(name: str) -> None:
            stamp = _stamp(here[name])
            (out / name).upload(here[name])
            self._uploaded[name] = stamp

        changed = [name for name, file in here.items() if self._uploaded.get(name) != _stamp(file)]
        try:
            for _, names in groupby(sorted(changed, key=self._turn), self._turn):
                _at_once(put, list(names))
            for name in [name for name in self._uploaded.keys() - here.keys() if self._is_ours(name)]:
                (out / name).unlink()
                del self._uploaded[name]
        finally:
            self._note()

    def _turn(self, name: str) -> int:
        """When a file's turn comes: what others speak of first."""
        return 3 if name == self.mark else 2 if name.endswith(".json") else 1 - name.endswith(LARGE)

    def _is_ours(self, name: str) -> bool:
        return any(fnmatch(name, each) for each in self.ours)

    def _begin(self, going_on: str | None) -> None:
        """Make the folder: as an earlier call here left it, else with what is in the store."""
        assert isinstance(self.out, RemotePath)
        there = {each.below(self.out): each for each in self.out.walk_files()}
        (recorded, identities), known = self._recorded(), self.mark in there or going_on in there
        if not known and not all(self._is_ours(name) or name in recorded for name in there):
            raise InputError(f"{self.out} holds other files and no {self.mark}: give an empty or a new folder")
        if self.folder.is_dir() and self._goes_on_from(there, recorded, identities):
            here = dict(_files(self.folder))
            same = {name for name, file in here.items() if recorded.get(name) == _stamp(file)}
        else:
            if self.folder.is_dir():
                say(f"{self.out} was written by another run since: what an earlier one left on this machine is deleted")
                shutil.rmtree(self.folder)
            same = set(there) if known else set()
            with tempfile.TemporaryDirectory(dir=self.folder.parent) as half:
                _at_once(lambda name: _fetch(there[name], Path(half) / "here" / name), list(same))
                (Path(half) / "here").mkdir(exist_ok=True)
                (Path(half) / "here").rename(self.folder)
        # what is there and not the same here is written again, or deleted at the end
        self._uploaded = {name: _stamp(self.folder / name) if name in same else (-1, -1) for name in there}
        self._note(there)

    def _goes_on_from(
        self, there: Mapping[str, RemotePath], recorded: Mapping[str, object], identities: Mapping[str, str]
    ) -> bool:
        """Whether what an earlier call left here is of what is in the store now: nobody has written there since."""
        if recorded and not there:
            return False
        ours = [name for name in there if name in recorded or name == self.mark or self._is_ours(name)]
        return all(
            (identities.get(name) or None) == _identity(there[name]) or _alike(there[name], self.folder / name)
            for name in ours
        )

    def _note(self, there: Mapping[str, RemotePath] | None = None) -> None:
        """Record what is uploaded, and by what the store tells its content (nothing where it does not answer)."""
        assert isinstance(self.out, RemotePath)
        if there is None:
            try:
                there = {each.below(self.out): each for each in self.out.walk_files()}
            except InputError:
                there = {}
        identities = {name: _identity(each) for name, each in there.items()}
        told = {name: (*stamp, identities.get(name, "")) for name, stamp in self._uploaded.items()}
        self._record.write_text(json.dumps(told))

    def _recorded(self) -> tuple[dict[str, tuple[int, int]], dict[str, str]]:
        """Of each file that was uploaded the local stamp, and by what the store told its content."""
        try:
            told = json.loads(self._record.read_text()).items()
            stamps = {name: (int(size), int(time)) for name, (size, time, _) in told}
            return stamps, {name: str(identity) for name, (*_, identity) in told}
        except (OSError, ValueError):
            return {}, {}

    @property
    def _record(self) -> Path:
        return self.folder.parent / "uploaded.json"


@contextmanager
def staged(out: Location, mark: str, ours: Sequence[str] = (), going_on: str | None = None) -> Iterator[Staged]:
    """The folder ``out`` itself where it is local. For one in a store: a folder below OPENPLANET_HOME that has what is
    there, is uploaded at the end, and is deleted then; after a failure it stays, and the next call goes on with it.

    ``ours``: patterns of files that may be there without the mark, for nobody else has such; only those are ever
    deleted. ``going_on``: a file that, without the mark, says that there is something to go on with. Raises InputError
    where it cannot be written, another process is at work on it, or it holds other files. What is raised inside names
    ``out``, not the local folder.
    """
    if not isinstance(out, RemotePath):
        yield Staged(out, out, mark)
        return
    (out / mark).check_writable()
    place = cache_home() / "work" / key_of(out.url)[:16]
    work = Staged(out, place / out.name, mark, ours)
    with ExitStack() as held:
        with _writable(place):
            place.mkdir(parents=True, exist_ok=True)
            lock = held.enter_context((place / "lock").open("wb"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(f"another process is writing {out}: wait for its end") from error
            work._begin(going_on)
        try:
            yield work
        except OpenPlaNetError as error:
            error.args = (str(error).replace(str(work.folder), str(out)), *error.args[1:])
            raise
        with _writable(place):
            work.upload()
            shutil.rmtree(place)


@contextmanager
def _writable(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{error.filename or place} cannot be written: {error.strerror or error}") from error


def _at_once(work: Callable[[Item], None], items: Sequence[Item]) -> None:
    """Do the work for some items at a time; none is begun after one has failed."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for start in range(0, len(items), AT_ONCE):
            list(pool.map(work, items[start : start + AT_ONCE]))


def _fetch(each: RemotePath, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f".{file.name}.part")
    download(each.url, each.stat(), half)
    half.replace(file)


def _files(folder: Path) -> list[tuple[str, Path]]:
    """Path inside and file of all that is not hidden."""
    found = [(file.relative_to(folder), file) for file in folder.rglob("*") if file.is_file()]
    return [(name.as_posix(), file) for name, file in found if not any(part.startswith(".") for part in name.parts)]


def _identity(each: RemotePath) -> str:
    return each.stat().identity


def _alike(each: RemotePath, file: Path) -> bool:
    """Whether an object has the bytes of a local file: asked where its upload was not recorded (the process died)."""
    if not file.is_file() or file.stat().st_size != each.stat().st_size:
        return False
    with each.open("rb") as there:
        return hashlib.file_digest(there, "sha256").hexdigest() == _sha256(file)


def _stamp(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
