"""What apply and undo share over files and servers: who holds the run, which rows are chosen, what was done."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from openplanet.errors import InputError
from openplanet.geotagging.run import Row, Run

LOCK = "lock"


@dataclass
class Outcome:
    """What was done, by the files' names. ``skipped``: (file, reason)."""

    done: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def alone(run: Run) -> Iterator[None]:
    """Hold the run: two at once would each take the other's files for somebody else's. Raises InputError."""
    with (run.folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{run.folder} is being applied or undone by another process: wait for it") from None
        yield


def chosen(run: Run, least: float | None) -> list[Row]:
    """The rows to write: accepted ones, and undecided ones of at least the probability ``least``."""
    return [
        row for row in run.rows
        if row.accept == "yes"
        or (not row.accept and least is not None and row.probability is not None and row.probability >= least)
    ]  # fmt: skip
