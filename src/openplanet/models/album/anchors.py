"""Which photos of an album are given their position, so that it can be measured how well the others are placed.

Shapes: T photos of an album.
"""

import numpy as np
from numpy.typing import NDArray

from openplanet.models.album.embedded import EmbeddedAlbum

Mask = NDArray[np.bool_]

LEAST_PHOTOS = 2  # an album of one cannot have an anchor and a photo to place


def draw(album: EmbeddedAlbum, share: float, seed: int = 0) -> Mask:
    """Mask [T] of ``share`` (0..1) of the located photos, at least one but never all; by chance, always the same."""
    located = np.flatnonzero(album.located)
    chosen = np.zeros(len(album), dtype=bool)
    if share > 0 and len(located) >= LEAST_PHOTOS:
        count = min(max(round(share * len(located)), 1), len(located) - 1)
        rng = np.random.default_rng([seed, len(album), *album.photo_ids[0].encode()])
        chosen[rng.permutation(located)[:count]] = True
    return chosen
