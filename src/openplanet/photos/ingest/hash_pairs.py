"""Pairs of 64-bit hashes that differ in few bits, among millions, by looking up samples of their bits.

Each table takes a random sample of the bits; hashes that agree on it meet. A pair at distance d agrees on s
of 64 bits with the chance C(64-d, s) / C(64, s), so that T tables miss it with (1 - chance)^T.
Shapes: K hashes looked up among N, P pairs.
"""

from collections.abc import Iterator
from math import comb, log2

import numpy as np
import numpy.typing as npt

TABLES = 96  # of copies of real photos, smaller, brighter or with more contrast, 99.6 % are found among ten million
MIN_BITS, MAX_BITS = 16, 26
MEETINGS = 1 << 17  # pairs looked at in one go, few enough to stay in the cache
Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]


def sample_bits(count: int) -> int:
    """How many bits a table samples among ``count`` hashes: about one bit less than number them all.

    Of real photos (bright above, dark below) 13 to 95 times as many meet as of random hashes; among ten
    million some 50 strangers for each that is looked up, which is cheap.
    """
    return min(MAX_BITS, max(MIN_BITS, round(log2(max(count, 1))) - 1))


def recall(distance: int, bits: int, tables: int = TABLES) -> float:
    """The share of pairs at ``distance`` that ``tables`` samples of ``bits`` bits find."""
    if distance > 64 - bits:
        return 0.0
    return 1.0 - (1.0 - comb(64 - distance, bits) / comb(64, bits)) ** tables


def pairs(
    dhash_K: Hashes,
    dhash_N: Hashes,
    max_distance: int,
    second: tuple[Hashes, Hashes, int] | None = None,
    tables: int = TABLES,
    seed: int = 0,
) -> Iterator[tuple[Indices, Indices]]:
    """Yield (k_P, n_P): pairs at a distance of at most ``max_distance``, each pair once.

    second: other hashes of the same K and N, and how far apart those of a pair may be.
    Memory: about 40 bytes a hash and 100 a meeting (MEETINGS). The same input gives the same pairs.
    """
    if not len(dhash_K) or not len(dhash_N):
        return
    rng, bits = np.random.default_rng(seed), sample_bits(len(dhash_N))
    masks: list[np.uint64] = []
    for _ in range(tables):
        mask = np.uint64(0)
        for bit in rng.choice(64, bits, replace=False):
            mask |= np.uint64(1) << np.uint64(bit)
        for k_P, n_P, apart_P in _meetings(dhash_K, dhash_N, mask, max_distance):
            if second is not None:
                close = np.bitwise_count(second[0][k_P] ^ second[1][n_P]) <= second[2]
                k_P, n_P, apart_P = k_P[close], n_P[close], apart_P[close]
            # A pair that agrees on the bits of an earlier table has come from there.
            new = np.ones(len(k_P), np.bool_)
            for earlier in masks:
                new &= (apart_P & earlier) != 0
            if new.any():
                yield k_P[new], n_P[new]
        masks.append(mask)


def _meetings(
    dhash_K: Hashes, dhash_N: Hashes, mask: np.uint64, max_distance: int
) -> Iterator[tuple[Indices, Indices, Hashes]]:
    """Pairs that agree on ``mask`` and are near: (k_P, n_P, the bits in which they differ)."""
    # Sorting what is looked up as well lets both lists be walked from front to back.
    order_N, order_K = np.argsort(dhash_N & mask), np.argsort(dhash_K & mask)
    full_N, full_K = dhash_N[order_N], dhash_K[order_K]
    sorted_N, sorted_K = full_N & mask, full_K & mask
    low_K = np.searchsorted(sorted_N, sorted_K, "left")
    many_K = np.searchsorted(sorted_N, sorted_K, "right") - low_K
    ends_K = np.cumsum(many_K)
    starts_K = ends_K - many_K
    total, done = int(ends_K[-1]), 0
    while done < total:
        upto = min(done + MEETINGS, total)
        first, last = np.searchsorted(ends_K, [done, upto - 1], "right")
        ends, starts = ends_K[first : last + 1], starts_K[first : last + 1]
        counts = np.minimum(ends, upto) - np.maximum(starts, done)
        n_P = np.repeat(low_K[first : last + 1] - starts, counts) + np.arange(done, upto)
        apart_P = np.repeat(full_K[first : last + 1], counts) ^ full_N[n_P]
        near = np.flatnonzero(np.bitwise_count(apart_P) <= max_distance)
        if len(near):
            k_P = first + np.searchsorted(ends, done + near, "right")
            yield order_K[k_P], order_N[n_P[near]], apart_P[near]
        done = upto
