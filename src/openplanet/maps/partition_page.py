"""A page that shows a partition: its cells on maps, how large and how full they are, and what was dropped.

C cells. The page makes no request; names of places come from data, so that the template escapes them.
"""

import math
from collections.abc import Callable, Sequence
from html import escape

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from openplanet.earth import geo
from openplanet.earth.partition.adaptive import Partition
from openplanet.maps import description
from openplanet.maps.description import Description
from openplanet.maps.page import embedded, environment
from openplanet.storage import write_text
from openplanet.stores.location import Location

Floats = NDArray[np.float64]

EARTH_KM2 = 4 * math.pi * geo.EARTH_RADIUS_KM**2
WIDTH, HEIGHT, FOOT, HEAD = 330, 190, 34, 18  # of a histogram
WORLD: Description = {"lat": 15.0, "lng": 10.0, "degrees": 180.0, "flat": True}
PACIFIC: Description = {"name": "The Pacific", "lat": -5.0, "lng": -175.0, "degrees": 50.0, "flat": False}
AROUND_KM = 40.0  # of that city: its cells are drawn however many others are left out
CITY_KM = 9.0  # half the height of the map of a city
MOST_CELLS = 27_000  # sent: 22 bytes each
MOST_TITLED = 2000  # cells with a name each
MOST_COMPARED = 300


def write_report(path: Location, partition: Partition, source: str, nested: bool = False) -> None:
    """Write the page. Raises InputError where it cannot be written.

    source: what the photos were. nested: whether the cells had to lie in those of a coarser partition.
    """
    write_text(path, report(partition, source, nested))


def report(partition: Partition, source: str, nested: bool = False) -> str:
    """The page as HTML text; see ``write_report``."""
    city, city_view = _densest(partition)
    return (
        environment()
        .get_template("partition_report.html.j2")
        .render(
            p=partition,
            source=source,
            nested=nested,
            left_out=max(len(partition) - MOST_CELLS, 0),
            map=embedded(_map(partition, [{"name": "World", **WORLD}, {"name": city, **city_view}, PACIFIC])),
            city=city,
            histograms=[Markup(figure) for figure in _histograms(partition)],
            covered=float(partition.area_km2.sum()) / EARTH_KM2,
            dropped=partition.dropped_area_km2 / EARTH_KM2,
            rest=max(1 - float(partition.area_km2.sum() + partition.dropped_area_km2) / EARTH_KM2, 0.0),
            percent=_percent,
            area=_area,
        )
    )


def _map(partition: Partition, views: list[Description]) -> Description:
    """The cells, coloured by density of photos or by level; of too many, those of the city and the largest."""
    p = partition
    about_city = geo.distance_km(p.lat, p.lng, views[1]["lat"], views[1]["lng"]) < AROUND_KM
    sent = np.sort(np.lexsort((-p.area_km2, ~about_city))[:MOST_CELLS])
    titles = None
    if len(p) <= MOST_TITLED:
        columns = zip(p.city, p.count.tolist(), p.level.tolist(), p.area_km2.tolist(), strict=True)
        titles = [
            f"{place or '?'}: {count:,} photos, level {level}, {_area(area)}" for place, count, level, area in columns
        ]
    # A few cells on one spot may go down to centimetres: they must not take all the shades. Level 0 is drawn too.
    high = max(int(np.quantile(p.level, 0.99, method="higher")), 1)
    level = description.colouring(np.clip(p.level[sent], 1e-3, high), "value", "level (higher is smaller)")
    count = description.colouring(p.count[sent], "log", "photos in the cell")
    return {
        "label": "The cells of the partition",
        "flat": True,
        **description.turned(p.turn),
        "cells": description.cells(
            p.cell_id[sent], p.count[sent], "density", what="photos per km²", titles=titles, also=[level, count]
        ),
        "views": views,
        "labels": description.labels([views[1]["lat"]], [views[1]["lng"]], least=3 * views[1]["degrees"]),
    }


def _densest(partition: Partition) -> tuple[str, Description]:
    """The city with the most small cells about it: (its name, the view of it)."""
    smallest = np.argsort(partition.area_km2, kind="stable")[:MOST_COMPARED]
    lat_C, lng_C = partition.centroid_lat[smallest], partition.centroid_lng[smallest]
    near = [(geo.distance_km(lat_C, lng_C, a, b) < CITY_KM).sum() for a, b in zip(lat_C, lng_C, strict=True)]
    middle = int(smallest[int(np.argmax(near))])
    degrees = max(CITY_KM / 111.2, math.degrees(math.sqrt(partition.area_km2[middle]) / geo.EARTH_RADIUS_KM))
    lat, lng = float(partition.centroid_lat[middle]), float(partition.centroid_lng[middle])
    name = ", ".join(part for part in (partition.city[middle], partition.country[middle]) if part)
    return name or f"{lat:.2f}, {lng:.2f}", description.point(lat, lng, degrees=min(degrees, 90.0))


def _histograms(partition: Partition) -> list[str]:
    levels = np.arange(int(partition.level.min()), int(partition.level.max()) + 1)
    of_level = [int((partition.level == level).sum()) for level in levels]
    return [
        _bars("Levels", "level", [str(level) for level in levels], of_level),
        _bars("Areas", "area of a cell", *_by_powers(partition.area_km2, (1.0,), _area)),
        _bars(
            "Photos",
            "photos in a cell",
            *_by_powers(partition.count.astype(np.float64), (1.0, 2.0, 5.0), "{:,.0f}".format),
        ),
    ]


def _by_powers(value_C: Floats, steps: tuple[float, ...], label: Callable[[float], str]) -> tuple[list[str], list[int]]:
    """Numbers of values between each two of steps times powers of ten, from the least to the most."""
    powers = range(math.floor(math.log10(value_C.min())), math.ceil(math.log10(value_C.max())) + 2)
    edges = np.array([step * 10.0**power for power in powers for step in steps])
    numbers = np.histogram(value_C, edges)[0]
    (full,) = np.nonzero(numbers)
    kept = slice(full[0], full[-1] + 1)
    return [label(edge) for edge in edges[:-1][kept].tolist()], numbers[kept].tolist()


def _bars(title: str, axis: str, labels: Sequence[str], numbers: Sequence[int]) -> str:
    """A histogram as SVG, each bar with its number of cells; labels stand at the bars' left ends or middles."""
    wide, most = WIDTH / len(labels), max(numbers)
    middle = 0.5 if title == "Levels" else 0.0
    every = max(1, math.ceil(max(map(len, labels)) * 6.5 / wide))
    parts = [
        f'<svg class="bars" viewBox="-30 0 {WIDTH + 60} {HEIGHT + FOOT}" role="img"><title>{escape(title)}</title>'
    ]
    for k, (label, number) in enumerate(zip(labels, numbers, strict=True)):
        tall = (HEIGHT - HEAD) * number / most
        x, y = k * wide, HEIGHT - tall
        parts.append(
            f'<rect x="{x + wide * 0.06:.1f}" y="{y:.1f}" width="{wide * 0.88:.1f}" height="{tall:.1f}">'
            f"<title>{escape(axis)} {escape(label)}: {number:,} cells</title></rect>"
        )
        if number and len(f"{number:,}") * 5.8 + 4 <= wide:
            parts.append(f'<text x="{x + wide / 2:.1f}" y="{y - 4:.1f}">{number:,}</text>')
        if k % every == 0:
            parts.append(f'<text x="{x + wide * middle:.1f}" y="{HEIGHT + 14}">{escape(label)}</text>')
    parts.append(f'<line x1="0" x2="{WIDTH}" y1="{HEIGHT}" y2="{HEIGHT}"/>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT + 30}" class="axis">{escape(axis)}</text></svg>')
    return "".join(parts)


def _percent(share: float) -> str:
    """Three digits; what is there is never shown as none, nor what is not all as all."""
    if share in (0, 1):
        return f"{share:.0%}"
    return "<0.01%" if share < 1e-4 else ">99.9%" if share >= 0.9995 else f"{100 * share:.3g}%"


def _area(km2: float) -> str:
    for unit, size in (("km²", 1.0), ("m²", 1e-6)):
        if km2 >= 0.1 * size:
            return f"{km2 / size:,.0f} {unit}" if km2 >= 10 * size else f"{km2 / size:.2g} {unit}"
    return f"{km2 / 1e-10:.2g} cm²"
