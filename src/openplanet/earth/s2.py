"""S2 cell ids for whole arrays, the same bit for bit as Google's s2geometry.

The sphere is projected on the 6 faces of a cube; each face is a quad-tree of 30 levels, its cells numbered
along a Hilbert curve. A cell id is 3 bits of face, 2 bits for each level, then a 1 and zeros: the lowest set
bit tells the level. This is the only file that knows that layout.

Names: N points or cells; u, v in -1..1 and s, t in 0..1 are coordinates on a face; i, j the same as integers
below 2**30. Source: github.com/google/s2geometry, s2coords.h and s2cell_id.cc.
"""

import math
import re
from collections.abc import Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openplanet.earth import geo
from openplanet.errors import InputError

Ids = NDArray[np.uint64]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Number = TypeVar("Number", Ints, Floats)

MAX_LEVEL = 30
LIMIT_IJ = 1 << MAX_LEVEL
CHUNK = 1 << 15  # points at a time: the temporaries stay in the processor's cache

# The Hilbert curve: for each of 4 orientations, the quadrant (2 * i + j) of each position along the curve,
# and what entering that position does to the orientation (1 swaps i and j, 2 inverts both).
POS_TO_IJ = np.array([[0, 1, 3, 2], [0, 2, 3, 1], [3, 2, 0, 1], [3, 1, 0, 2]])
POS_TO_ORIENTATION = np.array([1, 0, 0, 3])
TABLE_BITS = 6  # levels walked by one look-up; 5 look-ups make 30 levels, and a table is 32 KiB
TABLE_MASK = (1 << TABLE_BITS) - 1

# Where a coordinate comes this near to the edge of a leaf (in leaf widths) or of a face, the last bit of a
# sine decides. s2geometry calls the C library's; NumPy's may be its own, vectorised and another in the last
# bits, depending on its version and the processor. Such points (4 in 100,000) go through the C library, one
# by one. The bounds are 10 times what an error of 4 units in the last place can do.
NEAR_LEAF_EDGE = 1e-5
NEAR_FACE_EDGE = 1e-14


def _hilbert_tables() -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Two tables of 2**14: (i, j, orientation) -> (position, orientation) over 6 levels, and its inverse."""
    size = 1 << (2 * TABLE_BITS + 2)
    key = np.arange(size)
    start = orientation = key & 3
    position = key >> 2
    i = np.zeros(size, np.int64)
    j = np.zeros(size, np.int64)
    for level in reversed(range(TABLE_BITS)):
        digit = (position >> (2 * level)) & 3
        quadrant = POS_TO_IJ[orientation, digit]
        i, j = 2 * i + (quadrant >> 1), 2 * j + (quadrant & 1)
        orientation = orientation ^ POS_TO_ORIENTATION[digit]
    ij_key = (i << (TABLE_BITS + 2)) | (j << 2) | start
    to_position = np.empty(size, np.uint16)
    to_position[ij_key] = (position << 2) | orientation
    to_ij = ((i << (TABLE_BITS + 2)) | (j << 2) | orientation).astype(np.uint16)
    return to_position, to_ij


TO_POSITION, TO_IJ = _hilbert_tables()
TO_POSITION_LIST: list[int] = TO_POSITION.tolist()  # one look-up is ten times faster than in an array
FIXED_BITS = 40  # of fixed_xyz: 6 micrometres, a thousandth of a leaf; sums of 2**22 stay below 2**63


def leaf_ids(lat_N: ArrayLike, lng_N: ArrayLike) -> Ids:
    """Level-30 cell ids uint64[N] of N positions in degrees; raises InputError on NaN or out of range."""
    lat, lng = np.atleast_1d(np.asarray(lat_N, np.float64)), np.atleast_1d(np.asarray(lng_N, np.float64))
    geo.check_coordinates(lat, lng, "coordinates")
    id_N = np.empty(lat.shape, np.uint64)
    for start in range(0, len(lat), CHUNK):
        part = slice(start, start + CHUNK)
        id_N[part] = _leaf_ids(lat[part], lng[part])
    return id_N


def leaf_id(lat: float, lng: float) -> int:
    """``leaf_ids`` of one position, without arrays: a few microseconds instead of a hundred."""
    if not (-90 <= lat <= 90 and -180 <= lng <= 180):
        geo.check_coordinates([lat], [lng], "coordinates")
    phi, theta = lat * (math.pi / 180), lng * (math.pi / 180)
    cos_phi = math.cos(phi)
    x, y, z = math.cos(theta) * cos_phi, math.sin(theta) * cos_phi, math.sin(phi)
    ax, ay, az = abs(x), abs(y), abs(z)
    on_x, on_y = ax > ay and ax > az, ay >= ax and ay > az
    axis, w = (0, x) if on_x else (1, y) if on_y else (2, z)
    a, b = (y if on_x else -x) / w, (z if on_x or on_y else -y) / w
    face, u, v = (axis + 3, b, a) if w < 0 else (axis, a, b)
    i, j = (
        min(max(math.floor(LIMIT_IJ * (root if c >= 0 else 1 - root)), 0), LIMIT_IJ - 1)
        for c, root in ((c, 0.5 * math.sqrt(1 + 3 * abs(c))) for c in (u, v))
    )
    position, orientation = face, face & 1
    for shift in range(MAX_LEVEL - TABLE_BITS, -1, -TABLE_BITS):
        key = ((i >> shift & TABLE_MASK) << (TABLE_BITS + 2)) | ((j >> shift & TABLE_MASK) << 2) | orientation
        found = TO_POSITION_LIST[key]
        position = (position << (2 * TABLE_BITS)) | (found >> 2)
        orientation = found & 3
    return position << 1 | 1


def _leaf_ids(lat: Floats, lng: Floats) -> Ids:
    # The order of operations is s2geometry's: each rounding must be the same.
    phi, theta = lat * (math.pi / 180), lng * (math.pi / 180)
    cos_phi = np.cos(phi)
    x, y, z = np.cos(theta) * cos_phi, np.sin(theta) * cos_phi, np.sin(phi)
    face, u, v = _face_uv(x, y, z)
    i, j = _uv_to_scaled(u), _uv_to_scaled(v)
    doubtful = np.flatnonzero(
        (np.abs(i - np.rint(i)) < NEAR_LEAF_EDGE)
        | (np.abs(j - np.rint(j)) < NEAR_LEAF_EDGE)
        | (np.maximum(np.abs(u), np.abs(v)) > 1 - NEAR_FACE_EDGE)
    )
    if len(doubtful):
        face[doubtful], u, v = _face_uv(*_libm_xyz(phi[doubtful], theta[doubtful]))
        i[doubtful], j[doubtful] = _uv_to_scaled(u), _uv_to_scaled(v)
    return _from_face_ij(face, _scaled_to_ij(i), _scaled_to_ij(j))


def _libm_xyz(phi: Floats, theta: Floats) -> tuple[Floats, Floats, Floats]:
    """Unit vectors by the C library's own sine and cosine, one point at a time."""
    rows = []
    for p, t in zip(phi.tolist(), theta.tolist(), strict=True):
        cos_p = math.cos(p)
        rows.append((math.cos(t) * cos_p, math.sin(t) * cos_p, math.sin(p)))
    xyz = np.array(rows)
    return xyz[:, 0], xyz[:, 1], xyz[:, 2]


def _face_uv(x: Floats, y: Floats, z: Floats) -> tuple[Ints, Floats, Floats]:
    """The face (0..5) that each vector meets, and where on it. Ties go to the later axis, as there."""
    ax, ay, az = np.abs(x), np.abs(y), np.abs(z)
    on_x, on_y = (ax > ay) & (ax > az), (ay >= ax) & (ay > az)
    axis = np.where(on_x, 0, np.where(on_y, 1, 2))
    w = np.where(on_x, x, np.where(on_y, y, z))
    back = w < 0
    # Divided by w, whose sign is that of the face: u = y/x, v = z/x on face 0, u = z/x, v = y/x on face 3.
    a = np.where(on_x, y, -x) / w
    b = np.where(on_x | on_y, z, -y) / w
    return axis + 3 * back, np.where(back, b, a), np.where(back, a, b)


def _uv_to_scaled(u: Floats) -> Floats:
    """The quadratic projection: u in -1..1 to 0..2**30, so that leaf cells have nearly equal areas."""
    root = 0.5 * np.sqrt(1 + 3 * np.abs(u))
    return np.asarray(LIMIT_IJ * np.where(u >= 0, root, 1 - root))


def _scaled_to_ij(scaled: Floats) -> Ints:
    return np.asarray(np.clip(np.floor(scaled), 0, LIMIT_IJ - 1), np.int64)


def _from_face_ij(face: Ints, i: Ints, j: Ints) -> Ids:
    position = face.copy()
    orientation = face & 1
    for shift in range(MAX_LEVEL - TABLE_BITS, -1, -TABLE_BITS):
        i_bits, j_bits = (i >> shift) & TABLE_MASK, (j >> shift) & TABLE_MASK
        key = (i_bits << (TABLE_BITS + 2)) | (j_bits << 2) | orientation
        found = TO_POSITION[key].astype(np.int64)
        position = (position << (2 * TABLE_BITS)) | (found >> 2)
        orientation = found & 3
    return (position.astype(np.uint64) << np.uint64(1)) | np.uint64(1)


def _face_ij(leaf_N: Ids) -> tuple[Ints, Ints, Ints]:
    """Face, i and j of leaf cells: the way back of _from_face_ij."""
    position = (leaf_N >> np.uint64(1)).astype(np.int64)
    face = position >> (2 * MAX_LEVEL)
    orientation = face & 1
    i, j = np.zeros_like(face), np.zeros_like(face)
    for shift in range(2 * (MAX_LEVEL - TABLE_BITS), -1, -2 * TABLE_BITS):
        digits = (position >> shift) & ((1 << (2 * TABLE_BITS)) - 1)
        found = TO_IJ[(digits << 2) | orientation].astype(np.int64)
        i = (i << TABLE_BITS) | (found >> (TABLE_BITS + 2))
        j = (j << TABLE_BITS) | ((found >> 2) & TABLE_MASK)
        orientation = found & 3
    return face, i, j


def _ids(cell_id: ArrayLike) -> Ids:
    return np.atleast_1d(np.asarray(cell_id, np.uint64))


def _lsb(ids: Ids) -> Ids:
    return np.asarray(ids & (~ids + np.uint64(1)), np.uint64)


def is_valid(cell_id_N: ArrayLike) -> NDArray[np.bool_]:
    """bool[N]: a face below 6 and a lowest set bit where a level's is."""
    ids = _ids(cell_id_N)
    return np.asarray((ids >> np.uint64(61) < 6) & (_lsb(ids) & np.uint64(0x1555555555555555) != 0))


def level_of(cell_id_N: ArrayLike) -> Ints:
    """Levels int64[N], 0 (a face) to 30 (a leaf), of valid cell ids."""
    zeros = np.bitwise_count(_lsb(_ids(cell_id_N)) - np.uint64(1))
    return np.asarray(MAX_LEVEL - (zeros.astype(np.int64) >> 1))


def face_cells() -> Ids:
    """The six cells of level 0, ascending."""
    return (np.arange(6, dtype=np.uint64) << np.uint64(61)) | np.uint64(1 << 60)


def parent(cell_id_N: ArrayLike, level: ArrayLike) -> Ids:
    """The cells of ``level`` (one, or one each) that hold the given ones; ValueError for a finer level."""
    ids, levels = _ids(cell_id_N), np.asarray(level)
    if (levels < 0).any() or (levels > level_of(ids)).any():
        raise ValueError("a parent's level is 0 up to the cell's own")
    lsb = np.uint64(1) << (2 * (MAX_LEVEL - levels)).astype(np.uint64)
    return np.asarray((ids & (~lsb + np.uint64(1))) | lsb, np.uint64)


def children(cell_id_N: ArrayLike) -> Ids:
    """The four cells uint64[N, 4] that each one divides into, ascending; ValueError for a leaf."""
    ids = _ids(cell_id_N)
    lsb = _lsb(ids)
    if (lsb == 1).any():
        raise ValueError("a leaf cell has no children")
    quarter = lsb >> np.uint64(2)
    steps = np.arange(4, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    return np.asarray((ids - lsb)[:, None] + quarter[:, None] * steps, np.uint64)


def range_min(cell_id_N: ArrayLike) -> Ids:
    """The first leaf uint64[N] in each cell."""
    ids = _ids(cell_id_N)
    return np.asarray(ids - (_lsb(ids) - np.uint64(1)), np.uint64)


def range_max(cell_id_N: ArrayLike) -> Ids:
    """The last leaf uint64[N] in each cell (inclusive)."""
    ids = _ids(cell_id_N)
    return np.asarray(ids + (_lsb(ids) - np.uint64(1)), np.uint64)


def contains(cell_id_N: ArrayLike, other_N: ArrayLike) -> NDArray[np.bool_]:
    """bool[N]: does each cell hold the other (a leaf, a smaller cell, or itself)? Both broadcast."""
    other = _ids(other_N)
    return np.asarray((other >= range_min(cell_id_N)) & (other <= range_max(cell_id_N)))


def to_token(cell_id_N: ArrayLike) -> list[str]:
    """The ids in hexadecimal without trailing zeros: short, and safe where numbers have 53 bits."""
    return [f"{cell_id:016x}".rstrip("0") or "X" for cell_id in _ids(cell_id_N).tolist()]


def from_token(tokens: Iterable[str]) -> Ids:
    """Cell ids uint64[N] of tokens; raises InputError on one that names no cell."""
    tokens = list(tokens)
    for token in tokens:
        if not isinstance(token, str) or not re.fullmatch("[0-9a-fA-F]{1,16}", token):
            raise InputError(f"{token!r} is no S2 cell token: 1 to 16 hexadecimal digits are")
    ids = np.array([int(token.ljust(16, "0"), 16) for token in tokens], np.uint64)
    valid = is_valid(ids)
    if not valid.all():
        raise InputError(f"{tokens[int(np.argmin(valid))]!r} is no S2 cell token: no cell has that id")
    return ids


def _bounds(cell_id_N: ArrayLike) -> tuple[Ints, Ints, Ints, Ints]:
    """Face, least i, least j, and width in leaves, of each cell."""
    ids = _ids(cell_id_N)
    face, i, j = _face_ij(range_min(ids))
    size = np.int64(1) << (MAX_LEVEL - level_of(ids))
    return face, i & -size, j & -size, size


def _ij_to_uv(i: NDArray[np.int64] | Floats) -> Floats:
    s = np.asarray(i / LIMIT_IJ)
    return np.where(s >= 0.5, (1 / 3) * (4 * s * s - 1), (1 / 3) * (1 - 4 * (1 - s) * (1 - s)))


def _face_uv_to_xyz(face: Ints, u: Floats, v: Floats) -> Floats:
    """Vectors [..., 3] (not of unit length) of points on faces."""
    columns = [_on_face(f, np.ones_like(u), u, v) for f in range(6)]
    pick = [face == f for f in range(6)]
    return np.stack([np.select(pick, [column[k] for column in columns]) for k in range(3)], axis=-1)


def _on_face(face: int, one: Number, u: Number, v: Number) -> tuple[Number, Number, Number]:
    """x, y and z of (1, u, v) in the frame of a face."""
    match face:
        case 0:
            return one, u, v
        case 1:
            return -u, one, v
        case 2:
            return -u, -v, one
        case 3:
            return -one, -v, -u
        case 4:
            return v, -one, -u
        case _:
            return v, u, -one


def center_xyz(cell_id_N: ArrayLike) -> Floats:
    """Unit vectors [N, 3] of the cells' centres."""
    face, i, j, size = _bounds(cell_id_N)
    xyz_N3 = _face_uv_to_xyz(face, _ij_to_uv(i + size / 2), _ij_to_uv(j + size / 2))
    return np.asarray(xyz_N3 / np.linalg.norm(xyz_N3, axis=-1, keepdims=True))


def fixed_xyz(leaf_N: Ids) -> Ints:
    """Centres of leaf cells as whole numbers [3, N] of 2**-40 of the Earth's radius.

    Whole numbers add up to the same sum in whatever order. Fastest where few faces are in one call, as in
    sorted leaves.
    """
    face, i, j = _face_ij(leaf_N)
    u, v = _ij_to_uv(np.asarray(i + 0.5)), _ij_to_uv(np.asarray(j + 0.5))
    w = (1 << FIXED_BITS) / np.sqrt(1 + u * u + v * v)
    w_N, u_N, v_N = (np.rint(part).astype(np.int64) for part in (w, u * w, v * w))
    xyz_3N = np.empty((3, len(leaf_N)), np.int64)
    for f in np.flatnonzero(np.bincount(face, minlength=6)).tolist():
        # Faces come in runs where the leaves are sorted: a slice is then enough.
        of_face = slice(None) if face[0] == f and (face == f).all() else face == f
        columns = _on_face(f, w_N[of_face], u_N[of_face], v_N[of_face])
        for axis in range(3):
            xyz_3N[axis, of_face] = columns[axis]
    return xyz_3N


def center(cell_id_N: ArrayLike) -> tuple[Floats, Floats]:
    """(lat_N, lng_N) of the cells' centres, in degrees."""
    return geo.from_xyz(center_xyz(cell_id_N))


def vertices(cell_id_N: ArrayLike) -> tuple[Floats, Floats]:
    """(lat_N4, lng_N4) of the cells' corners, counter-clockwise; the sides between them are great circles."""
    face, i, j, size = _bounds(cell_id_N)
    low_u, high_u, low_v, high_v = _ij_to_uv(i), _ij_to_uv(i + size), _ij_to_uv(j), _ij_to_uv(j + size)
    u_N4 = np.stack([low_u, high_u, high_u, low_u], axis=-1)
    v_N4 = np.stack([low_v, low_v, high_v, high_v], axis=-1)
    return geo.from_xyz(_face_uv_to_xyz(face[:, None], u_N4, v_N4))


def area_km2(cell_id_N: ArrayLike) -> Floats:
    """Exact areas in km² of the cells on a sphere of mean Earth radius (s2geometry's ExactArea).

    Each cell is two triangles. The solid angle of corners a, b, c is 2 atan(abc / (1 + ab + bc + ca)) (van
    Oosterom and Strackee 1983); on a face the triple product abc of the unnormalised corners is just the
    rectangle's width times height, so that nothing cancels even for leaf cells of 1 cm.
    """
    _, i, j, size = _bounds(cell_id_N)
    u0, u1, v0, v1 = _ij_to_uv(i), _ij_to_uv(i + size), _ij_to_uv(j), _ij_to_uv(j + size)
    rectangle = _extent(i, size) * _extent(j, size)
    first = _triangle(rectangle, (u0, v0), (u1, v0), (u1, v1))
    second = _triangle(rectangle, (u0, v0), (u1, v1), (u0, v1))
    return np.asarray((first + second) * geo.EARTH_RADIUS_KM**2)


def _extent(i: Ints, size: Ints) -> Floats:
    """u(i + size) - u(i) to full precision, from the exact integers and not as a difference of roundings."""
    s_sum = (2 * i + size) / LIMIT_IJ
    return np.where(size == LIMIT_IJ, 2.0, 4 / 3 * (size / LIMIT_IJ) * np.maximum(s_sum, 2 - s_sum))


def _triangle(triple: Floats, *corners_uv: tuple[Floats, Floats]) -> Floats:
    """Solid angle in steradians of (1, u, v) corners a, b, c whose triple product is ``triple``."""
    a, b, c = (np.stack([np.ones_like(u), u, v]) for u, v in corners_uv)
    length_a, length_b, length_c = (np.sqrt((corner * corner).sum(axis=0)) for corner in (a, b, c))
    dots = (a * b).sum(axis=0) * length_c + (b * c).sum(axis=0) * length_a + (c * a).sum(axis=0) * length_b
    return np.asarray(2 * np.arctan2(triple, length_a * length_b * length_c + dots))
