"""What every album model is given, and what it answers.

The image model is frozen: an album is the embeddings of its photos in order of capture, what the image model says
of each photo alone, when each was taken, and, where they are known, the cells that some of them lie in (anchors).

Shapes: B albums in a batch, T photos of the longest (shorter ones are padded at the end), C cells, D embedding.
"""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

UNKNOWN = -1
"""In place of a cell index: this photo's position is not given, or lies in no cell."""


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
    """float64, time of capture in seconds by one clock for the whole album; NaN where it is not known."""
    anchor_BT: Tensor
    """int64: the cell of a photo whose position is given to the model; UNKNOWN for all others."""


class AlbumModel(nn.Module):
    """One way to place the photos of an album by each other. Padding never changes an answer.

    ``needs_training``: False where the answer follows from the image model (and statistics of training albums).
    """

    needs_training = True

    @abstractmethod
    def forward(self, albums: Albums) -> Tensor:
        """Log-probabilities over the cells for every photo, float32 [B, T, C], normalised over C; any value at
        padding. At anchors: whatever the model thinks (callers put the given position in its place)."""
