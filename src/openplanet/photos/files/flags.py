"""Pictures that are no photos: a few rules, each of which can be said in a sentence.

A flag is advice with its reason, in columns of its own; no picture is left out because of it. A picture with
the traces of a camera (make and model, or a position) is never a screenshot, document or clip art.
Shapes: H W pixels, N colours.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

TINY = 96  # pixels of the short side below which nothing can be recognised
NAMED = r"(?i)screen[ _-]?shot|bildschirmfoto|capture d.?écran|captura de pantalla"  # in the file's name, no camera
BLANK_CONTRAST = 4.0  # standard deviation of grey (0..255): a wall in the dark, a lens cap
# Sizes of screens in pixels, short side first: telephones, tablets, laptops, monitors.
SCREENS = frozenset({
    (640, 960), (640, 1136), (750, 1334), (828, 1792), (1125, 2436), (1170, 2532), (1179, 2556), (1206, 2622),
    (1080, 2340), (1242, 2208), (1242, 2688), (1284, 2778), (1290, 2796), (1320, 2868), (720, 1280), (720, 1520),
    (720, 1560), (720, 1600), (1080, 1920), (1080, 2160), (1080, 2220), (1080, 2280), (1080, 2400), (1080, 2408),
    (1344, 2992), (1440, 2560), (1440, 2960), (1440, 3040), (1440, 3088), (1440, 3120), (1440, 3200),
    (1536, 2048), (1620, 2160), (1640, 2360), (1668, 2224), (1668, 2388), (2048, 2732), (1200, 1920), (1600, 2560),
    (768, 1024), (768, 1366), (800, 1280), (900, 1440), (900, 1600), (1050, 1680), (1800, 2880), (1964, 3024),
    (2234, 3456), (1664, 2560), (2160, 3840), (1440, 3440), (1080, 2560), (2880, 5120),
})  # fmt: skip

FLAT_SCREEN = 0.45  # share of pixels equal to both neighbours: interfaces are flat, photos are noisy
FLAT_DRAWING = 0.65
DOCUMENT_PAPER = 0.60  # share of pixels near the commonest grey
DOCUMENT_COLOUR = 14.0  # mean of max - min over channels
FEW_COLOURS = 24  # that hold 95 % of the pixels, of 4,096


Channel = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Traits:
    """What the rules look at. Shares are 0..1; ``colours``: how many of 4,096 hold 95 % of the pixels."""

    flat: float
    paper: float
    paper_level: int
    dark: float
    colour: float
    colours: int


def traits(image: Image.Image) -> Traits:
    """Measure a picture (RGB, as small as ingest keeps it)."""
    # Channel by channel: numpy is several times slower along an axis of three.
    red_HW, green_HW, blue_HW = (np.asarray(channel) for channel in image.split())
    grey_HW = np.asarray(image.convert("L")).astype(np.int16)
    # Differences of one or two are what JPEG makes of a flat area.
    right = np.abs(np.diff(grey_HW, axis=1))[:-1] <= 1
    down = np.abs(np.diff(grey_HW, axis=0))[:, :-1] <= 1
    counts_16 = np.bincount(grey_HW.ravel() >> 4, minlength=16)
    level = int(counts_16.argmax())
    near = counts_16[max(0, level - 1) : level + 2].sum() / grey_HW.size
    dark = float((grey_HW < (level * 16 + 8) * 0.6).mean())
    most_HW = np.maximum(np.maximum(red_HW, green_HW), blue_HW)
    colour = float((most_HW - np.minimum(np.minimum(red_HW, green_HW), blue_HW)).mean())
    flat = float((right & down).mean())
    return Traits(flat, float(near), level, dark, colour, _colours(red_HW, green_HW, blue_HW))


def _deviation(histogram: list[int]) -> float:
    """Standard deviation of grey values by how often each of 0..255 occurs."""
    count_N, value_N = np.array(histogram, np.float64), np.arange(256.0)
    mean = count_N @ value_N / count_N.sum()
    return float(np.sqrt(count_N @ (value_N - mean) ** 2 / count_N.sum()))


def _colours(red_HW: Channel, green_HW: Channel, blue_HW: Channel) -> int:
    code_HW = (red_HW >> 4).astype(np.uint16) << 8 | (green_HW & 0xF0) | blue_HW >> 4
    counts_N = np.sort(np.bincount(code_HW.ravel(), minlength=4096))[::-1]
    return int(np.searchsorted(counts_N.cumsum(), 0.95 * code_HW.size)) + 1


def judge(image: Image.Image, width: int, height: int, from_camera: bool) -> tuple[str | None, str | None]:
    """(flag, reason) of a picture, (None, None) for a photo.

    ``image``: reduced, upright; ``width``, ``height``: of the original; ``from_camera``: it names a camera
    or a position. Flags: "tiny", "blank", "screenshot", "document", "clip art".
    """
    if min(width, height) < TINY:
        return "tiny", f"{width} x {height} pixels"
    contrast = _deviation(image.convert("L").histogram())
    if contrast < BLANK_CONTRAST:
        return "blank", f"grey values differ by {contrast:.1f} of 255"
    if from_camera:
        return None, None
    seen = traits(image)
    screen = (min(width, height), max(width, height)) in SCREENS
    if screen and seen.flat >= FLAT_SCREEN:
        return "screenshot", f"{width} x {height} is a screen, {seen.flat:.0%} flat, no camera"
    bright = seen.paper_level >= 10
    if bright and seen.paper >= DOCUMENT_PAPER and seen.colour <= DOCUMENT_COLOUR and 0.005 <= seen.dark <= 0.35:
        return "document", f"{seen.paper:.0%} paper, {seen.dark:.0%} ink, hardly a colour, no camera"
    if seen.flat >= FLAT_DRAWING and seen.colours <= FEW_COLOURS:
        return "clip art", f"{seen.colours} colours, {seen.flat:.0%} flat, no camera"
    return None, None
