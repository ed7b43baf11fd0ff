import numpy as np
import pytest

from openplanet.earth import geojson, s2
from openplanet.maps.view import View, bounds_of, relative_path


def test_bounds_hold_all_positions_with_a_margin():
    south, west, north, east = bounds_of([40, 50], [0, 20], margin=0.1)
    assert (south, west, north, east) == pytest.approx((39, -2, 51, 22))


def test_bounds_across_the_antimeridian_take_the_short_way():
    south, west, north, east = bounds_of([-17, -14], [178, -172], margin=0.1)
    assert (west, east) == pytest.approx((177, -171))
    view = View.of(600, (south, west, north, east))
    x_N, _ = view.project(np.array([-17.0, -14.0]), np.array([178.0, -172.0]))
    assert 0 < x_N[0] < x_N[1] < 600


@pytest.mark.parametrize(
    ("lat", "lng"), [([], []), ([np.nan], [3.0]), ([0, 0, 0], [-120, 0, 120]), ([10, 10], [-100, 100])]
)
def test_bounds_of_nothing_or_of_half_the_earth_are_the_world(lat, lng):
    assert bounds_of(lat, lng) is None


def test_one_position_gets_room_around_it():
    south, west, north, east = bounds_of(60.0, 10.0, least=4.0)
    assert (south, north) == (58, 62)
    assert east - west == pytest.approx(8)  # a degree of longitude is half as long at 60 north


@pytest.mark.parametrize(
    "bounds",
    [None, (-36, 148, -32, 153), (60, 5, 71, 32), (-20, 175, -12, -170), (70, -20, 90, 40), (0, 0, 1, 60)],
)
def test_view_shows_its_bounds(bounds):
    view = View.of(800, bounds)
    south, west, north, east = bounds or (-60, -180, 85, 180)
    x_N, y_N = view.project(np.array([south, north], float), np.array([west, east], float))
    assert x_N[0] >= -1e-6 and x_N[1] <= 800 + 1e-6
    assert y_N[1] >= -1e-6 and y_N[0] <= view.height + 1
    left, top, right, bottom = view.reach
    assert left <= 0 and top <= 0 and right >= 800 - 1e-6 and bottom >= view.height - 1


def test_region_is_true_to_shape_at_its_middle():
    view = View.of(800, (58, 8, 62, 14))
    (x_0, x_1), (y_0, y_1) = view.project(np.array([60.0, 60.5]), np.array([10.0, 11.0]))
    assert (x_1 - x_0) == pytest.approx(y_0 - y_1, rel=0.01)  # 1° by 0.5° is a square at 60 north


def test_path_of_cell_at_the_antimeridian_stays_by_the_map():
    cell = s2.parent(s2.leaf_ids([-17.0], [-179.5]), 5)
    view = View.of(600, (-20, 176, -14, -176))
    path = view.rings_path(geojson.rings_of_cells(cell)[0])
    assert path.startswith("M") and path.endswith("z")
    x_start = float(path[1:].split(" ")[0])
    assert -100 < x_start < 700


def test_path_of_cell_on_the_other_side_of_the_earth_is_left_out():
    cell = s2.parent(s2.leaf_ids([50.0], [0.0]), 5)
    assert View.of(600, (-20, 176, -14, -176)).rings_path(geojson.rings_of_cells(cell)[0]) == ""


def test_line_that_leaves_the_world_map_enters_it_again():
    path = View.of(720, None).line_path(np.array([0.0, 0.0]), np.array([170.0, -170.0]))
    assert path.count("M") == 2


def test_a_cell_too_small_for_the_map_leaves_nothing_behind():
    # A browser stops drawing a path at a "z" without a beginning, and with it all cells of that shade.
    leaf = s2.leaf_ids([48.0], [2.0])
    assert View.of(600, None).rings_path(geojson.rings_of_cells(leaf)[0]) == ""


def test_relative_path_by_hand():
    assert relative_path(np.array([[0, 0], [1, 0.5], [1, 0.5], [0.75, 2]]), 2) == "M0 0l1 .5-.25 1.5"
    assert relative_path(np.array([[3, 4], [3.2, 4.1]]), 0) == ""


def test_rounding_does_not_add_up():
    points = np.cumsum(np.full((1000, 2), 0.333), axis=0)
    numbers = relative_path(points, 1).replace("l", " ").replace("-", " -")[1:].split()
    steps = np.array(numbers, float).reshape(-1, 2)
    assert np.abs(steps.sum(axis=0) - points[-1]).max() < 0.06
