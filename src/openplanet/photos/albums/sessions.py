"""Albums without folders: each camera's photos cut where hours or kilometres lie between; and clocks that differ.

Shapes: N photos.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from openplanet.earth.geo import distance_km
from openplanet.photos.albums import clocks

GAP_HOURS = 8.0  # a night's sleep: a day out is one album
GAP_KM = 200.0  # further than one drives between two photos of one outing
NEAR_KM = 0.2  # photos of two cameras this near to each other may show the same moment
MAX_OFFSET_HOURS = 26.0  # all zones of the Earth, once round
BIN_MINUTES = 2.0
SQUARE, MONTH = 0.1, 30.0  # degrees, days
MIN_MEETINGS = 8  # pairs of photos that must agree on an offset
_MICRO = 1e6


def cameras(rows: pa.Table) -> pa.ChunkedArray:
    """The camera of each photo (owner told, make, model, serial); its folder where no camera is named."""
    parts = [pc.fill_null(rows[name], "") for name in ("owner_told", "make", "model", "serial")]
    camera = pc.utf8_trim_whitespace(pc.binary_join_element_wise(*parts, " "))
    return pc.if_else(pc.equal(camera, ""), rows["album_id"], camera)


def album_ids(rows: pa.Table) -> pa.ChunkedArray:
    """Album of each photo: one of its camera's sessions; its folder where it has no time.

    A session ends where the next photo was taken over GAP_HOURS later, or over GAP_KM away. Named after the
    camera and the time of its first photo. An album that the user's table or the source names stays.
    """
    camera = cameras(rows)
    timed = np.flatnonzero(rows["taken_at"].is_valid().to_numpy() & ~rows["album_told"].to_numpy())
    if not len(timed):
        return rows["album_id"]
    code = _codes(camera.take(timed))
    aligned = clocks.align(rows.take(timed), code)
    time = aligned.moment_N / _MICRO
    order = np.lexsort((timed, time, code))
    lat, lng = (_numbers(rows[name].take(timed))[order] for name in ("lat", "lng"))
    starts = np.ones(len(order), bool)
    starts[1:] = code[order][1:] != code[order][:-1]
    starts[1:] |= np.diff(time[order]) > GAP_HOURS * 3600
    with np.errstate(invalid="ignore"):
        starts[1:] |= np.nan_to_num(distance_km(lat[:-1], lng[:-1], lat[1:], lng[1:])) > GAP_KM
    first = order[np.flatnonzero(starts)]
    begun = pc.strftime(aligned.locals().take(pa.array(first)), "%Y-%m-%d %H:%M:%S")
    begun = pc.utf8_slice_codeunits(begun, 0, 16)
    names = pc.binary_join_element_wise(camera.take(timed[first]), begun, ", ")
    session = np.empty(len(order), np.int64)
    session[order] = np.cumsum(starts) - 1
    where = np.full(rows.num_rows, -1, np.int64)
    where[timed] = session
    named = pa.chunked_array([names]) if isinstance(names, pa.Array) else names
    return pc.coalesce(named.take(pa.array(where, mask=where < 0)), rows["album_id"])


def clock_offsets(rows: pa.Table) -> list[dict[str, Any]]:
    """Pairs of cameras in the same folders, or of one owner who is told, whose clocks seem to differ; noticed and
    reported, not corrected.

    Where two cameras took photos within NEAR_KM of each other, the differences of their times are counted in
    bins; an offset is told where one bin far from zero holds at least MIN_MEETINGS photos and three times
    as many as the bin at zero. Needs positions on both sides; times that tell UTC and local times are made comparable
    first (``clocks.align``).
    """
    fit = (
        rows["taken_at"].is_valid().to_numpy() & rows["lat"].is_valid().to_numpy() & rows["make"].is_valid().to_numpy()
    )
    at = np.flatnonzero(fit)
    if len(at) < 2 * MIN_MEETINGS:
        return []
    camera = cameras(rows).take(at)
    names, code = _named_codes(camera)
    placed = rows.take(at)
    aligned = clocks.align(placed, _codes(pc.coalesce(placed["owner_told"], placed["album_id"])))
    time = aligned.moment_N / _MICRO
    lat, lng = _numbers(placed["lat"]), _numbers(placed["lng"])
    together = _codes(_together(placed, time, lat, lng)) * 2 + aligned.apart_N
    gathered: dict[tuple[int, int], list[npt.NDArray[np.float64]]] = {}
    order = np.argsort(together, kind="stable")
    bounds = np.flatnonzero(np.diff(together[order])) + 1
    for group in np.split(order, bounds):
        present = np.unique(code[group])
        if 2 <= len(present) <= 8:
            _meetings(group, present, code, time, lat, lng, gathered)
    offsets = []
    for (one, other), lists in sorted(gathered.items()):
        found = _offset(np.concatenate(lists))
        if found is not None:
            offsets.append({"camera": names[one], "other": names[other], "minutes": found[0], "photos": found[1]})
    return offsets


def _together(
    rows: pa.Table, time: npt.NDArray[np.float64], lat: npt.NDArray[np.float64], lng: npt.NDArray[np.float64]
) -> pa.ChunkedArray:
    """What photos are compared with each other: those of an owner who is told, about one place in one month
    (``SQUARE`` degrees and ``MONTH`` days, so that an owner's life is not compared pair by pair); else of a folder."""
    cells = (np.floor(lat / SQUARE), np.floor(lng / SQUARE), np.floor(time / (MONTH * 86400)))
    texts = [pa.chunked_array([pa.array(cell.astype(np.int64))]).cast(pa.string()) for cell in cells]
    owned = pc.binary_join_element_wise(rows["owner_told"], *texts, "\0")  # null where no owner is told
    return pc.coalesce(owned, rows["album_id"])


def _meetings(
    group: npt.NDArray[np.int64],
    present: npt.NDArray[np.int64],
    code: npt.NDArray[np.int64],
    time: npt.NDArray[np.float64],
    lat: npt.NDArray[np.float64],
    lng: npt.NDArray[np.float64],
    gathered: dict[tuple[int, int], list[npt.NDArray[np.float64]]],
) -> None:
    """Add the differences in minutes (other - one) of photos near each other."""
    for one in present:
        for other in present[present > one]:
            a, b = group[code[group] == one][:2000], group[code[group] == other][:2000]
            minutes = (time[b][None, :] - time[a][:, None]) / 60
            near = distance_km(lat[a][:, None], lng[a][:, None], lat[b][None, :], lng[b][None, :]) <= NEAR_KM
            near &= np.abs(minutes) <= MAX_OFFSET_HOURS * 60
            gathered.setdefault((int(one), int(other)), []).append(minutes[near])


def _offset(minutes: npt.NDArray[np.float64]) -> tuple[float, int] | None:
    if len(minutes) < MIN_MEETINGS:
        return None
    bins, counts = np.unique(np.round(minutes / BIN_MINUTES).astype(np.int64), return_counts=True)
    top = counts.argmax()
    at_zero = counts[np.abs(bins) <= 1].sum()
    if abs(bins[top]) <= 1 or counts[top] < max(MIN_MEETINGS, 3 * at_zero):
        return None
    inside = minutes[np.abs(minutes / BIN_MINUTES - bins[top]) <= 1]
    return round(float(np.median(inside)), 1), int(counts[top])


def _codes(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    return _named_codes(column)[1]


def _named_codes(column: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int64]]:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = array.dictionary_encode()
    return encoded.dictionary.to_pylist(), np.array(encoded.indices.to_numpy(zero_copy_only=False), np.int64)


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    return np.array(pc.fill_null(column, np.nan).to_numpy(), np.float64)
