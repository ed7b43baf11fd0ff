"""From a decoded photo to the pixels that a model takes.

Shapes: H W height and width in pixels.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openplanet.errors import PhotoError
from openplanet.photos.files import images

Pixels = NDArray[np.uint8]


def pixels(image: Image.Image, size: int, crop: float = 1.0) -> Pixels:
    """The central square of ``image``, ``crop`` of its short side, resized to ``size``: uint8 [3, size, size], RGB.

    Values stay 0..255: normalisation belongs to the model, so that a checkpoint cannot be fed wrongly scaled
    input. The same function serves training, evaluation and inference.
    """
    image = image if image.mode == "RGB" else image.convert("RGB")
    side = max(1, round(crop * min(image.size)))
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # cropped before it is resized: with resize(box=...) what lies beside the square bleeds into its edge
    square = image.crop((left, top, left + side, top + side))
    small = square.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.ascontiguousarray(np.asarray(small, dtype=np.uint8).transpose(2, 0, 1))


def decode(data: bytes | None, side: int, crop: float = 1.0, short_side: int | None = None) -> Pixels | None:
    """The ``pixels`` [3, side, side] of an encoded photo of a dataset; None where none is there or it is damaged.

    ``short_side``: what a larger photo is first brought to, of a dataset that keeps larger ones than the model's.
    """
    if not data:
        return None
    try:
        # whole, not at a reduced scale of the JPEG: so that inference sees the same resampling of the same file
        return pixels(images.load(data, short_side=short_side), side, crop)
    except PhotoError:
        return None
