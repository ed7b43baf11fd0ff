from datetime import datetime
from typing import NamedTuple

import pyarrow as pa
import pytest

from openplanet.photos.albums import orders
from openplanet.photos.albums.orders import owner_of


class Moment(NamedTuple):
    album: str
    name: str
    taken_at: datetime | None
    order: int | None = None


def album_orders(moments: list[Moment]) -> list[int]:
    album, name, taken_at, order = zip(*moments, strict=True)
    columns = (album, pa.string()), (name, pa.string()), (taken_at, pa.timestamp("us")), (order, pa.int32())
    return orders.album_orders(*(pa.chunked_array([pa.array(values, kind)]) for values, kind in columns)).tolist()


def test_by_time_then_by_name_as_people_count() -> None:
    moments = [
        Moment("a", "a/IMG_10.jpg", None),
        Moment("a", "a/IMG_2.jpg", None),
        Moment("a", "a/z.jpg", datetime(2020, 1, 1)),
        Moment("b", "b/late.jpg", datetime(2020, 1, 2)),
        Moment("b", "b/x_early.jpg", datetime(2020, 1, 1)),
    ]
    assert album_orders(moments) == [2, 1, 0, 1, 0]


def test_the_table_decides_where_it_says_something() -> None:
    moments = [
        Moment("a", "1.jpg", datetime(2020, 1, 1), 7),
        Moment("a", "2.jpg", datetime(2020, 1, 2), 3),
        Moment("a", "3.jpg", datetime(2019, 1, 1)),
    ]
    assert album_orders(moments) == [1, 0, 2]


def test_any_names_can_be_compared() -> None:
    names = ["²", "1²", "a1", "1a", "", "٣", "01", "1", "\\xe9.jpg"]
    assert sorted(album_orders([Moment("a", name, None) for name in names])) == list(range(len(names)))


@pytest.mark.parametrize(
    ("table", "make", "model", "serial", "owner", "by_folder"),
    [
        ("Ada", "Canon", "Canon EOS 40D", "123", "Ada", "Ada"),
        (None, "Canon", "Canon EOS 40D", "123", "Canon EOS 40D 123", "Canon EOS 40D 123"),
        (None, "NIKON CORPORATION", "NIKON D750", " 77 ", "NIKON D750 77", "NIKON D750 77"),
        (None, "Panasonic", "DMC-GX8", "9", "Panasonic DMC-GX8 9", "Panasonic DMC-GX8 9"),
        (None, None, None, "9", "9", "9"),
        (None, "Apple", "iPhone 12", None, None, "Apple iPhone 12, Pictures/rome"),
        (None, "Apple", "iPhone 12", "0000000", None, "Apple iPhone 12, Pictures/rome"),
        (None, " ", None, "", None, None),
    ],
)
def test_owner(
    table: str | None,
    make: str | None,
    model: str | None,
    serial: str | None,
    owner: str | None,
    by_folder: str | None,
) -> None:
    assert owner_of(table, make, model, serial) == owner
    assert owner_of(table, make, model, serial, "Pictures/rome") == by_folder
