"""What a run wrote, and what was there before: one JSON object a line, on the disk before anything is written.

A line says that a file is about to become another: ``old`` and ``new`` are the SHA-256 of its bytes ("" where there is
no file). Which of the two lies there says whether it did, so that nothing needs to be said afterwards, and a run that
was killed at any moment goes on by reading the journal and the disk.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from openplanet.errors import InputError

NAME = "journal.jsonl"


@dataclass(frozen=True)
class Change:
    """``path``: the file (surrogates for bytes that are no UTF-8), or an asset's id. ``asked``: the tags of the row,
    whatever the file held. ``before``: the stretch of old bytes that is kept for undo (``replacing.keep``), between
    ``head`` and ``tail`` bytes that old and new share. ``times``: (access, modification) of the old file, ns."""

    file: str
    path: str
    old: str
    new: str
    old_values: dict[str, Any]
    new_values: dict[str, Any]
    asked: dict[str, Any]
    before: str = ""
    head: int = 0
    tail: int = 0
    times: tuple[int, int] | None = None
    undo: bool = False

    def __post_init__(self) -> None:
        if self.times is not None:
            object.__setattr__(self, "times", tuple(self.times))


class Journal:
    """The journal of the run in ``folder``. A last line that was cut by a crash had not taken effect: it is dropped."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._mended = False

    def changes(self) -> list[Change]:
        """All of them, the oldest first. Raises InputError where a line in the middle is damaged."""
        return list(self._read())

    def add(self, change: Change) -> None:
        """Append, and return only when it is on the disk."""
        self._mend()
        fresh = not self.path.exists()
        with self.path.open("ab") as file:
            file.write(json.dumps(asdict(change)).encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if fresh:
            sync_folder(self.path.parent)

    def _read(self) -> Iterator[Change]:
        if not self.path.exists():
            return
        lines = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            if line:
                try:
                    yield Change(**json.loads(line))
                except (ValueError, TypeError) as error:
                    if number == len(lines):
                        return
                    raise InputError(f"{self.path}: line {number} is damaged ({error}): nothing is done") from error

    def _mend(self) -> None:
        """Cut off what a crash left of a line."""
        if self._mended or not self.path.exists():
            return
        self._mended = True
        with self.path.open("rb+") as file:
            data = file.read()
            if data and not data.endswith(b"\n"):
                file.truncate(data.rfind(b"\n") + 1)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` last through a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
