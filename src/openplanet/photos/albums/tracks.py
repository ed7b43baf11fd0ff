"""GPX tracks: where somebody was, by UTC; and where a photo was, by its time.

Shapes: K points of all tracks, in order of time.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.parsers import expat

import numpy as np
import numpy.typing as npt

from openplanet.earth.geo import distance_km, from_xyz, to_xyz
from openplanet.errors import InputError
from openplanet.photos.albums import zones
from openplanet.photos.sources.entry import position_problem
from openplanet.storage import open_input

Floats = npt.NDArray[np.float64]

MAX_BYTES = 256 << 20
GAP_SECONDS = 600.0  # between two points further apart in time nobody knows where the recorder was
RADIUS_KM, SHARE, PER_HOUR = 0.03, 0.4, 8.0
"""95 % radius, as of anchors: receivers are off by up to 30 m; plus a share of the way, plus time by a walk."""


@dataclass(frozen=True)
class OnTrack:
    """A position (degrees) on a track; ``radius_km`` holds 95 %."""

    lat: float
    lng: float
    radius_km: float
    hours: float  # to the nearest point


class Tracks:
    """Points of several files. ``timezone``: of clocks that tell no offset; None: the zone where the track is."""

    def __init__(self, seconds_K: Floats, lat_K: Floats, lng_K: Floats, timezone: str | None = None) -> None:
        order = np.argsort(seconds_K, kind="stable")
        self.seconds_K, self.lat_K, self.lng_K = seconds_K[order], lat_K[order], lng_K[order]
        self._local_K = self.seconds_K + 60.0 * self._offsets(timezone)
        self._local_order = np.argsort(self._local_K, kind="stable")

    @classmethod
    def read(cls, files: Sequence[Path], timezone: str | None = None) -> "Tracks":
        """Read GPX files. Raises InputError, naming the file, where it is none, or no point has a time."""
        if timezone is not None and zones.offset_minutes(timezone, datetime(2020, 1, 1)) is None:
            raise InputError(f"{timezone!r} is no time zone: give a name such as Europe/Paris")
        points = [point for file in files for point in _points(Path(file))]
        columns = np.array(points, np.float64).reshape(-1, 3)
        return cls(columns[:, 0], columns[:, 1], columns[:, 2], timezone)

    def at(self, taken_at: datetime, is_utc: bool) -> OnTrack | None:
        """Where the recorder was at a time (naive; UTC where ``is_utc``, else local); None where nobody knows: more
        than GAP_SECONDS before, after, or between points."""
        value = taken_at.replace(tzinfo=UTC).timestamp()
        order = np.arange(len(self.seconds_K)) if is_utc else self._local_order
        times_K = self.seconds_K if is_utc else self._local_K[order]
        after = int(np.searchsorted(times_K, value))
        ends = [int(order[k]) for k in (after - 1, after) if 0 <= k < len(times_K)]
        times = dict(zip(ends, (times_K[k] for k in (after - 1, after) if 0 <= k < len(times_K)), strict=True))
        off = {k: float(abs(times[k] - value)) for k in ends}
        if not ends or min(off.values()) > GAP_SECONDS:
            return None
        nearest = min(ends, key=lambda k: off[k])
        hours = off[nearest] / 3600
        if len(ends) == 1 or sum(off.values()) > GAP_SECONDS:
            return OnTrack(float(self.lat_K[nearest]), float(self.lng_K[nearest]), self._radius(0.0, 2 * hours), hours)
        share = off[ends[0]] / max(sum(off.values()), 1e-9)
        xyz = to_xyz(self.lat_K[ends], self.lng_K[ends])
        lat, lng = from_xyz(xyz[0] * (1 - share) + xyz[1] * share)
        km = float(distance_km(*(column[k] for k in ends for column in (self.lat_K, self.lng_K))))
        return OnTrack(float(lat), float(lng), self._radius(km, hours), hours)

    def _radius(self, km: float, hours: float) -> float:
        return RADIUS_KM + SHARE * km + PER_HOUR * hours

    def _offsets(self, timezone: str | None) -> Floats:
        """Minutes that clocks at each point are ahead of UTC; asked anew every hour, and where a day's drive lies."""
        offset_K = np.zeros(len(self.seconds_K))
        known: tuple[float, float, float] | None = None
        minutes = 0
        for k, (seconds, lat, lng) in enumerate(zip(self.seconds_K, self.lat_K, self.lng_K, strict=True)):
            if known is None or abs(seconds - known[0]) > 3600 or abs(lat - known[1]) + abs(lng - known[2]) > 0.2:
                zone = timezone or zones.zone_at(float(lat), float(lng))
                time = datetime.fromtimestamp(float(seconds), UTC).replace(tzinfo=None)
                minutes = zones.offset_minutes(zone, time, is_utc=True) or 0
                known = (seconds, lat, lng)
            offset_K[k] = minutes
        return offset_K


class _RefusedError(Exception):
    """The file declares a document type."""


def _points(path: Path) -> list[tuple[float, float, float]]:
    """(seconds UTC, lat, lng) of each point of its tracks that has a time."""
    try:
        with open_input(path) as file:
            data = file.read(MAX_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    found: list[tuple[float, float, float]] = []
    at: list[tuple[float, float] | None] = [None]
    text: list[str] | None = None

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal text
        if name.rpartition(" ")[2] == "trkpt":
            at[0] = None
            with suppress(KeyError, ValueError):
                lat, lng = float(attributes["lat"]), float(attributes["lon"])
                at[0] = None if position_problem(lat, lng) else (lat, lng)
        text = [] if name.rpartition(" ")[2] == "time" and at[0] is not None else None

    def content(piece: str) -> None:
        if text is not None:
            text.append(piece)

    def end(name: str) -> None:
        nonlocal text
        if name.rpartition(" ")[2] == "time" and text is not None and at[0] is not None:
            seconds = _seconds("".join(text))
            if seconds is not None:
                found.append((seconds, *at[0]))
        text = None
        if name.rpartition(" ")[2] == "trkpt":
            at[0] = None

    def refuse(*_: object) -> None:
        raise _RefusedError

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.CharacterDataHandler, parser.EndElementHandler = start, content, end
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, _RefusedError, UnicodeError, ValueError) as error:
        raise InputError(
            f"{path} is no GPX file that can be read ({str(error) or 'it declares a document type'})"
        ) from None
    if not found:
        raise InputError(f"{path} has no track point with a time: export the track as GPX with times")
    return found


def _seconds(text: str) -> float | None:
    """Seconds since 1970 of an ISO 8601 time; UTC where it names no zone, as GPX has it."""
    try:
        time = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip()))
    except ValueError:
        return None
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
