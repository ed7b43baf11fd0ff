"""Files that are either whole or absent: written under a temporary name, flushed, then renamed."""

import errno
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from openplanet.errors import InputError

MAX_NESTING = 64  # objects and lists inside each other: ours have 5
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)
"""Escapes of JSON strings: a pair of surrogates, half a pair, any other."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it replaces ``path``, on failure it is removed.

    A crash at any moment leaves either the old file or the new one under ``path``, never half of one.
    Raises InputError, naming the file, where it cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)  # what the umask gives; some writers give 0600
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # absent, or its folder could not be made: the error above says why
            temporary.unlink()


def check_writable(path: Path) -> None:
    """Raise InputError, naming ``path``, where no file can be written there: to be known before long work.

    Leaves nothing behind, and makes no folder.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} cannot be written: it is a folder; give the name of a file")
    folder = next(each for each in path.absolute().parents if os.path.lexists(each))
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error} ({folder})") from error


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically; NaN is refused (JSON has none)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def open_input(path: Path) -> BinaryIO:
    """Open a file that somebody gives for reading, without ever waiting: OSError where it is no regular file.

    Opening a pipe would wait for a writer for ever, and a device such as /dev/zero never ends.
    """
    # O_NONBLOCK: the pipe is opened, and refused, at once
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return os.fdopen(handle, "rb")


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text that a stranger may have written; ValueError for any text that is none.

    As ``json.loads``, but a value nested deeper than MAX_NESTING is refused (a recursion error follows it wherever
    it goes), and half an emoji (a surrogate without its other half) becomes U+FFFD, which every encoding takes.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text))
    try:
        value = json.loads(_ESCAPE.sub(_whole, text))
    except RecursionError as error:
        raise ValueError(f"it is nested deeper than {MAX_NESTING} levels") from error
    level, depth = [value], 0
    while level:
        if depth > MAX_NESTING:
            raise ValueError(f"it is nested deeper than {MAX_NESTING} levels")
        inner = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list))
        level, depth = [each for values in inner for each in values if isinstance(each, dict | list)], depth + 1
    return value


def _whole(escape: re.Match[str]) -> str:
    return "\\ufffd" if escape["half"] else escape[0]


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raises InputError, naming the file, where it is missing or is none."""
    try:
        with open_input(path) as file:
            value = parse_json(file.read())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged: it is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} is damaged: a JSON object was expected")
    return value


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal, read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
