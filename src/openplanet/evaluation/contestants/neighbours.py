"""Where a photo was taken by those that look like it: the place where many of its nearest neighbours lie.

Im2GPS (Hays and Efros 2008) looked for the mode of 120 neighbours' places by mean shift; Vo et al. (2017) put a
kernel on each neighbour's place, weighed by likeness, and answer with the densest. This is the second, on any
features: hand-made ones or a network's embedding.

Shapes: N photos asked, M training photos, F features, S neighbours of each photo, K guesses.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import geo
from openplanet.evaluation.measures import metrics

Floats = NDArray[np.float64]
Float32s = NDArray[np.float32]
Ints = NDArray[np.int64]

SEEN = 256  # neighbours that are looked up
BATCH = 256
NEIGHBOURS = (10, 50, 200)  # tried on the validation photos
SIGMAS_KM = (1.0, 5.0, 20.0, 50.0, 200.0)
WEIGHT_POWER = 4.0  # a neighbour twice as far in features counts a sixteenth
SAME_PLACE_KM = 1.0


@dataclass(frozen=True)
class Kernel:
    """How many neighbours speak, and how far each one's word reaches."""

    neighbours: int = 50
    sigma_km: float = 20.0

    @property
    def text(self) -> str:
        """In words."""
        return f"{self.neighbours} neighbours, kernel of {self.sigma_km:g} km"


def nearest(train_MF: Float32s, asked_NF: Float32s, seen: int = SEEN) -> tuple[Ints, Float32s]:
    """Index and distance [N, S] of the nearest training photos, the nearest first; -1 and NaN for a photo with a
    NaN feature. Exact; ties by index. ``train_MF`` must have no NaN."""
    seen = min(seen, len(train_MF))
    index_NS = np.full((len(asked_NF), seen), -1, np.int64)
    far_NS = np.full((len(asked_NF), seen), np.nan, np.float32)
    if seen == 0:
        return index_NS, far_NS
    square_M = np.square(train_MF).sum(axis=1)
    for start in range(0, len(asked_NF), BATCH):
        asked_BF = asked_NF[start : start + BATCH]
        far_BM = square_M - 2 * asked_BF @ train_MF.T + np.square(asked_BF).sum(axis=1)[:, None]
        for row, far_M in enumerate(far_BM, start):
            if np.isnan(far_M).any():
                continue
            near = np.argpartition(far_M, seen - 1)[:seen]
            index_NS[row] = near[np.lexsort((near, far_M[near]))]
            far_NS[row] = np.sqrt(np.maximum(far_M[index_NS[row]], 0))
    return index_NS, far_NS


def densest(
    index_NS: Ints, far_NS: Float32s, lat_M: Floats, lng_M: Floats, kernel: Kernel, k: int
) -> tuple[Floats, Floats]:
    """The ``k`` densest places among each photo's neighbours: lat, lng [N, K], NaN where there are no more.

    A further guess lies more than two sigma (and 1 km) from those before it.
    """
    lat_NK, lng_NK = np.full((len(index_NS), k), np.nan), np.full((len(index_NS), k), np.nan)
    xyz_M3 = geo.to_xyz(lat_M, lng_M)
    apart = 2 * np.sin(min(max(2 * kernel.sigma_km, SAME_PLACE_KM) / geo.EARTH_RADIUS_KM, np.pi) / 2)
    for row, (index_S, far_S) in enumerate(zip(index_NS, far_NS, strict=True)):
        if index_S.size == 0 or index_S[0] < 0:
            continue
        near, far = index_S[: kernel.neighbours], far_S[: kernel.neighbours].astype(np.float64)
        smallest = max(float(far[far > 0].min(initial=1.0)) if (far > 0).any() else 1.0, 1e-9)
        weight = (smallest / np.maximum(far, smallest)) ** WEIGHT_POWER
        chord = np.sqrt(np.square(xyz_M3[near][:, None] - xyz_M3[near]).sum(axis=2))
        reach = chord * geo.EARTH_RADIUS_KM / kernel.sigma_km  # a chord is as good as an arc at these distances
        density = np.exp(-0.5 * reach**2) @ weight
        for guess, best in enumerate(_apart(density, chord, apart, k)):
            lat_NK[row, guess], lng_NK[row, guess] = lat_M[near[best]], lng_M[near[best]]
    return lat_NK, lng_NK


def _apart(density: Floats, chord: Floats, least: float, k: int) -> Iterator[int]:
    left = density.copy()
    for _ in range(k):
        best = int(left.argmax())
        if left[best] < 0:
            return
        yield best
        left[chord[best] <= least] = -1.0


@dataclass(frozen=True)
class Kernels:
    """The kernel of the first guess, and one for each distance by itself."""

    first: Kernel
    each: tuple[Kernel, ...]


def fit_kernels(
    index_NS: Ints,
    far_NS: Float32s,
    lat_M: Floats,
    lng_M: Floats,
    lat_N: Floats,
    lng_N: Floats,
    distances_km: Sequence[float],
) -> Kernels:
    """The kernels that place most validation photos, truly at ``lat_N``, ``lng_N``: for each distance the one with the
    highest share within it, for the first guess the one with the highest mean of these shares. Defaults where there
    are no photos; of equals the first tried."""
    if len(lat_N) == 0:
        return Kernels(Kernel(), (Kernel(),) * len(distances_km))
    tried = [Kernel(count, sigma) for count in NEIGHBOURS for sigma in SIGMAS_KM]
    shares = []
    for kernel in tried:
        lat_NK, lng_NK = densest(index_NS, far_NS, lat_M, lng_M, kernel, 1)
        km_N = metrics.distances(lat_NK, lng_NK, lat_N, lng_N)[:, 0]
        shares.append(metrics.share_within(km_N, distances_km))
    share_TD = np.stack(shares)
    return Kernels(
        tried[int(share_TD.mean(axis=1).argmax())], tuple(tried[best] for best in share_TD.argmax(axis=0).tolist())
    )
