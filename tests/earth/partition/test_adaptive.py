"""The paper's rule against a brute-force reading of it on Google's own cells, and what must always hold."""

import dataclasses
import json
import math
import os
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s2geometry as google
from hypothesis import given, settings
from hypothesis import strategies as st

from openplanet.earth import geo, s2
from openplanet.earth.partition import adaptive, file, leaf_runs, positions
from openplanet.earth.partition.adaptive import Partition, TargetCells, Thresholds
from openplanet.earth.partition.count_tree import CountTree
from openplanet.earth.partition.leaf_runs import LeafRuns
from openplanet.errors import InputError, PartitionError


def google_leaf(lat, lng):
    return google.S2CellId(google.S2LatLng.FromDegrees(lat, lng))


def brute_force(points, max_photos, min_photos, max_level):
    """({cell id: its points}, points in dropped cells, dropped cells), cell by cell from the six faces."""
    kept, dropped = {}, []

    def visit(cell, inside):
        if len(inside) > max_photos and cell.level() < max_level:
            for k in range(4):
                child = cell.child(k)
                visit(child, [point for point in inside if child.contains(google_leaf(*point))])
        elif len(inside) >= min_photos:
            kept[cell.id()] = inside
        elif inside:
            dropped.append(inside)

    for face in range(6):
        cell = google.S2CellId.FromFacePosLevel(face, 0, 0)
        visit(cell, [point for point in points if cell.contains(google_leaf(*point))])
    return kept, sum(map(len, dropped)), len(dropped)


def build(points, max_photos, min_photos, max_level=30):
    lat, lng = np.array(points, np.float64).reshape(-1, 2).T
    return adaptive.build([(lat, lng)], max_photos, min_photos, max_level)


ANYWHERE = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
POLES = [(90.0, 0.0), (90.0, -180.0), (-90.0, 12.0)]
SEAMS = [(0.0, 180.0), (0.0, -180.0), (45.0, -180.0), (0.0, 45.0), (0.0, 0.0)]
SPECIAL = st.sampled_from(POLES + SEAMS)


@st.composite
def clusters(draw):
    """Points around few centres, at distances from continents down to centimetres, and repeated ones."""
    points = []
    for lat, lng in draw(st.lists(ANYWHERE | SPECIAL, min_size=1, max_size=4)):
        spread = draw(st.sampled_from([30.0, 1.0, 1e-3, 1e-6, 0.0]))
        offsets = st.tuples(st.floats(-1, 1), st.floats(-1, 1))
        for north, east in draw(st.lists(offsets, min_size=1, max_size=15)):
            around = (lng + spread * east + 180) % 360 - 180
            points.append((max(-90.0, min(90.0, lat + spread * north)), around))
    return points


@settings(max_examples=150, deadline=None)
@given(
    clusters() | st.lists(ANYWHERE | SPECIAL, min_size=1, max_size=50),
    st.integers(1, 12),
    st.integers(1, 12),
    st.just(30) | st.integers(0, 12),
    st.data(),
)
def test_the_rule_is_the_paper_s(points, one, other, max_level, data):
    max_photos, min_photos = max(one, other), min(one, other)
    kept, dropped_photos, dropped_cells = brute_force(points, max_photos, min_photos, max_level)
    if not kept:
        with pytest.raises(PartitionError, match="lower min_photos"):
            build(points, max_photos, min_photos, max_level)
        return
    found = build(points, max_photos, min_photos, max_level)
    assert found.cell_id.tolist() == sorted(kept)
    assert found.count.tolist() == [len(kept[cell]) for cell in sorted(kept)]
    assert (found.total_photos, found.dropped_photos, found.dropped_cells) == (
        len(points),
        dropped_photos,
        dropped_cells,
    )
    check_invariants(found)
    check_assignment(found, [*points, *data.draw(st.lists(ANYWHERE | SPECIAL, max_size=10))])
    for row, cell in enumerate(sorted(kept)):
        lat, lng = geo.mean_position(*np.array(kept[cell]).T)
        assert geo.distance_km(lat, lng, found.centroid_lat[row], found.centroid_lng[row]) < 2e-5  # 2 leaves


def check_invariants(found):
    cells = [google.S2CellId(cell) for cell in found.cell_id.tolist()]
    assert all(a.range_max().id() < b.range_min().id() for a, b in pairwise(cells))
    assert found.count.sum() + found.dropped_photos == found.total_photos
    assert (found.count >= found.min_photos).all()
    assert ((found.count <= found.max_photos) | (found.level == found.max_level)).all()
    assert found.level.max() <= found.max_level
    everywhere = np.arange(len(found))
    assert found.assign(found.centroid_lat, found.centroid_lng).tolist() == everywhere.tolist()
    assert found.assign(found.lat, found.lng).tolist() == everywhere.tolist()


def check_assignment(found, points):
    cells = [google.S2CellId(cell) for cell in found.cell_id.tolist()]
    lat, lng = np.array(points).T
    for point, index in zip(points, found.assign(lat, lng).tolist(), strict=True):
        containing = [k for k, cell in enumerate(cells) if cell.contains(google_leaf(*point))]
        assert containing == ([] if index == -1 else [index])


def same(a, b):
    names = [field.name for field in dataclasses.fields(a)]
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


@pytest.fixture(scope="module")
def photos():
    """(lat, lng) of 150,000 photos in 300 towns of different sizes: more than one chunk."""
    rng = np.random.default_rng(0)
    town = rng.zipf(1.3, 150_000) % 300
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, 300)))[town] + rng.normal(0, 0.3, 150_000)
    lng = rng.uniform(-180, 180, 300)[town] + rng.normal(0, 0.3, 150_000)
    return np.clip(lat, -90, 90), (lng + 180) % 360 - 180


@pytest.fixture(scope="module")
def towns(photos):
    return adaptive.build([photos], max_photos=700, min_photos=20)


def test_many_photos(photos, towns):
    assert len(towns) > 200 and towns.dropped_photos > 0 and towns.dropped_cells > 0
    check_invariants(towns)
    index = towns.assign(*photos)
    assert np.bincount(index[index >= 0], minlength=len(towns)).tolist() == towns.count.tolist()
    assert (index == -1).sum() == towns.dropped_photos
    check_assignment(towns, [(float(photos[0][k]), float(photos[1][k])) for k in range(0, 150_000, 5000)])
    assert towns.area_km2 == pytest.approx(s2.area_km2(towns.cell_id))


def test_neither_order_nor_batches_matter(photos, towns, tmp_path):
    lat, lng = photos
    shuffled = np.random.default_rng(1).permutation(len(lat))
    cuts = [0, 0, 1, 2, 1000, 65_536, 65_537, len(lat)]
    batches = [(lat[shuffled][a:b], lng[shuffled][a:b]) for a, b in pairwise(cuts)]
    again = adaptive.build(iter(batches), max_photos=700, min_photos=20)
    assert same(again, towns)
    towns.save(tmp_path / "a.parquet")
    again.save(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_cluster_across_the_antimeridian():
    rng = np.random.default_rng(2)
    lng = rng.normal(180, 0.5, 400)
    found = adaptive.build([(rng.normal(-17, 0.5, 400), np.where(lng > 180, lng - 360, lng))], 100, 1)
    check_invariants(found)
    assert {"Fiji"} & set(found.country)
    assert (np.abs(found.centroid_lng) > 176).all()  # a mean of the numbers would be near 0
    middle = geo.mean_position(found.centroid_lat, found.centroid_lng, found.count)
    assert geo.distance_km(*middle, -17, 180) < 10


@pytest.mark.parametrize("pole", [90, -90])
def test_a_cluster_at_a_pole(pole):
    rng = np.random.default_rng(3)
    lat, lng = pole * (1 - rng.uniform(0, 1e-3, 400)), rng.uniform(-180, 180, 400)
    found = adaptive.build([(lat, lng)], 1000, 1)
    assert len(found) == 1 and found.level[0] == 0
    assert geo.distance_km(found.centroid_lat[0], found.centroid_lng[0], pole, 0) < 1
    found = adaptive.build([(lat, lng)], 150, 1)
    check_invariants(found)
    assert found.count.sum() == 400 and len(found) >= 4


def test_one_spot_with_more_photos_than_any_cell_may_hold():
    spot = (48.858222, 2.2945)
    found = build([spot] * 50, max_photos=7, min_photos=3)
    assert found.cell_id.tolist() == [google_leaf(*spot).id()] and found.count.tolist() == [50]
    assert found.assign(*spot).tolist() == [0]
    assert found.assign(found.centroid_lat, found.centroid_lng).tolist() == [0]
    assert found.country == ("France",)
    found = build([spot] * 50, max_photos=7, min_photos=3, max_level=12)
    assert found.cell_id.tolist() == [google_leaf(*spot).parent(12).id()] and found.count.tolist() == [50]


def test_thresholds_are_more_than_and_fewer_than():
    spots = [(10.0, 10.0)] * 5 + [(-10.0, 100.0)] * 4
    exactly = build(spots, max_photos=5, min_photos=5)
    assert exactly.level.tolist() == [0] and exactly.count.tolist() == [5]  # 5 is not more than 5, nor fewer
    assert (exactly.dropped_photos, exactly.dropped_cells) == (4, 1)
    assert exactly.assign(-10, 100).tolist() == [-1]
    assert build(spots, max_photos=4, min_photos=4).level.tolist() == [30, 0]


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ((0, 1), "max_photos=0"),
        ((5, 0), "min_photos=0"),
        ((5, 6), "above max_photos"),
        ((5, 1, 31), "max_level=31"),
        ((5, 1, -1), "max_level=-1"),
    ],
)
def test_thresholds_without_sense_are_refused(thresholds, message):
    with pytest.raises(PartitionError, match=message):
        build([(0, 0)] * 9, *thresholds)


def test_no_photos_and_bad_coordinates_are_refused():
    for nothing in ([], [([], [])]):
        with pytest.raises(PartitionError, match="no photos"):
            adaptive.build(nothing, 5, 1)
    with pytest.raises(InputError, match="batch 1 of coordinates: row 1: lat nan"):
        adaptive.build([([1], [1]), ([2, math.nan], [2, 2])], 5, 1)
    with pytest.raises(InputError, match="lng 190"):
        adaptive.build([([1], [190])], 5, 1)
    with pytest.raises(InputError, match="lat 91"):
        build([(0, 0)], 5, 1).assign([91], [0])


def test_save_and_load(towns, tmp_path):
    path = tmp_path / "new" / "towns.parquet"
    towns.save(path)
    loaded = Partition.load(path)
    assert same(loaded, towns)
    assert [f.name for f in path.parent.iterdir()] == ["towns.parquet"]
    table = pq.read_table(path)
    assert table.column_names == file.SCHEMA.names
    assert table.schema.field("cell_id").type == pa.uint64()
    assert table["cell_token"].to_pylist() == [google.S2CellId(c).ToToken() for c in towns.cell_id.tolist()]
    assert json.loads(table.schema.metadata[b"openplanet"])["max_photos"] == 700


def test_a_file_from_before_country_codes_gets_them(towns, tmp_path):
    path = tmp_path / "old.parquet"
    dataclasses.replace(towns, country=tuple(f"Former {name}" for name in towns.country)).save(path)
    pq.write_table(pq.read_table(path).drop_columns(["country_code"]), path)
    loaded = Partition.load(path)
    assert set(loaded.country_code) == set(towns.country_code) and all(len(code) == 2 for code in loaded.country_code)
    assert all(name.startswith("Former ") for name in loaded.country)
    assert same(dataclasses.replace(loaded, country=towns.country), towns)


def test_a_damaged_file_never_loads_as_another_partition(tmp_path):
    path, damaged = tmp_path / "whole.parquet", tmp_path / "damaged.parquet"
    rng = np.random.default_rng(4)
    whole = adaptive.build([(rng.uniform(-60, 60, 300), rng.uniform(-180, 180, 300))], 30, 5)
    whole.save(path)
    content = path.read_bytes()
    for size in (0, 3, 8, len(content) // 2, len(content) - 1):
        damaged.write_bytes(content[:size])
        with pytest.raises(PartitionError, match=r"damaged\.parquet is no partition, or is damaged"):
            Partition.load(damaged)
    refused = 0
    for at in range(4, len(content), 23):
        damaged.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        try:
            assert np.array_equal(Partition.load(damaged).cell_id, whole.cell_id)
        except PartitionError:
            refused += 1
    assert refused > 100


def test_files_that_are_no_partition(tmp_path):
    with pytest.raises(PartitionError, match=r"none\.parquet does not exist"):
        Partition.load(tmp_path / "none.parquet")
    with pytest.raises(PartitionError, match="is no partition"):
        Partition.load(tmp_path)
    (tmp_path / "text.parquet").write_text("cell_token,cell_id\n")
    with pytest.raises(PartitionError, match=r"text\.parquet is no partition"):
        Partition.load(tmp_path / "text.parquet")
    os.mkfifo(tmp_path / "pipe.parquet")
    with pytest.raises(PartitionError, match=r"pipe\.parquet is no partition.*not a regular file"):
        Partition.load(tmp_path / "pipe.parquet")
    pq.write_table(pa.table({"lat": [1.0], "lng": [2.0]}), tmp_path / "other.parquet")
    with pytest.raises(PartitionError, match="it has no column cell_token"):
        Partition.load(tmp_path / "other.parquet")


def _replace(table, name, change):
    column = pa.array(change(table[name].to_pylist()), table.schema.field(name).type)
    return table.set_column(table.column_names.index(name), pa.field(name, column.type), column)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.drop_columns(["area_km2"]), "no column area_km2"),
        (lambda t: t.slice(0, 0), "no cell"),
        (lambda t: t.take(list(range(len(t)))[::-1]), "ascending"),
        (lambda t: pa.concat_tables([t.slice(0, 1), t]), "ascending order, or overlap"),
        (lambda t: t.slice(1), "add up"),
        (lambda t: t.replace_schema_metadata({}), "thresholds are missing"),
        (lambda t: t.replace_schema_metadata({"openplanet": "["}), "damaged"),
        (lambda t: t.replace_schema_metadata({"openplanet": "{}"}), "not whole numbers"),
        (lambda t: t.replace_schema_metadata({"openplanet": "[" * 100_000}), "nested"),
        (lambda t: _replace(t, "cell_id", lambda v: [v[0] + 2, *v[1:]]), "no S2 cell"),
        (lambda t: _replace(t, "cell_token", lambda v: [v[1], *v[1:]]), "cell_token and cell_id"),
        (lambda t: _replace(t, "level", lambda v: [v[0] + 1, *v[1:]]), "level and cell_id"),
        (lambda t: _replace(t, "count", lambda v: [None, *v[1:]]), "empty values"),
        (lambda t: _replace(t, "count", lambda v: [v[0] - v[0], v[1] + v[0], *v[2:]]), "count"),
        (lambda t: _replace(t, "lat", lambda v: [math.nan, *v[1:]]), "row 0"),
        (lambda t: _replace(t, "centroid_lng", lambda v: [*v[:-1], 400.0]), "lng 400"),
        (lambda t: _replace(t, "area_km2", lambda v: [-1.0, *v[1:]]), "no area"),
        (lambda t: t.set_column(1, "cell_id", t["cell_id"].cast(pa.float64(), safe=False)), "not uint64"),
    ],
)
def test_a_partition_that_contradicts_itself_is_refused(towns, tmp_path, spoil, message):
    path = tmp_path / "p.parquet"
    towns.save(path)
    pq.write_table(spoil(pq.read_table(path)), path)
    with pytest.raises(PartitionError, match=rf"p\.parquet.*{message}"):
        Partition.load(path)


def test_an_overlapping_finer_cell_is_refused(towns, tmp_path):
    path = tmp_path / "p.parquet"
    towns.save(path)
    cell = google.S2CellId(int(towns.cell_id[0])).child(0)
    table = pq.read_table(path)
    row = table.slice(0, 1)
    for name, value in (("cell_id", cell.id()), ("cell_token", cell.ToToken()), ("level", cell.level())):
        row = _replace(row, name, lambda _, value=value: [value])
    pq.write_table(pa.concat_tables([row.cast(table.schema), table]), path)
    with pytest.raises(PartitionError, match="overlap"):
        Partition.load(path)


def test_build_from_a_parquet_file(photos, towns, tmp_path):
    path = tmp_path / "photos.parquet"
    names = [f"{k}.jpg" for k in range(len(photos[0]))]
    pq.write_table(pa.table({"file": names, "lng": photos[1], "lat": photos[0]}), path, row_group_size=40_000)
    assert same(adaptive.build_from_file(path, 700, 20), towns)
    sizes = [len(lat) for lat, _ in positions.from_parquet(path, batch_size=1000)]
    assert max(sizes) <= 1000 and sum(sizes) == len(names)


@pytest.mark.parametrize(("threads", "run"), [(1, 10_000), (2, 10_000), (3, 997), (2, 150_000)])
def test_neither_threads_nor_runs_on_disk_matter(photos, towns, monkeypatch, tmp_path, threads, run):
    monkeypatch.setattr(leaf_runs, "RUN", run)
    monkeypatch.setattr(leaf_runs.tempfile, "tempdir", str(tmp_path))
    lat, lng = photos
    order = np.random.default_rng(threads).permutation(len(lat))
    batches = ((lat[order][k : k + 7001], lng[order][k : k + 7001]) for k in range(0, len(lat), 7001))
    assert same(adaptive.build(batches, 700, 20, threads=threads), towns)
    assert list(tmp_path.iterdir()) == []


def test_sums_past_64_bits(monkeypatch):
    monkeypatch.setattr(leaf_runs, "RUN", 2)
    monkeypatch.setattr(s2, "fixed_xyz", lambda leaves: np.full((3, len(leaves)), -(2**61) + 5))
    with LeafRuns() as runs:
        runs.add(np.full(40, 0.001), np.full(40, 0.002))
        runs.finish()
        high, low = runs.sums(np.array([0, 2**64 - 1], np.uint64))
    assert [int(a) * 2**32 + int(b) for a, b in zip(high[:, 0], low[:, 0], strict=True)] == [40 * (5 - 2**61)] * 3


def test_a_partition_of_several_is_the_one_built_alone(photos):
    rules = [Thresholds(9000, 50), Thresholds(700, 20), Thresholds(300, 300, 7), Thresholds(700, 20, 30)]
    several = adaptive.build_many([photos], rules)
    for rule, found in zip(rules, several, strict=True):
        assert same(found, adaptive.build([photos], rule.max_photos, rule.min_photos, rule.max_level))


def test_nested_partitions(photos):
    rules = [Thresholds(20_000, 900, 12), Thresholds(3000, 100, 15), Thresholds(300, 3)]
    loose = adaptive.build_many([photos], rules)
    nested = adaptive.build_many([photos], rules, nested=True)
    assert (loose[0].assign_leaves(s2.range_min(loose[2].cell_id)) == -1).any(), "nothing to nest"
    for coarse, fine in pairwise(nested):
        above = coarse.assign_leaves(s2.range_min(fine.cell_id))
        assert (above >= 0).all()
        assert s2.contains(coarse.cell_id[above], fine.cell_id).all()
        assert (np.bincount(above, fine.count) <= coarse.count[: above.max() + 1]).all()
        check_invariants(fine)
    for before, after in zip(loose, nested, strict=True):
        index = before.assign(after.lat, after.lng)
        assert before.cell_id[index].tolist() == after.cell_id.tolist()
        assert before.centroid_lat[index].tolist() == after.centroid_lat.tolist()
    with pytest.raises(PartitionError, match="coarse to fine"):
        adaptive.build_many([photos], rules[::-1], nested=True)


def test_nested_numbers_of_cells_are_the_nearest_there_are(photos):
    coarse, fine = adaptive.build_many([photos], [TargetCells(40, 900), TargetCells(400, 20)], nested=True)

    def cells(max_photos):
        rules = [Thresholds(coarse.max_photos, 900), Thresholds(max_photos, 20)]
        return len(adaptive.build_many([photos], rules, nested=True)[1])

    near = [cells(m) for m in range(fine.max_photos - 30, fine.max_photos + 31, 2)]
    assert len(fine) == cells(fine.max_photos)
    assert abs(len(fine) - 400) <= min(abs(number - 400) for number in near)
    alone = adaptive.build_many([photos], [TargetCells(400, 20)])[0]
    assert len(alone) > cells(alone.max_photos), "nothing of it is lost by nesting: no case for this test"


def test_dropped_area(photos, towns):
    everything = adaptive.build([photos], 700, 1)
    assert everything.dropped_area_km2 == 0
    assert towns.dropped_area_km2 == pytest.approx(everything.area_km2.sum() - towns.area_km2.sum())


@pytest.mark.parametrize("min_photos", [None, 20, 1])
@pytest.mark.parametrize("target", [1, 6, 40, 250, 1000])
def test_target_cells_is_the_nearest_of_all_thresholds(photos, target, min_photos):
    lat, lng = photos[0][:3000], photos[1][:3000]
    [found] = adaptive.build_many([(lat, lng)], [TargetCells(target, min_photos)])
    expected_min = max(1, found.max_photos // 200) if min_photos is None else min_photos
    assert found.min_photos == expected_min
    assert same(found, adaptive.build([(lat, lng)], found.max_photos, expected_min))
    with LeafRuns() as runs:
        runs.add(lat, lng)
        runs.finish()
        tree = CountTree.grow(runs, 1, 30)
    sizes = {}
    for max_photos in range(max(found.max_photos // 8, min_photos or 1), 3001):
        rule = Thresholds(max_photos, max(1, max_photos // 200) if min_photos is None else min_photos)
        kept = tree.cells(rule.max_photos, 30) & (tree.count >= rule.min_photos)
        sizes[max_photos] = int(kept.sum())
    reached = [m for m, cells in sizes.items() if cells >= target]
    lowest = max(reached, default=0)  # past the target, the search may end
    nearest = min(abs(cells - target) for m, cells in sizes.items() if cells and m >= lowest)
    assert abs(len(found) - target) <= nearest


def test_target_cells_that_cannot_be():
    with pytest.raises(PartitionError, match="0 cells"):
        TargetCells(0)
    with pytest.raises(PartitionError, match="lower min_photos"):
        adaptive.build_many([([1, 2], [1, 2])], [TargetCells(5, 3)])
    [most] = adaptive.build_many([([1, 2], [1, 2])], [TargetCells(500)])
    assert len(most) == 2


def test_one_position_and_many_are_assigned_alike(photos, towns, monkeypatch):
    lat, lng = photos
    index = towns.assign(lat, lng)
    for k in range(0, len(lat), 997):
        assert towns.assign(lat[k], lng[k]).tolist() == [index[k]]
    assert towns.assign([], []).tolist() == []
    monkeypatch.setattr(adaptive, "CHUNK", 1000)
    assert towns.assign(lat, lng).tolist() == index.tolist()
    with pytest.raises(InputError, match="lat 91"):
        towns.assign(91, 0)
    with pytest.raises(InputError, match="2 values of lat"):
        towns.assign([1, 2], [3])


def test_a_position_on_an_edge_is_in_one_cell(towns):
    lat_N4, lng_N4 = s2.vertices(towns.cell_id)
    for lat, lng in zip(lat_N4.ravel()[:400].tolist(), lng_N4.ravel()[:400].tolist(), strict=True):
        inside = s2.contains(towns.cell_id, s2.leaf_ids(lat, lng))
        assert inside.sum() <= 1
        assert towns.assign(lat, lng).tolist() == ([-1] if not inside.any() else [int(np.argmax(inside))])


def test_a_full_disk_is_said(photos, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(leaf_runs, "RUN", 10_000)
    monkeypatch.setattr(leaf_runs.os, "pwrite", full)
    with pytest.raises(PartitionError, match=r"No space left on device.*TMPDIR"):
        adaptive.build([photos], 700, 20)


def test_the_country_with_most_photos() -> None:
    lat, lng = np.array([[48.86, 2.35]] * 6 + [[35.68, 139.69]] * 2).T
    cells = adaptive.build([(lat, lng)], max_photos=6, min_photos=1)
    assert cells.mostly() == ("France", 0.75)
