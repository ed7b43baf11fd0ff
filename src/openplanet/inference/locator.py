"""What a locator is, and how one is opened: by a folder, by the name of a repository on the Hub, or by another system's
prefix. Evaluation, the commands and every output take any locator; what one of them can do besides is asked here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeGuard

from torch import Tensor

from openplanet.earth.partition.adaptive import Partition
from openplanet.inference.album_predictor import AlbumPredictor
from openplanet.inference.located import Located, Photo
from openplanet.inference.predictor import Predictor
from openplanet.models import hub
from openplanet.models.album.checkpoint import is_album_checkpoint
from openplanet.models.checkpoint import Checkpoint


class Locator(Protocol):
    """Says where photos were taken: ``Predictor``, ``AlbumPredictor``, or another system's model in their clothes."""

    @property
    def partition(self) -> Partition:
        """The cells that its predictions are over."""

    @property
    def coarser(self) -> Sequence[Partition]:
        """The partitions of its coarser levels, coarse to fine; none for a locator of one level."""

    @property
    def provenance(self) -> dict[str, Any]:
        """Which model answers, for those who read the answers: values that JSON can hold."""

    def locate_many(self, photos: Iterable[Photo]) -> Iterator[Located]:
        """An answer for each photo, in order; one that cannot be read has an error in place of a prediction."""


class Embedder(Locator, Protocol):
    """A locator that also gives what its network sees of a photo."""

    def embed_many(self, photos: Iterable[Photo]) -> Iterator[Tensor | None]:
        """The embedding [D] (float32, CPU) of each photo, in order; None for one that cannot be read."""


Opener = Callable[[str, str | None], Locator]
"""From what follows the prefix and its colon, and a device (None: the best one), to a locator."""

OPENERS: dict[str, Opener] = {}
"""Other systems by their prefix: ``name:REST`` is opened by ``OPENERS["name"]``, which is set from outside the
package. Models whose weights we can read are checkpoints instead (models/published/)."""


def prefix_of(text: Path | str) -> str | None:
    """The prefix of another system's name such as ``name:REST``; None for a folder and for a name on the Hub."""
    prefix, colon, _ = str(text).partition(":")
    return prefix if colon and prefix in OPENERS else None


def is_name(text: Path | str) -> bool:
    """Whether ``open_locator`` takes the text for a name, not for a folder: nothing needs to be on the disk."""
    return prefix_of(text) is not None or str(text).startswith(hub.PREFIX) or hub.is_kept(text)


def open_locator(text: Path | str, device: str | None = None) -> Locator:
    """Open a checkpoint folder, of photos or of albums, the name of one that was downloaded, one on the Hub
    (``hf:OWNER/NAME``), or a name of ``OPENERS``.

    ``device`` defaults to a GPU where there is one. Raises CheckpointError, naming the folder, where it is missing,
    incomplete or damaged, and InputError where another system cannot be opened.
    """
    prefix = prefix_of(text)
    if prefix is not None:
        return OPENERS[prefix](str(text).partition(":")[2], device)
    folder = hub.resolve(text)
    return AlbumPredictor.load(folder, device) if is_album_checkpoint(folder) else Predictor.load(folder, device)


def embeds(locator: Locator) -> TypeGuard[Embedder]:
    """Whether the locator gives embeddings, which album models do not."""
    return hasattr(locator, "embed_many")


def places_albums(locator: Locator) -> TypeGuard[AlbumPredictor]:
    """Whether the locator takes the photos that it is given for one album, and places each by the others."""
    return isinstance(locator, AlbumPredictor)


def reads_features(locator: Locator) -> TypeGuard[Predictor]:
    """Whether the locator answers from the features of its backbone, which are kept beside a dataset."""
    return isinstance(locator, Predictor)


def checkpoint_of(locator: Locator) -> Checkpoint | None:
    """The image checkpoint that answers (and embeds) alone; None for album models and for other systems."""
    checkpoint = getattr(locator, "checkpoint", None)
    return checkpoint if isinstance(checkpoint, Checkpoint) else None


def trained_on(locator: Locator) -> list[Mapping[str, Any] | None]:
    """What the checkpoints of a locator say of their training data (an album model's, then its image model's); None
    for a locator that says nothing of it."""
    if places_albums(locator):
        return [locator.training, *trained_on(locator.predictor)]
    checkpoint = checkpoint_of(locator)
    return [None if checkpoint is None else checkpoint.training]
