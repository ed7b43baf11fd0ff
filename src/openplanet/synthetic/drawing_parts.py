"""What the pictures of the synthetic planet are made of: trees, houses, writing, all bold and flat.

Every function paints on a canvas of pixels whose y runs down; a thing stands with the middle of its foot at (x, y).
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from PIL import ImageDraw

Colour = tuple[int, int, int]
Draw = ImageDraw.ImageDraw
Random = np.random.Generator

BARK: Colour = (105, 70, 45)
SNOW: Colour = (242, 246, 252)
BLACK: Colour = (25, 25, 30)
WHITE: Colour = (250, 250, 246)
WALL_COLOURS: dict[str, Colour] = {
    "white": (248, 246, 238),
    "yellow": (250, 200, 55),
    "red": (170, 58, 44),
    "pink": (250, 140, 170),
    "blue": (85, 150, 235),
    "grey": (128, 132, 134),
    "mint": (120, 228, 190),
}
ROOF_COLOURS: dict[str, Colour] = {
    "red gable": (222, 70, 40),
    "slate gable": (52, 58, 78),
    "straw gable": (205, 160, 70),
    "teal gable": (20, 165, 145),
    "flat": (225, 222, 212),
    "dome": (95, 60, 190),
}
SIGN_PAINT: dict[str, Colour] = {
    "white": (250, 250, 250),
    "yellow": (255, 215, 0),
    "green": (0, 125, 70),
    "blue": (20, 70, 190),
    "red": (205, 25, 45),
    "brown": (115, 65, 25),
}


def shade(colour: Sequence[float], factor: float) -> Colour:
    """The colour times ``factor``, kept within 0..255."""
    red, green, blue = (max(0, min(255, round(part * factor))) for part in colour)
    return red, green, blue


def disc(draw: Draw, x: float, y: float, rx: float, colour: Colour, ry: float | None = None) -> None:
    """A filled ellipse with half axes ``rx``, ``ry`` about (x, y)."""
    ry = rx if ry is None else ry
    draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=colour)


# --- Trees: one for each value of the cue "vegetation" ----------------------------------------------------------


def tree(draw: Draw, kind: str, x: float, y: float, size: float, snow: bool) -> None:
    """A plant of the vegetation ``kind``, ``size`` pixels high."""
    s = size / 100.0
    trunk = max(2, round(7 * s))
    top = y - size
    if kind == "jungle":  # palms
        draw.line((x, y, x + 6 * s, y - 45 * s, x, top + 12 * s), fill=BARK, width=trunk)
        for angle in (-170, -140, -110, -70, -40, -10, 15, 165):
            dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            tip = (x + 42 * s * dx, top + 22 * s + 32 * s * dy + 12 * s)
            middle = (x + 24 * s * dx, top + 12 * s + 26 * s * dy)
            draw.line((x, top + 16 * s, *middle, *tip), fill=(10, 120, 50), width=trunk + 2, joint="curve")
    elif kind == "savanna":  # umbrella acacias
        draw.line((x, y, x, top + 30 * s), fill=BARK, width=trunk)
        draw.line((x - 24 * s, top + 22 * s, x, y - 40 * s, x + 24 * s, top + 22 * s), fill=BARK, width=trunk // 2 + 1)
        disc(draw, x, top + 18 * s, 48 * s, (125, 130, 30), 15 * s)
    elif kind == "desert":  # cacti
        green, width = (60, 125, 75), round(17 * s)
        draw.line((x, y, x, top + 12 * s), fill=green, width=width)
        for side, height in ((-1, 50), (1, 64)):
            elbow = x + side * 24 * s
            points = (x, y - height * s + 18 * s, elbow, y - height * s + 18 * s, elbow, y - height * s - 8 * s)
            draw.line(points, fill=green, width=round(width * 0.75), joint="curve")
        disc(draw, x, top + 12 * s, width / 2, green)
    elif kind == "mediterranean":  # cypresses
        draw.line((x, y, x, y - 20 * s), fill=BARK, width=trunk)
        disc(draw, x, y - 55 * s, 13 * s, (45, 85, 50), 46 * s)
    elif kind == "broadleaf":
        draw.line((x, y, x, y - 45 * s), fill=BARK, width=trunk + 2)
        for dx, dy, radius in ((-17, 52, 22), (17, 52, 22), (0, 74, 25)):
            disc(draw, x + dx * s, y - dy * s, radius * s, (90, 175, 45))
    else:  # conifers
        draw.line((x, y, x, y - 20 * s), fill=BARK, width=trunk)
        for level, half in ((12, 32), (38, 25), (62, 17)):
            points = (x - half * s, y - level * s, x + half * s, y - level * s, x, y - (level + 38) * s)
            draw.polygon(points, fill=(15, 75, 60))
    if snow:
        disc(draw, x, top + 10 * s, 12 * s, SNOW, 6 * s)


# --- Houses -----------------------------------------------------------------------------------------------------


def house(draw: Draw, x: float, y: float, width: float, wall: str, roof: str, rng: Random) -> None:
    """A house in the manner of a province: wall colour and roof are the cue, doors and windows are not."""
    height = width * 0.8
    left, right, eaves = x - width / 2, x + width / 2, y - height
    colour, top = WALL_COLOURS[wall], ROOF_COLOURS[roof]
    draw.rectangle((left, eaves, right, y), fill=colour, outline=shade(colour, 0.75))
    if roof == "flat":
        draw.rectangle((left - 5, eaves - width * 0.09, right + 5, eaves), fill=top, outline=BLACK)
        draw.line((x + width * 0.3, eaves, x + width * 0.3, eaves - width * 0.3), fill=BLACK, width=2)
    elif roof == "dome":
        radius = width * 0.4
        draw.pieslice((x - radius, eaves - radius, x + radius, eaves + radius), 180, 360, fill=top)
        draw.line((x, eaves - radius, x, eaves - radius - width * 0.14), fill=top, width=3)
    else:
        points = (left - width * 0.1, eaves, right + width * 0.1, eaves, x, eaves - width * 0.5)
        draw.polygon(points, fill=top, outline=shade(top, 0.7))
    pane: Colour = (60, 75, 100) if rng.random() < 0.7 else (255, 235, 160)
    for dx in (-0.3, 0.3):
        cx, cy = x + dx * width, y - height * 0.65
        draw.rectangle((cx - width * 0.09, cy - width * 0.1, cx + width * 0.09, cy + width * 0.1), fill=pane)
    door = shade((120, 70, 40), rng.uniform(0.6, 1.3))
    draw.rectangle((x - width * 0.09, y - height * 0.42, x + width * 0.09, y), fill=door)


# --- Writing ----------------------------------------------------------------------------------------------------

Stroke = Callable[[Sequence[tuple[float, float]]], None]


def _latin(stroke: Stroke, ring: Callable[..., None], letter: int) -> None:
    letters: tuple[list[list[tuple[float, float]]], ...] = (
        [[(0, 1), (0.5, 0), (1, 1)], [(0.2, 0.65), (0.8, 0.65)]],  # A
        [[(0, 0), (0, 1)], [(1, 0), (1, 1)], [(0, 0.5), (1, 0.5)]],  # H
        [[(1, 0), (0, 0), (0, 1), (1, 1)], [(0, 0.5), (0.8, 0.5)]],  # E
        [[(0, 1), (0, 0), (1, 1), (1, 0)]],  # N
        [[(0, 0), (1, 0)], [(0.5, 0), (0.5, 1)]],  # T
        [[(0, 0), (0.5, 1), (1, 0)]],  # V
    )
    for points in letters[letter % len(letters)]:
        stroke(points)


def _cyrillic(stroke: Stroke, ring: Callable[..., None], letter: int) -> None:
    if letter % 3 == 0:  # Zhe
        stroke([(0.5, 0), (0.5, 1)])
        stroke([(0, 0), (1, 1)])
        stroke([(1, 0), (0, 1)])
    elif letter % 3 == 1:  # Sha
        stroke([(0, 0), (0, 1), (1, 1), (1, 0)])
        stroke([(0.5, 0), (0.5, 1)])
    else:  # Ef
        ring(0.5, 0.45, 0.38)
        stroke([(0.5, -0.05), (0.5, 1.05)])


def _arabic(stroke: Stroke, ring: Callable[..., None], letter: int) -> None:
    stroke([(1.25, 0.45), (0.9, 0.75), (0.4, 0.8), (0.05, 0.7), (-0.05, 0.45)])
    if letter % 3 == 0:
        stroke([(0.85, 0), (0.9, 0.75)])
    ring(0.35, 0.4 if letter % 2 else 1.12, 0.05)
    ring(0.65, 0.4 if letter % 2 else 1.12, 0.05)


def _devanagari(stroke: Stroke, ring: Callable[..., None], letter: int) -> None:
    stroke([(-0.2, 0), (1.2, 0)])
    stroke([(0.85, 0), (0.85, 1)])
    if letter % 2:
        stroke([(0.85, 0.5), (0.2, 0.4), (0.1, 0.7), (0.4, 0.95)])
    else:
        stroke([(0.1, 0.05), (0.4, 0.35), (0.1, 0.55), (0.5, 0.95)])


def _han(stroke: Stroke, ring: Callable[..., None], letter: int) -> None:
    stroke([(0, 0.05), (1, 0.05), (1, 1), (0, 1), (0, 0.05)])
    stroke([(0, 0.5), (1, 0.5)])
    stroke([(0.5, -0.05), (0.5, 1)])
    if letter % 2:
        stroke([(0.1, 0.28), (0.9, 0.28)])
        stroke([(0.1, 0.75), (0.9, 0.75)])


def _kana(stroke: Stroke, ring: Callable[..., None], letter: int) -> None:
    if letter % 2:  # no
        ring(0.5, 0.5, 0.48)
        stroke([(0.65, 0.05), (0.3, 0.85)])
    else:  # a
        stroke([(0.1, 0.22), (0.9, 0.15)])
        stroke([(0.42, 0), (0.45, 0.9)])
        ring(0.55, 0.68, 0.3)


def _hangul(stroke: Stroke, ring: Callable[..., None], letter: int) -> None:
    if letter % 2:
        ring(0.28, 0.3, 0.26)
    else:
        stroke([(0, 0.05), (0.55, 0.05), (0.5, 0.55)])
    stroke([(0.9, 0), (0.9, 1)])
    stroke([(0.9, 0.35), (1.1, 0.35)])
    stroke([(0.1, 0.72), (0.1, 1), (0.7, 1)])


def _thai(stroke: Stroke, ring: Callable[..., None], letter: int) -> None:
    ring(0.15, 0.85, 0.14)
    stroke([(0.15, 0.7), (0.1, 0.3), (0.5, 0.08), (0.9, 0.3), (0.9, 1)])
    if letter % 2:
        ring(0.7, -0.15, 0.12)


def _geez(stroke: Stroke, ring: Callable[..., None], letter: int) -> None:
    stroke([(0.1, 1), (0.1, 0.35), (0.5, 0.05), (0.9, 0.35), (0.9, 1.1)])
    stroke([(0.5, 0.05), (0.5, 0.75 + 0.3 * (letter % 2))])
    stroke([(0.9, 1.05), (1.15, 1.05)] if letter % 2 else [(-0.1, 0.6), (0.1, 0.6)])


GLYPHS: dict[str, Callable[[Stroke, Callable[..., None], int], None]] = {
    "latin": _latin,
    "cyrillic": _cyrillic,
    "arabic": _arabic,
    "devanagari": _devanagari,
    "han": _han,
    "kana": _kana,
    "hangul": _hangul,
    "thai": _thai,
    "geez": _geez,
}


def sign(draw: Draw, box: tuple[float, float, float, float], script: str, paint: str, rng: Random) -> None:
    """A board with three glyphs of a script; which glyphs is nuisance, the script and the paint are the cue."""
    left, top, right, bottom = box
    ink = BLACK if paint in ("white", "yellow") else WHITE
    draw.rectangle(box, fill=SIGN_PAINT[paint])
    draw.rectangle((left + 4, top + 4, right - 4, bottom - 4), outline=ink, width=3)
    side = (bottom - top) * 0.4
    step = (right - left) / 3.1
    for place in range(3):
        x0 = left + (right - left) / 2 + (place - 1) * step - side / 2
        y0 = (top + bottom - side) / 2

        def stroke(points: Sequence[tuple[float, float]], x0: float = x0, y0: float = y0) -> None:
            path = [(x0 + px * side, y0 + py * side) for px, py in points]
            for start, end in pairwise(path):
                draw.line((*start, *end), fill=ink, width=6)
                disc(draw, *end, 2.6, ink)

        def ring(cx: float, cy: float, radius: float, x0: float = x0, y0: float = y0) -> None:
            x, y, r = x0 + cx * side, y0 + cy * side, radius * side + 3
            draw.ellipse((x - r, y - r, x + r, y + r), outline=ink, width=6)

        GLYPHS[script](stroke, ring, int(rng.integers(6)))
