"""The contract of an engine: other people's software that runs an exported network on the CPU faster than PyTorch.

An engine is one file here and one line in registry.py. Writing a network needs torch; opening one does not.

Shapes: B photos in a batch, C cells, D embedding, H W pixels, N photos.
"""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from openplanet.errors import InputError
from openplanet.models.preprocess import Pixels

if TYPE_CHECKING:
    from torch import nn

Floats = NDArray[np.float32]
Network = Callable[[Pixels], tuple[Floats, Floats]]
"""uint8 pixels [B, 3, H, W] → scores over the cells [B, C] before the temperature, and embeddings [B, D]."""
INPUT, OUTPUTS = "pixels", ("scores", "embedding")


class Engine(ABC):
    """Software that writes a network in its own form, and runs it. Threads may share a network."""

    extra: ClassVar[str]
    """Of the package: ``pip install 'openplanet[EXTRA]'``."""
    needs: ClassVar[tuple[str, ...]]
    """Modules that running needs."""
    needs_to_write: ClassVar[tuple[str, ...]]
    """Those that writing needs besides."""
    precisions: ClassVar[tuple[str, ...]]

    @abstractmethod
    def write(self, graph: "nn.Module", example_B3HW: Pixels, folder: Path, precision: str, photos: Pixels) -> None:
        """Write files that run ``graph`` (pixels → scores, embedding) for any B into the empty ``folder``.

        ``photos`` [N, 3, H, W]: training photos by which int8 chooses its ranges; N is 0 for other precisions.
        """

    @abstractmethod
    def open(self, folder: Path, precision: str, threads: int) -> Network:
        """The network whose files ``write`` wrote; on so many threads, 0: as many as the engine likes."""

    def installed(self) -> bool:
        """Whether it can run here."""
        return all(importlib.util.find_spec(name) for name in self.needs)

    def check(self, precision: str) -> None:
        """Raise InputError where a network of that precision cannot be written here."""
        if precision not in self.precisions:
            raise InputError(
                f"engine {self.extra} has no precision {precision}: give one of {', '.join(self.precisions)}"
            )
        missing = [name for name in (*self.needs, *self.needs_to_write) if importlib.util.find_spec(name) is None]
        if missing:
            raise InputError(
                f"engine {self.extra} needs packages that are not installed ({', '.join(missing)}):"
                f"  pip install 'openplanet[{self.extra}]'"
            )


def in_batches(photos_N3HW: Pixels, size: int) -> Sequence[Pixels]:
    """The photos, ``size`` at a time."""
    return [photos_N3HW[start : start + size] for start in range(0, len(photos_N3HW), size)]
