"""Near-duplicates: the same picture saved smaller, brighter, re-encoded or with its edges cut.

A 64-bit difference hash finds the suspects and a 16 x 16 grey thumbnail decides. The hash alone is not
enough: among 6,372 real photos split by album it accused 15 at 6 bits and 295 at 10, all of them other places of
the same layout (a bright gap between dark trees, a beach below the sky); with the thumbnail none is left.
Shapes: K photos that are kept, N photos that are checked against them, P
pairs, 256 grey values of a thumbnail.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from openplanet.photos.ingest import hash_pairs

MAX_DISTANCE = 10
"""Hamming distance of dhashes up to which a pair is looked at: over 99 % of copies re-encoded at half size,
brightened, or with 2 % cut off every edge are within it; half of those with 5 % cut off."""

MIN_CORRELATION = 0.93
"""Of thumbnails: over 0.98 for 99 % of copies re-encoded at half size or brightened by 1.3, over 0.94 for
those with 2 % cut off; among 364 suspects that were different photos the highest was 0.918."""

MIN_CONTRAST = 2.0
"""Standard deviation of a thumbnail's grey values (0..255) below which it is a blank, and matches nothing."""

MAX_UPWARD = 12
"""Distance of upward hashes up to which thumbnails of millions of photos are compared at all: of copies re-encoded at
half size, brightened, with more contrast or 2 % cut off every edge all 1,597 measured were within 10 (5 % cut off: 99 %
within 12); of real strangers with near dhashes 5 %. So thumbnails, which may lie on a disk, are seldom needed."""

SIDE = 16
EXACT_PAIRS = 4_000_000_000  # pairs of hashes; some seconds
_PAIRS = 1 << 14  # thumbnails at a time, so that they stay in the cache
_BLOCK = 1 << 18  # distances at a time, so that they stay in the cache
_ROWS = 1 << 14  # thumbnails read at a time
_SUMS = np.kron(
    np.eye(8, dtype=np.float32), np.ones(2, np.float32)
)  # [8, 16]: sums of each two of 16 rows (or columns)
_DOWNWARD = np.kron(_SUMS[:-1] - _SUMS[1:], _SUMS).T  # [256, 56]: 2 x 2 sums of a thumbnail less those below them


Pairs = Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]


def thumbnail(image: Image.Image) -> bytes:
    """The picture as 16 x 16 grey values, row by row."""
    return image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX).tobytes()


@dataclass(frozen=True)
class Thumbnails:
    """Rows ``at_N`` of ``grey`` [M, 256], which may be a file mapped into memory: only those asked for are
    read."""

    grey: npt.NDArray[np.uint8]
    at_N: npt.NDArray[np.int64]

    def __getitem__(self, rows_P: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return self.grey[self.at_N[rows_P]]


def near_duplicates(
    dhash_K: npt.NDArray[np.uint64],
    grey_K256: npt.NDArray[np.uint8] | Thumbnails,
    dhash_N: npt.NDArray[np.uint64],
    grey_N256: npt.NDArray[np.uint8] | Thumbnails,
) -> npt.NDArray[np.int64]:
    """For each of N photos the index of the most alike near-duplicate among K, -1 where there is none.

    Of several equally alike the first. Up to EXACT_PAIRS pairs of hashes every pair is compared; beyond, the
    suspects come from ``lookup.pairs``, which states what it can miss, and must be alike in their upward hashes
    too (MAX_UPWARD). Memory does not grow with the pairs.
    """
    if len(dhash_K) * len(dhash_N) <= EXACT_PAIRS:
        suspects = _every_pair(dhash_K, dhash_N)
    else:
        upward = _hashes(grey_K256), _hashes(grey_N256), MAX_UPWARD
        suspects = hash_pairs.pairs(dhash_K, dhash_N, MAX_DISTANCE, upward)
    best_N, found_N = np.zeros(len(dhash_N), np.float32), np.full(len(dhash_N), -1, np.int64)
    for k_all, n_all in suspects:
        for start in range(0, len(k_all), _PAIRS):
            k_P, n_P = k_all[start : start + _PAIRS], n_all[start : start + _PAIRS]
            correlation_P = np.einsum("pg,pg->p", _unit(grey_N256[n_P]), _unit(grey_K256[k_P]))
            alike = correlation_P >= MIN_CORRELATION
            _keep_best(best_N, found_N, n_P[alike], k_P[alike], correlation_P[alike])
    return found_N


def upward_hash(grey_N256: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """56 bits of each thumbnail: of its 8 x 8 means, whether each is brighter than the one below it."""
    bits_N = np.zeros((len(grey_N256), 64), np.bool_)
    bits_N[:, :56] = grey_N256.astype(np.float32) @ _DOWNWARD > 0
    return np.packbits(bits_N, axis=1).view(np.uint64).ravel()


def _hashes(grey_N256: npt.NDArray[np.uint8] | Thumbnails) -> npt.NDArray[np.uint64]:
    count = len(grey_N256.at_N) if isinstance(grey_N256, Thumbnails) else len(grey_N256)
    hashes_N = np.empty(count, np.uint64)
    for start in range(0, count, _ROWS):
        rows = np.arange(start, min(start + _ROWS, count))
        hashes_N[rows] = upward_hash(grey_N256[rows])
    return hashes_N


def _every_pair(dhash_K: npt.NDArray[np.uint64], dhash_N: npt.NDArray[np.uint64]) -> Pairs:
    step = max(1, _BLOCK // max(1, len(dhash_K)))
    for start in range(0, len(dhash_N), step):
        distance = np.bitwise_count(dhash_N[start : start + step, None] ^ dhash_K[None, :])
        n_P, k_P = np.nonzero(distance <= MAX_DISTANCE)
        if len(n_P):
            yield k_P, start + n_P


def _keep_best(
    best_N: npt.NDArray[np.float32],
    found_N: npt.NDArray[np.int64],
    n_P: npt.NDArray[np.int64],
    k_P: npt.NDArray[np.int64],
    correlation_P: npt.NDArray[np.float32],
) -> None:
    order_P = np.lexsort((k_P, -correlation_P, n_P))
    n, first = np.unique(n_P[order_P], return_index=True)
    k, correlation = k_P[order_P][first], correlation_P[order_P][first]
    better = (correlation > best_N[n]) | ((correlation == best_N[n]) & (k < found_N[n]))
    best_N[n[better]], found_N[n[better]] = correlation[better], k[better]


def _unit(grey_N256: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Thumbnails with mean 0 and norm 1, so that a dot product is their correlation; blanks become 0."""
    centred = grey_N256.astype(np.float32)
    centred -= centred.mean(axis=1, keepdims=True)
    norm_N1 = np.linalg.norm(centred, axis=1, keepdims=True)
    blank_N1 = norm_N1 < MIN_CONTRAST * SIDE
    return np.where(blank_N1, 0.0, centred / np.where(blank_N1, 1.0, norm_N1)).astype(np.float32)
