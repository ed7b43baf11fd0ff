"""Asking an album model about every album, and what comes of it: guesses for every photo of the set.

Shapes: N photos of the set, T photos of an album, C cells, D distances.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from openplanet.earth.partition.adaptive import Partition
from openplanet.evaluation.contestants.anchors import Mask, draw
from openplanet.evaluation.contestants.asking import Answers, Collector
from openplanet.evaluation.measures import metrics
from openplanet.evaluation.rows import Truth
from openplanet.inference.best_point import PointFinder
from openplanet.inference.prediction import Prediction
from openplanet.models.album.base import Albums
from openplanet.models.album.embedded import EmbeddedAlbum, batch
from openplanet.models.checkpoint import Checkpoint

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
AlbumAnswer = Callable[[Albums], torch.Tensor]
"""From a batch of albums to log-probabilities [B, T, C]."""


@dataclass(frozen=True)
class AlbumSet:
    """The albums of a split as the image model sees them, and the truth about its located photos [N].

    Photos that cannot be decoded are in ``truth`` and in no album: no variant has a guess for them.
    """

    truth: Truth
    albums: tuple[EmbeddedAlbum, ...]
    image: Checkpoint
    distances_km: tuple[float, ...]

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


@dataclass(frozen=True)
class Guesses:
    """``lat_N``, ``lng_N``: the likeliest cell's centroid. ``points_DN2``: the point with most probability within each
    distance. NaN for a photo that could not be read. ``entropy_N``: of the distribution, in nats."""

    lat_N: Floats
    lng_N: Floats
    points_DN2: Floats
    entropy_N: Floats

    def first_hits(self, truth: Truth, distances_km: Sequence[float]) -> Floats:
        """0 or 1 [N, D]: whether the first guess lies within each distance of the truth."""
        km_N = metrics.distances(self.lat_N[:, None], self.lng_N[:, None], truth.lat, truth.lng)
        return np.asarray((km_N <= np.asarray(distances_km)).astype(np.float64))

    def point_hits(self, truth: Truth, distances_km: Sequence[float]) -> Floats:
        """0 or 1 [N, D]: whether the point that was chosen for each distance lies within it."""
        found = [
            metrics.distances(at_N2[:, :1], at_N2[:, 1:], truth.lat, truth.lng)[:, 0] <= km
            for at_N2, km in zip(self.points_DN2, distances_km, strict=True)
        ]
        return np.stack(found, axis=1).astype(np.float64)


def single(albums: Albums) -> torch.Tensor:
    """The image model's word on each photo alone; anchors change nothing."""
    return albums.log_probs_BTC


def ask(albums: AlbumSet, answer: AlbumAnswer, anchors: Iterable[Mask] | None = None) -> Guesses:
    """Guesses for all photos, one album in memory at a time; each album stands by itself."""
    count = len(albums.truth.lat)
    lat_N, lng_N, entropy_N = (np.full(count, np.nan) for _ in range(3))
    points_DN2 = np.full((len(albums.distances_km), count, 2), np.nan)
    finder, p = PointFinder(albums.partition), albums.partition
    for rows, log_probs_TC in _told(albums, answer, anchors):
        for row, log_probs_C in zip(rows.tolist(), log_probs_TC.astype(np.float64), strict=True):
            probability_C = np.exp(log_probs_C)
            best = int(probability_C.argmax())
            lat_N[row], lng_N[row] = p.centroid_lat[best], p.centroid_lng[best]
            entropy_N[row] = -(probability_C * np.maximum(log_probs_C, -1e3)).sum()
            for distance, km in enumerate(albums.distances_km):
                lat_K, lng_K, _ = finder.best_within(probability_C, km)
                points_DN2[distance, row] = lat_K[0], lng_K[0]
    return Guesses(lat_N, lng_N, points_DN2, entropy_N)


def ask_all(albums: AlbumSet, answer: AlbumAnswer, coarser: Sequence[Partition] = ()) -> Answers:
    """What ``locating.ask`` finds of a model of single photos: five guesses, and what the probabilities are worth,
    also at the levels ``coarser``."""
    answers = Collector(albums.partition, coarser, albums.truth, albums.distances_km)
    for rows, log_probs_TC in _told(albums, answer):
        answers.add(rows.tolist(), [Prediction(albums.partition, log_probs_C) for log_probs_C in log_probs_TC])
    return answers.finish()


def _told(
    albums: AlbumSet, answer: AlbumAnswer, anchors: Iterable[Mask] | None = None
) -> Iterator[tuple[Ints, NDArray[np.float32]]]:
    """Of each album that has located photos: their rows, and the model's log-probabilities [T, C] of them."""
    masks = [None] * len(albums.albums) if anchors is None else list(anchors)
    for album, mask in zip(albums.albums, masks, strict=True):
        places, rows = albums.rows(album)
        if len(rows) == 0:
            continue
        given = None if mask is None else [mask]
        one = batch([album], albums.image.model, albums.partition, given, albums.image.calibration.temperature)
        with torch.inference_mode():
            yield rows, answer(one)[0].float().cpu().numpy()[places]
