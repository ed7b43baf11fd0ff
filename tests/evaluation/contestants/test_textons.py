import numpy as np
import pytest

from openplanet.evaluation.contestants import textons


def picture(kind: str) -> np.ndarray:
    y, x = np.mgrid[:64, :64].astype(np.float32)
    near = np.hypot((x % 16) - 8, (y % 16) - 8)
    return {
        "flat": np.full((64, 64), 60.0, np.float32),
        "slope": x * 1.5 + 2,
        "dark spot": 80 - 60 * np.exp(-(near**2) / 2),
        "light spot": 20 + 60 * np.exp(-(near**2) / 2),
        "dark line": 80 - 60 * np.exp(-(((x % 16) - 8) ** 2) / 2),
        "light line": 20 + 60 * np.exp(-(((x % 16) - 8) ** 2) / 2),
    }[kind].astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "at", "expected"),
    [("flat", (30, 30), 0), ("slope", (30, 30), 1), ("dark spot", (24, 24), 2), ("light spot", (24, 24), 3),
     ("dark line", (30, 24), 4), ("light line", (30, 24), 5)],
)  # fmt: skip
def test_pixels_are_what_they_look_like(kind: str, at: tuple[int, int], expected: int) -> None:
    assert textons._kinds(picture(kind)[None])[0][at] == expected


def test_histogram_counts_every_pixel_of_its_own_picture() -> None:
    both = np.stack([picture("flat"), picture("light spot")])
    found = textons.texton_histogram(both)
    assert found.shape == (2, 343)
    np.testing.assert_allclose(np.square(found).sum(axis=1), 1, rtol=1e-5)
    assert found[0, 0] == 1 and found[1, 0] < 1
    np.testing.assert_array_equal(textons.texton_histogram(both[1:]), found[1:])


def test_turning_the_light_up_changes_nothing() -> None:
    light = picture("dark line")[None]
    np.testing.assert_allclose(textons.texton_histogram(light), textons.texton_histogram(light * 1.7), atol=0.02)
