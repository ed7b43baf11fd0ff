"""How much memory a photo takes to decode, known before it is decoded; and a limit on it for all threads together.

An 80-byte PNG can claim gigabytes. The limit lets through what cameras make: JPEGs of 200 megapixels, PNG and TIFF of
100, HEIC and AVIF of 40, WebP of 25.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, JpegImagePlugin

from openplanet.errors import PhotoError

BUDGET = 440 << 20
"""Bytes that one photo may take, and all photos that a process decodes at once."""
WHOLE = {"WEBP": 17, "AVIF": 10, "HEIF": 10}
"""Bytes a pixel of decoders that hold the whole picture in several forms (measured: benchmarks/bombs.py)."""
SMALL_MODES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}  # Pillow's others take 4 bytes a pixel
AFTERWARDS = 8  # bytes for each pixel that is kept: turning, encoding, looking at it


def needed(image: Image.Image, kind: str, short_side: int | None, full: tuple[int, int]) -> int:
    """Bytes that decoding ``image`` takes (opened and drafted, not loaded), reduced to ``short_side`` pixels.
    ``full``: its width and height before it was drafted."""
    pixels = image.width * image.height
    a_pixel = SMALL_MODES.get(image.mode, 4)
    if "transparency" in image.info or image.mode in ("P", "PA", "RGBa", "La"):
        a_pixel += 4  # converted before it can be reduced
    elif a_pixel < 4 or image.mode in ("I", "F"):
        a_pixel += 1
    total = pixels * max(a_pixel, WHOLE.get(kind, 0)) + kept(image.width, image.height, short_side) * AFTERWARDS
    return total + (_coefficients(image, full) if isinstance(image, JpegImagePlugin.JpegImageFile) else 0)


def kept(width: int, height: int, short_side: int | None) -> int:
    """Pixels that are left of a picture when its short side is reduced to ``short_side``."""
    factor = 1.0 if short_side is None else min(1.0, short_side / min(width, height))
    return round(width * factor) * round(height * factor)


def _coefficients(image: JpegImagePlugin.JpegImageFile, full: tuple[int, int]) -> int:
    """A progressive JPEG is held as coefficients of two bytes, at full size, until its last scan."""
    if "progressive" not in image.info:
        return 0
    layers = [(layer[1], layer[2]) for layer in image.layer]
    most = max(h for h, _ in layers) * max(v for _, v in layers)
    return int(2 * full[0] * full[1] * sum(h * v for h, v in layers) / most)


class _Budget:
    """Threads wait here until what they are to decode fits in beside what others decode."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._held = 0

    @contextmanager
    def hold(self, size: int, name: str) -> Iterator[None]:
        """While inside, ``size`` bytes are taken. PhotoError "too large", naming the photo, where they never fit."""
        if size > BUDGET:
            most = f"{size >> 20:,} MB to decode, more than {BUDGET >> 20}"
            raise PhotoError(f"{name}: would take {most}; reduce it first", "too large")
        with self._free:
            self._free.wait_for(lambda: self._held + size <= BUDGET)
            self._held += size
        try:
            yield
        finally:
            with self._free:
                self._held -= size
                self._free.notify_all()


budget = _Budget()
