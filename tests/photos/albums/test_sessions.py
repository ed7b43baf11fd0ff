from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from openplanet.photos.albums import sessions

START = datetime(2020, 5, 1, 10)


def rows(*photos: dict[str, object]) -> pa.Table:
    base = {"owner_told": None, "make": "Canon", "model": "EOS", "serial": "1", "album_id": "f", "album_told": False,
            "taken_at": START, "taken_at_is_utc": False, "lat": None, "lng": None,
            "utc_offset_minutes": None, "utc_offset_from": None}  # fmt: skip
    kinds = {"album_told": pa.bool_(), "taken_at_is_utc": pa.bool_(), "taken_at": pa.timestamp("us")}
    kinds |= {"lat": pa.float64(), "lng": pa.float64(), "utc_offset_minutes": pa.int32()}
    full = [{**base, **photo} for photo in photos]
    return pa.table(
        {name: pa.chunked_array([pa.array([p[name] for p in full], kinds.get(name, pa.string()))]) for name in base}
    )


def after(hours: float, **more: object) -> dict[str, object]:
    return {"taken_at": START + timedelta(hours=hours), **more}


def test_cut_at_gaps_in_time_and_place_and_by_camera() -> None:
    table = rows(
        after(0), after(7.9), after(16), after(5, serial="2"), after(17, lat=50.0, lng=8.0),
        after(18, lat=10.0, lng=8.0),
        {"taken_at": None}, after(1, album_told=True, album_id="mine"),
    )  # fmt: skip
    found = sessions.album_ids(table).to_pylist()
    assert found == [
        "Canon EOS 1, 2020-05-01 10:00", "Canon EOS 1, 2020-05-01 10:00", "Canon EOS 1, 2020-05-02 02:00",
        "Canon EOS 2, 2020-05-01 15:00", "Canon EOS 1, 2020-05-02 02:00", "Canon EOS 1, 2020-05-02 04:00", "f", "mine",
    ]  # fmt: skip


def test_cameras_without_a_name_are_told_apart_by_folder() -> None:
    nobody = {"make": None, "model": None, "serial": None}
    found = sessions.album_ids(rows(after(0, album_id="a", **nobody), after(0, album_id="b", **nobody))).to_pylist()
    assert found == ["a, 2020-05-01 10:00", "b, 2020-05-01 10:00"]


def walk(serial: str, minutes_off: float, rng: np.random.Generator) -> list[dict[str, object]]:
    """40 photos along the same way through a town, taken within half a minute of each other's."""
    return [
        after(step / 6 + (minutes_off + rng.uniform(-0.5, 0.5)) / 60, serial=serial, lat=48 + step / 200, lng=2.0)
        for step in range(40)
    ]


def test_a_clock_that_is_off_is_noticed() -> None:
    rng = np.random.default_rng(0)
    (offset,) = sessions.clock_offsets(rows(*walk("1", 0, rng), *walk("2", 59, rng)))
    assert offset["camera"] == "Canon EOS 1" and offset["other"] == "Canon EOS 2"
    assert abs(offset["minutes"] - 59) < 1 and offset["photos"] > 20


def test_cameras_of_one_owner_are_compared_across_folders() -> None:
    rng = np.random.default_rng(0)
    one, other = walk("1", 0, rng), [{**photo, "album_id": "g"} for photo in walk("2", -59, rng)]
    ada = [{**photo, "owner_told": "Ada"} for photo in [*one, *other]]
    (offset,) = sessions.clock_offsets(rows(*ada))
    assert (offset["camera"], offset["other"]) == ("Ada Canon EOS 1", "Ada Canon EOS 2")
    assert abs(offset["minutes"] + 59) < 1
    bob = [{**photo, "owner_told": "Bob"} for photo in other]
    assert sessions.clock_offsets(rows(*ada[:40], *bob)) == []


def test_clocks_that_agree_or_cannot_be_compared_are_not() -> None:
    rng = np.random.default_rng(0)
    assert sessions.clock_offsets(rows(*walk("1", 0, rng), *walk("2", 0, rng))) == []
    assert sessions.clock_offsets(rows(*walk("1", 0, rng), *[{**p, "album_id": "g"} for p in walk("2", 59, rng)])) == []
    assert sessions.clock_offsets(rows(*walk("1", 0, rng), *[{**p, "lat": None} for p in walk("2", 59, rng)])) == []
    assert sessions.clock_offsets(rows(after(0))) == []


def in_utc(photo: dict[str, object], offset_hours: int) -> dict[str, object]:
    """The photo as a telephone writes it, with its offset."""
    taken_at = photo["taken_at"]
    assert isinstance(taken_at, datetime)
    shown = {"taken_at_is_utc": True, "utc_offset_minutes": 60 * offset_hours, "utc_offset_from": "written"}
    return {**photo, **shown, "taken_at": taken_at - timedelta(hours=offset_hours)}


def test_clocks_with_and_without_an_offset_are_compared() -> None:
    rng = np.random.default_rng(0)
    with_offset = [in_utc(photo, 2) for photo in walk("1", 0, rng)]
    assert sessions.clock_offsets(rows(*with_offset, *walk("2", 0, rng))) == []
    (offset,) = sessions.clock_offsets(rows(*with_offset, *walk("2", 59, rng)))
    assert abs(offset["minutes"] - 59) < 1


def test_a_session_goes_on_when_the_camera_writes_another_kind_of_time() -> None:
    place = {"lat": 35.69, "lng": 139.7}
    table = rows(after(0, **place), in_utc(after(3, **place), 9), after(6, **place), after(7))
    assert sessions.album_ids(table).to_pylist() == ["Canon EOS 1, 2020-05-01 10:00"] * 4
