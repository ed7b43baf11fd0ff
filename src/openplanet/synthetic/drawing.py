"""Pictures of the synthetic planet: a scene is a function of its cues and of nuisance that knows nothing of the place.

``draw`` takes the cues as words (the values in ``synthetic.CUES``) and a random generator for everything that is
not a cue: where exactly things stand, clouds, the colour of a car, the aim and exposure of the camera, noise.
All cues lie inside the middle square, so that a centre crop keeps them.
"""

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw

from openplanet.synthetic.drawing_parts import BLACK, SNOW, WHITE, Colour, Draw, Random, disc, house, shade, sign, tree
from openplanet.synthetic.landmarks import landmark

WIDTH, HEIGHT = 256, 192  # of the picture
CANVAS_WIDTH, CANVAS_HEIGHT = 560, 420  # painted at twice the size with a margin for the camera to move in
HORIZON = 222
MIDDLE = 280

SKIES: dict[str, tuple[Colour, Colour]] = {  # at the zenith, at the horizon
    "overcast": ((150, 155, 162), (212, 214, 216)),
    "night": ((10, 14, 50), (50, 55, 110)),
    "low": ((240, 130, 90), (255, 215, 140)),
    "middling": ((150, 205, 250), (225, 240, 250)),
    "high": ((70, 155, 250), (185, 225, 255)),
    "overhead": ((15, 90, 235), (130, 190, 255)),
}
SUN_HEIGHT = {"low": 195, "middling": 140, "high": 92, "overhead": 52}
GROUND: dict[str, Colour] = {
    "jungle": (30, 130, 60),
    "savanna": (205, 175, 70),
    "desert": (240, 205, 145),
    "mediterranean": (160, 150, 85),
    "broadleaf": (125, 195, 75),
    "conifer": (75, 110, 80),
}
CAR_COLOURS: tuple[Colour, ...] = ((60, 60, 65), (180, 185, 190), (40, 60, 110), (120, 30, 40), (235, 235, 235))
LINE_COLOURS: dict[str, Colour] = {"white": (250, 250, 250), "yellow": (255, 195, 0)}


def draw(cues: Mapping[str, str], rng: Random) -> Image.Image:
    """The picture of a photo, RGB of WIDTH × HEIGHT; ``cues`` maps every cue that the scene shows to its value."""
    canvas = Image.new("RGB", (CANVAS_WIDTH, CANVAS_HEIGHT))
    scene = {"street": _street, "indoors": _indoors, "beach": _beach, "meadow": _meadow}[cues["scene"]]
    night = scene(canvas, cues, rng)
    return _camera(canvas, 0.6 if night else 1.0, rng)


def _camera(canvas: Image.Image, exposure: float, rng: Random) -> Image.Image:
    """Aim, zoom, exposure, noise."""
    zoom = rng.uniform(0.92, 1.04)
    width, height = 2 * WIDTH * zoom, 2 * HEIGHT * zoom
    left = (CANVAS_WIDTH - width) / 2 + rng.uniform(-12, 12)
    top = (CANVAS_HEIGHT - height) / 2 + rng.uniform(-8, 8)
    box = (max(left, 0.0), max(top, 0.0), min(left + width, CANVAS_WIDTH), min(top + height, CANVAS_HEIGHT))
    small = canvas.resize((WIDTH, HEIGHT), Image.Resampling.BOX, box=box)
    pixels = np.asarray(small, dtype=np.float32) * (exposure * rng.uniform(0.9, 1.08))
    pixels += rng.normal(scale=4.0, size=(HEIGHT, WIDTH, 1)).astype(np.float32)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _gradient(canvas: Image.Image, top: Colour, bottom: Colour, until: int) -> None:
    column = np.linspace(top, bottom, 32).astype(np.uint8)[:, None]
    canvas.paste(Image.fromarray(column).resize((CANVAS_WIDTH, until), Image.Resampling.BILINEAR))


# --- The street: the scene that shows where it is ---------------------------------------------------------------


def _street(canvas: Image.Image, cues: Mapping[str, str], rng: Random) -> bool:
    sun, cover = cues["light"].split(", ")
    snow = cover == "snow"
    plants = cues["vegetation"]
    ground = SNOW if snow else GROUND[plants]
    _gradient(canvas, *SKIES[sun], until=HORIZON + 4)
    draw = ImageDraw.Draw(canvas)
    _sky(draw, sun, rng)
    _terrain(draw, cues["terrain"], GROUND[plants], snow, rng)
    foot = HORIZON
    draw.rectangle((0, foot, CANVAS_WIDTH, CANVAS_HEIGHT), fill=ground)
    if cues["sea"] == "sea":
        _sea(draw, HORIZON, HORIZON + 46, rng)
    _tufts(draw, ground, rng)
    if cues["landmark"] != "hidden":
        metal, shape = cues["landmark"].split(" ")
        landmark(draw, shape, metal, MIDDLE - 16 + rng.uniform(-10, 10), HORIZON + 18, 150)
    for x in (222, 330, 352):
        tree(draw, plants, x + rng.uniform(-8, 8), 262 + rng.uniform(-5, 5), rng.uniform(42, 54), snow)
    _road(draw, cues["line"], rng)
    if cues["building"] != "hidden":
        wall, roof = cues["building"].split(", ")
        house(draw, 420 + rng.uniform(-8, 8), 322, 78, wall, roof, rng)
        house(draw, 148 + rng.uniform(-8, 8), 345 + rng.uniform(-5, 5), 124, wall, roof, rng)
    if cues["sign"] != "hidden":
        script, paint = cues["sign"].split(" on ")
        dx, dy = rng.uniform(-6, 6, 2)
        for pole in (352, 442):
            draw.line((pole + dx, 200 + dy, pole + dx, 300), fill=(90, 90, 95), width=6)
        sign(draw, (314 + dx, 112 + dy, 472 + dx, 214 + dy), script, paint, rng)
    tree(draw, plants, 452 + rng.uniform(-14, 8), 400 + rng.uniform(-8, 8), rng.uniform(95, 115), snow)
    tree(draw, plants, 92 + rng.uniform(-6, 14), 408 + rng.uniform(-6, 6), rng.uniform(85, 105), snow)
    if cues["car"] != "hidden":
        _car(draw, MIDDLE + (44 if cues["car"] == "right" else -44), 372, rng)
    if rng.random() < 0.3:
        _walker(draw, rng.choice((208, 384)) + rng.uniform(-8, 8), 388, rng)
    return sun == "night"


def _sky(draw: Draw, sun: str, rng: Random) -> None:
    if sun == "night":
        for x, y in rng.uniform((40, 15), (520, 190), (28, 2)):
            disc(draw, x, y, 1.8, WHITE)
        disc(draw, rng.uniform(130, 300), 60, 18, (235, 235, 210))
        return
    if sun == "overcast":
        for x, y in rng.uniform((20, 20), (540, 120), (7, 2)):
            disc(draw, x, y, rng.uniform(50, 90), shade((178, 182, 188), rng.uniform(0.92, 1.08)), 22)
        return
    x, y = rng.uniform(210, 310), SUN_HEIGHT[sun] + rng.uniform(-8, 8)
    disc(draw, x, y, 34, (255, 236, 170) if sun != "low" else (255, 190, 110))
    disc(draw, x, y, 24, (255, 250, 215) if sun != "low" else (255, 95, 40))
    for cx, cy in rng.uniform((60, 30), (500, 110), (int(rng.integers(0, 4)), 2)):
        for dx, radius in ((-24, 15), (0, 21), (22, 14)):
            disc(draw, cx + dx, cy, radius * 1.3, WHITE, radius * 0.7)


def _terrain(draw: Draw, terrain: str, ground: Colour, snow: bool, rng: Random) -> None:
    shift = rng.uniform(-30, 30)
    if terrain == "mountains":
        for x, usual, half in ((110, 120, 110), (300, 150, 120), (470, 125, 110), (210, 90, 90), (390, 95, 90)):
            peak, height = x + shift, usual + rng.uniform(-12, 12)
            draw.polygon(
                (peak - half, HORIZON + 4, peak, HORIZON - height, peak + half, HORIZON + 4), fill=(108, 96, 122)
            )
            cap = 0.3 * half
            points = (peak - cap, HORIZON - height * 0.7, peak, HORIZON - height, peak + cap, HORIZON - height * 0.7)
            draw.polygon(points, fill=SNOW)
    elif terrain == "hills":
        colour = shade(SNOW, 0.88) if snow else shade(ground, 0.72)
        for x, ry in ((60, 55), (220, 70), (390, 58), (540, 66)):
            disc(draw, x + shift, HORIZON + 8, 125, colour, ry + rng.uniform(-8, 8))


def _sea(draw: Draw, top: float, bottom: float, rng: Random) -> None:
    draw.rectangle((0, top, CANVAS_WIDTH, bottom), fill=(10, 105, 190))
    for x, y in rng.uniform((0, top + 6), (CANVAS_WIDTH, bottom - 4), (24, 2)):
        draw.line((x, y, x + 22, y), fill=(170, 215, 240), width=2)
    x = rng.uniform(230, 330)
    draw.polygon((x, top - 34, x, top + 10, x + 22, top + 10), fill=WHITE)
    draw.polygon((x - 18, top + 12, x + 26, top + 12, x + 16, top + 22, x - 8, top + 22), fill=(150, 40, 40))


def _tufts(draw: Draw, ground: Colour, rng: Random) -> None:
    for x, y in rng.uniform((30, 280), (530, 415), (26, 2)):
        draw.line((x - 5, y, x, y - 7, x + 5, y), fill=shade(ground, rng.uniform(0.8, 0.95)), width=3)


def _road(draw: Draw, line: str, rng: Random) -> None:
    far, near = 8.0, 112.0
    grey = shade((92, 92, 98), rng.uniform(0.85, 1.15))
    top, bottom = HORIZON + 22, CANVAS_HEIGHT
    draw.polygon((MIDDLE - far, top, MIDDLE + far, top, MIDDLE + near, bottom, MIDDLE - near, bottom), fill=grey)
    if line == "hidden":
        return
    colour = LINE_COLOURS[line]
    for start, end in ((0.12, 0.24), (0.32, 0.5), (0.6, 0.8), (0.9, 1.0)):  # of the way from afar to the camera
        y0, y1 = top + start * (bottom - top), top + end * (bottom - top)
        points = (
            *(MIDDLE - 1 - 11 * start, y0, MIDDLE + 1 + 11 * start, y0),
            *(MIDDLE + 1 + 11 * end, y1, MIDDLE - 1 - 11 * end, y1),
        )
        draw.polygon(points, fill=colour)
    for side in (-1, 1):
        inner = (MIDDLE + side * far * 0.8, top, MIDDLE + side * near * 0.86, bottom)
        outer = (MIDDLE + side * near * 0.94, bottom, MIDDLE + side * far, top)
        draw.polygon((*inner, *outer), fill=colour)


def _car(draw: Draw, x: float, y: float, rng: Random) -> None:
    """A car ahead of the camera, seen from behind: the side it keeps is the cue."""
    colour = CAR_COLOURS[int(rng.integers(len(CAR_COLOURS)))]
    x += rng.uniform(-4, 4)
    draw.polygon((x - 25, y - 34, x - 17, y - 58, x + 17, y - 58, x + 25, y - 34), fill=colour, outline=BLACK)
    draw.polygon((x - 18, y - 36, x - 13, y - 53, x + 13, y - 53, x + 18, y - 36), fill=(170, 205, 225))
    draw.rectangle((x - 32, y - 36, x + 32, y - 6), fill=colour, outline=BLACK)
    for side in (-1, 1):
        draw.rectangle((x + side * 25 - 7, y - 31, x + side * 25 + 7, y - 21), fill=(255, 20, 20))
        draw.rectangle((x + side * 23 - 6, y - 6, x + side * 23 + 6, y + 3), fill=BLACK)
    draw.rectangle((x - 9, y - 18, x + 9, y - 10), fill=WHITE)


def _walker(draw: Draw, x: float, y: float, rng: Random) -> None:
    coat = tuple(int(part) for part in rng.integers(30, 230, 3))
    draw.line((x - 4, y, x, y - 22, x + 4, y), fill=BLACK, width=4)
    draw.line((x, y - 20, x, y - 38), fill=(coat[0], coat[1], coat[2]), width=12)
    disc(draw, x, y - 46, 6, shade((225, 180, 150), rng.uniform(0.5, 1.0)))


# --- Scenes that do not tell where they are ---------------------------------------------------------------------


def _pastel(rng: Random) -> Colour:
    red, green, blue = (int(part) for part in rng.integers(140, 240, 3))
    return red, green, blue


def _indoors(canvas: Image.Image, cues: Mapping[str, str], rng: Random) -> bool:
    """A room; furnished anew for every photo, lest rooms in test and train pass for copies of each other."""
    draw = ImageDraw.Draw(canvas)
    wall, sofa, floor = _pastel(rng), shade(_pastel(rng), 0.7), rng.uniform(270, 340)
    draw.rectangle((0, 0, CANVAS_WIDTH, floor), fill=wall)
    step = int(rng.integers(30, 90))
    for stripe in range(0, CANVAS_WIDTH, step):
        draw.line((stripe, 0, stripe, floor), fill=shade(wall, rng.uniform(0.85, 0.98)), width=step // 3)
    wood = shade((150, 105, 70), rng.uniform(0.7, 1.5))
    draw.rectangle((0, floor, CANVAS_WIDTH, CANVAS_HEIGHT), fill=wood)
    draw.rectangle((0, floor - 8, CANVAS_WIDTH, floor + 2), fill=shade(wall, 0.7))
    disc(draw, rng.uniform(180, 380), 385, rng.uniform(90, 190), _pastel(rng), rng.uniform(16, 32))  # a rug
    for x in rng.uniform(90, 470, int(rng.integers(1, 4))):  # pictures
        y, half, high = rng.uniform(70, 140), rng.uniform(22, 60), rng.uniform(22, 55)
        frame = (x - half, y - high, x + half, y + high)
        draw.rectangle(frame, fill=_pastel(rng), outline=shade(_pastel(rng), 0.4), width=6)
        disc(draw, x, y, high * 0.5, shade(_pastel(rng), rng.uniform(0.4, 1.1)))
    x, half = rng.uniform(160, 400), rng.uniform(70, 135)
    draw.rectangle((x - half, floor - 75, x + half, floor), fill=sofa)  # a sofa
    draw.rectangle((x - half - 20, floor - 30, x + half + 20, floor + 40), fill=shade(sofa, 0.85))
    for side in (-1, 1):
        disc(draw, x + side * (half + 18), floor - 15, 20, shade(sofa, 0.75), 38)
    if rng.random() < 0.7:  # a lamp
        x, high = rng.uniform(90, 470), rng.uniform(150, 230)
        draw.line((x, floor + 40, x, floor + 40 - high), fill=BLACK, width=5)
        top = floor + 40 - high
        draw.polygon((x - 42, top + 30, x + 42, top + 30, x + 22, top - 30, x - 22, top - 30), fill=(255, 235, 160))
    if rng.random() < 0.6:  # a plant in a pot
        x = rng.uniform(90, 470)
        tree(draw, "broadleaf", x, floor + 30, rng.uniform(80, 150), snow=False)
        top, foot = floor + 20, floor + 62
        draw.polygon((x - 24, top, x + 24, top, x + 16, foot, x - 16, foot), fill=_pastel(rng))
    return False


def _beach(canvas: Image.Image, cues: Mapping[str, str], rng: Random) -> bool:
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, 0, CANVAS_WIDTH, CANVAS_HEIGHT), fill=(238, 216, 165))
    shore = 110 + rng.uniform(-25, 25)
    _sea(draw, 0, shore, rng)
    for wave in range(0, CANVAS_WIDTH, 70):
        disc(draw, wave + rng.uniform(-10, 10), shore, 44, WHITE, 9)
    for x, y in rng.uniform((20, shore + 20), (540, 410), (60, 2)):
        disc(draw, x, y, 2.5, (215, 190, 135))
    x, y = 280 + rng.uniform(-60, 60), 250 + rng.uniform(-20, 20)
    first, second = shade(_pastel(rng), 0.9), WHITE
    for step in range(8):  # an umbrella from above
        fill = first if step % 2 else second
        draw.pieslice((x - 95, y - 95, x + 95, y + 95), 45 * step, 45 * step + 45, fill=fill)
    tx = x + rng.choice((-150, 150))
    draw.rectangle((tx - 36, y - 30, tx + 36, y + 100), fill=shade(_pastel(rng), 0.9))  # a towel
    draw.line((tx - 36, y + 10, tx + 36, y + 10), fill=WHITE, width=10)
    return False


def _meadow(canvas: Image.Image, cues: Mapping[str, str], rng: Random) -> bool:
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, 0, CANVAS_WIDTH, CANVAS_HEIGHT), fill=(115, 165, 80))
    for x, y in rng.uniform((0, 0), (560, 420), (50, 2)):
        disc(draw, x, y, rng.uniform(15, 45), shade((115, 165, 80), rng.uniform(0.8, 1.15)))
    for _ in range(int(rng.integers(3, 7))):
        x, y, size = rng.uniform(110, 450), rng.uniform(90, 300), rng.uniform(22, 40)
        petal = shade(_pastel(rng), 1.1)
        draw.line((x, y, x + rng.uniform(-20, 20), 420), fill=(50, 110, 40), width=6)
        for angle in np.linspace(0, 2 * np.pi, 7)[:-1]:
            disc(draw, x + size * np.cos(angle), y + size * np.sin(angle), size * 0.6, petal)
        disc(draw, x, y, size * 0.5, (250, 200, 50))
    return False
