"""Albums: the photos of one folder in order of capture, and whose camera took them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Moment:
    """What places a photo within its album."""

    album: str
    name: str  # file, from its source folder on
    taken_at: datetime | None
    table_order: int | None = None  # given by the user's table


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key that puts IMG_2 before IMG_10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(part), part) if part[0] in "0123456789" else (1, 0, part) for part in parts]


def album_orders(moments: Sequence[Moment]) -> list[int]:
    """The place 0, 1, 2 ... of each photo in its album.

    By the table's order where it gives one; then by capture time; photos without either come last, by file
    name. Times are compared as they stand: where some photos of an album tell UTC and others local time,
    the order can be off by that difference.
    """

    def key(index: int) -> tuple[object, ...]:
        moment = moments[index]
        table = (moment.table_order is None, moment.table_order or 0)
        time = (moment.taken_at is None, moment.taken_at or datetime.min)
        return (moment.album, *table, *time, natural(moment.name), moment.name)

    orders = [0] * len(moments)
    album, place = None, 0
    for index in sorted(range(len(moments)), key=key):
        place = place + 1 if moments[index].album == album else 0
        album = moments[index].album
        orders[index] = place
    return orders


def owner_of(table_owner: str | None, make: str | None, model: str | None, serial: str | None) -> str | None:
    """Who took it: the table's word, else the camera body ('Canon EOS 40D 12345'), else None.

    Make and model alone name thousands of people's phones, so without a serial number nobody is known.
    """
    if table_owner:
        return table_owner
    serial = (serial or "").strip()
    if not serial or not serial.strip("0 "):  # some makers write 0000000000
        return None
    make, model = (make or "").strip(), (model or "").strip()
    if make and not model.lower().startswith(make.lower().split()[0]):
        model = f"{make} {model}".strip()
    return f"{model} {serial}".strip()
