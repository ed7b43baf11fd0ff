import base64

import numpy as np
import pytest

from openplanet.earth import places, s2
from openplanet.maps import description


def test_cells_are_the_bytes_that_the_page_reads():
    ids = s2.from_token(["89c25", "1", "b"])
    found = description.cells(ids, [0.5, 0.25, 0.125], "mass", regions=(0.9, 0.5), held_N=[2, 1, 0])
    assert np.frombuffer(base64.b64decode(found["ids"]), "<u8").tolist() == ids.tolist()
    assert np.frombuffer(base64.b64decode(found["values"]), "<f4").tolist() == [0.5, 0.25, 0.125]
    assert np.frombuffer(base64.b64decode(found["held"]), "u1").tolist() == [2, 1, 0]
    assert found["regions"] == [0.9, 0.5] and "titles" not in found


def test_large_cities_around_are_named_but_not_on_a_map_of_a_continent():
    names = [each["name"] for each in description.labels([48.86], [2.35], least=2.0)]
    assert names[0] == "Paris" and len(names) == description.SEVERAL * description.MOST_LABELS
    assert description.labels([48.86, -33.9], [2.35, 151.2]) == []
    assert places.largest((48.0, 2.0, 49.0, 3.0), 1)[0] == ["Paris"]


def test_bounds_add_a_margin_and_cross_the_antimeridian_where_that_is_shorter():
    south, west, north, east = description.bounds_of([10, 20], [30, 50], margin=0.5)
    assert (south, north) == (5, 25)
    assert (west, east) == pytest.approx((20, 60))
    south, west, north, east = description.bounds_of([-18, -18], [178, -179], margin=0)
    assert (west, east) == pytest.approx((178, -179))
    assert description.bounds_of([0, 0], [0, 179.0]) is None
    assert description.bounds_of([np.nan], [np.nan]) is None
