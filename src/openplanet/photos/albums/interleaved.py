"""Folders that one camera filled in turns: they are one person's, however a program has named them.

Shapes: N photos, K of them with time, position and a camera that is known by its model alone.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

GAP_HOURS = 8.0  # an outing
SQUARE = 0.1  # degrees, about 11 km: elsewhere it is somebody else's camera
MIN_PHOTOS = 3  # of an outing that is looked at
MOST = 0.5  # of a folder's photos on such outings: strangers with the same model meet now and then
Indices = npt.NDArray[np.int64]


def owners(rows: pa.Table, owner: pa.ChunkedArray) -> tuple[pa.ChunkedArray, npt.NDArray[np.bool_]]:
    """``owner`` [N] with one name for all folders of a camera that interleave, and which photos [N] got it.

    ``rows``: make, model, serial, owner_told, album_id, taken_at, lat, lng. Folders interleave on an outing (photos of
    one model in one square, under GAP_HOURS apart) where one's first photo was taken between the first and the
    last of the other; they are one owner's where that holds of most photos of either.
    """
    changed_N = np.zeros(len(owner), np.bool_)
    fit = rows["taken_at"].is_valid().to_numpy() & rows["lat"].is_valid().to_numpy() & owner.is_valid().to_numpy()
    fit &= rows["owner_told"].is_null().to_numpy() & rows["serial"].is_null().to_numpy()
    at_K = np.flatnonzero(fit)
    if len(at_K) < MIN_PHOTOS:
        return owner, changed_N
    camera = pc.binary_join_element_wise(*(pc.fill_null(rows[name].take(at_K), "") for name in ("make", "model")), "\0")
    names, folder_K = _codes(owner.take(at_K))
    pairs = _interleaving(at_K, rows, _codes(camera)[1], folder_K)
    root = _joined(len(names), pairs)
    members = np.bincount(root, minlength=len(names))
    tied = members[root] > 1
    if not tied.any():
        return owner, changed_N
    named = [_common([names[i] for i in np.flatnonzero(root == r)]) if members[r] > 1 else "" for r in range(len(root))]
    values = pa.array([named[root[i]] if tied[i] else names[i] for i in range(len(names))], pa.string())
    # a folder's photos without a time or position are the same owner's
    where = pc.index_in(owner.combine_chunks(), value_set=pa.array(names))
    changed_N = pc.fill_null(pa.array(tied).take(where), False).to_numpy(zero_copy_only=False)
    return pa.chunked_array([pc.coalesce(values.take(where), owner.combine_chunks())]), changed_N


def _interleaving(at_K: Indices, rows: pa.Table, camera_K: Indices, folder_K: Indices) -> list[tuple[int, int]]:
    """Pairs of folders that interleave, of those of which most photos do."""
    time_K = rows["taken_at"].take(at_K).cast(pa.int64()).to_numpy() / 3.6e9
    square_K = [np.floor(rows[name].take(at_K).to_numpy() / SQUARE).astype(np.int64) for name in ("lat", "lng")]
    order = np.lexsort((time_K, *square_K, camera_K))
    new = np.diff(time_K[order]) > GAP_HOURS
    for key in (camera_K, *square_K):
        new |= np.diff(key[order]) != 0
    seen, met = np.zeros(folder_K.max() + 1, np.int64), np.zeros(folder_K.max() + 1, np.int64)
    pairs: list[tuple[int, int]] = []
    for outing in np.split(order, np.flatnonzero(new) + 1):
        if len(outing) < MIN_PHOTOS:
            continue
        folders, first, many = np.unique(folder_K[outing], return_index=True, return_counts=True)
        seen[folders] += many
        last = len(outing) - 1 - np.unique(folder_K[outing][::-1], return_index=True)[1]
        by_time = np.argsort(first)
        reached, before = -1, -1
        together: set[int] = set()
        for i in by_time:
            if first[i] < reached:
                pairs.append((before, int(folders[i])))
                together |= {before, int(folders[i])}
            if last[i] > reached:
                reached, before = int(last[i]), int(folders[i])
        for folder, count in zip(folders, many, strict=True):
            met[folder] += count * (int(folder) in together)
    mostly = met > MOST * np.maximum(seen, 1)
    return [(one, other) for one, other in dict.fromkeys(pairs) if mostly[one] and mostly[other]]


def _joined(count: int, pairs: list[tuple[int, int]]) -> Indices:
    """The least member of the set of each of ``count`` things, where ``pairs`` belong together."""
    root = np.arange(count)

    def find(one: int) -> int:
        while root[one] != one:
            root[one] = root[root[one]]
            one = int(root[one])
        return one

    for one, other in pairs:
        low, high = sorted((find(one), find(other)))
        root[high] = low
    return np.array([find(one) for one in range(count)], np.int64)


def _common(names: list[str]) -> str:
    """'Apple iPhone 12, Pictures' of 'Apple iPhone 12, Pictures/a' and 'Apple iPhone 12, Pictures/b'; the first where
    they have no folder in common."""
    names = sorted(names)
    parts = [name.split("/") for name in (names[0], names[-1])]
    same = [one for one, other in zip(*parts, strict=False) if one == other]
    at = next((i for i, (one, other) in enumerate(zip(*parts, strict=False)) if one != other), len(same))
    return "/".join(parts[0][:at]) or names[0]


def _codes(column: pa.ChunkedArray) -> tuple[list[str], Indices]:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    found = array.dictionary_encode()
    order = np.argsort(np.argsort(found.dictionary.to_pylist()))
    names = sorted(found.dictionary.to_pylist())
    return names, np.asarray(order[found.indices.to_numpy(zero_copy_only=False)], np.int64)
