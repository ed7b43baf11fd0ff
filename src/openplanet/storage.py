"""Files that are either whole or absent, and that never take the place of somebody else's.

An output is written under a temporary name, flushed, then renamed. Before any work ``check_outputs`` refuses a name
under which a file lies that is not of the output's own kind.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from openplanet.errors import InputError
from openplanet.stores.location import Location, RemotePath, location

HEAD_BYTES = 4096  # a file's mark lies in these


@dataclass(frozen=True)
class Kind:
    """One kind of file that OpenPlaNet writes: what messages call it, and how one is recognised.

    ``suffix``: what its names usually end with.
    """

    name: str
    suffix: str
    recognise: Callable[[Location], bool]


def html_page(what: str) -> Kind:
    """The kind of page whose generator is ``OpenPlaNet WHAT``; its template says so in a meta element."""
    return marked(f"an OpenPlaNet {what}", ".html", f'name="generator" content="OpenPlaNet {what}"')


def json_file(what: str) -> Kind:
    """The kind of JSON file whose first member is ``generator``: write ``{**generator(WHAT), ...}``."""
    return marked(f"an OpenPlaNet {what}", ".json", json.dumps(generator(what))[1:-1])


def generator(what: str) -> dict[str, str]:
    """The first member of a JSON file, by which ``json_file`` recognises it."""
    return {"generator": f"OpenPlaNet {what}"}


def marked(name: str, suffix: str, mark: str) -> Kind:
    """The kind of text file that has ``mark`` among its first 4096 bytes."""

    def recognise(path: Location) -> bool:
        with path.open("rb") as file:
            return mark.encode() in file.read(HEAD_BYTES)

    return Kind(name, suffix, recognise)


MAX_NESTING = 64  # objects and lists inside each other: ours have 5
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)
"""Escapes of JSON strings: a pair of surrogates, half a pair, any other."""


@contextmanager
def atomic_path(path: Location) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it replaces ``path``, on failure it is removed. For an object
    in a store it is a local one, which is uploaded.

    A crash at any moment leaves either the old file or the new one under ``path``, never half of one. Through a
    symbolic link the file that it leads to is replaced; a device or a pipe is written into.
    Raises InputError, naming the file, where it cannot be written.
    """
    if isinstance(path, RemotePath):
        with tempfile.TemporaryDirectory(prefix="openplanet-") as folder:
            temporary = Path(folder) / path.name
            temporary.touch()
            yield temporary
            path.upload(temporary)
        return
    if is_stream(path):
        with _streamed(Path(path)) as temporary:
            yield temporary
        return
    path = Path(os.path.realpath(path))
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
        raise _named(error, path, temporary) from error
    finally:
        with suppress(OSError):  # absent, or its folder could not be made: the error above says why
            temporary.unlink()


def _named(error: OSError, path: Path, temporary: Path) -> InputError:
    """The error in words: the file that it is about may be another than the one that was to be written."""
    about = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else path
    if about in (path, temporary) or about in path.parents:
        return InputError(f"{path} cannot be written: {error.strerror or error}")
    return InputError(f"{about} cannot be read: {error.strerror or error}")


def is_stream(path: Location) -> bool:
    """Whether ``path`` is a device, a pipe or an open file (``/dev/stdout``): written into, never replaced."""
    if isinstance(path, RemotePath):
        return False
    if str(Path(path).absolute()).startswith(("/dev/", "/proc/")):
        return os.path.lexists(path)
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def _streamed(path: Path) -> Iterator[Path]:
    """A temporary path whose bytes are copied into the stream ``path`` at the end."""
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "out"
        temporary.touch()
        yield temporary
        sys.stdout.flush()  # what was printed before comes first where both are one file
        try:
            with temporary.open("rb") as whole, os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "wb") as stream:
                shutil.copyfileobj(whole, stream)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from error


def check_outputs(outputs: Sequence[tuple[Location, Kind]], inputs: Sequence[Location] = ()) -> None:
    """Raise InputError, naming the file, where one of ``outputs`` cannot be written or would destroy something.

    Refused are a name that is given twice, one of the ``inputs``, and an existing file that is not of the output's
    kind; an empty file, and the output of an earlier run, are replaced. Call it before any work.
    """
    written: set[str] = set()
    for path, kind in outputs:
        check_writable(path)
        if is_stream(path):
            continue
        real = str(path) if isinstance(path, RemotePath) else os.path.realpath(path)
        if real in written:
            raise InputError(f"{path} would be written twice: give each output a name of its own")
        written.add(real)
        if any(_same_file(path, each) for each in inputs):
            raise InputError(f"{path} is an input and would be lost: give another name, such as x{kind.suffix}")
        _check_kind(path, kind)


def _same_file(path: Location, other: Location) -> bool:
    if isinstance(path, RemotePath) or isinstance(other, RemotePath):
        return path == other
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # one of them is not there
        return False


def _check_kind(path: Location, kind: Kind) -> None:
    try:
        foreign = path.exists() and path.stat().st_size > 0 and not kind.recognise(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if foreign:
        raise InputError(
            f"{path} exists and is not {kind.name}: it would be lost; give another name, such as x{kind.suffix}"
        )


def check_writable(path: Location) -> None:
    """Raise InputError, naming ``path``, where no file can be written there: to be known before long work.

    Leaves nothing behind, and makes no folder.
    """
    if isinstance(path, RemotePath):
        path.check_writable()
        return
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} cannot be written: it is a folder; give the name of a file")
    if is_stream(path):
        if not os.access(path, os.W_OK):
            raise InputError(f"{path} cannot be written: permission denied")
        return
    folder = next(each for each in path.absolute().parents if os.path.lexists(each))
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error} ({folder})") from error


def write_text(path: Location, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Location, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically; NaN is refused (JSON has none)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def open_input(path: Location) -> BinaryIO:
    """Open a file that somebody gives for reading, without ever waiting: OSError where it is no regular file.

    Opening a pipe would wait for a writer for ever, and a device such as /dev/zero never ends.
    """
    if isinstance(path, RemotePath):
        return path.open("rb")
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


def read_json(path: Location) -> dict[str, Any]:
    """Read a JSON object; raises InputError, naming the file, where it is missing or is none."""
    try:
        if isinstance(path, RemotePath):
            value = parse_json(path.read_bytes())
        else:
            with open_input(path) as file:
                value = parse_json(file.read())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged: it is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} is damaged: a JSON object was expected")
    return value


def inert(text: str) -> str:
    """``text`` as a cell of a CSV file that no spreadsheet runs as a formula: one gets an apostrophe before it."""
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") or text[:1] in ("\t", "\r") else text


def sha256_of(path: Location) -> str:
    """SHA-256 of a file's bytes in hexadecimal, read in pieces."""
    with location(path).open("rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
        return digest.hexdigest()
