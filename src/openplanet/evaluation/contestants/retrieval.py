"""The baselines that look for like pictures, each indexed on the train split: by hand-made features as Im2GPS did,
and by the network's own embedding as Vo et al. (2017) did. What photos of a dataset look like is kept.

Shapes: N photos asked, M training photos, V validation photos, D embedding.
"""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openplanet.evaluation.answers import DENSITY, EMBEDDED, NEAREST, Truth
from openplanet.evaluation.contestants import baselines, neighbours
from openplanet.evaluation.contestants.feature_cache import Photos, remembered
from openplanet.evaluation.measures.metrics import TOP_K
from openplanet.evaluation.testsets.photoset import PhotoSet, read_images, read_truth
from openplanet.inference.locator import Embedder, Locator, checkpoint_of
from openplanet.inference.predictor import DECODE_SIDE
from openplanet.models.album.embedded import weights_sha256
from openplanet.photos.dataset import Dataset
from openplanet.progress import track

Floats = NDArray[np.float64]
Float32s = NDArray[np.float32]
Found = dict[str, tuple[tuple[Floats, Floats], str]]

MOST_TRAIN = 20_000  # training photos that are looked through: about 180 MB of features
MOST_VAL = 500  # validation photos by which the kernel is chosen


class Gallery:
    """Training photos to be found again, spread evenly over the train split where there are very many."""

    def __init__(self, train: Dataset) -> None:
        self.train = train
        truth = read_truth(train, "train", needed=False)
        self.trained = len(truth.lat)
        self.kept = spread(self.trained, MOST_TRAIN)
        self.lat, self.lng = truth.lat[self.kept], truth.lng[self.kept]
        self.val = read_truth(train, "val", needed=False)
        self._val_kept = spread(len(self.val.lat), MOST_VAL)

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def photos(self) -> Photos:
        """The training photos, in the order of ``lat``, ``lng``."""

        def images() -> Iterable[bytes]:
            shown = chosen(read_images(self.train, "train"), self.kept)
            return track(shown, "looking at training photos", total=len(self.kept))

        return Photos(images, self.kept, self.train, "train")

    @property
    def val_photos(self) -> Photos:
        """The validation photos by which the kernel is chosen."""
        return Photos(lambda: chosen(read_images(self.train, "val"), self._val_kept), self._val_kept, self.train, "val")

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


def by_features(gallery: Gallery, photoset: PhotoSet) -> Found:
    """Nearest neighbour, and the densest place among the nearest, on hand-made features: name → guesses, what.
    Nothing where no training photo can be read."""
    train = _features(gallery.photos)
    kept = baselines.readable(train)
    if len(kept) == 0:
        return {}
    train = [block[kept] for block in train]
    lat_M, lng_M = gallery.lat[kept], gallery.lng[kept]
    asked = _features(_shown(photoset, "comparing"))
    train_MF, asked_NF = baselines.standardised(train, asked)
    index_NS, far_NS = neighbours.nearest(train_MF, asked_NF)
    places = baselines.different_places(index_NS, lat_M, lng_M, TOP_K)
    found: Found = {NEAREST: (places, gallery.searched(train_MF))}
    val_VF = np.zeros((0, train_MF.shape[1]), np.float32)
    if len(gallery.val_photos):
        val_VF = baselines.standardised(train, _features(gallery.val_photos))[1]
    found[DENSITY] = _density(gallery, train_MF, lat_M, lng_M, val_VF, index_NS, far_NS)
    return found


def by_embedding(gallery: Gallery, photoset: PhotoSet, predictor: Embedder) -> Found:
    """The densest place among the nearest in the network's embedding (of length 1, so that angles count). Nothing where
    no training photo can be read."""
    train_MD = _embedding(gallery.photos, predictor)
    kept = np.flatnonzero(~np.isnan(train_MD).any(axis=1))
    if train_MD.shape[1] == 0 or len(kept) == 0:
        return {}
    train_MD, lat_M, lng_M = train_MD[kept], gallery.lat[kept], gallery.lng[kept]
    asked_ND = _embedding(_shown(photoset, "comparing embeddings"), predictor)
    index_NS, far_NS = neighbours.nearest(train_MD, asked_ND)
    val_VD = _embedding(gallery.val_photos, predictor)
    return {EMBEDDED: _density(gallery, train_MD, lat_M, lng_M, val_VD, index_NS, far_NS)}


def _shown(photoset: PhotoSet, what: str) -> Photos:
    photos = Photos.of(photoset)
    return replace(photos, images=lambda: track(photoset.images(), what, total=len(photos)))


def _features(photos: Photos) -> list[Float32s]:
    looker = {"what": "hand-made features", "version": baselines.VERSION}
    found = remembered(photos, looker, lambda each: np.hstack(baselines.features(each)), "hand-made features")
    return baselines.blocks_of(found)


def _embedding(photos: Photos, predictor: Embedder) -> Float32s:
    looks = looks_of(predictor)
    if looks is None:
        return embedded(predictor, photos.images())
    return remembered(photos, looks, lambda each: embedded(predictor, each), "embeddings")


def looks_of(locator: Locator) -> dict[str, Any] | None:
    """All that decides the embeddings of a network, and nothing else; None where nothing tells its weights from
    others."""
    checkpoint = checkpoint_of(locator)
    if checkpoint is None:
        return None
    return {
        "what": "embeddings of length 1",
        "weights": weights_sha256(checkpoint.model),
        "image": asdict(checkpoint.image),
        "decoded_at": DECODE_SIDE,
    }


def embedded(predictor: Embedder, photos: Iterable[bytes]) -> Float32s:
    """Embeddings [N, D] of length 1; a row of NaN for a photo that cannot be read."""
    rows = [None if each is None else each.numpy() for each in predictor.embed_many(photos)]
    size = next((len(row) for row in rows if row is not None), 0)
    found = np.stack([np.full(size, np.nan) if row is None else row for row in rows]) if rows else np.zeros((0, size))
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12), np.float32)


def chosen(photos: Iterable[bytes], kept: NDArray[np.int64]) -> Iterable[bytes]:
    """The photos of these indices."""
    wanted = set(kept.tolist())
    return (photo for index, photo in enumerate(photos) if index in wanted)


def spread(total: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` indices below ``total``, evenly spread."""
    return np.linspace(0, total - 1, min(total, most)).astype(np.int64)


def _density(
    gallery: Gallery,
    train_MF: Float32s,
    lat_M: Floats,
    lng_M: Floats,
    val_VF: Float32s,
    index_NS: NDArray[np.int64],
    far_NS: Float32s,
) -> tuple[tuple[Floats, Floats], str]:
    truth = gallery.val_truth
    if len(val_VF) and val_VF.shape[1] == train_MF.shape[1]:
        index_VS, far_VS = neighbours.nearest(train_MF, val_VF)
        kernel = neighbours.fit_kernel(index_VS, far_VS, lat_M, lng_M, truth.lat, truth.lng)
        how = f"chosen on {len(val_VF):,} validation photos"
    else:
        kernel, how = neighbours.Kernel(), "not chosen by data: there is no val split"
    what = f"{gallery.searched(train_MF)}; {kernel.neighbours} neighbours, kernel of {kernel.sigma_km:g} km, {how}"
    return neighbours.densest(index_NS, far_NS, lat_M, lng_M, kernel, TOP_K), what
