"""Opening photos safely: only regular files, within limits, and Pillow kept quiet and bounded.

MAX_BYTES, MAX_PIXELS: files above are refused ("too large"). 200 megapixels is what the largest telephones
give. pillow-heif's opener is registered with Pillow once, when this module is imported.
"""

import os
import threading
import warnings
from pathlib import Path
from typing import BinaryIO

import pillow_heif
from PIL import Image

from openplanet.errors import PhotoError
from openplanet.storage import open_input

MAX_BYTES = 1 << 30
MAX_PIXELS = 200_000_000

pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def too_many_pixels(name: str) -> PhotoError:
    """The error for a photo of more than MAX_PIXELS."""
    return PhotoError(f"{name}: has more than {MAX_PIXELS:,} pixels; reduce it first", "too large")


class _QuietPillow:
    """While any thread is inside: no warnings, and Pillow's limit of pixels is ours.

    Both are settings of the whole process and `warnings.catch_warnings` alone restores them wrongly when
    threads overlap; so the first to enter sets and the last to leave restores.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._caught: warnings.catch_warnings[None] | None = None
        self._pixels: int | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
                self._pixels = Image.MAX_IMAGE_PIXELS
                Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses above twice this
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._caught is not None:
                Image.MAX_IMAGE_PIXELS = self._pixels
                self._caught.__exit__(None, None, None)


quiet_pillow = _QuietPillow()


def open_file(path: Path) -> BinaryIO:
    """Open a photo for reading, without ever waiting.

    PhotoError: "unreadable" (missing, no regular file, no right to read) or "too large" (over MAX_BYTES).
    """
    try:
        file = open_input(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise PhotoError(f"{path}: cannot be opened ({why}); check the path and its rights", "unreadable") from None
    length = os.fstat(file.fileno()).st_size
    if length > MAX_BYTES:
        file.close()
        raise PhotoError(f"{path}: has {length:,} bytes, more than {MAX_BYTES:,}; leave it out", "too large")
    return file
