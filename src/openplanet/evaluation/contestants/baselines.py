"""What a model has to beat: locators that know little, fitted on the train split only.

- ``prior_guesses``, ``prior_points``: the fullest cells, or the fullest surroundings, whatever the photo shows;
  ``random_guesses``: places of training photos.
- ``features``: what photos look like, by the kind of hand-made features that Im2GPS used in 2008 (Hays & Efros):
  tiny image, joint colour histogram, oriented gradients, textures. ``standardised`` makes them comparable for
  ``neighbours``; ``different_places`` are the positions of those that look most alike.

Shapes: N photos asked, M training photos, K guesses, F features, S side of the small picture in pixels.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openplanet.earth import geo
from openplanet.earth.partition.adaptive import Partition
from openplanet.earth.partition.best_point import PointFinder
from openplanet.errors import PhotoError
from openplanet.evaluation.contestants.textons import texton_histogram
from openplanet.photos.files import images

Floats = NDArray[np.float64]
Float32s = NDArray[np.float32]

SIDE = 64  # all features come from the photo squeezed to 64x64, as in gist descriptors: layout, not detail
TINY = 16
GRID = 4
ORIENTATIONS = 8
SCALES = (1, 2, 4)
HISTOGRAM_BINS = (4, 14, 14)  # lightness, a, b: Im2GPS's joint histogram
DIFFERENT_PLACE_KM = 1.0  # a second neighbour from the same spot would be no second guess
BATCH = 256
VERSION = 1  # raise it with every change of the features: those of other versions are kept on disks

_BYTE = np.arange(256) / 255.0
_LINEAR = np.where(_BYTE <= 0.04045, _BYTE / 12.92, ((_BYTE + 0.055) / 1.055) ** 2.4).astype(np.float32)
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _TO_XYZ.sum(axis=1)  # D65


def prior_guesses(partition: Partition, lat_M: Floats, lng_M: Floats, photos: int, k: int) -> tuple[Floats, Floats]:
    """The centroids of the ``k`` cells that hold most training photos, for every photo: lat, lng [N, K].

    Without training photos the partition's own counts decide. Missing guesses (fewer cells than k) are NaN.
    """
    counts = partition.count
    if len(lat_M):
        cell_M = partition.assign(lat_M, lng_M)
        counts = np.bincount(cell_M[cell_M >= 0], minlength=len(partition))
    fullest = np.argsort(-counts, kind="stable")[:k]
    lat_NK, lng_NK = np.full((photos, k), np.nan), np.full((photos, k), np.nan)
    lat_NK[:, : len(fullest)] = partition.centroid_lat[fullest]
    lng_NK[:, : len(fullest)] = partition.centroid_lng[fullest]
    return lat_NK, lng_NK


def random_guesses(lat_M: Floats, lng_M: Floats, photos: int, k: int, seed: int = 0) -> tuple[Floats, Floats]:
    """The places of training photos drawn by chance for each photo: lat, lng [N, K]; NaN without any."""
    if len(lat_M) == 0:
        return np.full((photos, k), np.nan), np.full((photos, k), np.nan)
    drawn_NK = np.random.default_rng(seed).integers(len(lat_M), size=(photos, k))
    return lat_M[drawn_NK], lng_M[drawn_NK]


def prior_log_probs(partition: Partition, lat_M: Floats, lng_M: Floats) -> Float32s:
    """The prior as a distribution [C]: each cell's share of the training photos (or of the partition's counts),
    with half a photo more in each, so that no cell is impossible."""
    counts = partition.count
    if len(lat_M):
        cell_M = partition.assign(lat_M, lng_M)
        counts = np.bincount(cell_M[cell_M >= 0], minlength=len(partition))
    return np.asarray(np.log((counts + 0.5) / (counts + 0.5).sum()), np.float32)


def prior_points(
    partition: Partition, log_prob_C: Float32s, photos: int, k: int, distances_km: Sequence[float]
) -> Floats:
    """[D, N, K, 2], lat and lng: for each distance the points with most probability of the prior within it, the best
    first, the same for all photos; NaN for no more."""
    finder, points_DK2 = PointFinder.of(partition), np.full((len(distances_km), k, 2), np.nan)
    for points_K2, km in zip(points_DK2, distances_km, strict=True):
        lat, lng, _ = finder.best_within(np.exp(log_prob_C.astype(np.float64)), km, k)
        points_K2[: len(lat)] = np.column_stack([lat, lng])
    return np.broadcast_to(points_DK2[:, None], (len(distances_km), photos, k, 2))


def rgb_to_lab(rgb: NDArray[np.uint8]) -> Float32s:
    """CIE L*a*b* (D65) of sRGB bytes [..., 3]: L 0..100, a and b about -110..110."""
    xyz = _LINEAR[rgb] @ (_TO_XYZ / _WHITE[:, None]).T.astype(np.float32)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def _pool(values: Float32s, side: int) -> Float32s:
    """Means over a grid of side x side blocks: [N, S, S, ...] -> [N, side, side, ...]."""
    n, s = values.shape[:2]
    shape = (n, side, s // side, side, s // side, *values.shape[3:])
    return np.asarray(values.reshape(shape).mean(axis=(2, 4)))


def _histogram(lab: Float32s) -> Float32s:
    """Joint Lab histogram of each photo, as square roots of shares (Hellinger): [N, bins]."""
    n = len(lab)
    low, high = np.array([0, -70, -70]), np.array([100, 70, 70])
    bins = np.array(HISTOGRAM_BINS)
    index = np.clip((lab - low) / (high - low) * bins, 0, bins - 1).astype(np.int64).reshape(n, -1, 3)
    size = int(bins.prod())
    code = (index[..., 0] * bins[1] + index[..., 1]) * bins[2] + index[..., 2]
    counts = np.bincount((code + np.arange(n)[:, None] * size).ravel(), minlength=n * size)
    return np.asarray(np.sqrt(counts.reshape(n, size) / code.shape[1]), dtype=np.float32)


def _oriented_energy(light: Float32s) -> Float32s:
    """Mean gradient energy per orientation on a 4x4 grid at three scales, after gist: [N, 3*4*4*8]."""
    parts = []
    for scale in SCALES:
        picture = _pool(light, SIDE // scale) if scale > 1 else light
        dy, dx = np.gradient(picture, axis=(1, 2))
        strength = np.hypot(dx, dy)
        # directions a half turn apart are one orientation; each gradient is shared by its two nearest bins
        position = (np.arctan2(dy, dx) % np.pi) / np.pi * ORIENTATIONS
        for orientation in range(ORIENTATIONS):
            away = np.abs((position - orientation + ORIENTATIONS / 2) % ORIENTATIONS - ORIENTATIONS / 2)
            weighed = strength * np.maximum(1 - away, 0)
            parts.append(_pool(weighed, GRID).reshape(len(light), -1))
    return np.sqrt(np.concatenate(parts, axis=1))


def feature_blocks(rgb_NSS3: NDArray[np.uint8]) -> list[Float32s]:
    """The hand-made features of small pictures [N, 64, 64, 3]: tiny image, colours, orientations, textures."""
    lab = rgb_to_lab(rgb_NSS3)
    light = lab[..., 0]
    return [_pool(lab, TINY).reshape(len(lab), -1), _histogram(lab), _oriented_energy(light), texton_histogram(light)]


def blocks_of(joined_NF: Float32s) -> list[Float32s]:
    """The blocks of features that were put side by side."""
    ends = np.cumsum([TINY**2 * 3, np.prod(HISTOGRAM_BINS), len(SCALES) * GRID**2 * ORIENTATIONS])
    return np.split(joined_NF, ends, axis=1)


def _small(photo: bytes) -> NDArray[np.uint8] | None:
    try:
        image = images.load(photo, short_side=2 * SIDE)  # twice the size, so that the squeeze averages
    except PhotoError:
        return None
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=None))


def _batches(photos: Iterable[bytes]) -> Iterator[list[bytes]]:
    source = iter(photos)
    while batch := list(islice(source, BATCH)):
        yield batch


def features(photos: Iterable[bytes]) -> list[Float32s]:
    """Feature blocks, each [N, F], of encoded photos; the row of a photo that cannot be read is NaN.

    About 9 kB of memory per photo; decoding runs in threads (Pillow releases the lock).
    """
    done: list[list[Float32s]] = []
    with ThreadPoolExecutor() as pool:
        for batch in _batches(photos):
            small = list(pool.map(_small, batch))
            blank = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
            blocks = feature_blocks(np.stack([blank if picture is None else picture for picture in small]))
            for block in blocks:
                block[[picture is None for picture in small]] = np.nan
            done.append(blocks)
    return [np.concatenate(blocks) for blocks in zip(*done, strict=True)] if done else []


def standardised(train: list[Float32s], asked: list[Float32s]) -> tuple[Float32s, Float32s]:
    """Join blocks to one vector a photo, dimensions in training deviations, blocks of equal weight.

    Both have the blocks of ``features``; those of ``train`` must all be readable (no NaN).
    """
    joined: tuple[list[Float32s], list[Float32s]] = ([], [])
    for train_MF, asked_NF in zip(train, asked, strict=True):
        mean, deviation = train_MF.mean(axis=0), train_MF.std(axis=0)
        alive = deviation > 1e-6  # a colour that no training photo has says nothing
        for out, block in zip(joined, (train_MF, asked_NF), strict=True):
            out.append((block[:, alive] - mean[alive]) / (deviation[alive] * np.sqrt(max(alive.sum(), 1))))
    return np.concatenate(joined[0], axis=1), np.concatenate(joined[1], axis=1)


def readable(blocks: list[Float32s]) -> NDArray[np.int64]:
    """Rows of feature blocks whose photo could be read."""
    return np.flatnonzero(~np.isnan(np.concatenate(blocks, axis=1)).any(axis=1))


def different_places(index_NS: NDArray[np.int64], lat_M: Floats, lng_M: Floats, k: int) -> tuple[Floats, Floats]:
    """The places [N, K] of the first ``k`` neighbours, each more than 1 km from those before it; NaN for no more."""
    lat_NK, lng_NK = np.full((len(index_NS), k), np.nan), np.full((len(index_NS), k), np.nan)
    for row, order in enumerate(index_NS):
        chosen: list[int] = []
        for index in order[order >= 0].tolist():
            if len(chosen) == k:
                break
            km = geo.distance_km(lat_M[index], lng_M[index], lat_M[chosen], lng_M[chosen])
            if not np.any(km <= DIFFERENT_PLACE_KM):
                chosen.append(index)
        lat_NK[row, : len(chosen)], lng_NK[row, : len(chosen)] = lat_M[chosen], lng_M[chosen]
    return lat_NK, lng_NK
