"""What a locator is, and how one is opened: by a folder, by the name of a repository on the Hub, or by another system's
prefix. Evaluation, the commands and every output take any locator; what one of them can do besides is asked here.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from openplanet.earth.partition.adaptive import Partition
from openplanet.inference.engine_predictor import EnginePredictor
from openplanet.inference.engines import exported
from openplanet.inference.located import Located, Photo
from openplanet.models import hub
from openplanet.models.checkpoint_folder import is_album_checkpoint, sound_config
from openplanet.stores.location import Location, is_url

if TYPE_CHECKING:  # what loads torch is imported where it answers
    from torch import Tensor

    from openplanet.inference.album_predictor import AlbumPredictor
    from openplanet.inference.predictor import Predictor
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

    def embed_many(self, photos: Iterable[Photo]) -> Iterator["Tensor | None"]:
        """The embedding [D] (float32, CPU) of each photo, in order; None for one that cannot be read."""


Opener = Callable[[str, str | None], Locator]
"""From what follows the prefix and its colon, and a device (None: the best one), to a locator."""

OPENERS: dict[str, Opener] = {}
"""Other systems by their prefix: ``name:REST`` is opened by ``OPENERS["name"]``, which is set from outside the
package. Models whose weights we can read are checkpoints instead (models/published/)."""


ENGINE = "OPENPLANET_ENGINE"
"""Environment variable: what runs networks where nobody names an engine."""
GPUS = ("/dev/nvidia0", "/dev/kfd")
"""Files that are there where PyTorch may have a GPU (NVIDIA's, AMD's): asking PyTorch would load it."""


def prefix_of(text: Location | str) -> str | None:
    """The prefix of another system's name such as ``name:REST``; None for a folder and for a name on the Hub."""
    prefix, colon, _ = str(text).partition(":")
    return prefix if colon and prefix in OPENERS else None


def is_name(text: Location | str) -> bool:
    """Whether ``open_locator`` takes the text for a name, not for a folder: nothing needs to be on the disk."""
    return prefix_of(text) is not None or str(text).startswith(hub.PREFIX) or is_url(text) or hub.is_kept(text)


def open_locator(text: Location | str, device: str | None = None, engine: str | None = None) -> Locator:
    """Open a checkpoint folder, of photos or of albums, the name of one that was downloaded, one on the Hub
    (``hf:OWNER/NAME``), or a name of ``OPENERS``.

    ``device``: PyTorch's, by default a GPU where there is one. ``engine``: what runs the network ("pytorch",
    "openvino", "onnx-int8"), by default the fastest that `openplanet export` has written into the checkpoint, PyTorch
    where there is none, a device is named, or a GPU is here. Raises CheckpointError, naming the folder, where it is
    missing, incomplete or damaged, and InputError where another system cannot be opened, or the engine is not there.
    """
    prefix = prefix_of(text)
    if prefix is not None:
        return OPENERS[prefix](str(text).partition(":")[2], device)
    folder = hub.resolve(text)
    if is_album_checkpoint(folder):
        from openplanet.inference.album_predictor import AlbumPredictor

        return AlbumPredictor.load(folder, device, engine)
    return open_predictor(folder, device, engine)


def open_predictor(
    folder: Location | str, device: str | None = None, engine: str | None = None
) -> "Predictor | EnginePredictor":
    """``open_locator`` for a checkpoint of single photos."""
    folder = hub.resolve(folder)
    chosen = exported_for(folder, device, engine)
    if chosen is not None:
        return EnginePredictor(folder, chosen)
    from openplanet.inference.predictor import Predictor

    return Predictor.load(folder, device)


def exported_for(folder: Path, device: str | None, engine: str | None) -> exported.Exported | None:
    """The exported network that answers for the checkpoint of single photos in ``folder``, by the rules of
    ``open_locator``; None: PyTorch."""
    engine = engine or os.environ.get(ENGINE) or None
    if engine is None and (device not in (None, "cpu") or any(Path(gpu).exists() for gpu in GPUS)):
        return None
    return exported.choose(folder, sound_config(folder), engine)


def embeds(locator: Locator) -> TypeGuard[Embedder]:
    """Whether the locator gives embeddings, which album models do not."""
    return hasattr(locator, "embed_many")


def places_albums(locator: Locator) -> TypeGuard["AlbumPredictor"]:
    """Whether the locator takes the photos that it is given for one album, and places each by the others."""
    if isinstance(locator, EnginePredictor):
        return False
    from openplanet.inference.album_predictor import AlbumPredictor

    return isinstance(locator, AlbumPredictor)


def reads_features(locator: Locator) -> TypeGuard["Predictor"]:
    """Whether the locator answers from the features of its backbone, which are kept beside a dataset."""
    from openplanet.inference.predictor import Predictor

    return isinstance(locator, Predictor)


def checkpoint_of(locator: Locator) -> "Checkpoint | None":
    """The image checkpoint that answers (and embeds) alone; None for album models and for other systems."""
    from openplanet.models.checkpoint import Checkpoint

    checkpoint = getattr(locator, "checkpoint", None)
    return checkpoint if isinstance(checkpoint, Checkpoint) else None


def trained_on(locator: Locator) -> list[Mapping[str, Any] | None]:
    """What the checkpoints of a locator say of their training data (an album model's, then its image model's); None
    for a locator that says nothing of it."""
    if places_albums(locator):
        return [locator.training, *trained_on(locator.predictor)]
    checkpoint = checkpoint_of(locator)
    return [None if checkpoint is None else checkpoint.training]
