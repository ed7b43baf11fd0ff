"""The parts of a map's description, as static/globe.js documents them: JSON, with arrays as base64.

N cells or positions. Positions are (lat, lng) in degrees.
"""

import base64
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openplanet.earth import places
from openplanet.earth.geo import NO_TURN, Turn

Bounds = tuple[float, float, float, float]  # south, west, north, east; east below west: across the antimeridian
Colour = Literal["mass", "density", "log", "value"]
Description = dict[str, Any]

MOST_LABELS = 14
WIDEST_LABELLED = 40.0  # degrees: on a map of more, names of a few large cities say nothing
SEVERAL = 2  # times as many names as are shown: the page leaves out those that meet others


def packed(values: ArrayLike, kind: str) -> str:
    """Base64 of numbers in the bytes of a little-endian numpy type: "<u8", "<f4", "u1"."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode("ascii")


def cells(
    cell_id_N: ArrayLike,
    value_N: ArrayLike,
    colour: Colour,
    *,
    what: str = "",
    unit: str = "",
    titles: Sequence[str] | None = None,
    regions: Sequence[float] = (),
    held_N: ArrayLike | None = None,
    also: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """The field ``cells``: what each means is in globe.js. ``also``: other ``colouring`` of the same cells."""
    found = {"ids": packed(cell_id_N, "<u8"), **colouring(value_N, colour, what, unit)}
    if also:
        found["also"] = list(also)
    if titles is not None:
        found["titles"] = list(titles)
    if held_N is not None:
        found |= {"regions": list(regions), "held": packed(held_N, "u1")}
    return found


def colouring(value_N: ArrayLike, colour: Colour, what: str = "", unit: str = "") -> dict[str, Any]:
    """By which values cells are coloured, and what the legend calls them."""
    return {"values": packed(value_N, "<f4"), "colour": colour} | ({"what": what, "unit": unit} if what or unit else {})


def turned(turn: Turn) -> Description:
    """The field ``turn`` where a partition has one."""
    return {} if turn == NO_TURN else {"turn": list(turn)}


def point(lat: float, lng: float, **more: Any) -> dict[str, Any]:
    """A position to a metre, with what else is said of it."""
    return {"lat": round(float(lat), 5), "lng": round(float(lng), 5), **more}


def labels(lat_N: ArrayLike, lng_N: ArrayLike, margin: float = 0.6, least: float = 0.5) -> list[dict[str, Any]]:
    """The field ``labels``: the largest cities around positions, none where those lie far apart."""
    bounds = bounds_of(lat_N, lng_N, margin, least)
    if bounds is None or bounds[2] - bounds[0] > WIDEST_LABELLED:
        return []
    names, lats, lngs = places.largest(bounds, SEVERAL * MOST_LABELS)
    return [
        {"name": name, **point(lat, lng)} for name, lat, lng in zip(names, lats.tolist(), lngs.tolist(), strict=True)
    ]


def bounds_of(lat_N: ArrayLike, lng_N: ArrayLike, margin: float = 0.2, least: float = 2.0) -> Bounds | None:
    """Bounds that hold all positions, across the antimeridian where that is shorter; None for half the Earth or more.

    margin: share of the span added on each side. least: degrees of latitude at least. NaN positions do not count;
    without any position None.
    """
    lat_N, lng_N = np.atleast_1d(np.asarray(lat_N, float)), np.atleast_1d(np.asarray(lng_N, float))
    present: NDArray[np.bool_] = np.isfinite(lat_N) & np.isfinite(lng_N)
    if not present.any():
        return None
    eastward_N = np.sort(lng_N[present] % 360)
    gaps = np.diff(eastward_N, append=eastward_N[0] + 360)
    widest = int(np.argmax(gaps))
    west, span = float(eastward_N[(widest + 1) % len(eastward_N)]), 360 - float(gaps[widest])
    south, north = float(np.min(lat_N[present])), float(np.max(lat_N[present]))
    narrowing = max(math.cos(math.radians((south + north) / 2)), 0.15)
    tall = max((north - south) * (1 + 2 * margin), least)
    wide = max(span * (1 + 2 * margin), least / narrowing)
    if wide > 180:
        return None
    middle, centre = (south + north) / 2, west + span / 2
    west, east = ((centre + side * wide / 2 + 180) % 360 - 180 for side in (-1, 1))
    return max(middle - tall / 2, -90.0), west, min(middle + tall / 2, 90.0), east
