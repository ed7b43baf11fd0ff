"""How often the country of the nearest city is not the country whose border (Natural Earth 1:50m) is around a photo.

python benchmarks/naming.py POSITIONS.csv    (columns latitude, longitude)
The border's own error (a 1:50m map is up to some hundred metres off) counts against the names.
"""

import argparse
import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import places
from openplanet.maps.page import OUTLINES, static

Floats = NDArray[np.float64]


def inside(ring_P2: Floats, lng_N: Floats, lat_N: Floats) -> NDArray[np.bool_]:
    """Even-odd rule: how often a ray to the east crosses the ring."""
    odd_N = np.zeros(len(lat_N), dtype=bool)
    x, y = ring_P2[:, 0], ring_P2[:, 1]
    near = np.flatnonzero((lat_N >= y.min()) & (lat_N <= y.max()) & (lng_N <= x.max()))
    for (x1, y1), (x2, y2) in pairwise(ring_P2):
        if y1 != y2:
            crossed = (y1 > lat_N[near]) != (y2 > lat_N[near])
            odd_N[near] ^= crossed & (lng_N[near] < (x2 - x1) * (lat_N[near] - y1) / (y2 - y1) + x1)
    return odd_N


def joined(arcs: list[Floats]) -> Floats:
    """One ring, without jumps at the antimeridian; Antarctica's is led along the lower edge of the map."""
    line = np.concatenate([arcs[0], *(arc[1:] for arc in arcs[1:])])
    line[:, 0] = np.unwrap(line[:, 0], period=360)
    if abs(line[-1, 0] - line[0, 0]) > 180:
        line = np.concatenate([line, [[line[-1, 0], -90.0], [line[0, 0], -90.0]]])
    return np.concatenate([line, line[:1]])


def country_by_border(lat_N: Floats, lng_N: Floats) -> NDArray[np.int64]:
    """Index of the country around each position, -1 at sea."""
    topology = json.loads(static().joinpath(OUTLINES).read_text(encoding="utf-8"))
    scale, translate = (np.array(topology["transform"][each]) for each in ("scale", "translate"))
    arcs = [np.cumsum(arc, axis=0) * scale + translate for arc in topology["arcs"]]
    found_N = np.full(len(lat_N), -1, np.int64)
    for index, geometry in enumerate(topology["objects"]["countries"]["geometries"]):
        odd_N = np.zeros(len(lat_N), dtype=bool)
        polygons = [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry.get("arcs", [])
        for ring in (ring for polygon in polygons for ring in polygon):
            line = joined([arcs[each] if each >= 0 else arcs[~each][::-1] for each in ring])
            for turn in (-360, 0, 360):  # rings run on across the antimeridian
                odd_N ^= inside(line + np.array([turn, 0]), lng_N, lat_N)
        found_N[odd_N] = index
    return found_N


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("positions", type=Path, nargs="+")
    parser.add_argument("--most", type=int, default=10_000)
    args = parser.parse_args()
    cities = places._cities()
    border = country_by_border(cities.lat, cities.lng)
    number, *_ = places._numbers()
    # a border has no ISO code of two letters: it belongs to the country that most cities in it belong to
    owner = {int(b): int(np.bincount(number[border == b]).argmax()) for b in np.unique(border[border >= 0])}
    for path in args.positions:
        with path.open(encoding="utf-8") as file:
            rows = [(float(row["latitude"]), float(row["longitude"])) for row in csv.DictReader(file)]
        lat, lng = np.array(rows[:: max(1, len(rows) // args.most)]).T
        by_border = country_by_border(lat, lng)
        on_land = by_border >= 0
        truth = np.array([owner.get(int(b), -1) for b in by_border[on_land]])
        wrong = (places.codes(lat[on_land], lng[on_land]).country_N != truth).mean()
        print(f"{path.name}: {len(lat):,} positions, {1 - on_land.mean():.1%} at sea; of the others {wrong:.2%} differ")


if __name__ == "__main__":
    main()
