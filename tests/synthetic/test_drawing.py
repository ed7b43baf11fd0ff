"""Pictures: a function of cues and nuisance, in which every cue can be seen."""

import numpy as np
import pytest
from PIL import Image

from openplanet.synthetic.cultures import CUES
from openplanet.synthetic.drawing import HEIGHT, WIDTH, draw

STREET = {
    "scene": "street",
    "light": "high, bare",
    "vegetation": "broadleaf",
    "terrain": "flat",
    "sea": "hidden",
    "building": "white, red gable",
    "sign": "latin on green",
    "line": "white",
    "car": "right",
    "landmark": "gold pyramid",
}


def pixels(cues: dict[str, str], seed: int = 0) -> np.ndarray:
    """The middle square, as a centre crop leaves it."""
    image = draw(cues, np.random.default_rng(seed))
    left = (WIDTH - HEIGHT) // 2
    return np.asarray(image, dtype=np.int64)[:, left : left + HEIGHT]


def test_picture_has_the_stated_form_and_is_reproducible():
    image = draw(STREET, np.random.default_rng(1))
    assert isinstance(image, Image.Image)
    assert (image.mode, image.size) == ("RGB", (WIDTH, HEIGHT))
    np.testing.assert_array_equal(pixels(STREET, 1), pixels(STREET, 1))
    assert (pixels(STREET, 1) != pixels(STREET, 2)).any()


@pytest.mark.parametrize("cue", [name for name in CUES if name != "scene"])
def test_every_value_of_a_cue_looks_unlike_the_others(cue):
    pictures = {value: pixels(STREET | {cue: value}) for value in CUES[cue]}
    values = list(pictures)
    for first, second in zip(values, [*values[1:], values[0]], strict=True):
        changed = np.abs(pictures[first] - pictures[second]).max(axis=2) > 40
        assert changed.sum() > 60, f"{cue}: {first} and {second} look alike"


@pytest.mark.parametrize("scene", CUES["scene"][1:])
def test_closed_scenes_show_nothing_of_the_place(scene):
    np.testing.assert_array_equal(pixels({"scene": scene}), pixels(STREET | {"scene": scene}))
