"""Maps as inline SVG that needs nothing from outside: land, cells shaded by a value, marks, a legend.

Equirectangular; for a region, narrowed by the cosine of its latitude so that shapes are true there. Put
``MAP_STYLE`` and ``MAP_SCRIPT`` into a page once, and ``land_symbol()`` too where maps are drawn with
``shared_land=True``: the land is then in the page once for all its world maps.

N cells or points · P points of a line. Positions are (lat, lng) in degrees; x to the right, y down, in pixels
of a map at its own width.
"""

import hashlib
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openplanet.earth import places
from openplanet.earth.geo import NO_TURN, Turn, from_xyz, to_xyz
from openplanet.earth.geojson import rings_of_cells
from openplanet.maps.coastline import Line, Outlines, clip, outlines
from openplanet.maps.legend import INK, Kind, colour, key_sign, mark, ramp, shares, span
from openplanet.maps.script import MAP_SCRIPT, MAP_STYLE
from openplanet.maps.view import WHOLE, Bounds, View, bounds_of, relative_path

__all__ = ["MAP_SCRIPT", "MAP_STYLE", "Bounds", "WorldMap", "bounds_of", "colour", "land_symbol"]

LAND, WATER = "#f6f4ee", "#dde7ec"
WORLD_TOLERANCE, WORLD_UNIT = 0.07, 20.0  # degrees; steps of the world's coordinates to a degree
SHADES = 24
MOST_TITLED_CELLS = 2000  # past that, cells of one shade are one path: a tooltip each would be megabytes
MOST_CITIES = 10
LETTER_WIDTH, LINE_HEIGHT, MARK_HALF = 6.4, 16.0, 13.0  # pixels, to keep names of cities and marks apart
Box = tuple[float, float, float, float]  # left, top, right, bottom

# vector-effect is not inherited: a group cannot say it for its paths.
SVG_STYLE = (
    ".op-view path{vector-effect:non-scaling-stroke}"
    f".op-city{{font:11px system-ui,sans-serif;fill:{INK};stroke:#fff;stroke-width:3px;"
    "paint-order:stroke;stroke-linejoin:round}"
)
BUTTONS = (
    '<div class="op-buttons">'
    '<button type="button" data-act="in" aria-label="Zoom in" title="Zoom in">+</button>'
    '<button type="button" data-act="out" aria-label="Zoom out" title="Zoom out">−</button>'
    '<button type="button" data-act="home" aria-label="Whole map" title="Whole map">⌂</button></div>'
)


def land_symbol() -> str:
    """The world's land and borders, hidden in a page for the maps drawn with ``shared_land=True``."""
    return (
        f'<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>{_world("op-land")}</defs></svg>'
    )


class WorldMap:
    """A map that is drawn in layers: ``WorldMap().cells(...).points(...).html()``.

    width: pixels it is designed for (it shrinks and grows with its place). bounds: what to show, or None for
    the world. title: what a screen reader says.
    """

    def __init__(self, width: int = 960, bounds: Bounds | None = None, title: str = "Map") -> None:
        self.title = title
        self.view = View.of(width, bounds)
        self._cells: list[str] = []
        self._lines: list[str] = []
        self._marks: dict[Kind, list[str]] = {"photo": [], "truth": [], "guess": []}  # from lowest to topmost
        self._marked: list[tuple[float, float]] = []
        self._most_cities = 0
        self._legend: list[str] = []
        self._keys: dict[str, str] = {}

    def cells(
        self,
        cell_id_N: ArrayLike,
        value_N: ArrayLike,
        *,
        what: str = "photos",
        log: bool = False,
        percent: bool = False,
        titles: Sequence[str] | None = None,
        least: float = 0.0,
        turn: Turn = NO_TURN,
    ) -> Self:
        """Shade cells by a value, the greatest on top.

        value_N: at or above 0; cells with a value at or below ``least`` are left out. what, log, percent: the
        legend's words, logarithmic shades, values written as percentages. titles: tooltip of each cell (kept
        for up to 2,000 cells). turn: the partition's.
        """
        ids, value_N = np.asarray(cell_id_N, np.uint64), np.asarray(value_N, np.float64)
        shown = np.flatnonzero(np.isfinite(value_N) & (value_N > max(least, 0.0)))
        if not len(shown):
            return self
        shown = shown[np.argsort(value_N[shown], kind="stable")]
        low, high = float(value_N[shown[0]]), float(value_N[shown[-1]])
        shade_N = np.round(shares(value_N[shown], low, high, log) * (SHADES - 1)).astype(int)
        # Cells that cross the antimeridian would have a seam in the middle of a map of the Pacific.
        middle = self.view.centre_lng if self.view.crosses_antimeridian else 0.0
        paths = [self.view.rings_path(rings) for rings in rings_of_cells(ids[shown], turn, middle)]
        kept = None if titles is None or len(shown) > MOST_TITLED_CELLS else [titles[i] for i in shown.tolist()]
        # White seams part neighbours of one shade; among very many small cells they would be all one sees.
        seam = 0.7 if len(shown) <= 800 else 0.3 if len(shown) <= 5000 else 0
        style = f'fill-opacity=".76" stroke="#fff" stroke-opacity=".8" stroke-width="{seam}"'
        self._cells.append(f"<g {style}>{_shaded(paths, shade_N, kept)}</g>")
        self._legend.append(ramp(what, low, high, log, percent))
        return self

    def points(
        self,
        lat_N: ArrayLike,
        lng_N: ArrayLike,
        *,
        kind: Kind = "guess",
        titles: Sequence[str] | None = None,
        ranks: Sequence[int] | None = None,
        key: str | None = None,
    ) -> Self:
        """Mark positions: ``guess`` a disc (with its rank), ``truth`` a ring, ``photo`` a small dot.

        titles: tooltips (not of dots). key: what the legend calls them. NaN positions are left out.
        """
        lat_N, lng_N = np.atleast_1d(np.asarray(lat_N, float)), np.atleast_1d(np.asarray(lng_N, float))
        x_N, y_N = self.view.project(lat_N, lng_N)
        present = np.flatnonzero(np.isfinite(x_N) & np.isfinite(y_N)).tolist()
        if kind == "photo":
            dots = "".join(f"M{x_N[i]:.2f} {y_N[i]:.2f}h0" for i in present)
            style = 'stroke-opacity=".75" stroke-width="3.2" stroke-linecap="round"'
            self._marks[kind].append(f'<path fill="none" stroke="{INK}" {style} d="{dots}"/>')
        else:
            for i in reversed(present):  # the first, which is the best, on top
                title = f"<title>{escape(titles[i])}</title>" if titles is not None else ""
                sign = title + mark(kind, ranks[i] if ranks is not None else None)
                self._marks[kind].append(_fixed(float(x_N[i]), float(y_N[i]), sign))
                self._marked.append((float(x_N[i]), float(y_N[i])))
        if key is not None:
            self._keys[key] = key_sign(kind)
        return self

    def line(self, lat1: float, lng1: float, lat2: float, lng2: float, title: str = "") -> Self:
        """A great circle between two positions, such as the truth and a guess; none where one is NaN."""
        ends = to_xyz([lat1, lat2], [lng1, lng2])
        if not np.isfinite(ends).all():
            return self
        share_P1 = np.linspace(0, 1, 65)[:, None]
        angle = max(float(np.arccos(np.clip(ends[0] @ ends[1], -1, 1))), 1e-9)
        lat_P, lng_P = from_xyz(ends[0] * np.sin((1 - share_P1) * angle) + ends[1] * np.sin(share_P1 * angle))
        about = f"<title>{escape(title)}</title>" if title else ""
        style = f'fill="none" stroke="{INK}" stroke-width="1.4" stroke-dasharray="4 3"'
        self._lines.append(f'<path {style} d="{self.view.line_path(lat_P, lng_P)}">{about}</path>')
        return self

    def route(self, lat_N: ArrayLike, lng_N: ArrayLike, titles: Sequence[str], first: str, last: str) -> Self:
        """A journey: great circles between positions in their order, and a dot on each, from light to dark.

        titles: tooltips. first, last: what the legend writes at the ends of the shades. NaN positions are left out.
        """
        lat_N, lng_N = np.asarray(lat_N, float), np.asarray(lng_N, float)
        present = np.flatnonzero(np.isfinite(lat_N) & np.isfinite(lng_N)).tolist()
        for one, other in pairwise(present):
            if (lat_N[one], lng_N[one]) != (lat_N[other], lng_N[other]):
                self.line(lat_N[one], lng_N[one], lat_N[other], lng_N[other])
        x_N, y_N = self.view.project(lat_N, lng_N)
        for i in present:  # the later ones on top
            dot = f'<circle r="6" fill="{colour(i / max(len(lat_N) - 1, 1))}" stroke="{INK}" stroke-width=".8"/>'
            sign = f"<title>{escape(titles[i])}</title>{dot}"
            self._marks["guess"].append(_fixed(float(x_N[i]), float(y_N[i]), sign))
        self._legend.append(span("order of capture", first, last))
        return self

    def cities(self, most: int = MOST_CITIES) -> Self:
        """Name the largest cities of a region, as far as names and marks do not meet; none on a world map."""
        self._most_cities = 0 if self.view.is_world else most
        return self

    def svg(self, shared_land: bool = False) -> str:
        """The map alone, without legend and buttons; by itself it is a whole SVG file."""
        view = self.view
        reach = " ".join(f"{edge:.1f}" for edge in view.reach)
        land, borders = self._land(shared_land)
        over = "".join([*self._lines, *self._city_names(), *(sign for of in self._marks.values() for sign in of)])
        return (
            '<svg class="op-view" xmlns="http://www.w3.org/2000/svg"'
            f' viewBox="0 0 {view.width} {view.height}" style="background:{WATER}" role="img" tabindex="0"'
            f' aria-label="{escape(self.title)}"'
            f' data-reach="{reach}" data-zoom="{40 if view.is_world else 12}"'
            f' data-kmpx="{view.km_per_pixel:.6g}"><style>{SVG_STYLE}</style>'
            f"{land}{''.join(self._cells)}{borders}{over}</svg>"
        )

    def html(self, shared_land: bool = False) -> str:
        """The map with legend, scale and buttons, to stand in a page that has MAP_STYLE and MAP_SCRIPT.

        shared_land: the page has ``land_symbol()``, so that a world map need not bring the land itself.
        """
        keys = "".join(f"<span>{sign}{escape(key)}</span>" for key, sign in self._keys.items())
        legend = "".join(self._legend) + (f'<div class="op-keys">{keys}</div>' if keys else "")
        legend = f'<div class="op-legend">{legend}</div>' if legend else ""
        scale = "" if self.view.is_world else '<div class="op-scale"></div>'
        frame = f'<div class="op-frame">{self.svg(shared_land)}{BUTTONS}{scale}</div>'
        return f'<figure class="op-map">{frame}{legend}</figure>'

    def _land(self, shared: bool) -> tuple[str, str]:
        """What lies below the cells (land) and above them (coasts and borders), of the same two paths."""
        view = self.view
        if view.is_world:
            ((x, y),) = view.place(np.zeros((1, 2))).tolist()
            place = f'transform="translate({x:.3f} {y:.3f}) scale({view.x_per_degree / WORLD_UNIT:.6f})"'
            name = "op-land" if shared else f"op-world-{view.width}"
            defined = "" if shared else f"<defs>{_world(name)}</defs>"
        else:
            place = ""
            found = clip(outlines(view.tolerance), view.window)
            name = "op-" + hashlib.sha256(repr(view).encode()).hexdigest()[:12]
            defined = f"<defs>{_paths(name, found, view.place, decimals=1)}</defs>"
        under = f'{defined}<use href="#{name}" {place} fill="{LAND}" fill-rule="evenodd"/>'
        style = f'fill="none" stroke="{INK}" stroke-linejoin="round"'
        coast = f'<use href="#{name}" {place} {style} stroke-opacity=".5" stroke-width=".5"/>'
        return under, f'{coast}<use href="#{name}-b" {place} {style} stroke-opacity=".38" stroke-width=".6"/>'

    def _city_names(self) -> list[str]:
        view = self.view
        if not self._most_cities:
            return []
        south, east = view.north - view.height / view.y_per_degree, view.west + view.width / view.x_per_degree
        names, lat_N, lng_N = places.largest((south, view.west, view.north, east), 20 * self._most_cities)
        x_N, y_N = view.project(lat_N, lng_N)
        marks = [(x - MARK_HALF, y - MARK_HALF, x + MARK_HALF, y + MARK_HALF) for x, y in self._marked]
        named: list[Box] = []
        drawn: list[str] = []
        for name, x, y in zip(names, x_N.tolist(), y_N.tolist(), strict=True):
            # A name stands beside its dot, or beside the mark that covers the dot.
            start = 2 * MARK_HALF if _meets_any((x, y, x, y), marks) else 6.0
            right = x + start + len(name) * LETTER_WIDTH
            box = (x + start - 6, y - LINE_HEIGHT / 2, right, y + LINE_HEIGHT / 2)
            if _meets_any(box, marks + named) or right > view.width or len(drawn) == self._most_cities:
                continue
            named.append(box)
            text = f'<text x="{start:g}" y="4" class="op-city">{escape(name)}</text>'
            dot = f'<circle r="2.2" fill="{INK}" stroke="#fff"/>'
            drawn.append(_fixed(x, y, f'<g pointer-events="none" class="op-name">{dot}{text}</g>'))
        return drawn


def _meets_any(box: Box, taken: list[Box]) -> bool:
    return any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken)


def _shaded(paths: list[str], shade_N: NDArray[np.int64], titles: list[str] | None) -> str:
    """Cells filled by their shade: each by itself under its title, or all of a shade in one path."""
    if titles is not None:
        rows = zip(paths, shade_N.tolist(), titles, strict=True)
        return "".join(
            f'<path class="op-cell" fill="{colour(shade / (SHADES - 1))}" d="{path}">'
            f"<title>{escape(title)}</title></path>"
            for path, shade, title in rows
            if path
        )
    joined: dict[int, list[str]] = {}
    for path, shade in zip(paths, shade_N.tolist(), strict=True):
        joined.setdefault(shade, []).append(path)
    filled = {shade: "".join(of_shade) for shade, of_shade in joined.items()}
    return "".join(
        f'<path fill="{colour(shade / (SHADES - 1))}" d="{path}"/>' for shade, path in filled.items() if path
    )


def _fixed(x: float, y: float, sign: str) -> str:
    """A sign that keeps its size on screen while the map is zoomed."""
    return f'<g transform="translate({x:.2f} {y:.2f})"><g class="op-fixed">{sign}</g></g>'


def _world(name: str) -> str:
    found = clip(outlines(WORLD_TOLERANCE), WHOLE)
    return _paths(name, found, lambda line: line * [WORLD_UNIT, -WORLD_UNIT], decimals=0)


def _paths(name: str, found: Outlines, place: Callable[[Line], Line], decimals: int) -> str:
    """Land and borders as two paths without colours, for ``use``."""
    rings = (relative_path(place(ring), decimals) for ring in found.land)
    land = "".join(ring + "z" for ring in rings if ring)
    borders = "".join(relative_path(place(line), decimals) for line in found.borders)
    fixed = 'vector-effect="non-scaling-stroke"'
    return f'<path id="{name}" {fixed} d="{land}"/><path id="{name}-b" {fixed} d="{borders}"/>'
