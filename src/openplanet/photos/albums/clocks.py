"""One comparable time for the photos of an album, whatever their clocks write.

Some photos tell UTC, or local time with its offset, others local time alone. Where an album has both kinds, a local
time without an offset gets one: that of the zone at its own position, else at the position of the photo nearest in
time, else the offset of the photo nearest in time that has one. So every photo has an instant (UTC), and instants are
compared. Where all photos of an album tell local time alone, it is compared as it stands.

Shapes: N photos.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from openplanet.photos.albums import zones

MICRO = 1_000_000
MINUTE = 60 * MICRO
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SOURCES = (None, "written", "gps", "position", "anchor", "album", "told")
_GPS, _POSITION, _ANCHOR, _ALBUM, _TOLD = (
    SOURCES.index(name) for name in ("gps", "position", "anchor", "album", "told")
)
COLUMNS = ("taken_at", "taken_at_is_utc", "utc_offset_minutes", "utc_offset_from", "lat", "lng")
_WORDS = {
    _POSITION: "the time zone at their own position",
    _ANCHOR: "the time zone at the position of the photo nearest in time",
    _ALBUM: "the offset of the photo nearest in time",
    _TOLD: "the time zone that was given",
}


@dataclass(frozen=True)
class Aligned:
    """``moment_N``: microseconds, comparable within a group; ``timed_N``: whether a photo has a time at all.

    ``offset_N``: local time minus UTC in minutes, NaN where not known; ``from_N``: how it is known, as a number in
    SOURCES: written beside the time, by the GPS clock, assumed from a position, an anchor, the album, or told by who
    asks. ``apart_N``: timed photos that cannot be compared with the most of their group, because one kind tells UTC,
    the other local time, and no zone is found.
    """

    moment_N: Ints
    timed_N: Mask
    offset_N: Floats
    from_N: npt.NDArray[np.int8]
    apart_N: Mask
    local_N: Ints
    """Microseconds of local time, UTC where the offset is not known."""

    def seconds(self) -> Floats:
        """Comparable seconds; NaN where there is no time, or it cannot be compared."""
        return np.where(self.timed_N & ~self.apart_N, self.moment_N / MICRO, np.nan)

    def moments(self) -> pa.Array:
        """``moment_N`` as timestamps, null without a time."""
        return pa.array(self.moment_N, pa.timestamp("us"), mask=~self.timed_N)

    def sources(self) -> pa.Array:
        """``from_N`` in words, null where the offset is not known."""
        return pa.array(SOURCES, pa.string()).take(pa.array(self.from_N))

    def offsets(self) -> pa.Array:
        """``offset_N`` as whole minutes, null where not known."""
        unknown_N = np.isnan(self.offset_N)
        return pa.array(np.where(unknown_N, 0, self.offset_N).astype(np.int32), mask=unknown_N)

    def locals(self) -> pa.Array:
        """``local_N`` as timestamps, null without a time."""
        return pa.array(self.local_N, pa.timestamp("us"), mask=~self.timed_N)


def align(photos: pa.Table, group_N: Ints) -> Aligned:
    """Comparable times of ``photos`` (columns COLUMNS) within each group (numbers from 0)."""
    taken_at = photos["taken_at"]
    timed_N = taken_at.is_valid().to_numpy()
    taken_N = pc.fill_null(taken_at.cast(pa.int64()), 0).to_numpy().astype(np.int64)
    utc_N = pc.fill_null(photos["taken_at_is_utc"], False).to_numpy() & timed_N
    offset_N = pc.fill_null(photos["utc_offset_minutes"].cast(pa.float64()), np.nan).to_numpy().astype(np.float64)
    offset_N[~timed_N] = np.nan
    lat_N, lng_N = (pc.fill_null(photos[name], np.nan).to_numpy() for name in ("lat", "lng"))
    from_N = pc.index_in(photos["utc_offset_from"], pa.array(SOURCES)).to_numpy().astype(np.int8)
    placed_N = np.isfinite(lat_N) & np.isfinite(lng_N)
    groups = int(group_N.max()) + 1 if len(group_N) else 0
    by_gps = np.flatnonzero(timed_N & (from_N == _GPS))
    for rows in _by_group(by_gps, group_N):
        _doubt_gps(rows, taken_N, offset_N, from_N, placed_N, lat_N, lng_N)
    known_N = utc_N | ~np.isnan(offset_N)
    has_instant_G = np.bincount(group_N[timed_N & known_N], minlength=groups) > 0
    lacks_G = np.bincount(group_N[timed_N & np.isnan(offset_N)], minlength=groups) > 0
    in_need_N = (has_instant_G & lacks_G)[group_N] if groups else np.zeros(0, bool)
    for rows in _by_group(np.flatnonzero(in_need_N), group_N):
        _fill(rows, taken_N, timed_N, utc_N, offset_N, from_N, placed_N, lat_N, lng_N)
    shift_N = np.where(np.isnan(offset_N), 0, offset_N).astype(np.int64) * MINUTE
    known_N = utc_N | ~np.isnan(offset_N)
    # A group without any instant is compared as it stands.
    moment_N = np.where(utc_N, taken_N, taken_N - shift_N)
    local_N = np.where(utc_N, taken_N + shift_N, taken_N)
    return Aligned(moment_N, timed_N, offset_N, from_N, _apart(group_N, timed_N, known_N, groups), local_N)


def _by_group(rows: Ints, group_N: Ints) -> list[Ints]:
    """``rows`` of each group that has some."""
    rows = rows[np.argsort(group_N[rows], kind="stable")]
    return list(np.split(rows, np.flatnonzero(np.diff(group_N[rows])) + 1)) if len(rows) else []


def _doubt_gps(
    rows: Ints, taken_N: Ints, offset_N: Floats, from_N: npt.NDArray[np.int8], placed_N: Mask,
    lat_N: Floats, lng_N: Floats,
) -> None:  # fmt: skip
    """Correct, in place, offsets of one group that GPS clocks told from a fix that is hours old.

    An offset stands if it is that of the zone at the photo's position. Of the others the most common one stands, if
    most photos have no zone's (a camera left on home time); the rest take it, or else are not known.
    """
    zone = np.full(len(rows), np.nan)
    for n, row in enumerate(rows):
        if placed_N[row]:
            name = zones.zone_at(float(lat_N[row]), float(lng_N[row]))
            found = zones.offset_minutes(name, _datetime(taken_N[row]))
            zone[n] = np.nan if found is None else found
    fits = offset_N[rows] == zone
    values, counts = np.unique(offset_N[rows], return_counts=True)
    common = values[counts.argmax()] if counts.max() > 1 and 2 * fits.sum() < len(rows) else np.nan
    doubted = rows[~fits & (offset_N[rows] != common)]
    offset_N[doubted] = common
    from_N[doubted] = 0 if np.isnan(common) else _GPS


def _apart(group_N: Ints, timed_N: Mask, known_N: Mask, groups: int) -> Mask:
    """Timed photos of the rarer kind, in groups where some have an instant and some have none."""
    instants_G = np.bincount(group_N[timed_N & known_N], minlength=groups)
    others_G = np.bincount(group_N[timed_N & ~known_N], minlength=groups)
    mixed_G = (instants_G > 0) & (others_G > 0)
    rarer_is_known_G = instants_G < others_G
    if not groups:
        return np.zeros(0, bool)
    return np.asarray(timed_N & mixed_G[group_N] & (known_N == rarer_is_known_G[group_N]))


def _fill(
    rows: Ints, taken_N: Ints, timed_N: Mask, utc_N: Mask, offset_N: Floats, from_N: npt.NDArray[np.int8],
    placed_N: Mask, lat_N: Floats, lng_N: Floats,
) -> None:  # fmt: skip
    """Give the photos ``rows`` of one group the offsets that they lack, in place."""

    def lacking() -> Ints:
        return rows[timed_N[rows] & np.isnan(offset_N[rows])]

    def take(row: int, offset: float | None, source: int) -> None:
        if offset is not None:
            offset_N[row], from_N[row] = offset, source

    def at_place(row: int, place: int) -> int | None:
        zone = zones.zone_at(float(lat_N[place]), float(lng_N[place]))
        return zones.offset_minutes(zone, _datetime(taken_N[row]), bool(utc_N[row]))

    for row in lacking():
        if placed_N[row]:
            take(row, at_place(row, row), _POSITION)
    with_offset = rows[timed_N[rows] & ~np.isnan(offset_N[rows])]
    anchors = with_offset[placed_N[with_offset]]
    if len(anchors):
        for row, anchor in _nearest(lacking(), anchors, taken_N, utc_N, offset_N):
            take(row, at_place(row, anchor), _ANCHOR)
    elif len(untimed := rows[placed_N[rows]]):
        for row in lacking():
            take(row, at_place(row, int(untimed[0])), _ANCHOR)
    with_offset = rows[timed_N[rows] & ~np.isnan(offset_N[rows])]
    if len(with_offset):
        for row, other in _nearest(lacking(), with_offset, taken_N, utc_N, offset_N):
            take(row, offset_N[other], _ALBUM)


def _nearest(rows: Ints, others: Ints, taken_N: Ints, utc_N: Mask, offset_N: Floats) -> list[tuple[int, int]]:
    """For each of ``rows`` (without an offset) that of ``others`` (with one) nearest in time: UTC is compared with
    UTC, local time with local time."""
    found = list[tuple[int, int]]()
    shift = offset_N[others].astype(np.int64) * MINUTE
    for is_utc in (False, True):
        mine = rows[utc_N[rows] == is_utc]
        if is_utc:
            theirs = np.where(utc_N[others], taken_N[others], taken_N[others] - shift)
        else:
            theirs = np.where(utc_N[others], taken_N[others] + shift, taken_N[others])
        order = np.argsort(theirs, kind="stable")
        theirs = theirs[order]
        after = np.clip(np.searchsorted(theirs, taken_N[mine]), 0, len(theirs) - 1)
        before = np.maximum(after - 1, 0)
        is_before = np.abs(theirs[before] - taken_N[mine]) <= np.abs(theirs[after] - taken_N[mine])
        found += zip(mine.tolist(), others[order[np.where(is_before, before, after)]].tolist(), strict=True)
    return found


def _datetime(micro: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(microseconds=int(micro))


def notes(aligned: Aligned, photos: pa.Table) -> list[str]:
    """What was assumed of the clocks of ``photos`` (as given to ``align``), for a person: a line for each offset."""
    said = []
    assumed_N = aligned.timed_N & (aligned.from_N >= _POSITION)
    assumed_N &= ~pc.fill_null(photos["taken_at_is_utc"], False).to_numpy()  # of UTC only the local time is assumed
    rows = np.flatnonzero(assumed_N)
    pairs = zip(aligned.from_N[rows].tolist(), aligned.offset_N[rows].astype(int).tolist(), strict=True)
    for (source, minutes), count in sorted(Counter(pairs).items()):
        said.append(f"{_photos(count)} without a UTC offset read as {utc_words(minutes)}: {_WORDS[source]}")
    if apart := int(aligned.apart_N.sum()):
        said.append(
            f"{_photos(apart)} cannot be compared in time with the rest of their album: some clocks give UTC, others "
            "local time, and nothing tells the time zone; their order can be off by hours"
        )
    return said


def utc_words(minutes: int) -> str:
    """``UTC+09:00``."""
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"


def _photos(count: int) -> str:
    return f"{count:,} photo" + ("" if count == 1 else "s")
