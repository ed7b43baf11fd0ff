"""Every function against Google's s2geometry, cell by cell and bit by bit."""

import math

import numpy as np
import pytest
import s2geometry as google

from openplanet.earth import geo, s2
from openplanet.errors import InputError


def google_leaf_ids(lat_N, lng_N):
    from_degrees, cell_id = google.S2LatLng.FromDegrees, google.S2CellId
    ids = [cell_id(from_degrees(a, b)).id() for a, b in zip(lat_N.tolist(), lng_N.tolist(), strict=True)]
    return np.array(ids, np.uint64)


def google_cells(ids):
    return [google.S2CellId(cell_id) for cell_id in ids.tolist()]


def assert_same_leaves(lat_N, lng_N):
    lat_N, lng_N = np.asarray(lat_N, np.float64), np.asarray(lng_N, np.float64)
    wrong = np.flatnonzero(s2.leaf_ids(lat_N, lng_N) != google_leaf_ids(lat_N, lng_N))
    shown = [(lat_N[k].hex(), lng_N[k].hex()) for k in wrong[:3]]
    assert len(wrong) == 0, f"{len(wrong)} of {len(lat_N)} differ, such as {shown}"


def random_positions(n, seed=0):
    rng = np.random.default_rng(seed)
    return np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)


@pytest.fixture(scope="module")
def cells():
    """3,100 random cells, 100 of each level."""
    leaves = s2.leaf_ids(*random_positions(3100, seed=1))
    return s2.parent(leaves, np.repeat(np.arange(31), 100))


def test_a_million_random_points_have_google_s_leaf():
    assert_same_leaves(*random_positions(1_000_000))


def test_poles_and_antimeridian():
    lng = np.arange(-180, 180.25, 0.5)
    for lat in [90.0, -90.0, np.nextafter(90, 0), np.nextafter(-90, 0), 89.9999999, -89.9999999, 0.0, -0.0]:
        assert_same_leaves(np.full_like(lng, lat), lng)
    lat = np.arange(-90, 90.25, 0.25)
    for edge in (180.0, -180.0, np.nextafter(180, 0), np.nextafter(-180, 0), 0.0, -0.0, 5e-324):
        assert_same_leaves(lat, np.full_like(lat, edge))


def test_whole_degrees_hold_ties_of_two_and_three_axes():
    lat, lng = (grid.ravel() for grid in np.meshgrid(np.arange(-90, 91.0), np.arange(-180, 181.0, 3)))
    assert_same_leaves(lat, lng)
    corner = math.degrees(math.atan(math.sqrt(0.5)))  # of the cube: |x| = |y| = |z|
    lats = np.array([np.nextafter(corner, 99), corner, np.nextafter(corner, 0)])
    lat, lng = np.meshgrid(np.concatenate([lats, -lats]), [-135.0, -45, 45, 135])
    for towards in (-999, 999):
        assert_same_leaves(lat.ravel(), lng.ravel())
        assert_same_leaves(lat.ravel(), np.nextafter(lng.ravel(), towards))


def test_edges_of_the_cube():
    rng = np.random.default_rng(2)
    along = rng.uniform(-45, 45, 2000)
    upper = np.degrees(np.arctan(np.cos(np.radians(along))))  # where z = x on face 0
    for quarter in (-180, -90, 0, 90):
        for towards in (-90, 0, 90):
            lat, lng = np.nextafter(upper, towards), along + quarter
            lng = np.where(lng < -180, lng + 360, lng)
            assert_same_leaves(np.concatenate([lat, -lat]), np.concatenate([lng, lng]))
            side = np.full_like(along, np.nextafter(quarter + 45.0, quarter + towards))
            assert_same_leaves(along, side)


def test_corners_and_centres_of_cells_of_all_levels(cells):
    lat_N4, lng_N4 = s2.vertices(cells)  # on the very edge of leaves: the last bit decides
    for lat, lng in ((lat_N4.ravel(), lng_N4.ravel()), s2.center(cells)):
        assert_same_leaves(lat, lng)
        assert_same_leaves(np.nextafter(lat, 0), lng)


def test_leaves_do_not_depend_on_the_last_bits_of_numpy_s_sine(cells, monkeypatch):
    """NumPy's vectorised sine may be a few units in the last place off the C library's."""
    lat_N4, lng_N4 = s2.vertices(cells)
    lat, lng = random_positions(20_000, seed=3)
    lat, lng = np.concatenate([lat, lat_N4.ravel()]), np.concatenate([lng, lng_N4.ravel()])
    expected = google_leaf_ids(lat, lng)
    rng = np.random.default_rng(4)
    sin, cos = np.sin, np.cos

    def shaken(values):
        return values * (1 + rng.integers(-4, 5, len(values)) * 2.0**-53)

    with monkeypatch.context() as patch:
        patch.setattr(np, "sin", lambda angles: shaken(sin(angles)))
        patch.setattr(np, "cos", lambda angles: shaken(cos(angles)))
        found = s2.leaf_ids(lat, lng)
        patch.setattr(s2, "NEAR_LEAF_EDGE", -1.0)
        unguarded = s2.leaf_ids(lat, lng)
    assert (found == expected).all()
    assert (unguarded != expected).any(), "the noise decides nothing: this test tests nothing"


def test_leaf_ids_refuse_what_is_no_position():
    for lat, lng in (([math.nan], [0]), ([0], [180.5]), ([91], [0]), ([0], [math.inf])):
        with pytest.raises(InputError, match="row 0"):
            s2.leaf_ids(lat, lng)
    with pytest.raises(InputError, match="2 values of lat"):
        s2.leaf_ids([1, 2], [3])
    assert s2.leaf_ids([], []).shape == (0,)
    assert s2.leaf_ids(1.5, 2.5).tolist() == google_leaf_ids(np.array([1.5]), np.array([2.5])).tolist()


def test_levels_ranges_parents_and_children(cells):
    oracle = google_cells(cells)
    assert s2.level_of(cells).tolist() == [cell.level() for cell in oracle]
    assert s2.range_min(cells).tolist() == [cell.range_min().id() for cell in oracle]
    assert s2.range_max(cells).tolist() == [cell.range_max().id() for cell in oracle]
    for level in range(31):
        below = s2.level_of(cells) >= level
        expected = [cell.parent(level).id() for cell in oracle if cell.level() >= level]
        assert s2.parent(cells[below], level).tolist() == expected
    inner = [cell for cell in oracle if not cell.is_leaf()]
    expected = [[cell.child(k).id() for k in range(4)] for cell in inner]
    assert s2.children(cells[s2.level_of(cells) < 30]).tolist() == expected
    assert s2.face_cells().tolist() == [google.S2CellId.FromFacePosLevel(f, 0, 0).id() for f in range(6)]


def test_contains_is_google_s(cells):
    rng = np.random.default_rng(5)
    above = s2.parent(cells, rng.integers(0, s2.level_of(cells) + 1))
    others = np.concatenate([above, rng.permutation(cells)])
    one = np.concatenate([cells, cells])
    for a, b in ((others, one), (one, others)):
        expected = [p.contains(q) for p, q in zip(google_cells(a), google_cells(b), strict=True)]
        assert s2.contains(a, b).tolist() == expected
    assert s2.contains(cells[:1], cells).shape == cells.shape


def test_no_finer_parent_and_no_child_of_a_leaf(cells):
    with pytest.raises(ValueError, match="level"):
        s2.parent(cells, 1)
    with pytest.raises(ValueError, match="level"):
        s2.parent(cells, -1)
    with pytest.raises(ValueError, match="leaf"):
        s2.children(cells)


def test_validity(cells):
    rng = np.random.default_rng(6)
    noise = rng.integers(0, 2**64, 2000, dtype=np.uint64)
    noise = (noise >> np.arange(2000, dtype=np.uint64) % 61) << np.arange(2000, dtype=np.uint64) % 61
    for ids in (cells, noise, np.array([0, 1, 2, 2**63, 2**64 - 1, 2**61 - 1], np.uint64)):
        assert s2.is_valid(ids).tolist() == [cell.is_valid() for cell in google_cells(ids)]


def test_tokens_both_ways(cells):
    tokens = s2.to_token(cells)
    assert tokens == [cell.ToToken() for cell in google_cells(cells)]
    assert (s2.from_token(tokens) == cells).all()
    assert (s2.from_token([token.upper() for token in tokens]) == cells).all()
    assert s2.from_token([]).dtype == np.uint64 and s2.from_token([]).shape == (0,)
    assert s2.to_token([0]) == ["X"]


NOT_HEXADECIMAL = ["", "X", "g1", " 1", "1 ", "1_0", "0x1", "-1", "+1", "1\n", "１", "1" * 17, None]
NO_CELL = ["0", "2", "d", "f", "0000000000000002"]


@pytest.mark.parametrize("token", NOT_HEXADECIMAL + NO_CELL)
def test_bad_tokens_are_refused(token):
    with pytest.raises(InputError, match="no S2 cell token"):
        s2.from_token(["89c25", token])


def test_centres(cells):
    lat, lng = s2.center(cells)
    expected = [cell.ToLatLng() for cell in google_cells(cells)]
    assert lat == pytest.approx(np.array([p.lat().degrees() for p in expected]), abs=1e-13)
    assert lng == pytest.approx(np.array([p.lng().degrees() for p in expected]), abs=1e-13)
    assert (s2.parent(s2.leaf_ids(lat, lng), s2.level_of(cells)) == cells).all()
    assert geo.from_xyz(s2.center_xyz(cells))[0] == pytest.approx(lat)
    assert np.linalg.norm(s2.center_xyz(cells), axis=-1) == pytest.approx(1)


def test_corners(cells):
    lat, lng = s2.vertices(np.concatenate([cells, s2.face_cells()]))
    for row, cell in enumerate(google_cells(np.concatenate([cells, s2.face_cells()]))):
        corners = [google.S2LatLng(google.S2Cell(cell).GetVertex(k)) for k in range(4)]
        assert lat[row] == pytest.approx([p.lat().degrees() for p in corners], abs=1e-13)
        assert lng[row] == pytest.approx([p.lng().degrees() for p in corners], abs=1e-13)


def test_areas(cells):
    found = s2.area_km2(cells)
    exact = np.array([google.S2Cell(cell).ExactArea() for cell in google_cells(cells)]) * 6371.0088**2
    # Google's corners are rounded to 1e-16 of the radius, which tells in small cells: a leaf is 1e-9 wide.
    assert (np.abs(found / exact - 1) < 1e-14 + 4e-16 * 2.0 ** s2.level_of(cells)).all()
    inner = s2.level_of(cells) < 30
    parts = s2.area_km2(s2.children(cells[inner]).ravel()).reshape(-1, 4)
    assert parts.sum(axis=1) == pytest.approx(found[inner], rel=1e-14)
    assert s2.area_km2(s2.face_cells()).sum() == pytest.approx(4 * math.pi * 6371.0088**2, rel=1e-14)


def test_one_leaf_at_a_time(cells):
    lat, lng = random_positions(20_000, seed=7)
    corners = s2.vertices(cells)
    lat = np.concatenate([lat, corners[0].ravel(), [90.0, -90.0, 0.0, -0.0, 0.0, 45.0]])
    lng = np.concatenate([lng, corners[1].ravel(), [0.0, 180.0, 180.0, -180.0, 45.0, -135.0]])
    found = [s2.leaf_id(a, b) for a, b in zip(lat.tolist(), lng.tolist(), strict=True)]
    assert (np.array(found, np.uint64) == google_leaf_ids(lat, lng)).all()
    for bad in ((math.nan, 0), (0, 180.5), (-91, 0), (0, math.inf)):
        with pytest.raises(InputError, match="row 0"):
            s2.leaf_id(*bad)


def test_fixed_positions_of_leaves():
    leaves = s2.leaf_ids(*random_positions(50_000, seed=8))
    found = s2.fixed_xyz(leaves)
    assert np.abs(found.T - s2.center_xyz(leaves) * 2.0**40).max() <= 0.501
    order = np.argsort(leaves)
    assert (s2.fixed_xyz(leaves[order]) == found[:, order]).all()
    for k in range(0, 50_000, 1000):
        assert (s2.fixed_xyz(leaves[k : k + 3]) == found[:, k : k + 3]).all()
