"""Where a photo lies by the photos around it whose position is known, without looking at any: PhotoPrism's rule (its
"estimated" locations), which is exact where such anchors are dense.

Shapes: T photos of an album.
"""

import numpy as np
from numpy.typing import NDArray

from openplanet.earth.geo import EARTH_RADIUS_KM, from_xyz, to_xyz
from openplanet.models.album.embedded import EmbeddedAlbum

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

HOURS = 36.0  # PhotoPrism's: farther off in time a photo says nothing of another
CLOSE_KM = 100.0
"""Anchors nearer to each other than this place what lies between them better than any model does: on the val split of
the synthetic planet (within 25 km) and in five folds of real photos. Between others a model knows more."""


def interpolate(album: EmbeddedAlbum, anchors: Mask, most_km: float = np.inf) -> tuple[Floats, Floats]:
    """lat [T], lng [T] of each photo from the anchors around it; NaN where there is none near enough, and between two
    that are more than ``most_km`` apart.

    Between two anchors within HOURS: on the great circle, in proportion to time. One anchor alone within HOURS: its
    position. Where the photo or all anchors have no time, or anchors have the very time of the photo: between those
    before and after it in the album's order, in proportion to the number of photos, however far.
    """
    lat_T, lng_T = np.full(len(album), np.nan), np.full(len(album), np.nan)
    at = np.flatnonzero(anchors)
    timed = at[np.isfinite(album.seconds_T[at])]
    for photo in range(len(album) if len(at) else 0):
        now = timed[album.seconds_T[timed] == album.seconds_T[photo]]
        if len(now):  # clocks that know the day alone: among anchors of the same moment order decides
            found, known = _between(float(photo), now.astype(np.float64), np.inf), now
        elif np.isfinite(album.seconds_T[photo]) and len(timed):
            found = _between(album.seconds_T[photo], album.seconds_T[timed], 3600 * HOURS)
            known = timed
        else:
            found, known = _between(float(photo), at.astype(np.float64), np.inf), at
        if found is not None:
            one, other, share = found
            lat_T[photo], lng_T[photo] = _on_the_way(album, int(known[one]), int(known[other]), share, most_km)
    return lat_T, lng_T


def _between(value: float, known_N: Floats, most: float) -> tuple[int, int, float] | None:
    """Which two of ``known_N`` lie around ``value``, none farther than ``most``, and how far on between them."""
    off_N = known_N - value
    before = int(np.where(off_N <= 0, off_N, -np.inf).argmax())
    after = int(np.where(off_N >= 0, off_N, np.inf).argmin())
    has_before, has_after = -most <= off_N[before] <= 0, 0 <= off_N[after] <= most
    if not (has_before or has_after):
        return None
    if not (has_before and has_after) or off_N[after] == off_N[before]:
        nearest = before if has_before else after
        return nearest, nearest, 0.0
    return before, after, float(-off_N[before] / (off_N[after] - off_N[before]))


def _on_the_way(album: EmbeddedAlbum, one: int, other: int, share: float, most_km: float) -> tuple[float, float]:
    ends = to_xyz(album.lat_T[[one, other]], album.lng_T[[one, other]])
    angle = float(np.arctan2(np.linalg.norm(np.cross(*ends)), ends[0] @ ends[1]))
    if angle < 1e-12:
        return float(album.lat_T[one]), float(album.lng_T[one])
    if angle * EARTH_RADIUS_KM > most_km:
        return np.nan, np.nan
    lat, lng = from_xyz(ends[0] * np.sin((1 - share) * angle) + ends[1] * np.sin(share * angle))
    return float(lat), float(lng)
