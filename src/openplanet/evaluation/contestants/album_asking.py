"""The albums of a set, and what an album model says of them: it comes album by album, with or without anchors.

Shapes: N photos of the set, T photos of an album, C cells.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from openplanet.earth.partition.adaptive import Partition
from openplanet.evaluation.answers import Answers, Truth
from openplanet.evaluation.contestants.asking import Told, collect
from openplanet.evaluation.testsets.photoset import read_truth
from openplanet.inference.prediction import Prediction
from openplanet.models.album.anchors import Mask, draw
from openplanet.models.album.base import AlbumModel, Albums
from openplanet.models.album.embedded import EmbeddedAlbum, batch, embedded_albums
from openplanet.models.checkpoint import Checkpoint
from openplanet.photos.dataset import Dataset

Ints = NDArray[np.int64]
AlbumAnswer = Callable[[Albums], torch.Tensor]
"""From a batch of albums to log-probabilities [B, T, C]; an AlbumModel is asked for its calibrated ``answer``."""


@dataclass(frozen=True)
class AlbumSet:
    """The albums of a split as the image model sees them, and the truth about its located photos [N].

    Photos that cannot be decoded are in ``truth`` and in no album: no variant has a guess for them.
    """

    truth: Truth
    albums: tuple[EmbeddedAlbum, ...]
    image: Checkpoint
    distances_km: tuple[float, ...]

    @classmethod
    def of(
        cls, dataset: Dataset, split: str, image: Checkpoint, distances_km: Sequence[float], needed: bool = True
    ) -> "AlbumSet":
        """Those of a split; DatasetError where ``needed`` and no photo of it has a position."""
        truth = read_truth(dataset, split, needed)
        return cls(truth, tuple(embedded_albums(dataset, split, image)), image, tuple(distances_km))

    @property
    def partition(self) -> Partition:
        """The cells that answers are over."""
        return self.image.partition

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The row in ``truth`` of each photo_id."""
        return {photo_id: row for row, photo_id in enumerate(self.truth.photo_id)}

    def rows(self, album: EmbeddedAlbum) -> tuple[Ints, Ints]:
        """Places in the album of its located photos, and their rows in ``truth``."""
        places = [place for place, name in enumerate(album.photo_ids) if name in self.row_of]
        return np.array(places, np.int64), np.array([self.row_of[album.photo_ids[p]] for p in places], np.int64)

    def anchors(self, share: float) -> tuple[Mask, ...]:
        """For each album the photos whose position is given; the same for all who ask."""
        return tuple(draw(album, share) for album in self.albums)


def single(albums: Albums) -> torch.Tensor:
    """The image model's word on each photo alone; anchors change nothing."""
    return albums.log_probs_BTC


def told(albums: AlbumSet, answer: AlbumAnswer, anchors: Iterable[Mask] | None = None) -> Told:
    """What an album model says of all photos, as ``asking.collect`` takes it: one album in memory at a time, each by
    itself, its located photos with their predictions."""
    masks = [None] * len(albums.albums) if anchors is None else list(anchors)
    for album, mask in zip(albums.albums, masks, strict=True):
        places, rows = albums.rows(album)
        if len(rows) == 0:
            continue
        given = None if mask is None else [mask]
        one = batch([album], albums.image.model, albums.partition, given, albums.image.calibration.temperature)
        with torch.inference_mode():
            told_BTC = answer.answer(one) if isinstance(answer, AlbumModel) else answer(one)
        log_probs_TC = told_BTC[0].float().cpu().numpy()[places]
        yield rows.tolist(), [Prediction(albums.partition, log_probs_C) for log_probs_C in log_probs_TC]


def first_guesses(albums: AlbumSet, answer: AlbumAnswer, anchors: Iterable[Mask] | None = None) -> Answers:
    """One guess for each photo and, where the set has distances, one point for each of these; not scored."""
    return collect(told(albums, answer, anchors), albums.truth, albums.partition, albums.distances_km, k=1)
