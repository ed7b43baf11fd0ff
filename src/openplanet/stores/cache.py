"""Copies of what stores hold, on the local disk: bounded, the longest unused go first.

    CACHE/ranges/<key>          bytes of an object, and their checksum
    CACHE/copies/<key>/NAME     a whole object, or a folder of them

A key covers URL, size and what changes with the content (an ETag), so that a changed object has another one.
Every process may write and delete here at any time; what is lost is fetched again.
"""

import hashlib
import os
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Lock

from openplanet.errors import InputError
from openplanet.home import HOME, cache_home

CACHE_GB = "OPENPLANET_CACHE_GB"
DEFAULT_GB = 10.0
DIGEST_BYTES = 16
IN_MEMORY = 64 << 20
"""Bytes of ranges that a process holds, so that a row group's pages are not read from the disk one by one."""

_written: dict[Path, int] = {}
_in_use: dict[Path, int] = {}
"""Handles of locks, which processes that are forked share."""
_recent: OrderedDict[str, bytes] = OrderedDict()
_lock = Lock()


def _new_lock() -> None:
    global _lock
    _lock = Lock()


if hasattr(os, "register_at_fork"):  # not on Windows, which the commands refuse in words of their own
    os.register_at_fork(after_in_child=_new_lock)  # another thread may have held it


def limit() -> int:
    """Bytes that the cache may take: OPENPLANET_CACHE_GB; 0 keeps no ranges. Raises InputError for no number."""
    text = os.environ.get(CACHE_GB, "")
    try:
        found = float(text) if text else DEFAULT_GB
        if not 0 <= found < float("inf"):
            raise ValueError
    except ValueError as error:
        raise InputError(f"{CACHE_GB} is {text!r}: give gigabytes, such as {DEFAULT_GB:g}") from error
    return int(found * 1e9)


def key_of(*what: object) -> str:
    """The name of an entry."""
    return hashlib.sha256(repr(what).encode("utf-8", "backslashreplace")).hexdigest()[:32]


def cached(key: str, fetch: Callable[[], bytes]) -> bytes:
    """The bytes under ``key``, or those that ``fetch`` gives. A cache that cannot be written costs speed only."""
    with _lock:
        if key in _recent:
            _recent.move_to_end(key)
            return _recent[key]
    file, most = cache_home() / "ranges" / key, limit()
    found = _load(file) if most else None
    if found is None:
        found = fetch()
        if most:
            with suppress(OSError):
                _store(file, found)
                _make_room(len(found), most)
    with _lock:
        _recent[key] = found
        while len(_recent) > 1 and sum(map(len, _recent.values())) > IN_MEMORY:
            _recent.popitem(last=False)
    return found


def copied(key: str, name: str, write: Callable[[Path], None]) -> Path:
    """The entry ``name`` under ``key``, as ``write`` makes it at the path that it is given. It stays while this process
    lives. Raises InputError where the disk has no room for it."""
    folder = cache_home() / "copies" / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while not _kept(folder):  # another process was about to delete it
            folder.mkdir(parents=True, exist_ok=True)
        if not (folder / name).exists():
            with tempfile.TemporaryDirectory(dir=folder, prefix=".") as half:
                write(Path(half) / name)
                with suppress(FileExistsError):  # another process was as fast
                    (Path(half) / name).rename(folder / name)
            _make_room(_size(folder), limit())
        os.utime(folder)
    except OSError as error:
        raise InputError(
            f"{error.filename or folder} cannot be written ({error.strerror or error}): make room, or set {HOME}"
        ) from error
    return folder / name


def _kept(folder: Path) -> bool:
    """Lock an entry against deletion until this process ends; False where it has just been deleted."""
    if folder in _in_use and folder.is_dir():
        return True
    mark = os.open(folder / ".in-use", os.O_RDWR | os.O_CREAT)
    _lock_file(mark, "LOCK_SH")
    if os.fstat(mark).st_nlink == 0:
        os.close(mark)
        return False
    _in_use[folder] = mark
    return True


def _lock_file(handle: int, *how: str) -> None:
    fcntl = import_module("fcntl")  # not on Windows
    fcntl.flock(handle, sum(getattr(fcntl, each) for each in how))


def _load(file: Path) -> bytes | None:
    try:
        whole = file.read_bytes()
        os.utime(file)
    except OSError:
        return None
    found, digest = whole[:-DIGEST_BYTES], whole[-DIGEST_BYTES:]
    return found if _digest(found) == digest else None


def _store(file: Path, found: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(found + _digest(found))
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _digest(found: bytes) -> bytes:
    return hashlib.blake2b(found, digest_size=DIGEST_BYTES).digest()


def _make_room(more: int, most: int) -> None:
    """Delete what was unused longest where all is more than ``most``; looks whenever a twentieth of it was added."""
    place = cache_home()
    with _lock:
        first = place not in _written
        _written[place] = _written.get(place, 0) + more
        if not first and _written[place] <= most // 20:
            return
        _written[place] = 0
    entries = []
    for entry in (*place.glob("ranges/*"), *place.glob("copies/*")):
        with suppress(OSError):
            entries.append((entry.stat().st_mtime_ns, _size(entry), entry))
    total = sum(size for _, size, _ in entries)
    for _, size, entry in sorted(entries):
        if total <= most:
            break
        with suppress(OSError):
            _delete(entry)
            total -= size


def _delete(entry: Path) -> None:
    if not entry.is_dir():
        entry.unlink()
    elif entry not in _in_use:
        with (entry / ".in-use").open("wb") as mark:
            _lock_file(mark.fileno(), "LOCK_EX", "LOCK_NB")  # OSError where a process uses it
            shutil.rmtree(entry)


def _size(entry: Path) -> int:
    if not entry.is_dir():
        return entry.stat().st_size
    return sum(each.stat().st_size for each in entry.rglob("*") if each.is_file())
