"""Work in parts: each part is a pure function of the job that writes one file, whole or not at all.

That a part's file is there is the mark that it is done. So a run that was stopped goes on where it stopped, machines
that share a file system can divide the parts among them, and who did a part cannot be told from its bytes.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from openplanet.errors import InputError

Work = Callable[[int], None]
"""Does the part of that number: writes its file."""
Run = Callable[["Job", Sequence[int]], None]
"""A runner: does these parts of a job, in any order."""


class Job(ABC):
    """A job that can be pickled: what it needs that is large is loaded by ``open``."""

    what: str
    """For the progress: "locating"."""

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of parts; they are numbered from 0 on."""

    @abstractmethod
    def open(self) -> Work:
        """Load what the parts need, once for each worker."""

    def is_done(self, part: int) -> bool:
        """Whether the part's file is there; where that is not known without ``open``, work that is done is skipped."""
        return False


@dataclass(frozen=True)
class Share:
    """The parts that one of several machines does: every ``of``-th, from number ``index`` on (1 to ``of``)."""

    index: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> "Share":
        """From "3/8". Raises InputError for anything else."""
        index, slash, of = text.partition("/")
        if not (slash and index.isdecimal() and of.isdecimal() and 1 <= int(index) <= int(of)):
            raise InputError(f"--shard takes i/n with i from 1 to n, such as 3/8, not {text!r}")
        return cls(int(index), int(of))

    def parts(self, count: int) -> range:
        """Of a job of ``count`` parts."""
        return range(self.index - 1, count, self.of)


def threads_asked() -> int:
    """What OMP_NUM_THREADS says; 0 where it says nothing."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdecimal() else 0
