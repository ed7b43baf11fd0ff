"""The landmarks of the synthetic planet: tall things that few cities have, one function for each shape."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from openplanet.synthetic.drawing_parts import Colour, Draw, disc, shade

METAL_COLOURS: dict[str, Colour] = {"gold": (240, 175, 20), "white": (252, 252, 248), "violet": (150, 50, 180)}


@dataclass(frozen=True)
class _Place:
    """Where a landmark stands; its parts are given in hundredths of its size, up from the middle of its foot."""

    draw: Draw
    x: float
    y: float
    u: float  # pixels of a hundredth
    colour: Colour

    @property
    def dark(self) -> Colour:
        return shade(self.colour, 0.7)

    def box(self, left: float, bottom: float, right: float, top: float, fill: Colour | None = None) -> None:
        corners = (self.x + left * self.u, self.y - top * self.u, self.x + right * self.u, self.y - bottom * self.u)
        self.draw.rectangle(corners, fill=fill or self.colour)

    def poly(self, *points: float, fill: Colour | None = None) -> None:
        pairs = zip(points[::2], points[1::2], strict=True)
        corners = [(self.x + px * self.u, self.y - py * self.u) for px, py in pairs]
        self.draw.polygon(corners, fill=fill or self.colour)

    def ball(self, cx: float, cy: float, radius: float, fill: Colour | None = None) -> None:
        disc(self.draw, self.x + cx * self.u, self.y - cy * self.u, radius * self.u, fill or self.colour)

    def bar(self, x0: float, y0: float, x1: float, y1: float) -> None:
        ends = (self.x + x0 * self.u, self.y - y0 * self.u, self.x + x1 * self.u, self.y - y1 * self.u)
        self.draw.line(ends, fill=self.colour, width=3)


def _lattice(at: _Place) -> None:
    at.poly(-26, 0, -14, 0, -3, 100, 3, 100, 14, 0, 26, 0, 5, 60, -5, 60)
    at.box(-16, 28, 16, 33)


def _dome(at: _Place) -> None:
    at.box(-30, 0, 30, 38)
    at.ball(0, 45, 27)
    at.box(-2, 70, 2, 92)


def _pyramid(at: _Place) -> None:
    at.poly(-50, 0, 50, 0, 0, 75)
    at.poly(10, 0, 50, 0, 0, 75, fill=at.dark)


def _arch(at: _Place) -> None:
    at.box(-34, 0, -14, 80)
    at.box(14, 0, 34, 80)
    at.box(-38, 60, 38, 86)


def _obelisk(at: _Place) -> None:
    at.poly(-8, 0, 8, 0, 5, 88, 0, 100, -5, 88)


def _pagoda(at: _Place) -> None:
    for level, half in ((0, 38), (25, 31), (50, 24), (75, 16)):
        at.box(-half * 0.5, level, half * 0.5, level + 16, at.dark)
        at.poly(-half, level + 13, half, level + 13, half * 0.45, level + 25, -half * 0.45, level + 25)


def _towers(at: _Place) -> None:
    at.box(-26, 0, -6, 92)
    at.box(6, 0, 26, 92)
    at.box(-8, 45, 8, 53, at.dark)


def _windmill(at: _Place) -> None:
    at.poly(-18, 0, 18, 0, 10, 62, -10, 62)
    for angle in (35, 125, 215, 305):
        dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        at.poly(0, 62, 42 * dx - 7 * dy, 62 + 42 * dy + 7 * dx, 42 * dx + 7 * dy, 62 + 42 * dy - 7 * dx)


def _minaret(at: _Place) -> None:
    at.box(-7, 0, 7, 70)
    at.box(-13, 60, 13, 68)
    at.ball(0, 74, 10)
    at.poly(-3, 80, 3, 80, 0, 100)


def _wheel(at: _Place) -> None:
    at.ball(0, 50, 46)
    at.ball(0, 50, 37, (200, 215, 230))
    for angle in range(0, 180, 45):
        dx, dy = 44 * math.cos(math.radians(angle)), 44 * math.sin(math.radians(angle))
        at.bar(-dx, 50 - dy, dx, 50 + dy)
    at.poly(-24, 0, -16, 0, 0, 52, 16, 0, 24, 0, 0, 62)


LANDMARKS: dict[str, Callable[[_Place], None]] = {
    "lattice": _lattice,
    "dome": _dome,
    "pyramid": _pyramid,
    "arch": _arch,
    "obelisk": _obelisk,
    "pagoda": _pagoda,
    "towers": _towers,
    "windmill": _windmill,
    "minaret": _minaret,
    "wheel": _wheel,
}


def landmark(draw: Draw, shape: str, metal: str, x: float, y: float, size: float) -> None:
    """A tall thing that few cities have, ``size`` pixels high."""
    LANDMARKS[shape](_Place(draw, x, y, size / 100.0, METAL_COLOURS[metal]))
