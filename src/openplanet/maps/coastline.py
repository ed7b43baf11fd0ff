"""Land and country borders to draw maps with: Natural Earth 1:50m, as TopoJSON in ``static/countries-50m.json``.

TopoJSON keeps each stretch of a border once, as an arc of small steps that rings share; so arcs are decoded
and simplified once, and coast and borders stay on each other.

P points of a line, each (lng, lat) as (x, y): this file draws, it does not speak of positions. Lines run on
across the antimeridian, with x beyond ±180, and not back over the map.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

Line = NDArray[np.float64]  # [P, 2]
Window = tuple[float, float, float, float]  # x_min, y_min, x_max, y_max in degrees


@dataclass(frozen=True)
class Outlines:
    """Rings of the land (even-odd: seas within it are rings too) and the lines between two countries."""

    land: tuple[Line, ...]
    borders: tuple[Line, ...]


@lru_cache(maxsize=1)
def _topology() -> dict[str, Any]:
    text = files("openplanet.maps").joinpath("static/countries-50m.json").read_text(encoding="utf-8")
    topology: dict[str, Any] = json.loads(text)
    scale, translate = topology["transform"]["scale"], topology["transform"]["translate"]
    topology["arcs"] = [_run_on(np.cumsum(arc, axis=0) * scale + translate) for arc in topology["arcs"]]
    return topology


@lru_cache(maxsize=4)
def outlines(tolerance: float) -> Outlines:
    """Land and borders, moved by at most ``tolerance`` degrees; islands smaller than that are left out."""
    topology = _topology()
    arcs = [_simplify(arc, tolerance) for arc in topology["arcs"]]
    land: list[Line] = []
    for geometry in topology["objects"]["land"]["geometries"]:
        land += [_join(ring, arcs) for ring in _rings(geometry)]
    land = [ring for ring in land if len(ring) >= 4 and np.ptp(ring, axis=0).max() > tolerance]
    used = np.zeros(len(arcs), np.int64)
    for geometry in topology["objects"]["countries"]["geometries"]:
        indices = {index if index >= 0 else ~index for ring in _rings(geometry) for index in ring}
        used[list(indices)] += 1
    return Outlines(tuple(land), tuple(arcs[index] for index in np.flatnonzero(used > 1)))


def _rings(geometry: dict[str, Any]) -> list[list[int]]:
    """The rings of a polygon or several, each a list of arcs (~i is arc i backwards)."""
    polygons = [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry.get("arcs", [])
    return [ring for polygon in polygons for ring in polygon]


def _join(ring: list[int], arcs: list[Line]) -> Line:
    pieces = [arcs[index] if index >= 0 else arcs[~index][::-1] for index in ring]
    joined = _run_on(np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])]))
    if abs(joined[-1, 0] - joined[0, 0]) > 180:  # Antarctica, round its pole: on to the map's lower edge
        joined = np.concatenate([joined, [[joined[-1, 0], -90.0], [joined[0, 0], -90.0]]])
    return joined


def _run_on(line: Line) -> Line:
    """The line without jumps from one side of the map to the other."""
    return np.stack([np.unwrap(line[:, 0], period=360), line[:, 1]], axis=1)


def _simplify(line: Line, tolerance: float) -> Line:
    """Douglas and Peucker: keep the ends, and each point that lies further than tolerance from the chord."""
    keep = np.zeros(len(line), bool)
    keep[[0, -1]] = True
    pieces = [(0, len(line) - 1)]
    while pieces:
        first, last = pieces.pop()
        if last - first < 2:
            continue
        start, along = line[first], line[last] - line[first]
        offset = line[first + 1 : last] - start
        length = float(np.hypot(*along))
        if length == 0:  # a closed arc, such as an island: no chord to measure from
            away = np.hypot(offset[:, 0], offset[:, 1])
        else:
            away = np.abs(along[0] * offset[:, 1] - along[1] * offset[:, 0]) / length
        furthest = int(np.argmax(away))
        if away[furthest] > tolerance:
            middle = first + 1 + furthest
            keep[middle] = True
            pieces += [(first, middle), (middle, last)]
    return line[keep]


def clip(found: Outlines, window: Window) -> Outlines:
    """The part of land and borders in a window, whose x may go beyond ±180."""
    x_min, y_min, x_max, y_max = window
    land: list[Line] = []
    borders: list[Line] = []
    for turn in (-360.0, 0.0, 360.0):
        shifted = (x_min - turn, y_min, x_max - turn, y_max)
        shift = np.array([turn, 0.0])
        land += [ring + shift for ring in _clip_rings(found.land, shifted)]
        borders += [line + shift for line in found.borders if _meets(line, shifted)]
    return Outlines(tuple(land), tuple(borders))


def _meets(line: Line, window: Window) -> bool:
    low, high = line.min(axis=0), line.max(axis=0)
    return bool(low[0] <= window[2] and high[0] >= window[0] and low[1] <= window[3] and high[1] >= window[1])


def _clip_rings(rings: tuple[Line, ...], window: Window) -> list[Line]:
    """Sutherland and Hodgman's clipping of rings against the four sides of a window."""
    sides = [(0, window[0], 1.0), (1, window[1], 1.0), (0, window[2], -1.0), (1, window[3], -1.0)]
    clipped = []
    for ring in rings:
        if not _meets(ring, window):
            continue
        for axis, limit, sign in sides:
            if len(ring) and (sign * (ring[:, axis] - limit) < 0).any():
                ring = _clip_side(ring, axis, limit, sign)
        if len(ring) >= 3:
            clipped.append(ring)
    return clipped


def _clip_side(ring: Line, axis: int, limit: float, sign: float) -> Line:
    following = np.roll(ring, -1, axis=0)
    inside = sign * (ring[:, axis] - limit) >= 0
    crosses = inside != np.roll(inside, -1)
    step = following[:, axis] - ring[:, axis]
    share = np.divide(limit - ring[:, axis], step, out=np.zeros(len(ring)), where=step != 0)
    crossing = ring + share[:, None] * (following - ring)
    # Point and crossing of each edge in turn, then only those that are wanted.
    both = np.stack([ring, crossing], axis=1).reshape(-1, 2)
    clipped: Line = both[np.stack([inside, crosses], axis=1).ravel()]
    return clipped
