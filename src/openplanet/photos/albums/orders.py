"""Albums: the photos of one folder in order of capture, and whose camera took them.

Shapes: N photos.
"""

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

ROWS = 16384  # names that are Python objects at a time
_DIGITS = re.compile("[0-9]+")


def natural(name: str) -> str:
    """A sort key that puts IMG_2 before IMG_10: numbers have the same width, and stand before letters."""
    return _DIGITS.sub(lambda number: f"\0{number[0].lstrip('0').zfill(20)}", name)


def _naturals(name: pa.ChunkedArray) -> pa.Array:
    return pa.array(list(map(natural, name.to_pylist())), pa.string())


def album_orders(
    album: pa.ChunkedArray, name: pa.ChunkedArray, moment: pa.ChunkedArray, table_order: pa.ChunkedArray
) -> npt.NDArray[np.int32]:
    """The place 0, 1, 2 ... [N] of each photo in its album.

    By the table's order where it gives one; then by capture time (``moment``: comparable within an album, as
    ``clocks.align`` makes it); photos without either come last, by file ``name``.
    """
    naturals = [_naturals(name.slice(at, ROWS)) for at in range(0, len(name), ROWS)]
    keys = pa.table(
        {
            "album": album,
            "order": pc.fill_null(table_order.cast(pa.int64()), np.iinfo(np.int64).max),
            "time": pc.fill_null(moment.cast(pa.int64()), np.iinfo(np.int64).max),
            "natural": pa.chunked_array(naturals, pa.string()),
            "name": name,
        }
    )
    sorted_N = pc.sort_indices(keys, sort_keys=[(key, "ascending") for key in keys.column_names]).to_numpy()
    in_album = album.take(sorted_N).combine_chunks()
    starts_N = np.ones(len(sorted_N), bool)
    starts_N[1:] = pc.not_equal(in_album[1:], in_album[:-1]).to_numpy(zero_copy_only=False)
    first = np.flatnonzero(starts_N)
    place_N = np.arange(len(sorted_N)) - first[np.cumsum(starts_N) - 1]
    order_N = np.empty(len(sorted_N), np.int32)
    order_N[sorted_N] = place_N
    return order_N


def owner_of(
    table_owner: str | None, make: str | None, model: str | None, serial: str | None, folder: str | None = None
) -> str | None:
    """Who took it: the table's word, else the camera body ('Canon EOS 40D 12345'), else camera and ``folder``.

    Make and model alone name thousands of people's phones, but those in one folder are nearly always one
    person's ('Apple iPhone 12, Pictures/rome'). Without ``folder``, or a camera's name, nobody is known.
    """
    if table_owner:
        return table_owner
    serial = (serial or "").strip()
    make, model = (make or "").strip(), (model or "").strip()
    if make and not model.lower().startswith(make.lower().split()[0]):
        model = f"{make} {model}".strip()
    if serial.strip("0 "):  # some makers write 0000000000
        return f"{model} {serial}".strip()
    return f"{model}, {folder}" if model and folder else None
