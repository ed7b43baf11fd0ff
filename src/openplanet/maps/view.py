"""What part of the Earth a map shows, and where on it a position falls.

N positions · P points of a line. Positions are (lat, lng) in degrees; x to the right, y down, in pixels of
the map at its own width.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openplanet.earth.geo import EARTH_RADIUS_KM
from openplanet.maps.coastline import Line, Window

Floats = NDArray[np.float64]
Bounds = tuple[float, float, float, float]  # south, west, north, east; east below west: across the antimeridian

WORLD: Bounds = (-60.0, -180.0, 85.0, 180.0)  # without most of Antarctica, which a drag brings into view
WHOLE: Window = (-180.0, -90.0, 180.0, 90.0)
WIDEST_REGION = 180.0  # degrees of longitude: what spans more is shown as the world
FLATTEST, TALLEST = 0.42, 0.7  # height of a map of a region by its width
TOLERANCES = (0.07, 0.02, 0.005)  # degrees; few, so that simplified coasts are kept for the next map
KM_PER_DEGREE = EARTH_RADIUS_KM * math.pi / 180


def bounds_of(lat_N: ArrayLike, lng_N: ArrayLike, margin: float = 0.2, least: float = 2.0) -> Bounds | None:
    """Bounds that hold all positions, across the antimeridian where that is shorter; None for the world.

    margin: share of the span added on each side. least: degrees of latitude shown at least. NaN positions do
    not count; without any position, and where they span more than half of the Earth, None.
    """
    lat_N, lng_N = np.atleast_1d(np.asarray(lat_N, float)), np.atleast_1d(np.asarray(lng_N, float))
    present = np.isfinite(lat_N) & np.isfinite(lng_N)
    if not present.any():
        return None
    eastward_N = np.sort(lng_N[present] % 360)
    gaps = np.diff(eastward_N, append=eastward_N[0] + 360)
    widest = int(np.argmax(gaps))
    west, span = float(eastward_N[(widest + 1) % len(eastward_N)]), 360 - float(gaps[widest])
    south, north = float(np.min(lat_N[present])), float(np.max(lat_N[present]))
    tall = max((north - south) * (1 + 2 * margin), least)
    wide = max(span * (1 + 2 * margin), least / _narrowing(south, north))
    if wide > WIDEST_REGION:
        return None
    middle, centre = (south + north) / 2, west + span / 2
    west = (centre - wide / 2 + 180) % 360 - 180
    east = (centre + wide / 2 + 180) % 360 - 180
    return max(middle - tall / 2, -90.0), west, min(middle + tall / 2, 90.0), east


def _narrowing(south: float, north: float) -> float:
    """How many times shorter a degree of longitude is than one of latitude; bounded, for maps at a pole."""
    return max(math.cos(math.radians((south + north) / 2)), 0.15)


@dataclass(frozen=True)
class View:
    """The frame of a map, and its projection: equirectangular, true to shape at its middle for a region."""

    width: int
    height: int
    north: float
    west: float
    x_per_degree: float
    y_per_degree: float
    is_world: bool

    @classmethod
    def of(cls, width: int, bounds: Bounds | None) -> Self:
        """The view ``width`` pixels wide that holds ``bounds``, widened to a pleasing shape."""
        south, west, north, east = bounds or WORLD
        wide = east - west if east > west else east + 360 - west
        if bounds is None or wide > WIDEST_REGION:
            scale = width / 360
            return cls(width, round((north - south) * scale), north, -180.0, scale, scale, True)
        narrowing = _narrowing(south, north)
        tall = max(north - south, 1e-6)
        shape = min(max(tall / (wide * narrowing), FLATTEST), TALLEST)
        y_per_degree = min(width / (wide * narrowing), width * shape / tall)
        x_per_degree = y_per_degree * narrowing
        north += (width * shape / y_per_degree - tall) / 2
        west -= (width / x_per_degree - wide) / 2
        return cls(width, round(width * shape), north, west, x_per_degree, y_per_degree, False)

    @property
    def centre_lng(self) -> float:
        return self.west + self.width / self.x_per_degree / 2

    @property
    def crosses_antimeridian(self) -> bool:
        """Whether it lies within the map of a region, and not at the edges of the world's."""
        x_min, _, x_max, _ = self.window
        return not self.is_world and (x_min < -180 or x_max > 180)

    @property
    def window(self) -> Window:
        """What is drawn, in degrees (x_min, y_min, x_max, y_max): the view and as much on every side."""
        if self.is_world:
            return WHOLE
        wide, tall = self.width / self.x_per_degree, self.height / self.y_per_degree
        beside = min(wide, (360 - wide) / 2)
        south, north = max(self.north - 2 * tall, -90.0), min(self.north + tall, 90.0)
        return self.west - beside, south, self.west + wide + beside, north

    @property
    def reach(self) -> tuple[float, float, float, float]:
        """The window in pixels: left, top, right, bottom."""
        x_min, y_min, x_max, y_max = self.window
        (left, top), (right, bottom) = self.place(np.array([[x_min, y_max], [x_max, y_min]]))
        return float(left), float(top), float(right), float(bottom)

    @property
    def tolerance(self) -> float:
        """Degrees by which coasts may be off: a third of a pixel, or what the data has."""
        return next((t for t in TOLERANCES if t * self.y_per_degree < 0.35), TOLERANCES[-1])

    @property
    def km_per_pixel(self) -> float:
        """At the middle of a region; 0 for the world, where it differs from place to place."""
        return 0.0 if self.is_world else KM_PER_DEGREE / self.y_per_degree

    def place(self, line: Line) -> Line:
        """Pixels of points [P, 2] of (lng, lat), taken as they are: also beyond ±180."""
        placed: Line = (line - [self.west, self.north]) * [self.x_per_degree, -self.y_per_degree]
        return placed

    def project(self, lat_N: Floats, lng_N: Floats) -> tuple[Floats, Floats]:
        """Pixels of positions, each on the turn of the Earth nearest to the middle of the map."""
        lng_N = lng_N - 360 * np.round((lng_N - self.centre_lng) / 360)
        placed = self.place(np.stack([lng_N, lat_N], axis=-1))
        return placed[..., 0], placed[..., 1]

    def rings_path(self, rings: Sequence[Line]) -> str:
        """SVG path of rings of (lat, lng); empty where none of them is in the window."""
        x_min, y_min, x_max, y_max = self.window
        path = ""
        for ring in rings:
            lat_P, lng_P = ring[:-1, 0], ring[:-1, 1]
            lng_P = lng_P - 360 * round((float(lng_P.min() + lng_P.max()) / 2 - self.centre_lng) / 360)
            if lng_P.max() < x_min or lng_P.min() > x_max or lat_P.max() < y_min or lat_P.min() > y_max:
                continue
            # A cell of no size on this map has an empty path; a "z" alone would end the drawing of all that follow.
            drawn = relative_path(self.place(np.stack([lng_P, lat_P], axis=1)), 2)
            path += drawn and drawn + "z"
        return path

    def line_path(self, lat_P: Floats, lng_P: Floats) -> str:
        """SVG path of a line, drawn on both sides of the map where it leaves one and enters the other."""
        lng_P = np.unwrap(lng_P - 360 * np.round((lng_P[0] - self.centre_lng) / 360), period=360)
        path = ""
        for turn in (-360.0, 0.0, 360.0):
            x_min, _, x_max, _ = self.window
            if lng_P.max() + turn > x_min and lng_P.min() + turn < x_max:
                path += relative_path(self.place(np.stack([lng_P + turn, lat_P], axis=1)), 2)
        return path


def relative_path(points: Line, decimals: int) -> str:
    """SVG path ``M x y l dx dy ...`` in as few characters as can be; points that fall together are one.

    Steps are differences of rounded positions, so that rounding does not add up. Fewer than two: empty.
    """
    rounded = np.round(points * 10**decimals).astype(np.int64)
    steps = np.diff(rounded, axis=0)
    steps = steps[steps.any(axis=1)]
    if not len(steps):
        return ""
    numbers = np.concatenate([rounded[0], steps.ravel()]).tolist()
    words = [str(n) for n in numbers] if decimals == 0 else [f"{n / 10**decimals:.10g}" for n in numbers]
    words = [word.replace("0.", ".", 1) if word.startswith(("0.", "-0.")) else word for word in words]
    text = "".join(word if word[0] == "-" else " " + word for word in words[2:])
    return f"M{words[0]} {words[1]}l{text.lstrip()}"
