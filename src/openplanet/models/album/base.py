"""What every album model is given, and what it answers.

The image model is frozen: an album is the embeddings of its photos in order of capture, what the image model says
of each photo alone, when each was taken, and, where they are known, the cells that some of them lie in (anchors).

Shapes: B albums in a batch, T photos of the longest (shorter ones are padded at the end), C cells, D embedding.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Self

import torch
from pydantic import Field, ModelWrapValidatorHandler, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass
from torch import Tensor, nn
from typing_extensions import TypedDict  # pydantic reads typing's only from Python 3.12 on

from openplanet import fields
from openplanet.earth.partition.adaptive import Partition
from openplanet.models.calibration import Calibration

if TYPE_CHECKING:  # embedded.py makes batches of what stands here
    from openplanet.models.album.embedded import EmbeddedAlbum
    from openplanet.models.checkpoint import Checkpoint

UNKNOWN = -1
"""In place of a cell index: this photo's position is not given, or lies in no cell."""
ROWS = 256  # photos whose answers are calibrated at a time


@dataclass(frozen=True)
class Albums:
    """A batch of albums, photos in order of capture."""

    embedding_BTD: Tensor
    """float32, the image model's layer before the softmax; 0 at padding."""
    log_probs_BTC: Tensor
    """float32, what the image model says of each photo alone; uniform at padding."""
    present_BT: Tensor
    """bool: False at padding."""
    seconds_BT: Tensor
    """float64, on the CPU (not every device has float64): time of capture in seconds by one clock for the whole album;
    NaN where it is not known."""
    anchor_BT: Tensor
    """int64: the cell of a photo whose position is given to the model; UNKNOWN for all others."""


Width = Annotated[int, Field(ge=1, le=1 << 13)]
Layers = Annotated[int, Field(ge=1, le=32)]
Dropout = fields.BelowOne
Scale = Annotated[float, Field(ge=1e-6, le=1e3)]


class Options(TypedDict, total=False):
    """What some variants alone know, keyword arguments of their classes: a checkpoint of a stranger gives them."""

    __pydantic_config__ = fields.CONFIG  # type: ignore[misc]

    window: Annotated[int, Field(ge=2, le=10_000)]
    heads: Annotated[int, Field(ge=1, le=256)]
    delay: Annotated[int, Field(ge=0, le=64)]
    top: Annotated[int, Field(ge=1, le=4096)]
    exponent: Scale
    own: Scale | None
    jump: Annotated[float, Field(ge=1e-12, le=1 - 1e-12)]


@checked_dataclass(frozen=True, config=fields.CONFIG)
class AlbumConfig:
    """All that is needed to build an album model again, apart from partition, embedding and weights."""

    variant: str
    """Its name in ``registry.ALBUM_MODELS``."""
    width: Width = 256
    """Hidden units, of each direction where there are two."""
    layers: Layers = 1
    """Layers, one above the other."""
    dropout: Dropout = 0.0
    """Share of inputs and hidden units that are set to zero while training."""
    residual: bool = False
    """Add to the image model's log-probabilities of each photo, and see them, instead of starting from nothing."""
    options: Options = field(default_factory=Options)
    """What this variant alone knows: keyword arguments of its class."""

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, values: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        known = cls.__dataclass_fields__
        return fields.checked("Album model", known, values, build)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class AlbumCalibration:
    """How sure an album model may be: photos of one place look alike, and a model that takes them for independent
    witnesses is far too sure. Given positions leave less to be wrong about, so that albums with some have their own."""

    alone: Calibration = field(default_factory=Calibration)
    """Of albums none of whose photos has a given position."""
    anchored: Calibration = field(default_factory=Calibration)

    def of(self, anchors: bool) -> Calibration:
        """The one for albums with or without given positions."""
        return self.anchored if anchors else self.alone


class AlbumModel(nn.Module):
    """One way to place the photos of an album by each other. Padding never changes an answer, nor do the albums that
    stand beside it in the batch.

    Made with (partition, width of the embedding, AlbumConfig, **AlbumConfig.options), on the CPU.
    ``needs_training``: False where the answer follows from the image model (and statistics of training albums).
    ``reads_log_probs``: False where ``Albums.log_probs_BTC`` may be without cells.
    ``reads_times``: True where the answer depends on ``Albums.seconds_BT``, not on the order of the photos alone.
    """

    needs_training = True
    reads_log_probs = True
    reads_times = False

    def __init__(self, partition: Partition, embedding_dim: int, config: AlbumConfig) -> None:
        super().__init__()
        self.num_cells, self.embedding_dim, self.config = len(partition), embedding_dim, config
        self.calibration = AlbumCalibration()

    def fit_statistics(self, albums: "Sequence[EmbeddedAlbum]", image: "Checkpoint") -> None:
        """Take what the model wants to know of the training albums, and of what ``image`` says of their photos, before
        anything is trained: into buffers or parameters, which the checkpoint keeps. Nothing by default."""

    def answer(self, albums: Albums) -> Tensor:
        """What ``forward`` says, as sure as it may be: log-probabilities [B, T, C], float32."""
        scores_BTC = self(albums)
        given_B = (albums.anchor_BT != UNKNOWN).any(dim=1).tolist()
        # in the place of the scores, where nobody else holds them: of 5,000 photos and 26,000 cells each copy is 0.5 GB
        own = scores_BTC.is_contiguous() and scores_BTC.data_ptr() != albums.log_probs_BTC.data_ptr()
        own = own and scores_BTC.dtype == torch.float32 and not scores_BTC.requires_grad
        told_BTC = scores_BTC if own else torch.empty_like(scores_BTC, dtype=torch.float32)
        for row, given in enumerate(given_B):
            calibration = self.calibration.of(given)
            for start in range(0, scores_BTC.shape[1], ROWS):  # some photos at a time: copies of all are large
                part = slice(start, start + ROWS)
                told_BTC[row, part] = calibration.log_probs(scores_BTC[row, part])
        return told_BTC

    @abstractmethod
    def forward(self, albums: Albums) -> Tensor:
        """Log-probabilities over the cells for every photo, float32 [B, T, C], normalised over C; any value at
        padding. At anchors: whatever the model thinks (callers put the given position in its place)."""
