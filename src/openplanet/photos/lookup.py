"""Pairs of 64-bit hashes that differ in few bits, among millions, by looking up samples of their bits.

Each table takes a random sample of the bits; hashes that agree on it meet. A pair at distance d agrees on s
of 64 bits with the chance C(64-d, s) / C(64, s), so that T tables miss it with (1 - chance)^T.
Shapes: K hashes looked up among N, P pairs.
"""

from collections.abc import Iterator
from math import comb, log2

import numpy as np
import numpy.typing as npt

TABLES = 48
MIN_BITS, MAX_BITS = 16, 26
MEETINGS = 1 << 22  # pairs looked at in one go
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
    dhash_K: Hashes, dhash_N: Hashes, max_distance: int, tables: int = TABLES, seed: int = 0
) -> Iterator[tuple[Indices, Indices]]:
    """Yield (k_P, n_P): pairs at a distance of at most ``max_distance``; a pair can come more than once.

    Memory: about 40 bytes a hash and MEETINGS pairs. The same input gives the same pairs.
    """
    if not len(dhash_K) or not len(dhash_N):
        return
    rng, bits = np.random.default_rng(seed), sample_bits(len(dhash_N))
    for _ in range(tables):
        mask = np.uint64(0)
        for bit in rng.choice(64, bits, replace=False):
            mask |= np.uint64(1) << np.uint64(bit)
        yield from _meetings(dhash_K, dhash_N, mask, max_distance)


def _meetings(
    dhash_K: Hashes, dhash_N: Hashes, mask: np.uint64, max_distance: int
) -> Iterator[tuple[Indices, Indices]]:
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
        k_P = np.repeat(np.arange(first, last + 1), counts)
        n_P = np.repeat(low_K[first : last + 1] - starts, counts) + np.arange(done, upto)
        near_P = np.bitwise_count(full_K[k_P] ^ full_N[n_P]) <= max_distance
        if near_P.any():
            yield order_K[k_P[near_P]], order_N[n_P[near_P]]
        done = upto
