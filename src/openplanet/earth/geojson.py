"""Cells and points as GeoJSON (RFC 7946). The only file with the order lng, lat.

A cell is bounded by geodesics, which are curves on a map; ``rings_of_cells`` turns them into rings of
straight edges in the plane of latitude and longitude, cut at the antimeridian and led along it to a pole
where the cell contains one. The maps draw the same rings.

N cells · P points of a ring · 4 vertices of a cell, counter-clockwise.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openplanet.earth import s2
from openplanet.earth.geo import NO_TURN, Turn, from_xyz, to_xyz
from openplanet.earth.geo import turn as turned
from openplanet.earth.partition.adaptive import Partition

Floats = NDArray[np.float64]
Ring = NDArray[np.float64]  # [P, 2] of (lat, lng), closed (first point = last), counter-clockwise on the map

# A drawn edge strays from the true one by at most this share of its length, and by at most these degrees.
EDGE_TOLERANCE, EDGE_TOLERANCE_DEG = 0.005, 0.02
MOST_STEPS = 64
AT_POLE_DEG = 1e-9  # nearer to a pole than this, a vertex is the pole; a leaf cell is a hundred times wider


def rings_of_cells(cell_id_N: ArrayLike, turn: Turn = NO_TURN, middle: float = 0.0) -> list[list[Ring]]:
    """Outline each cell by one ring, or by two where the antimeridian cuts it.

    cell_id_N: S2 ids, of the turned sphere where there is a ``turn``. Returns for each cell its rings [P, 2] of
    (lat, lng) degrees, lng within -180..180, closed and counter-clockwise. Edges are divided so that they
    follow the geodesic (see EDGE_TOLERANCE). middle: of a map that is cut opposite of it, and not at the
    antimeridian; lng is then within 180 of it.
    """
    cell_id_N = np.atleast_1d(np.asarray(cell_id_N, np.uint64))
    lat_N4, lng_N4 = s2.vertices(cell_id_N)
    if turn != NO_TURN:
        lat_N4, lng_N4 = turned(lat_N4, lng_N4, turn, back=True)
    xyz_N43 = to_xyz(lat_N4, lng_N4)
    # The pole's cosine is 6e-17, not 0: left so, the sides that meet there would stray from their meridians.
    xyz_N43[np.abs(xyz_N43) < 1e-15] = 0.0
    steps_N = _steps(xyz_N43)
    rings: list[list[Ring]] = [[] for _ in range(len(cell_id_N))]
    for steps in np.unique(steps_N):
        of_group = np.flatnonzero(steps_N == steps)
        lat_MP, lng_MP = _divide(xyz_N43[of_group], int(steps))
        if middle:
            lng_MP = _turn(lng_MP - middle)
        touches_pole = (np.abs(lat_MP) > 90 - AT_POLE_DEG).any(axis=1)
        unwrapped_MP = _unwrap(lng_MP)
        west, east = unwrapped_MP.min(axis=1), unwrapped_MP.max(axis=1)
        plain = ~touches_pole & (west >= -180) & (east <= 180) & (east - west < 180)
        ring_MP2 = np.stack([lat_MP, unwrapped_MP], axis=-1)
        ring_MP2 = np.concatenate([ring_MP2, ring_MP2[:, :1]], axis=1)
        for row, index in enumerate(of_group):
            rings[index] = [ring_MP2[row]] if plain[row] else _cut(lat_MP[row], lng_MP[row])
    if middle:
        rings = [[ring + np.array([0.0, middle]) for ring in of_cell] for of_cell in rings]
    return rings


def cell_rings(cell_id: int) -> list[Ring]:
    """Outline one cell; see ``rings_of_cells``."""
    return rings_of_cells(np.array([cell_id], np.uint64))[0]


def _steps(xyz_N43: Floats) -> NDArray[np.int64]:
    """Parts into which the edges of each cell must be divided to stay within the tolerance on the map."""
    next_N43 = np.roll(xyz_N43, -1, axis=1)
    lat_N4, lng_N4 = from_xyz(xyz_N43)
    next_lat_N4, next_lng_N4 = from_xyz(next_N43)
    middle_lat_N4, middle_lng_N4 = from_xyz(_unit(xyz_N43 + next_N43))
    half_N4 = _turn(next_lng_N4 - lng_N4) / 2
    stray_lat_N4 = middle_lat_N4 - (lat_N4 + next_lat_N4) / 2
    stray_lng_N4 = _turn(middle_lng_N4 - lng_N4 - half_N4) * np.cos(np.radians(middle_lat_N4))
    stray_N4 = np.hypot(stray_lat_N4, stray_lng_N4)
    pole_N4 = np.abs(lat_N4) > 90 - AT_POLE_DEG
    stray_N4[pole_N4 | np.roll(pole_N4, -1, axis=1)] = 0.0  # an edge to a pole is a meridian: straight
    length_N4 = np.degrees(2 * np.arcsin(np.minimum(np.linalg.norm(next_N43 - xyz_N43, axis=-1) / 2, 1.0)))
    allowed_N4 = np.minimum(EDGE_TOLERANCE * length_N4, EDGE_TOLERANCE_DEG)
    steps_N4 = np.sqrt(stray_N4 / np.maximum(allowed_N4, 1e-12))  # n parts stray 1/n² as far
    # Powers of two: few different numbers, so that the cells go in few groups.
    power_N = np.ceil(np.log2(np.maximum(steps_N4.max(axis=1), 1.0)))
    return np.asarray(np.minimum(2**power_N, MOST_STEPS), np.int64)


def _divide(xyz_M43: Floats, steps: int) -> tuple[Floats, Floats]:
    """Points along the four edges, ``steps`` to an edge, each edge's end left to the next one."""
    next_M43 = np.roll(xyz_M43, -1, axis=1)
    angle_M41 = 2 * np.arcsin(np.minimum(np.linalg.norm(next_M43 - xyz_M43, axis=-1, keepdims=True) / 2, 1.0))
    points = []
    for step in range(steps):
        share = step / steps
        points.append(xyz_M43 * np.sin((1 - share) * angle_M41) + next_M43 * np.sin(share * angle_M41))
    xyz_MP3 = np.stack(points, axis=2).reshape(len(xyz_M43), -1, 3)
    return from_xyz(_unit(xyz_MP3))


def _cut(lat_P: Floats, lng_P: Floats) -> list[Ring]:
    """Make rings of a cell that touches or contains a pole, or touches or crosses the antimeridian."""
    lat_P, lng_P = _open_pole(lat_P, lng_P)
    unwrapped_P = _unwrap(lng_P)
    winding = unwrapped_P[-1] + _turn(lng_P[0] - lng_P[-1]) - unwrapped_P[0]
    if abs(winding) > 180:
        return [_around_pole(lat_P, lng_P, 90.0 if winding > 0 else -90.0)]
    unwrapped_P -= 360 * np.floor((unwrapped_P.min() + 180) / 360)
    ring = np.stack([lat_P, unwrapped_P], axis=1)
    if unwrapped_P.max() <= 180:
        return [_closed(ring)]
    west, east = _keep(ring, -1.0), _keep(ring, 1.0)
    east[:, 1] -= 360
    return [_closed(west), _closed(east)]


def _open_pole(lat_P: Floats, lng_P: Floats) -> tuple[Floats, Floats]:
    """Replace a vertex at a pole, where longitude means nothing, by the ends of the two meridians to it."""
    at_pole = np.flatnonzero(np.abs(lat_P) > 90 - AT_POLE_DEG)
    if not len(at_pole):
        return lat_P, lng_P
    (index,) = at_pole
    before, after = lng_P[index - 1], lng_P[(index + 1) % len(lng_P)]
    pole = math.copysign(90.0, lat_P[index])
    lat_P = np.concatenate([lat_P[:index], [pole, pole], lat_P[index + 1 :]])
    return lat_P, np.concatenate([lng_P[:index], [before, after], lng_P[index + 1 :]])


def _around_pole(lat_P: Floats, lng_P: Floats, pole: float) -> Ring:
    """Ring of a cell with a pole inside: its edge from side to side of the map, then along the pole."""
    order = np.argsort(lng_P)
    lat_P, lng_P = lat_P[order], lng_P[order]
    seam = float(np.interp(180.0, [lng_P[-1], lng_P[0] + 360], [lat_P[-1], lat_P[0]]))
    inner = np.stack([lat_P, lng_P], axis=1)[(lng_P > -180) & (lng_P < 180)]
    ring = np.concatenate([[[seam, -180.0]], inner, [[seam, 180.0], [pole, 180.0], [pole, -180.0]]])
    return _closed(ring if pole > 0 else ring[::-1])


def _keep(ring: Ring, side: float) -> Ring:
    """Part of an open ring west (side -1) or east (side 1) of lng 180 (Sutherland and Hodgman's clipping)."""
    kept: list[Floats] = []
    for start, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        start_in, end_in = side * (start[1] - 180) >= 0, side * (end[1] - 180) >= 0
        if start_in:
            kept.append(start)
        if start_in != end_in:
            share = (180 - start[1]) / (end[1] - start[1])
            kept.append(np.array([start[0] + share * (end[0] - start[0]), 180.0]))
    return np.array(kept)


def _closed(ring: Ring) -> Ring:
    repeated = (ring == np.roll(ring, 1, axis=0)).all(axis=1)
    ring = ring[~repeated]
    return np.concatenate([ring, ring[:1]])


def _turn(degrees: Any) -> Any:
    """The same turn within -180..180."""
    return (degrees + 180) % 360 - 180


def _unwrap(lng_MP: Floats) -> Floats:
    """Longitudes of a ring without jumps: each within 180° of the one before.

    Rounded to 1e-9 degrees (0.1 mm), so that a vertex on the antimeridian is there, and not a hair across it.
    """
    turns = _turn(np.diff(lng_MP, axis=-1))
    return np.round(np.concatenate([lng_MP[..., :1], lng_MP[..., :1] + np.cumsum(turns, axis=-1)], axis=-1), 9)


def _unit(xyz: Floats) -> Floats:
    unit: Floats = xyz / np.linalg.norm(xyz, axis=-1, keepdims=True)
    return unit


def point_feature(lat: float, lng: float, properties: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A GeoJSON Feature of one point."""
    geometry = {"type": "Point", "coordinates": _lng_lat(lat, lng)}
    return {"type": "Feature", "geometry": geometry, "properties": _plain(properties or {})}


def track_feature(positions: Sequence[tuple[float, float]], properties: Mapping[str, Any]) -> dict[str, Any]:
    """A GeoJSON Feature of the line through (lat, lng) positions: a LineString, or a MultiLineString cut at the
    antimeridian where the way leads over it."""
    lines: list[list[list[float]]] = [[_lng_lat(*positions[0])]]
    for (lat, lng), (to_lat, to_lng) in pairwise(positions):
        if abs(to_lng - lng) > 180:  # the shorter way is over the antimeridian
            side = math.copysign(180.0, lng)
            beyond = to_lng + math.copysign(360.0, lng)
            cut = lat + (to_lat - lat) * (side - lng) / (beyond - lng) if beyond != lng else lat
            lines[-1].append(_lng_lat(cut, side))
            lines.append([_lng_lat(cut, -side)])
        lines[-1].append(_lng_lat(to_lat, to_lng))
    geometry = (
        {"type": "LineString", "coordinates": lines[0]}
        if len(lines) == 1
        else {"type": "MultiLineString", "coordinates": lines}
    )
    return {"type": "Feature", "geometry": geometry, "properties": _plain(properties)}


def _lng_lat(lat: float, lng: float) -> list[float]:
    return [round(float(lng), 7), round(float(lat), 7)]


def cell_features(
    cell_id_N: ArrayLike, properties_N: Sequence[Mapping[str, Any]], turn: Turn = NO_TURN
) -> list[dict[str, Any]]:
    """A GeoJSON Feature for each cell: a Polygon, or a MultiPolygon where the antimeridian cuts it."""
    features = []
    for rings, properties in zip(rings_of_cells(cell_id_N, turn), properties_N, strict=True):
        polygons = [[np.round(ring[:, ::-1], 9).tolist()] for ring in rings]
        geometry = (
            {"type": "Polygon", "coordinates": polygons[0]}
            if len(polygons) == 1
            else {"type": "MultiPolygon", "coordinates": polygons}
        )
        features.append({"type": "Feature", "geometry": geometry, "properties": _plain(properties)})
    return features


def feature_collection(features: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A GeoJSON FeatureCollection."""
    return {"type": "FeatureCollection", "features": list(features)}


def cells_feature_collection(partition: Partition, **columns: Iterable[Any]) -> dict[str, Any]:
    """All cells of a partition, with token, level, count, area and place names.

    columns: further properties, each C values (such as ``probability=...``).
    """
    named: dict[str, Iterable[Any]] = {
        "cell_token": partition.cell_token,
        "level": partition.level,
        "count": partition.count,
        "area_km2": np.round(partition.area_km2, 3),
        "country": partition.country,
        "region": partition.region,
        "city": partition.city,
        **columns,
    }
    properties_N = [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)]
    return feature_collection(cell_features(partition.cell_id, properties_N, partition.turn))


def _plain(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Numpy's numbers as Python's, and what JSON has no number for (NaN, infinity) as null."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in properties.items()}
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in plain.items()
    }
