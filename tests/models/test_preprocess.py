"""From photo to pixels."""

import numpy as np
from PIL import Image

from openplanet.models.preprocess import decode, pixels


def test_the_centre_square_is_kept() -> None:
    array = np.zeros((60, 100, 3), dtype=np.uint8)
    array[:, 20:80] = (10, 200, 30)  # the central square is green, what is beside it black
    result = pixels(Image.fromarray(array), 20)
    assert result.dtype == np.uint8 and result.shape == (3, 20, 20)
    assert (result == np.array([10, 200, 30], np.uint8)[:, None, None]).all()


def test_portrait_and_small_and_grey_photos() -> None:
    tall = np.zeros((100, 60), dtype=np.uint8)
    tall[20:80] = 90
    assert (pixels(Image.fromarray(tall), 24) == 90).all()
    assert pixels(Image.new("RGB", (5, 3), (1, 2, 3)), 32).shape == (3, 32, 32)


def test_up_stays_up_and_left_stays_left() -> None:
    array = np.zeros((64, 64, 3), dtype=np.uint8)
    array[:32, :32] = 255
    result = pixels(Image.fromarray(array), 32)[0]
    assert result[4, 4] == 255 and result[4, 28] == 0 and result[28, 4] == 0


def test_a_missing_picture_is_none() -> None:
    assert decode(None, 8) is None and decode(b"", 8) is None


def test_the_centre_is_cropped_before_it_is_resized() -> None:
    array = np.zeros((40, 60, 3), np.uint8)
    array[10:30, 20:40] = 200  # half of the short side, in the middle
    assert (pixels(Image.fromarray(array), 16, crop=0.5) == 200).all()
    assert (pixels(Image.fromarray(array), 16) == 0).any()
