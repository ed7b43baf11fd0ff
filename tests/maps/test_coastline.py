import numpy as np
import pytest

from openplanet.maps import coastline

WHOLE = (-180.0, -90.0, 180.0, 90.0)


def inside(rings, x, y):
    """Even-odd rule, edge by edge."""
    odd = False
    for ring in rings:
        for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if (x1 > x) != (x2 > x) and y < y1 + (x - x1) * (y2 - y1) / (x2 - x1):
                odd = not odd
    return odd


PLACES = [
    (2.35, 48.85, True),  # Paris
    (-30.0, 40.0, False),  # Atlantic
    (51.0, 42.0, False),  # Caspian Sea: a ring within the land
    (134.0, -25.0, True),  # Australia
    (177.0, 67.0, True),  # Chukotka, west of the antimeridian
    (-175.0, 66.5, True),  # and east of it
    (0.0, -89.0, True),  # the south pole's land
    (179.9, -89.5, True),
    (0.0, 89.0, False),
    (100.0, 80.5, False),  # where a ring that jumped over the map would lie
    (-100.0, 45.0, True),
]


@pytest.mark.parametrize("tolerance", [0.07, 0.02])
@pytest.mark.parametrize(("x", "y", "land"), PLACES)
def test_land_is_where_it_is(x, y, land, tolerance):
    assert inside(coastline.clip(coastline.outlines(tolerance), WHOLE).land, x, y) is land


def test_window_beyond_the_antimeridian_shows_both_sides():
    found = coastline.clip(coastline.outlines(0.02), (170.0, -50.0, 200.0, 75.0))
    assert inside(found.land, 185.0, 66.5)  # Chukotka's end, at 175 west
    assert inside(found.land, 172.0, -43.3)  # New Zealand
    assert not inside(found.land, 190.0, 0.0)
    for ring in found.land:
        assert ring[:, 0].min() >= 170 - 1e-9
        assert ring[:, 0].max() <= 200 + 1e-9


def test_no_line_jumps_over_the_map():
    found = coastline.outlines(0.02)
    for line in found.borders:
        assert np.abs(np.diff(line[:, 0])).max() < 60
    for ring in coastline.clip(found, WHOLE).land:
        steps = np.abs(np.diff(ring[:, 0]))
        assert (steps < 60).all() or np.abs(ring[:, 1]).max() == 90  # only along the pole


def test_borders_lie_between_countries_and_not_on_coasts():
    borders = coastline.outlines(0.02).borders
    everywhere = np.concatenate(borders)

    def nearest(x, y):
        return np.hypot(everywhere[:, 0] - x, everywhere[:, 1] - y).min()

    assert nearest(7.0, 43.78) < 0.6  # France and Italy
    assert nearest(7.6, 47.6) < 0.3  # Basel
    assert nearest(151.2, -33.9) > 5  # Sydney's coast


def test_simplified_line_keeps_ends_and_stays_near():
    x = np.linspace(0, 10, 500)
    line = np.stack([x, np.sin(x)], axis=1)
    kept = coastline._simplify(line, 0.05)
    assert (kept[0] == line[0]).all() and (kept[-1] == line[-1]).all()
    assert len(kept) < 50
    assert np.abs(np.interp(x, kept[:, 0], kept[:, 1]) - line[:, 1]).max() < 0.08
