"""Who places a photo, and who may not."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from geotagging.libraries import NEAR_PARIS, PARIS, START
from openplanet.geotagging.items import Item
from openplanet.geotagging.placing import MOST_TOGETHER, SUREST, Windows, place, source_of, within
from openplanet.geotagging.planning import row_of
from openplanet.inference.album_photos import AlbumPhoto
from openplanet.photos.albums.tracks import Tracks
from openplanet.photos.ingest.read import Reading

SYDNEY = (-33.86, 151.2)


def item(name, minutes=None, at=None, camera="Phone", group="trip\0", left_out="", utc=False):
    lat, lng = at or (None, None)
    taken_at = None if minutes is None else START + timedelta(minutes=minutes)
    facts = Reading(b"", lat=lat, lng=lng, taken_at=taken_at, taken_at_is_utc=utc, make=camera)
    return Item(name, AlbumPhoto(Path(f"/{group.partition(chr(0))[0]}/{name}"), facts, None), group, left_out=left_out)


def track(*points):
    """(minutes after START, position), as UTC."""
    start = (START - datetime(1970, 1, 1)).total_seconds()
    seconds, lat, lng = zip(*((start + 60 * minutes, *at) for minutes, at in points), strict=True)
    return Tracks(*(np.array(each, np.float64) for each in (seconds, lat, lng)), "UTC")


def test_the_order_of_trust():
    """Between two given positions, then the track, then one given position near in time."""
    items = [item("a", 0, PARIS), item("b", 5), item("c", 10, NEAR_PARIS), item("d", 40), item("e", 200)]
    tracks = track((4, SYDNEY), (6, SYDNEY), (39, SYDNEY), (41, SYDNEY))
    found = place(items, Windows(), tracks)
    assert {name: each.anchored.kind for name, each in found.items()} == {"b": "between", "d": "track", "e": "near"}
    assert found["d"].anchored.lat == pytest.approx(SYDNEY[0])
    assert (found["e"].anchored.lat, found["e"].anchored.lng) == NEAR_PARIS


def test_photos_without_a_time_are_placed_in_order_and_nothing_is_certain():
    items = [item("a", None, PARIS), item("b"), item("c", None, NEAR_PARIS), item("d")]
    found = place(items, Windows())
    rows = {each.file: row_of(each, found[each.file], Windows(), False)[0] for each in (items[1], items[3])}
    assert (rows["b"].source, rows["d"].source) == ("between in order", "near in order")
    burst = place([item("a", 0.5, PARIS), item("b", 0.5)], Windows())["b"].anchored
    assert source_of(burst) == "near in time" and within(burst.radius_km) == SUREST


def test_windows_of_time_and_distance_are_options():
    items = [item("a", 0, PARIS), item("b", 60), item("c", 120, (49.5, 2.35))]  # 71 km on
    assert place(items, Windows())["b"].anchored.kind == "between"
    assert place(items, Windows(km=50.0))["b"].anchored is None
    assert place(items[:2], Windows(hours=0.5))["b"].anchored is None


def test_the_radius_grows_and_a_point_needs_confidence():
    minutes = (10, 100, 1000)
    items = [item("a", 0, PARIS), *(item(str(each), each) for each in minutes)]
    found = place(items, Windows())
    radii = [found[str(each)].anchored.radius_km for each in minutes]
    assert radii == sorted(radii) and within(radii[0]) > within(radii[1]) > 0.5 > within(radii[2])
    rows = {each.file: row_of(each, found[each.file], Windows(), False)[0] for each in items[1:]}
    assert rows["10"].radius_m == pytest.approx(1000 * radii[0], abs=1) and rows["10"].city == "Paris"
    assert rows["1000"].lat is None and rows["1000"].left_out.startswith("not enough evidence")


def test_folders_and_owners_are_kept_apart():
    items = [item("a", 0, PARIS), item("b", 5, group="other\0"), item("c", 5, group="trip\0partner")]
    assert all(each.anchored is None for each in place(items, Windows()).values())


def test_a_partners_camera_that_was_elsewhere_places_nothing():
    mine = [item("a", 0, PARIS, "Mine"), item("b", 300, camera="Mine")]
    hers = [item("c", 10, SYDNEY, "Hers"), item("d", 290, SYDNEY, "Hers"), item("e", 295, camera="Hers")]
    unknown = item("f", 295, camera="No GPS")
    found = place([*mine, *hers, unknown], Windows())
    assert found["b"].anchored.lat == PARIS[0] and found["e"].anchored.lat == SYDNEY[0]
    assert found["f"].anchored is None  # whose way it went nobody knows
    assert {found[name].album for name in "bef"} == {"trip, Mine", "trip, Hers", "trip, No GPS"}
    together = place([mine[0], item("f", 5, camera="No GPS")], Windows())
    assert together["f"].anchored.lat == PARIS[0]
    assert place([mine[0], item("f", 5, camera="No GPS")], Windows(cameras="apart"))["f"].anchored is None


def test_photos_without_a_time_go_by_order_among_themselves():
    items = [item("1", None, PARIS), item("2"), item("3", None, NEAR_PARIS), item("4", 0)]
    found = place(items, Windows())
    assert found["2"].anchored.kind == "between" and found["4"].anchored is None


def test_a_heap_is_cut_into_sessions_and_a_trip_is_one_album():
    trip = [item("a", 0), item("b", 60 * 24)]
    assert {each.album for each in place(trip, Windows()).values()} == {"trip"}
    heap = [item("a", 0), item("b", 60), item("c", 60 * 24 * 60), item("d")]
    albums = [place(heap, Windows())[name].album for name in "abcd"]
    assert albums == ["trip, Phone, 2024-05-01 10:00"] * 2 + [
        "trip, Phone, 2024-06-30 10:00",
        "trip, Phone, no time, from 3",
    ]
    two = [item(f"{n}", 10 * n, camera="AB"[n % 2]) for n in range(4)]  # a heap: each camera by itself
    assert len({each.album for each in place([*two, heap[2]], Windows()).values()}) == 3
    many = [item(f"{n:04d}", n) for n in range(MOST_TOGETHER + 1)]
    assert len({each.album for each in place(many, Windows()).values()}) == 2


def test_clocks_of_utc_and_of_local_time_are_one_journey():
    """A telephone that writes UTC in Paris, a camera two hours ahead."""
    phone = [item("a", -120, PARIS, utc=True), item("c", -110, NEAR_PARIS, utc=True)]
    camera = item("b", 5, camera="Camera")
    at = place([*phone, camera], Windows())["b"].anchored
    assert at.kind == "between" and at.lat == pytest.approx(48.865, abs=1e-4)
