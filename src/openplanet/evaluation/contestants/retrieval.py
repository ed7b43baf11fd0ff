"""The baselines that look for like pictures, each indexed on the train split: by hand-made features as Im2GPS did,
and by the network's own embedding as Vo et al. (2017) did. What photos of a dataset look like is kept.

Shapes: N photos asked, M training photos, V validation photos, D embedding.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openplanet.evaluation.answers import DENSITY, EMBEDDED, EMBEDDED_NEAREST, NEAREST, Answers, Truth
from openplanet.evaluation.contestants import baselines, neighbours
from openplanet.evaluation.contestants.neighbours import Kernel, Kernels
from openplanet.evaluation.measures.metrics import DISTANCES_KM, TOP_K
from openplanet.evaluation.testsets.photoset import PhotoSet, read_images, read_truth
from openplanet.inference.locator import Embedder, checkpoint_of
from openplanet.models import features
from openplanet.photos.dataset import Dataset

Floats = NDArray[np.float64]
Float32s = NDArray[np.float32]
Found = dict[str, Answers]
"""By the name of the row; ``what`` says how it was found."""

MOST_TRAIN = 20_000  # training photos that are looked through: about 180 MB of features
MOST_VAL = 500  # validation photos by which the kernel is chosen


@dataclass(frozen=True)
class Shown:
    """Photos to be looked at; of those of a ``dataset`` what is seen is kept beside it."""

    photo_ids: Sequence[str]
    images: Callable[[], Iterable[bytes]]
    dataset: Dataset | None = None
    split: str = ""

    def __len__(self) -> int:
        return len(self.photo_ids)

    @classmethod
    def of(cls, photoset: PhotoSet) -> "Shown":
        """All photos of a set."""
        return cls(photoset.truth.photo_id, photoset.images, photoset.dataset, photoset.split)


class Gallery:
    """Training photos to be found again, spread evenly over the train split where there are very many."""

    def __init__(self, train: Dataset) -> None:
        self.train = train
        truth = read_truth(train, "train", needed=False)
        self.trained = len(truth.lat)
        self.kept = spread(self.trained, MOST_TRAIN)
        self._photo_ids = truth.photo_id
        self.lat, self.lng = truth.lat[self.kept], truth.lng[self.kept]
        self.val = read_truth(train, "val", needed=False)
        self._val_kept = spread(len(self.val.lat), MOST_VAL)

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def photos(self) -> "Shown":
        """The training photos, in the order of ``lat``, ``lng``."""
        return self._shown("train", self._photo_ids, self.kept)

    @property
    def val_photos(self) -> "Shown":
        """The validation photos by which the kernel is chosen."""
        return self._shown("val", self.val.photo_id, self._val_kept)

    def _shown(self, split: str, photo_ids: Sequence[str], kept: NDArray[np.int64]) -> "Shown":
        ids = [photo_ids[row] for row in kept.tolist()]
        return Shown(ids, lambda: chosen(read_images(self.train, split), kept), self.train, split)

    def searched(self, index_MF: Float32s) -> str:
        """How many photos are searched, in words, and what their features take in memory."""
        photos = f"{len(index_MF):,} training photos"
        if len(self.kept) < self.trained:
            photos = f"{len(index_MF):,} of {self.trained:,} training photos, evenly spread"
        return f"{photos}, {max(1, round(index_MF.nbytes / 1e6)):,} MB"

    @property
    def val_truth(self) -> Truth:
        """Where those were taken."""
        return self.val.part(self._val_kept)


def by_features(gallery: Gallery, photoset: PhotoSet, distances_km: Sequence[float] = DISTANCES_KM) -> Found:
    """Nearest neighbour, and the densest place among the nearest, on hand-made features. Nothing where no training
    photo can be read. ``distances_km``: by which kernels are chosen, and for which the density names points."""
    train = _features(gallery.photos)
    kept = baselines.readable(train)
    if len(kept) == 0:
        return {}
    train = [block[kept] for block in train]
    lat_M, lng_M = gallery.lat[kept], gallery.lng[kept]
    asked = _features(Shown.of(photoset))
    train_MF, asked_NF = baselines.standardised(train, asked)
    val_VF = np.zeros((0, train_MF.shape[1]), np.float32)
    if len(gallery.val_photos):
        val_VF = baselines.standardised(train, _features(gallery.val_photos))[1]
    searched = _Searched(gallery, train_MF, lat_M, lng_M, val_VF, tuple(distances_km))
    return searched.answers(asked_NF, NEAREST, DENSITY)


def by_embedding(
    gallery: Gallery, photoset: PhotoSet, predictor: Embedder, distances_km: Sequence[float] = DISTANCES_KM
) -> Found:
    """The same in the network's embedding (of length 1, so that angles count)."""
    train_MD = _embedding(gallery.photos, predictor)
    kept = np.flatnonzero(~np.isnan(train_MD).any(axis=1))
    if train_MD.shape[1] == 0 or len(kept) == 0:
        return {}
    train_MD, lat_M, lng_M = train_MD[kept], gallery.lat[kept], gallery.lng[kept]
    searched = _Searched(
        gallery, train_MD, lat_M, lng_M, _embedding(gallery.val_photos, predictor), tuple(distances_km)
    )
    return searched.answers(_embedding(Shown.of(photoset), predictor), EMBEDDED_NEAREST, EMBEDDED)


def _features(photos: Shown) -> list[Float32s]:
    if photos.dataset is None:
        return baselines.features(photos.images())
    key = {"what": "hand-made features", "version": baselines.VERSION}
    seen = features.of_photos(photos.dataset, photos.split, _look_by_hand, key, photo_ids=photos.photo_ids)
    if not seen.photo_ids:  # and so nothing says how many features there are
        return baselines.features([b""] * len(photos))
    return baselines.blocks_of(seen.rows(photos.photo_ids))


def _look_by_hand(encoded: Sequence[bytes]) -> list[Tensor | None]:
    rows_NF = torch.from_numpy(np.hstack(baselines.features(encoded)))
    return [None if row_F.isnan().any() else row_F for row_F in rows_NF]


def _embedding(photos: Shown, embedder: Embedder) -> Float32s:
    """Embeddings [N, D] of length 1; a row of NaN for a photo that cannot be read."""
    checkpoint = checkpoint_of(embedder)
    if photos.dataset is not None and checkpoint is not None:
        model = checkpoint.model
        seen = features.of_embedding(photos.dataset, photos.split, model, photo_ids=photos.photo_ids)
        found = seen.rows(photos.photo_ids)
    else:
        rows = list(embedder.embed_many(photos.images()))
        size = next((len(row) for row in rows if row is not None), 0)
        found = np.array([np.full(size, np.nan) if row is None else row.numpy() for row in rows], np.float32)
        found = found.reshape(len(rows), size)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12), np.float32)


def chosen(photos: Iterable[bytes], kept: NDArray[np.int64]) -> Iterable[bytes]:
    """The photos of these indices."""
    wanted = set(kept.tolist())
    return (photo for index, photo in enumerate(photos) if index in wanted)


def spread(total: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` indices below ``total``, evenly spread."""
    return np.linspace(0, total - 1, min(total, most)).astype(np.int64)


@dataclass(frozen=True)
class _Searched:
    """Training photos by their features, and the validation photos by which kernels are chosen."""

    gallery: Gallery
    train_MF: Float32s
    lat_M: Floats
    lng_M: Floats
    val_VF: Float32s
    distances_km: tuple[float, ...]

    def answers(self, asked_NF: Float32s, nearest: str, density: str) -> Found:
        """The places of the nearest, and the densest places, also for each distance by itself."""
        index_NS, far_NS = neighbours.nearest(self.train_MF, asked_NF)
        places = baselines.different_places(index_NS, self.lat_M, self.lng_M, TOP_K)
        searched = self.gallery.searched(self.train_MF)
        kernels, how = self._kernels()
        dense = {
            kernel: neighbours.densest(index_NS, far_NS, self.lat_M, self.lng_M, kernel, TOP_K)
            for kernel in {kernels.first, *kernels.each}
        }
        points_DNK2 = np.stack([np.stack(dense[kernel], axis=2) for kernel in kernels.each])
        what = f"{searched}; {kernels.first.text}, {how}"
        return {
            nearest: Answers(nearest, searched, *places),
            density: Answers(density, what, *dense[kernels.first], points_DNK2=points_DNK2),
        }

    def _kernels(self) -> tuple[Kernels, str]:
        """The kernels, and how they were chosen."""
        truth = self.gallery.val_truth
        if not (len(self.val_VF) and self.val_VF.shape[1] == self.train_MF.shape[1]):
            default = Kernel()
            return Kernels(default, (default,) * len(self.distances_km)), "not chosen by data: there is no val split"
        near = neighbours.nearest(self.train_MF, self.val_VF)
        kernels = neighbours.fit_kernels(*near, self.lat_M, self.lng_M, truth.lat, truth.lng, self.distances_km)
        return kernels, f"chosen on {len(self.val_VF):,} validation photos"
