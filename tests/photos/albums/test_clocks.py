"""Albums whose clocks write UTC, local time with an offset, and local time alone."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from openplanet.photos.albums import clocks
from openplanet.photos.albums.clocks import Aligned
from openplanet.photos.ingest.read import SCHEMA

TOKYO, PARIS, NEW_YORK = (35.69, 139.7), (48.85, 2.35), (40.71, -74.0)
DAY = datetime(2024, 5, 3)


def photo(hours: float | None, offset: float | None = None, at: tuple[float, float] | None = None, utc: bool = False,
          day: datetime = DAY) -> dict[str, Any]:  # fmt: skip
    """A photo at a local time; with ``offset`` (hours) it is written; ``utc``: ``hours`` is UTC."""
    known = {"lat": at and at[0], "lng": at and at[1], "taken_at_is_utc": utc or offset is not None}
    known |= {"utc_offset_minutes": None, "utc_offset_from": None}
    if offset is not None:
        known |= {"utc_offset_minutes": round(60 * offset), "utc_offset_from": "written"}
    return known | {"taken_at": None if hours is None else day + timedelta(hours=hours - (offset or 0))}


def table(photos: list[dict[str, Any]]) -> pa.Table:
    return pa.table({name: pa.array([one[name] for one in photos], SCHEMA.field(name).type) for name in clocks.COLUMNS})


def align(*photos: dict[str, Any], groups: list[int] | None = None) -> Aligned:
    return clocks.align(table(list(photos)), np.array(groups or [0] * len(photos), np.int64))


def order(aligned: Aligned) -> list[int]:
    return np.argsort(aligned.moment_N, kind="stable").tolist()


def sources(aligned: Aligned) -> list[str | None]:
    return aligned.sources().to_pylist()


def test_local_times_alone_are_compared_as_they_stand() -> None:
    aligned = align(photo(9, at=TOKYO), photo(10, at=PARIS), photo(None))
    assert aligned.seconds()[1] - aligned.seconds()[0] == 3600 and np.isnan(aligned.seconds()[2])
    assert sources(aligned) == [None] * 3


def test_written_offsets_are_compared_as_instants_even_where_local_time_runs_backwards() -> None:
    # from Tokyo at 11:00 to New York at 10:00 of the same day, over the date line
    aligned = align(photo(11, 9, TOKYO), photo(10, -4, NEW_YORK))
    assert order(aligned) == [0, 1] and np.diff(aligned.seconds()) == 12 * 3600


def test_a_camera_without_an_offset_is_interleaved_with_a_phone_that_writes_it() -> None:
    aligned = align(photo(9, 9, TOKYO), photo(10, 9, TOKYO), photo(9.5), photo(10.5))
    assert order(aligned) == [0, 2, 1, 3]
    assert sources(aligned) == ["written", "written", "anchor", "anchor"]
    assert aligned.offset_N.tolist() == [540] * 4
    assert aligned.locals().to_pylist()[0] == DAY + timedelta(hours=9)


def test_its_own_position_tells_more_than_the_nearest_photo() -> None:
    aligned = align(photo(9, 9, TOKYO), photo(9.5, at=PARIS))
    assert sources(aligned)[1] == "position" and aligned.offset_N[1] == 120


def test_the_nearest_in_time_tells_the_zone_of_a_journey() -> None:
    paris = DAY + timedelta(days=3)
    aligned = align(photo(9, 9, TOKYO), photo(9, 2, PARIS, day=paris), photo(10), photo(10, day=paris))
    assert aligned.offset_N.tolist() == [540, 120, 540, 120]
    assert order(aligned) == [0, 2, 1, 3]


def test_summer_time_is_that_of_the_photos_own_day() -> None:
    winter = datetime(2024, 1, 10)
    aligned = align(photo(9, 2, PARIS), photo(10, day=winter), photo(10, day=datetime(2024, 3, 30)),
                    photo(10, day=datetime(2024, 3, 31)))  # fmt: skip
    assert aligned.offset_N.tolist() == [120, 60, 60, 120]


def test_utc_alone_is_put_beside_local_time() -> None:
    """Takeout's photoTakenTime, or the time of a GPS, beside a camera's clock."""
    aligned = align(photo(0.25, utc=True), photo(9, at=TOKYO), photo(10), photo(0.5, utc=True, at=TOKYO))
    assert order(aligned) == [1, 0, 3, 2]
    assert aligned.offset_N.tolist() == [540] * 4
    assert aligned.locals().to_pylist()[0] == DAY + timedelta(hours=9.25)


def test_without_positions_the_offset_of_the_nearest_photo_counts() -> None:
    aligned = align(photo(9, 9), photo(9.5), photo(20, 2), photo(20.5))
    assert sources(aligned)[1] == "album" and aligned.offset_N.tolist() == [540, 540, 120, 120]


def test_an_anchor_without_a_time_tells_the_zone_all_the_same() -> None:
    aligned = align(photo(None, at=TOKYO), photo(0.5, utc=True), photo(9), photo(10))
    assert order(aligned)[-3:] == [2, 1, 3] and aligned.offset_N[2] == 540


def test_what_cannot_be_compared_is_said_and_has_no_comparable_time() -> None:
    photos = [photo(0.5, utc=True), photo(9), photo(10)]
    aligned = align(*photos)
    assert np.isnan(aligned.seconds()).tolist() == [True, False, False]
    (note,) = clocks.notes(aligned, table(photos))
    assert note.startswith("1 photo cannot be compared in time")


def test_albums_do_not_tell_each_other() -> None:
    aligned = align(photo(9, 9, TOKYO), photo(9.5), photo(9.5), groups=[0, 0, 1])
    assert sources(aligned) == ["written", "anchor", None]
    assert not aligned.apart_N.any()


def by_gps(hours: float, offset: float, at: tuple[float, float] | None) -> dict[str, Any]:
    return photo(hours, at=at) | {"utc_offset_minutes": round(60 * offset), "utc_offset_from": "gps"}


def test_a_gps_fix_of_hours_ago_does_not_move_a_photo() -> None:
    aligned = align(by_gps(9, 9, TOKYO), by_gps(10, 12, TOKYO), by_gps(11, 9, TOKYO), photo(12))
    assert order(aligned) == [0, 1, 2, 3] and aligned.offset_N.tolist() == [540] * 4
    assert sources(aligned) == ["gps", "position", "gps", "anchor"]


def test_a_camera_left_on_home_time_is_known_by_its_gps() -> None:
    aligned = align(by_gps(2, 2, TOKYO), by_gps(3, 5, TOKYO), by_gps(4, 2, TOKYO), photo(10, 9, TOKYO))
    assert order(aligned)[0] == 0 and order(aligned)[-1] == 2
    assert aligned.offset_N.tolist() == [120, 120, 120, 540]


def test_one_gps_clock_against_the_zone_is_not_believed() -> None:
    assert sources(align(by_gps(9, 3, TOKYO), photo(10, at=TOKYO))) == [None, None]
    assert sources(align(by_gps(9, 3, None), photo(10, 9, TOKYO))) == ["anchor", "written"]


def test_what_was_assumed_is_said() -> None:
    photos = [photo(9, 9, TOKYO), photo(9.5), photo(9.6), photo(15, at=PARIS), photo(9, utc=True)]
    assert clocks.notes(align(*photos), table(photos)) == [
        "1 photo without a UTC offset read as UTC+02:00: the time zone at their own position",
        "2 photos without a UTC offset read as UTC+09:00: the time zone at the position of the photo nearest in time",
    ]
    same = [photo(9), photo(10)]
    assert clocks.notes(align(*same), table(same)) == []


@pytest.mark.parametrize("at", [(0.0, -150.0), (90.0, 0.0), (-90.0, 180.0), (10.0, 179.99), (-77.8, 166.7)])
def test_at_sea_and_at_the_poles_there_is_a_zone(at: tuple[float, float]) -> None:
    assert sources(align(photo(9, 9, TOKYO), photo(9.5, at=at)))[1] == "position"


def test_times_at_the_ends_of_the_calendar() -> None:
    align(
        photo(0, at=TOKYO, day=datetime(1, 1, 1)), photo(0, utc=True), photo(23, at=PARIS, day=datetime(9999, 12, 31))
    )


def test_no_photos() -> None:
    assert len(align().moment_N) == 0
