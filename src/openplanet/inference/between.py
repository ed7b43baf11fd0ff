"""Where a photo lies by the photos around it whose position is known, without looking at any: PhotoPrism's rule (its
"estimated" locations), which is exact where such anchors are dense; and how far off it may be.

Shapes: T photos of an album.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from openplanet.earth.geo import EARTH_RADIUS_KM, distance_km, from_xyz, to_xyz
from openplanet.photos.albums.tracks import Tracks

if TYPE_CHECKING:  # torch, without which an exported engine answers
    from openplanet.models.album.embedded import EmbeddedAlbum

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Kind = Literal["between", "near", "track"]

HOURS = 36.0  # PhotoPrism's: farther off in time a photo says nothing of another
CLOSE_KM = 100.0
"""Anchors nearer to each other than this place what lies between them better than any model does: on the val split of
the synthetic planet (within 25 km) and in five folds of real photos. Between others a model knows more."""

# 95 % radii, in km, fitted on every second album of real photos (876 with times, 5,496 without) and measured on the
# others: the tables of docs/geotag.md.
NEAR_KM, NEAR_PER_HOUR, NEAR_POWER = 0.3, 20.0, 0.85
BETWEEN_KM, BETWEEN_SHARE, BETWEEN_PER_HOUR = 0.15, 0.4, 2.0
ORDER_KM, ORDER_SHARE = 0.2, 0.95
"""Of a photo without a time: as far as this share of all anchors without one, and a little."""
FEW, FEW_KM = 3, 10.0
"""Fewer anchors than that do not show how far an album reaches."""


@dataclass(frozen=True)
class Anchored:
    """A position by anchors. ``kind``: "between" two, or "near" one (in time, or in order): that is extrapolation; or
    on a "track" that somebody recorded.

    ``radius_km`` holds 95 % of such photos. It grows with the time (``hours``) to the nearest anchor, and with the
    distance between the two; where order alone is known (None) it holds most of the anchors.
    """

    lat: float  # degrees
    lng: float
    kind: Kind
    radius_km: float
    hours: float | None


def by_anchors(
    lat_T: Floats,
    lng_T: Floats,
    seconds_T: Floats,
    anchors: Mask,
    most_km: float = np.inf,
    hours: float = HOURS,
) -> list[Anchored | None]:
    """Each photo's place by the ``anchors`` around it; None where there is none near enough, and between two that are
    more than ``most_km`` apart. Photos are in order of capture; ``seconds_T`` is NaN where a photo has no time.

    Between two anchors within ``hours``: on the great circle, in proportion to time. One anchor alone within ``hours``:
    its position. Where the photo or all anchors have no time, or anchors have the very time of the photo: between those
    before and after it in the album's order, in proportion to the number of photos, however far.
    """
    found_T: list[Anchored | None] = [None] * len(lat_T)
    at = np.flatnonzero(anchors)
    timed = at[np.isfinite(seconds_T[at])]
    timed = timed[np.argsort(seconds_T[timed], kind="stable")]
    times = seconds_T[timed]
    for photo in range(len(lat_T) if len(at) else 0):
        first, last = (int(np.searchsorted(times, seconds_T[photo], side)) for side in ("left", "right"))
        now, by_time = timed[first:last], False
        if len(now):  # clocks that know the day alone: among anchors of the same moment order decides
            found, known = _between(float(photo), now.astype(np.float64), np.inf), now
        elif np.isfinite(seconds_T[photo]) and len(timed):
            known, by_time = timed[max(0, first - 1) : first + 1], True  # the nearest on either side
            found = _between(seconds_T[photo], seconds_T[known], 3600 * hours)
        else:
            place = int(np.searchsorted(at, photo))
            known = at[max(0, place - 1) : place + 1]
            found = _between(float(photo), known.astype(np.float64), np.inf)
        if found is not None:
            one, other, share = int(known[found[0]]), int(known[found[1]]), found[2]
            same = 0 < len(now) < FEW and seconds_T[photo] % 60 != 0  # a burst: no clock of minutes or days alone
            off = float(min(abs(seconds_T[photo] - seconds_T[[one, other]])) / 3600) if by_time or same else None
            reach = None if off is not None else (now if len(now) else at)
            found_T[photo] = _on_the_way((lat_T, lng_T), (one, other), share, off, reach, most_km)
    return found_T


def on_track(tracks: Tracks, taken_at: datetime, is_utc: bool, offset_minutes: float) -> Anchored | None:
    """Where the track was at a photo's time (naive; ``offset_minutes``: local time minus UTC, NaN where not known, and
    then the zone is that of the track); None where it was not recorded, and at midnight to the second: so clocks write
    days whose time nobody knows."""
    if taken_at.time() == time():
        return None
    if not is_utc and not np.isnan(offset_minutes):
        taken_at, is_utc = taken_at - timedelta(minutes=offset_minutes), True
    at = tracks.at(taken_at, is_utc)
    return None if at is None else Anchored(at.lat, at.lng, "track", at.radius_km, at.hours)


def radius_km(kind: Kind, apart_km: float, hours: float) -> float:
    """The 95 % radius: ``apart_km`` between two anchors, ``hours`` to the nearest."""
    if kind == "near":
        return float(NEAR_KM + NEAR_PER_HOUR * hours**NEAR_POWER)
    return BETWEEN_KM + BETWEEN_SHARE * apart_km + BETWEEN_PER_HOUR * hours


def interpolate(album: "EmbeddedAlbum", anchors: Mask, most_km: float = np.inf) -> tuple[Floats, Floats]:
    """lat [T], lng [T] of an album's photos by ``by_anchors``; NaN where it places none."""
    found = by_anchors(album.lat_T, album.lng_T, album.seconds_T, anchors, most_km)
    lat_T, lng_T = (np.array([np.nan if at is None else getattr(at, name) for at in found]) for name in ("lat", "lng"))
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


def _on_the_way(
    at_T: tuple[Floats, Floats],
    ends: tuple[int, int],
    share: float,
    hours: float | None,
    reach: NDArray[np.int64] | None,
    most_km: float,
) -> Anchored | None:
    lat_T, lng_T = at_T
    lat, lng = float(lat_T[ends[0]]), float(lng_T[ends[0]])
    kind: Literal["between", "near"] = "near" if ends[0] == ends[1] else "between"
    xyz = to_xyz(lat_T[list(ends)], lng_T[list(ends)])
    angle = float(np.arctan2(np.linalg.norm(np.cross(*xyz)), xyz[0] @ xyz[1]))
    if angle * EARTH_RADIUS_KM > most_km:
        return None
    if angle >= 1e-12:
        lat_1, lng_1 = from_xyz(xyz[0] * np.sin((1 - share) * angle) + xyz[1] * np.sin(share * angle))
        lat, lng = float(lat_1), float(lng_1)
    if hours is not None or reach is None:
        return Anchored(lat, lng, kind, radius_km(kind, angle * EARTH_RADIUS_KM, hours or 0.0), hours)
    radius = ORDER_KM + float(np.quantile(distance_km(lat, lng, lat_T[reach], lng_T[reach]), ORDER_SHARE))
    return Anchored(lat, lng, kind, radius if len(reach) >= FEW else max(radius, FEW_KM), None)
