import numpy as np
import pytest

from openplanet.maps.legend import RAMP, colour, percentage, ramp, shares


def luminance(code):
    channels = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_colours_darken_steadily():
    lightness = [np.cbrt(luminance(colour(share))) for share in np.linspace(0, 1, 24)]
    assert (np.diff(lightness) < 0).all()
    assert (colour(0), colour(1)) == (RAMP[0], RAMP[-1])
    assert colour(-1) == colour(0) and colour(2) == colour(1)


def test_shares():
    assert shares(np.array([1.0, 2.0, 5.0]), 1, 5, log=False).tolist() == [0, 0.25, 1]
    assert shares(np.array([1.0, 10.0, 100.0]), 1, 100, log=True) == pytest.approx([0, 0.5, 1])
    assert shares(np.array([3.0, 3.0]), 3, 3, log=True).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1.0, "100%"),
        (0.84, "84%"),
        (0.0996, "10%"),
        (0.084, "8.4%"),
        (0.0008, "0.08%"),
        (1e-9, "<0.01%"),
        (0.0, "0.00%"),
    ],
)
def test_percentage(share, text):
    assert percentage(share) == text


def test_ramp_names_its_ends_and_escapes():
    html = ramp("photos <in> a cell", 21, 29800, log=True, percent=False)
    assert "photos &lt;in&gt; a cell" in html
    assert ">21<" in html and ">29,800<" in html and ">1,000<" in html
    assert "&lt;0.01%" in ramp("p", 1e-9, 0.5, log=False, percent=True)


def test_ramp_writes_small_numbers_readably():
    html = ramp("photos per km²", 5.2e-7, 0.81, log=True, percent=False)
    assert ">5×10⁻⁷<" in html and ">0.81<" in html
