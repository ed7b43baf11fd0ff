"""The short half of ingest, in columns: from what was read of each file to the rows of the dataset.

Shapes: K candidates, N rows of the dataset.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from openplanet.photos import dataset
from openplanet.photos.albums import clocks, interleaved, orders, sessions
from openplanet.photos.files import flags
from openplanet.photos.ingest import serials, split
from openplanet.photos.ingest.known import Indices, Readings
from openplanet.photos.ingest.plan import Options, Plan
from openplanet.photos.ingest.read import NO_POSITION

ROWS = 16384  # photos that are Python objects at a time
REJECTED = pa.schema([("file", pa.string()), ("reason", pa.string()), ("detail", pa.string())])


@dataclass(frozen=True)
class Settled:
    """``rows``: SCHEMA without the image, and ``reading`` (where its picture is found), ``exif_lat``,
    ``exif_lng``; ``rejected``: REJECTED; both in the order of the candidates."""

    rows: pa.Table
    rejected: pa.Table
    clocks: list[dict[str, Any]]  # cameras whose clocks differ
    assumed: list[str]  # what was assumed of clocks, in words
    divided: split.Divided


def settle(plan: Plan, at_K: Indices, readings: Readings, options: Options) -> Settled:
    """Every candidate as exactly one row or one rejection.

    ``at_K``: the reading of each candidate, -1 where it was rejected unread. The user's table wins over what
    the photo and those beside it say. Of files with the same bytes one stays: one with a position before one
    without, an album's before Takeout's folder of its year, then the first.
    """
    merged = _merge(plan.table, at_K, readings)
    reason, detail = _reasons(merged, plan)
    usable = np.flatnonzero(reason.is_null().to_numpy())
    first = _first_of_equals(merged, usable)
    repeats = first != usable
    reason, detail = _reject_repeats(merged["source"], reason, detail, usable[repeats], first[repeats])
    lost = np.flatnonzero(reason.is_valid().to_numpy())
    rejected = pa.table(
        [merged["source"].take(lost), reason.take(lost), pc.fill_null(detail.take(lost), "")], schema=REJECTED
    )
    kept = np.flatnonzero(reason.is_null().to_numpy())
    columns = dict(zip(merged.column_names, merged.columns, strict=True))
    del merged  # column by column, so that all photos are never there twice
    rows = pa.table({name: columns.pop(name).take(kept) for name in list(columns)})
    differ, assumed = list[dict[str, Any]](), list[str]()
    divided = split.Divided(options.split_by, options.albums)
    if rows.num_rows:
        differ = sessions.clock_offsets(serials.coded(rows))
        rows, divided, assumed = _complete(rows, readings, options)
    return Settled(rows, rejected, differ, assumed, divided)


def _merge(plan: pa.Table, at_K: Indices, readings: Readings) -> pa.Table:
    pointer = pa.array(at_K, mask=at_K < 0)
    read = {name: readings.table[name].take(pointer) for name in readings.table.column_names}
    told = {name.removeprefix("told_"): plan[name] for name in plan.column_names if name.startswith("told_")}
    from_table, timed = told["lat"].is_valid(), told["taken_at"].is_valid()
    said = pc.fill_null(told["taken_at_is_utc"], False)
    written = pc.if_else(told["utc_offset_minutes"].is_valid(), "written", pa.scalar(None, pa.string()))
    columns = {
        "photo_id": read["photo_id"],
        "lat": pc.if_else(from_table, told["lat"], read["lat"]),
        "lng": pc.if_else(from_table, told["lng"], read["lng"]),
        "position_from": pc.if_else(from_table, "table", read["position_from"]),
        "taken_at": pc.if_else(timed, told["taken_at"], read["taken_at"]),
        "taken_at_is_utc": pc.if_else(timed, said, pc.fill_null(read["taken_at_is_utc"], False)),
        "utc_offset_minutes": pc.if_else(timed, told["utc_offset_minutes"], read["utc_offset_minutes"]),
        "utc_offset_from": pc.if_else(timed, written, read["utc_offset_from"]),
        "album_id": pc.coalesce(told["album"], read["album"], plan["album"]),
        "album_told": pc.or_(told["album"].is_valid(), read["album"].is_valid()),
        "table_order": told["album_order"],
        "owner_told": pc.coalesce(told["owner"], read["owner"]),
        "licence": pc.coalesce(told["licence"], read["licence"]),
        "attribution": pc.coalesce(told["attribution"], read["attribution"]),
        "source": plan["name"],
        "rank": plan["rank"],
        "reading": pa.chunked_array([pointer]),
        "read_reason": read["reason"],
        "read_detail": read["detail"],
    }
    same = ("exif_lat", "exif_lng", "make", "model", "serial", "width", "height", "dhash", "flag", "flag_reason")
    return pa.table(columns | {name: read[name] for name in same}).combine_chunks()


def _reasons(merged: pa.Table, plan: Plan) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    reason = pc.coalesce(plan.table["reason"], merged["read_reason"])
    unlocated = pc.and_(merged["lat"].is_null(), pa.chunked_array([pa.array(plan.needs_gps_K)]))
    unlocated = pc.and_(reason.is_null(), unlocated)  # read by an earlier run that kept such photos
    detail = pc.coalesce(plan.table["detail"], merged["read_detail"])
    return pc.if_else(unlocated, "no gps", reason), pc.if_else(unlocated, NO_POSITION, detail)


def _first_of_equals(merged: pa.Table, usable: Indices) -> Indices:
    """For each usable candidate the one of the same bytes that stays."""
    photo_id = merged["photo_id"].take(usable)
    digest_N = np.concatenate([_digests(photo_id.slice(at, ROWS)) for at in range(0, max(1, len(usable)), ROWS)])
    rank = merged["rank"].take(usable).to_numpy()
    unlocated = merged["lat"].take(usable).is_null().to_numpy()
    order = np.lexsort((usable, rank, unlocated, digest_N["low"], digest_N["high"]))
    digest_N = digest_N[order]
    starts = np.ones(len(order), bool)
    starts[1:] = digest_N[1:] != digest_N[:-1]
    first = np.empty(len(usable), np.int64)
    first[order] = usable[order[np.flatnonzero(starts)]][np.cumsum(starts) - 1]
    return first


def _digests(photo_id: pa.ChunkedArray) -> npt.NDArray[np.void]:
    """The first 128 bits of each SHA-256: as numbers, for a dictionary of the texts takes half a kilobyte a photo."""
    raw = b"".join(bytes.fromhex(name[:32]) for name in photo_id.to_pylist())
    return np.frombuffer(raw, [("high", ">u8"), ("low", ">u8")])


def _reject_repeats(
    source: pa.ChunkedArray, reason: pa.ChunkedArray, detail: pa.ChunkedArray, repeats: Indices, first: Indices
) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    mask = np.zeros(len(reason), bool)
    mask[repeats] = True
    # replace_with_mask takes the replacements in the order of the rows
    order = np.argsort(repeats)
    said = pc.binary_join_element_wise("the same bytes as ", _whole(source.take(first[order])), "")
    duplicate = pa.array(["duplicate"] * len(repeats), pa.string())
    told = (reason, duplicate), (detail, said)
    reason, detail = (
        pa.chunked_array([pc.replace_with_mask(_whole(column), pa.array(mask), _whole(values))])
        for column, values in told
    )
    return reason, detail


def _complete(rows: pa.Table, readings: Readings, options: Options) -> tuple[pa.Table, split.Divided, list[str]]:
    """Fill in what depends on all rows: owner, album, order in it, split, near-duplicates. Returns also by what they
    are divided, and what is assumed of clocks, in words."""
    owner, tied_N = interleaved.owners(rows, _owners(rows, by_folder=True))
    # Owners by folder are within its album: they tie nothing together, and as keys they would move a folder to
    # another split when a photo of another camera comes into it. Those of several folders tie, and so do sessions,
    # which can span folders.
    grouped = pc.if_else(pa.array(tied_N), owner, _owners(rows, by_folder=False))
    divided = split.Divided(options.split_by, options.albums)
    album = sessions.album_ids(rows) if options.albums == "sessions" else rows["album_id"]
    if options.split_by == "auto":
        divided, album = _divide(rows, owner, grouped, album, options, bool(tied_N.any()))
    split_N = _splits(owner if divided.albums == "sessions" else grouped, album, divided.split_by)
    reading_N = rows["reading"].to_numpy()
    split_N, repeats_N = split.mark_near_duplicates(split_N, rows["dhash"].to_numpy(), readings.thumbnails, reading_N)
    aligned = clocks.align(rows, _codes(album))
    assumed = clocks.notes(aligned, rows)
    order = orders.album_orders(album, rows["source"], pa.chunked_array([aligned.moments()]), rows["table_order"])
    named = serials.coded(rows)  # what is written; what divides is what the photos say, the same on every machine
    extra = {
        "album_id": sessions.album_ids(named) if divided.albums == "sessions" else album,
        "utc_offset_minutes": aligned.offsets(),
        "utc_offset_from": aligned.sources(),
        "owner_id": interleaved.owners(named, _owners(named, by_folder=True))[0],
        "album_order": pa.array(order, pa.int32()),
        "split": pa.array(split_N, pa.string()),
        "near_duplicate_of": rows["photo_id"].take(pa.array(repeats_N, mask=repeats_N < 0)),
    } | _named_flags(rows)
    for name, values in extra.items():
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, name, values) if at >= 0 else rows.append_column(name, values)
    names = [name for name in dataset.SCHEMA.names if name != "image"]
    return rows.select([*names, "reading", "exif_lat", "exif_lng"]), divided, assumed


def _divide(
    rows: pa.Table,
    owner: pa.ChunkedArray,
    grouped: pa.ChunkedArray,
    album: pa.ChunkedArray,
    options: Options,
    tied: bool,
) -> tuple[split.Divided, pa.ChunkedArray]:
    """By owner, unless one has most of the photos; then by album, unless one has most, or folders interleave
    (``tied``), so that they would share their walks; then by session."""
    by_owner = owner if options.albums == "sessions" else grouped
    share = _largest(by_owner, album, "owner")
    if share <= split.MOST or rows.num_rows < split.MIN_TO_JUDGE:
        return split.Divided("owner", options.albums), album
    why = f"one owner (or camera) has {share:.0%} of the photos"
    in_album = _largest(by_owner, album, "album")
    if (in_album <= split.MOST and not tied) or options.albums == "sessions":
        return split.Divided("album", options.albums, why), album
    more = "whose folders interleave" if tied else f"one album {in_album:.0%}"
    return split.Divided("album", "sessions", f"{why}, {more}"), sessions.album_ids(rows)


def _largest(owner: pa.ChunkedArray, album: pa.ChunkedArray, split_by: str) -> float:
    """The share of the photos that the largest group has."""
    code, firsts = combinations([owner, album])
    keys = split.group_keys(owner.take(firsts).to_pylist(), album.take(firsts).to_pylist(), split_by)
    _, group = np.unique(keys, return_inverse=True)
    return float(np.bincount(group[code]).max() / len(code))


def _named_flags(rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Screenshots that say so in their name; a picture with a camera's name never."""
    named = pc.match_substring_regex(rows["source"], f"{flags.NAMED}[^/]*$")
    named = pc.and_(named, pc.and_(rows["make"].is_null(), pc.and_(rows["flag"].is_null(), rows["exif_lat"].is_null())))
    return {
        "flag": pc.if_else(named, "screenshot", rows["flag"]),
        "flag_reason": pc.if_else(named, "its name says so, no camera", rows["flag_reason"]),
    }


def _owners(rows: pa.Table, by_folder: bool) -> pa.ChunkedArray:
    """``albums.owner_of``, once for each combination that occurs; by_folder: also by camera and folder."""
    names = ["owner_told", "make", "model", "serial", *["album_id"] * by_folder]
    code, firsts = combinations([rows[name] for name in names])
    distinct = rows.select(names).take(firsts).to_pylist()
    owners = pa.array([orders.owner_of(*(row[name] for name in names)) for row in distinct], pa.string())
    return pa.chunked_array([owners.take(pa.array(code))])


def _splits(owner: pa.ChunkedArray, album: pa.ChunkedArray, split_by: str) -> npt.NDArray[np.str_]:
    if split_by == "none":
        return np.full(len(owner), "train", dtype="U5")
    code, firsts = combinations([owner, album])
    pairs = owner.take(firsts).to_pylist(), album.take(firsts).to_pylist()
    keys = split.group_keys(pairs[0], pairs[1], split_by)
    return np.array([split.assign_split(key) for key in keys], dtype="U5")[code]


def combinations(columns: list[pa.ChunkedArray]) -> tuple[Indices, Indices]:
    """(number of each row's combination of values, a row that has it for each combination)."""
    code = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        code = code * (np.int64(len(column)) + 1) + _codes(column)
        code = np.unique(code, return_inverse=True)[1].astype(np.int64)  # small again, so that nothing overflows
    _, firsts = np.unique(code, return_index=True)
    return code, firsts


def _codes(column: pa.ChunkedArray) -> Indices:
    """A number for each value, the same for the same; null is a value."""
    array = _whole(column).dictionary_encode(null_encoding="encode")
    return np.array(array.indices.to_numpy(zero_copy_only=False), np.int64)


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
