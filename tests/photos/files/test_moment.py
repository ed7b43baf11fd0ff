from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openplanet.photos.files import moment
from openplanet.photos.files.moment import Moment

NOON = datetime(2020, 6, 1, 12)
TEN = Moment(datetime(2020, 6, 1, 10), True, 120)


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [
        ("2020:06:01 12:00:00", "", Moment(NOON)),
        ("2020-06-01T12:00:00", "", Moment(NOON)),
        ("2020-06-01T12:00", "", Moment(NOON)),
        *[("2020:06:01 12:00:00", zone, TEN) for zone in ("+02:00", "+2:00", "+02", "+2", "+0200", " +02:00 ")],
        *[(f"2020-06-01T12:00:00{zone}", "", TEN) for zone in ("+02:00", " +2:00", "+02", "+0200")],
        ("2020-06-01T12:00:00+02:00", "-07:00", TEN),  # its own offset counts
        ("2020:06:01 12:00:00", "-09:30", Moment(datetime(2020, 6, 1, 21, 30), True, -570)),
        ("2020:06:01 12:00:00", "Z", Moment(NOON, True)),
        ("2020-06-01T12:00:00Z", "", Moment(NOON, True)),
        *[("2020:06:01 12:00:00", zone, Moment(NOON)) for zone in ("   :  ", "+99:00", "+15:00", "-13:00", "two", "+")],
        ("2020:06:01 24:08:19", "", Moment(datetime(2020, 6, 1, 0, 8, 19))),
        ("2020:06:01 24:08:19", "+02:00", Moment(datetime(2020, 5, 31, 22, 8, 19), True, 120)),
        ("2020:06:01 05:14:26 PM", "", Moment(datetime(2020, 6, 1, 17, 14, 26))),
        ("2020:06:01 05:14:26pm", "", Moment(datetime(2020, 6, 1, 17, 14, 26))),
        ("2020:06:01 05:14:26 a.m.", "", Moment(datetime(2020, 6, 1, 5, 14, 26))),
        ("2020:06:01 12:14:26 AM", "", Moment(datetime(2020, 6, 1, 0, 14, 26))),
        ("2020:06:01 12:14:26 PM", "", Moment(datetime(2020, 6, 1, 12, 14, 26))),
        ("2020:06:01 17:14:26 PM", "", Moment(datetime(2020, 6, 1, 17, 14, 26))),
        ("2020:06:01 25:00:00", "", None),
        ("2020:06:31 12:00:00", "", None),
        ("2020-06-01", "", None),
        ("", "", None),
    ],
)
def test_parse(text: str, offset: str, expected: Moment | None) -> None:
    assert moment.parse(text, offset) == expected


def test_of_aware() -> None:
    assert moment.of_aware(NOON) == Moment(NOON)
    assert moment.of_aware(NOON.replace(tzinfo=UTC)) == Moment(NOON, True)
    assert moment.of_aware(NOON.replace(tzinfo=ZoneInfo("Europe/Paris"))) == TEN


def test_the_year_one_has_no_time_before_it() -> None:
    assert moment.parse("0001:01:01 00:00:00", "+02:00") is None


@given(st.text(max_size=40), st.text(max_size=8), st.text(max_size=4))
def test_any_text_is_read_or_not(text: str, offset: str, fraction: str) -> None:
    moment.parse(text, offset, fraction)
    moment.parse(f"2020:06:01 12:00:00{text}", offset, fraction)
