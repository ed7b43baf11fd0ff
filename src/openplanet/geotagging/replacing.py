"""One file in the place of another, whole, with the times, rights and owner of the old one; and what is kept of the old
bytes, to put them back: of a photo whose metadata changed the stretch that differs, not all of it.
"""

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np

from openplanet.errors import InputError
from openplanet.geotagging.journal import Change, sync_folder
from openplanet.storage import atomic_path, sha256_of

BEFORE = "before"


def state_of(path: Path) -> str:
    """SHA-256 of the file, "" where there is none."""
    try:
        return sha256_of(path)
    except FileNotFoundError:
        return ""


def part_name(run: str) -> str:
    """What a file that is being written is called, in the folder that it is for."""
    return f".openplanet-{run}.part"


def clear_parts(folders: set[Path], run: str) -> None:
    """Remove what a run that was killed left."""
    for folder in folders:
        with suppress(OSError):
            (folder / part_name(run)).unlink(missing_ok=True)


def keep(run: Path, old: Path | None, new: Path) -> tuple[str, int, int]:
    """Keep the stretch of ``old`` that ``new`` has not: (its name below the run, bytes shared before and after it)."""
    if old is None:
        return "", 0, 0
    was, becomes = old.read_bytes(), new.read_bytes()
    head = _shared(was, becomes)
    tail = _shared(was[head:][::-1], becomes[head:][::-1])
    stretch = was[head : len(was) - tail]
    name = f"{BEFORE}/{hashlib.sha256(was).hexdigest()}-{head}-{tail}"
    with atomic_path(run / name) as temporary:
        temporary.write_bytes(stretch)
    sync_folder(run / BEFORE)
    return name, head, tail


def bytes_before(run: Path, change: Change) -> bytes:
    """The old bytes, of a file that has the new ones. Raises InputError where what was kept does not give them."""
    now = Path(change.path).read_bytes()
    try:
        stretch = (run / change.before).read_bytes()
    except OSError as error:
        raise InputError(f"{run / change.before} cannot be read ({error.strerror}): {change.file} stays") from error
    was = now[: change.head] + stretch + now[len(now) - change.tail :]
    if hashlib.sha256(was).hexdigest() != change.old:
        raise InputError(f"{run / change.before} is damaged: {change.file} stays as it is")
    return was


def put(new: Path | bytes, target: Path, run: str, times: tuple[int, int] | None) -> None:
    """Put ``new`` in the place of ``target``, which a crash leaves whole, old or new; on the disk when it returns.

    Mode, owner and attributes are those of the file that is there. ``times``: access and modification, ns.
    """
    part = target.with_name(part_name(run))
    try:
        if isinstance(new, bytes):
            part.write_bytes(new)
        else:
            shutil.copyfile(new, part)
        if target.exists():
            status = target.stat()
            shutil.copystat(target, part)
            with suppress(PermissionError):
                os.chown(part, status.st_uid, status.st_gid)
        if times is not None:
            os.utime(part, ns=times)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(target.parent)


def _shared(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    length = min(len(one), len(other))
    differs = np.frombuffer(one, np.uint8, length) != np.frombuffer(other, np.uint8, length)
    return int(differs.argmax()) if differs.any() else length
