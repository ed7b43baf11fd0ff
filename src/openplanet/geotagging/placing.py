"""Where the photos of a library were taken, by what is trusted most: given positions around them, a track, one given
position near in time, the model.

Shapes: T photos of a group, in order of capture.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from openplanet.earth.geo import distance_km
from openplanet.geotagging.items import Item, camera_of
from openplanet.inference.album_photos import AlbumPhoto, capture_order, clock_table
from openplanet.inference.between import CLOSE_KM, HOURS, Anchored, by_anchors, on_track
from openplanet.inference.prediction import CONFIDENCE, Prediction
from openplanet.models.regions import WITHIN_KM
from openplanet.photos.albums import clocks
from openplanet.photos.albums.tracks import Tracks

if TYPE_CHECKING:  # torch, without which given positions and tracks place photos
    from openplanet.inference.album_predictor import AlbumPredictor

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Fetch = Callable[[Item], Item]

APART_HOURS, APART_KM = 1.0, 50.0
"""Cameras that were so far apart within that time are two people's: neither places the other's photos."""
MOST_TOGETHER, MOST_DAYS = 500, 30.0
"""Photos, and days, of a folder that the model reads as one album; a bigger one is a heap, and is cut into sessions."""
SESSION_HOURS = 8.0
SUREST = 0.99
"""What anchors place lies within 25 km no more surely than that: near in time 99.3 % of those whose radius says 99.9 do
(benchmarks/geotagging.py --library none), and a clock that was never set is no matter of a radius."""


@dataclass(frozen=True)
class Windows:
    """``hours`` and ``km``: how far off in time an anchor may be, and how far apart two around a photo. ``confidence``:
    of lying within WITHIN_KM, which a point needs; and of a place, which its name needs. ``cameras``: "apart": only the
    photo's own camera places it."""

    hours: float = HOURS
    km: float = CLOSE_KM
    confidence: float = CONFIDENCE
    cameras: Literal["together", "apart"] = "together"


@dataclass(frozen=True)
class Placed:
    """One photo's place: by anchors or a track, or by the model; neither where nothing is known. ``album``: of which
    photos it was placed as part of; ``taken_at``: local time, where known."""

    anchored: Anchored | None = None
    prediction: Prediction | None = None
    album: str = ""
    taken_at: datetime | None = None
    error: str = ""


def within(radius_km: float, km: float = WITHIN_KM) -> float:
    """Probability of lying within ``km`` of a point whose circle of ``radius_km`` holds 95 %, if errors are normal; at
    most SUREST."""
    return min(SUREST, float(1 - 0.05 ** ((km / max(radius_km, 1e-6)) ** 2)))


def source_of(at: Anchored) -> str:
    """What placed a photo, in the plan's words: by time, or, where a photo has none, by the order of files."""
    if at.kind == "track":
        return "track"
    if at.kind == "between":
        return "between anchors" if at.hours is not None else "between in order"
    return "near in time" if at.hours is not None else "near in order"


def place(
    items: Sequence[Item],
    windows: Windows,
    tracks: Tracks | None = None,
    model: "AlbumPredictor | None" = None,
    fetch: Fetch | None = None,
) -> dict[str, Placed]:
    """Each photo without a position by its ``file``. ``model``: None: anchors and tracks alone. ``fetch``: gets the
    picture of a photo that is not here."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    found: dict[str, Placed] = {}
    for name, group in groups.items():
        if any(not item.located and not item.left_out for item in group):
            found |= _place_group(name.partition("\0")[0], group, windows, tracks, model, fetch)
    return found


def _place_group(
    name: str,
    group: list[Item],
    windows: Windows,
    tracks: Tracks | None,
    model: "AlbumPredictor | None",
    fetch: Fetch | None,
) -> dict[str, Placed]:
    read = [item.read for item in group]
    aligned = clocks.align(clock_table(read), np.zeros(len(read), np.int64))
    order = capture_order(read, aligned.moment_N, aligned.timed_N)
    group_T, seconds_T = [group[n] for n in order], aligned.seconds()[order]
    local_T = [
        datetime(1970, 1, 1) + timedelta(microseconds=int(aligned.local_N[n])) if aligned.timed_N[n] else None
        for n in order
    ]
    offset_T = aligned.offset_N[order]
    camera_T = [camera_of(item.facts) for item in group_T]
    goes = _cameras(group_T, camera_T, seconds_T, windows)
    anchored_T = _anchored(group_T, camera_T, seconds_T, goes, windows)
    together = len({mask_T.tobytes() for mask_T in goes.values()}) == 1
    album_T = _albums(name, camera_T, seconds_T, local_T, together)
    found: dict[str, Placed] = {}
    for t, item in enumerate(group_T):
        if item.located or item.left_out:
            continue
        at = anchored_T[t]
        if (at is None or at.kind == "near") and tracks is not None:
            taken_at = item.facts.taken_at
            on = None if taken_at is None else on_track(tracks, taken_at, item.facts.taken_at_is_utc, offset_T[t])
            at = on or at
        if at is not None and within(at.radius_km) < windows.confidence:
            at = None if model is not None else at
        found[item.file] = Placed(at, None, album_T[t], local_T[t], item.read.error or "")
    if model is not None:
        _ask_model(model, group_T, album_T, found, fetch)
    return found


def _anchored(
    group_T: list[Item], camera_T: list[str], seconds_T: Floats, goes: Mapping[str, Mask], windows: Windows
) -> list[Anchored | None]:
    """By given positions: each camera's photos by those that go with it."""
    lat_T, lng_T = _positions(group_T)
    timed_T = np.isfinite(seconds_T)
    answer_T: list[Anchored | None] = [None] * len(group_T)
    for camera, mask_T in goes.items():
        for alike_T in (timed_T, ~timed_T):
            # those without a time come last: that order says nothing of how they lie among those that have one
            at_T = by_anchors(lat_T, lng_T, seconds_T, mask_T & alike_T, windows.km, windows.hours)
            for t in np.flatnonzero((np.array(camera_T) == camera) & alike_T):
                answer_T[t] = at_T[t]
    return answer_T


def _positions(group_T: list[Item]) -> tuple[Floats, Floats]:
    known_T = [item.read.known or (np.nan, np.nan) for item in group_T]
    return np.array([at[0] for at in known_T]), np.array([at[1] for at in known_T])


def _cameras(group_T: list[Item], camera_T: list[str], seconds_T: Floats, windows: Windows) -> Mapping[str, Mask]:
    """For each camera the anchors that may place its photos: its own, and those of cameras never elsewhere."""
    lat_T, lng_T = _positions(group_T)
    names = sorted(set(camera_T))
    own = {name: np.isfinite(lat_T) & (np.array(camera_T) == name) for name in names}

    def elsewhere(one: str, other: str) -> bool:
        a, b = (np.flatnonzero(own[name] & np.isfinite(seconds_T)) for name in (one, other))
        after_A = np.searchsorted(seconds_T[b], seconds_T[a])  # the group is in order of time
        for step in (-1, 0):
            at_A = after_A + step
            inside_A = (at_A >= 0) & (at_A < len(b))
            mine, hers = a[inside_A], b[at_A[inside_A]]
            near = np.abs(seconds_T[mine] - seconds_T[hers]) <= 3600 * APART_HOURS
            if (distance_km(lat_T[mine], lng_T[mine], lat_T[hers], lng_T[hers])[near] > APART_KM).any():
                return True
        return False

    apart = {(one, other) for one in names for other in names if one != other and elsewhere(one, other)}
    goes = {}
    for name in names:
        others = [other for other in names if other != name and own[other].any() and (name, other) not in apart]
        if windows.cameras == "apart" or any((one, other) in apart for one in others for other in others):
            others = []  # whose way it went along nobody knows
        goes[name] = np.logical_or.reduce([own[name], *(own[other] for other in others)])
    return goes


def _albums(
    name: str, camera_T: list[str], seconds_T: Floats, local_T: Sequence[datetime | None], together: bool
) -> list[str]:
    """The album of each photo: the folder; of a heap each camera's sessions, none longer than MOST_TOGETHER; where
    cameras do not go together (``together``) a folder for each."""
    timed = seconds_T[np.isfinite(seconds_T)]
    heap = len(seconds_T) > MOST_TOGETHER or (len(timed) > 1 and np.ptp(timed) > MOST_DAYS * 86400)
    if not heap:
        return [name if together else f"{name}, {camera}".removesuffix(", ") for camera in camera_T]
    albums, sessions = list[str](), dict[str, tuple[str, float, int]]()  # name, last time, photos
    for t, (camera, seconds) in enumerate(zip(camera_T, seconds_T.tolist(), strict=True)):
        session, last, count = sessions.get(camera, ("", np.inf, 0))
        gap = np.isfinite(seconds) and not seconds - last <= 3600 * SESSION_HOURS
        if not session or gap or count >= MOST_TOGETHER or np.isfinite(seconds) != np.isfinite(last):
            begun = local_T[t]
            when = f"{begun:%Y-%m-%d %H:%M}" if begun is not None else f"no time, from {t}"
            session, count = ", ".join(part for part in (name, camera, when) if part), 0
        sessions[camera] = (session, seconds, count + 1)
        albums.append(session)
    return albums


def _ask_model(
    model: "AlbumPredictor", group_T: list[Item], album_T: list[str], found: dict[str, Placed], fetch: Fetch | None
) -> None:
    """The model places what is left, album by album; what anchors and tracks placed well are anchors to it."""
    for album in dict.fromkeys(album_T):
        members = [item for item, name in zip(group_T, album_T, strict=True) if name == album and not item.left_out]
        asked = [item for item in members if item.file in found and found[item.file].anchored is None]
        if not any(item.read.error is None for item in asked):
            continue
        members = members if fetch is None else [fetch(item) for item in members]
        photos = [_with_position(item, found.get(item.file)) for item in members if item.read.error is None]
        located = {str(each.photo): each for each in model.locate_read(photos, anchors=True, by_model=True).photos}
        for item in asked:
            answer = located.get(str(item.read.path))
            if answer is not None:
                error = answer.error or ""
                found[item.file] = replace(found[item.file], prediction=answer.prediction, error=error)


def _with_position(item: Item, placed: Placed | None) -> AlbumPhoto:
    at = None if placed is None else placed.anchored
    if at is None:
        return item.read
    return replace(item.read, facts=replace(item.facts, lat=at.lat, lng=at.lng))
