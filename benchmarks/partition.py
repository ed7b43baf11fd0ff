"""What a partition costs, beside what reading and converting the positions costs, and beside other ways.

python benchmarks/partition.py --points 1000000 --max-photos 1000      (figures go to notes/results.md)

Every ratio is of times in this one run. The positions are drawn from counted cells of real photos (--cells:
a CSV with columns hex_id, imgs_per_cell, such as the list of S2 cells of the MP-16 photos), or else from
the populations of cities, and written to a Parquet file in TMPDIR, which is deleted at the end. Other ways
run on the first --subset positions: point by point with s2sphere, s2cell and s2geometry (packages for this
benchmark only), and level by level with DuckDB.
"""

import argparse
import csv
import os
import tempfile
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from openplanet.earth import places, s2
from openplanet.earth.partition import adaptive, positions
from openplanet.earth.partition.adaptive import Partition, TargetCells
from openplanet.earth.partition.combinatorial import build_turned, random_turns

Floats = NDArray[np.float64]
ROW_GROUP = 1 << 20
MOST_TURNED = 10_000_000  # with more positions, the overlay is left out: it adds minutes and shows nothing new
LIBRARIES = ("s2sphere", "s2cell", "s2geometry")


def overlay(partitions: list[Partition], path: Path, least: int) -> NDArray[np.int64]:
    """Photos of each of the cells that partitions cut each other into, of those that hold ``least`` or more."""
    counts: Counter[tuple[int, ...]] = Counter()
    for lat, lng in positions.from_parquet(path):
        tuples, count = np.unique([each.assign(lat, lng) for each in partitions], axis=1, return_counts=True)
        counts.update(dict(zip(map(tuple, tuples.T.tolist()), count.tolist(), strict=True)))
    nowhere = (-1,) * len(partitions)
    return np.array([count for cells, count in counts.items() if count >= least and cells != nowhere], np.int64)


class Density:
    """Places to draw from: (lat, lng, spread in degrees, weight)."""

    def __init__(self, cells: Path | None) -> None:
        if cells is not None:
            rows = list(csv.DictReader(cells.open(encoding="utf-8")))
            ids = s2.from_token(row["hex_id"] for row in rows)
            self.weight = np.array([float(row["imgs_per_cell"]) for row in rows])
            self.lat, self.lng = s2.center(ids)
            self.spread = np.sqrt(s2.area_km2(ids)) / 111.2
        else:
            _, self.lat, self.lng = places.largest((-90.0, -180.0, 90.0, 180.0), 100_000)
            self.weight = 1 / np.arange(1, len(self.lat) + 1)  # Zipf's law of cities, the largest first
            self.spread = np.full(len(self.lat), 0.1)

    def draw(self, points: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Positions about the places, some near to the middle and some far, so that there are hot spots."""
        at = rng.choice(len(self.weight), points, p=self.weight / self.weight.sum())
        scale = self.spread[at] * 0.4 * rng.random(points) ** 3
        lat = np.clip(self.lat[at] + scale * rng.standard_normal(points), -90, 90)
        east = scale * rng.standard_normal(points) / np.maximum(np.cos(np.radians(lat)), 0.01)
        return lat, (self.lng[at] + east + 180) % 360 - 180


def write_points(path: Path, density: Density, points: int) -> None:
    rng = np.random.default_rng(0)
    schema = pa.schema({"photo": pa.uint64(), "lat": pa.float64(), "lng": pa.float64()})
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as file:
        for start in range(0, points, ROW_GROUP):
            number = min(ROW_GROUP, points - start)
            lat, lng = density.draw(number, rng)
            file.write_table(pa.table([np.arange(start, start + number).astype(np.uint64), lat, lng], schema=schema))


def read(path: Path) -> None:
    for _ in positions.from_parquet(path):
        pass


def read_and_convert(path: Path, threads: int) -> None:
    """What any way of building must do at least: read each position, find its leaf, forget it."""
    working: deque[Future[object]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for lat, lng in positions.from_parquet(path):
            working.append(pool.submit(s2.leaf_ids, lat, lng))
            if len(working) > threads:
                working.popleft().result()


def read_and_assign(path: Path, cells: Partition) -> None:
    for lat, lng in positions.from_parquet(path, batch_size=1 << 21):
        cells.assign(lat, lng)


def seconds_of(work: Callable[[], object], repeats: int = 1) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def peak_mib(work: Callable[[], object]) -> float:
    """MiB that the process grew by at most while ``work`` ran (Linux)."""
    status = Path("/proc/self/status")

    def kib(name: str) -> int:
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name))

    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is used now
    before = kib("VmRSS")
    work()
    return (kib("VmHWM") - before) / 1024


def point_by_point(lat: Floats, lng: Floats, max_photos: int, min_photos: int, name: str) -> set[int]:
    """Cells as one writes it with a library of single cells: the leaf of each photo, then its parents."""
    leaf_of, parent_of, number_of = library(name)
    groups = {None: [leaf_of(a, b) for a, b in zip(lat.tolist(), lng.tolist(), strict=True)]}
    final: dict[int, int] = {}
    for level in range(31):
        smaller = defaultdict(list)
        for leaves in groups.values():
            for leaf in leaves:
                smaller[number_of(parent_of(leaf, level))].append(leaf)
        groups = {cell: leaves for cell, leaves in smaller.items() if len(leaves) > max_photos and level < 30}
        final |= {cell: len(leaves) for cell, leaves in smaller.items() if cell not in groups}
    return {cell for cell, count in final.items() if count >= min_photos}


def library(name: str) -> tuple[Callable[[float, float], Any], Callable[[Any, int], Any], Callable[[Any], int]]:
    """(leaf of lat and lng, parent of a cell at a level, number of a cell) in a library of single cells."""
    module = import_module(name)
    if name == "s2sphere":
        of, degrees = module.CellId.from_lat_lng, module.LatLng.from_degrees
        return lambda lat, lng: of(degrees(lat, lng)), module.CellId.parent, module.CellId.id
    if name == "s2cell":
        return module.lat_lon_to_cell_id, module.cell_id_to_parent_cell_id, lambda cell: cell
    cell_id, degrees = module.S2CellId, module.S2LatLng.FromDegrees
    return lambda lat, lng: cell_id(degrees(lat, lng)), cell_id.parent, cell_id.id


def duckdb_levels(lat: Floats, lng: Floats, max_photos: int, min_photos: int) -> set[int]:
    """Cells by grouping leaf ids level by level in DuckDB (which has no leaf ids: ours are given to it)."""
    db = import_module("duckdb").connect(config={"threads": os.cpu_count() or 1})
    leaves = pa.table({"leaf": s2.leaf_ids(lat, lng)})  # noqa: F841 (found by DuckDB under its name)
    db.execute("create table live as select leaf from leaves")
    final: list[tuple[int, int]] = []
    for level in range(31):
        shift = 2 * (30 - level) + 1
        cell = f"((leaf >> {shift}) << {shift}) | (1::ubigint << {shift - 1})"
        db.execute(f"create or replace table cells as select {cell} as cell, count(*) as n from live group by 1")
        more = "n > ?" if level < 30 else "n > ? and false"
        final += db.execute(f"select cell, n from cells where not ({more})", [max_photos]).fetchall()
        db.execute(
            f"create or replace table live as select leaf from live where {cell} in "
            f"(select cell from cells where {more})",
            [max_photos],
        )
        if not db.execute("select count(*) from live").fetchall()[0][0]:
            break
    return {cell for cell, n in final if n >= min_photos}


def others(path: Path, args: argparse.Namespace) -> Iterator[tuple[str, float, float]]:
    """(name, seconds, our seconds on the same positions)."""
    lat, lng = next(positions.from_parquet(path, batch_size=args.subset))
    repeats = 3 if args.subset <= 1_000_000 else 1
    ours = adaptive.build([(lat, lng)], args.max_photos, args.min_photos)
    our_seconds = seconds_of(lambda: adaptive.build([(lat, lng)], args.max_photos, args.min_photos), repeats)
    ways = {name: (lambda *a, name=name: point_by_point(*a, name)) for name in LIBRARIES}
    for name, way in {**ways, "DuckDB": duckdb_levels}.items():
        start = time.perf_counter()
        try:
            found = way(lat, lng, args.max_photos, args.min_photos)
        except ModuleNotFoundError as error:
            print(f"{name}: not installed ({error.name})")
            continue
        took = time.perf_counter() - start
        same = len(found & set(ours.cell_id.tolist())) / len(ours)
        yield f"{name} ({same:.2%} of our cells)", took, our_seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--subset", type=int, default=1_000_000, help="positions for the other ways; 0: none")
    parser.add_argument("--max-photos", type=int, default=1000)
    parser.add_argument("--min-photos", type=int, default=50)
    parser.add_argument("--target-cells", type=int, default=26_263)
    parser.add_argument("--cells", type=Path, help="CSV with hex_id, imgs_per_cell")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    places.nearest(0, 0)  # the names of cities are loaded once
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "points.parquet"
        write_points(path, Density(args.cells), args.points)
        measure(path, args)
        if args.subset:
            print(f"\nother ways, on {min(args.subset, args.points):,} positions:")
            for name, took, ours in others(path, args):
                print(f"{name:48}{took:9.2f} s {took / ours:8.1f} x openplanet ({ours:.2f} s)")


def measure(path: Path, args: argparse.Namespace) -> None:
    read(path)  # into the page cache
    base = seconds_of(lambda: read_and_convert(path, args.threads), 2)

    def show(what: str, seconds: float, note: str = "") -> None:
        rate = args.points / seconds / 1e6
        print(f"{what:32}{seconds:9.2f} s {rate:8.2f} M/s {seconds / base:6.2f} x  {note}", flush=True)

    print(f"{args.points:,} positions, {args.threads} threads; x: times reading + converting")
    show("read", seconds_of(lambda: read(path)))
    show("read + convert", base)
    show("read + convert, 1 thread", seconds_of(lambda: read_and_convert(path, 1)))
    kept: list[Partition] = []

    def timed(what: str, work: Callable[[], list[Partition]]) -> None:
        kept.clear()
        seconds: list[float] = []
        memory = peak_mib(lambda: seconds.append(seconds_of(lambda: kept.extend(work()))))
        cells = ", ".join(f"{len(p):,}" for p in kept)
        rules = ", ".join(f"{p.max_photos}/{p.min_photos}" for p in kept)
        show(what, seconds[0], f"{cells} cells (max/min {rules}); peak {memory:.0f} MiB")

    target = TargetCells(args.target_cells)
    timed("build, thresholds", lambda: [adaptive.build_from_file(path, args.max_photos, args.min_photos)])
    timed("build, target", lambda: adaptive.build_many(positions.from_parquet(path), [target]))
    cells = kept[0]
    nested = [TargetCells(354, 50), TargetCells(3000, 50), TargetCells(args.target_cells, 50)]
    timed("build, 3 nested", lambda: adaptive.build_many(positions.from_parquet(path), nested, nested=True))
    if args.points <= MOST_TURNED:
        turned = [TargetCells(3000, 50)]
        timed("build, 3 turned", lambda: build_turned(positions.from_parquet(path), turned, random_turns(3)))
    show("read + assign", seconds_of(lambda: read_and_assign(path, cells)))
    if args.points <= MOST_TURNED:
        held = overlay(kept, path, least=50)
        print(f"overlay of 3 turned: {len(held):,} cells with 50 photos or more, {held.sum() / args.points:.1%} of all")
    lat, lng = (column[:2000].tolist() for column in next(positions.from_parquet(path)))
    one = seconds_of(lambda: [cells.assign(a, b) for a, b in zip(lat, lng, strict=True)], 3) / len(lat)
    print(f"assign, one position: {one * 1e6:.1f} µs")


if __name__ == "__main__":
    main()
