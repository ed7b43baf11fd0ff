"""Work in parts: each part is a pure function of the job that writes one file, whole or not at all.

That a part's file is there is the mark that it is done. So a run that was stopped goes on where it stopped, machines
that share a file system can divide the parts among them, and who did a part cannot be told from its bytes.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from openplanet.errors import InputError
from openplanet.stores.location import Location, RemotePath, listing

Work = Callable[[Any], None]
"""Does the part that it is given (``Job.given``): writes its file."""
Run = Callable[["Job", Sequence[int]], None]
"""A runner: does these parts of a job, in any order."""


class Job(ABC):
    """A job in parts. Workers get it pickled (``for_workers``), and call ``open`` once each."""

    what: str
    """For the progress: "locating"."""
    unit: ClassVar[str] = "part"
    """What the progress counts (``size``)."""
    on_gpu: ClassVar[bool] = False
    """Whether its workers use a GPU, where there is one."""
    preload: ClassVar[tuple[str, ...]] = ()
    """Modules that local processes import once for all."""

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of parts; they are numbered from 0 on."""

    @abstractmethod
    def open(self) -> Work:
        """Load what the parts need, once for each worker."""

    @property
    def processes(self) -> int:
        """Local processes that do parts; 0: this one, whose threads use all cores."""
        return 0

    def for_workers(self) -> "Job":
        """The job without what is large and reaches workers part by part."""
        return self

    def given(self, part: int) -> Any:
        """What a worker is given of a part; small, and it can be pickled."""
        return part

    def size(self, part: int) -> int:
        """How far a part takes the progress."""
        return 1

    def done(self, parts: Sequence[int]) -> Collection[int]:
        """Those of ``parts`` whose files are there, by one listing; where that is not known without ``open``, none:
        their work is skipped there."""
        return ()

    def give_up(self, part: int, reason: str) -> None:
        """Called here where a part ends every process that does it. Raises InputError, unless the job knows better."""
        raise InputError(f"part {part} {reason}")


def listed(folder: Location) -> set[str]:
    """The names in a folder of parts; none where there is no such folder."""
    if isinstance(folder, RemotePath):
        return set(listing(folder))
    try:
        return set(os.listdir(folder))  # noqa: PTH208 (names, of a quarter of a million files)
    except FileNotFoundError:
        return set()


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
