"""Positions from Parquet and CSV: what is read, left out and refused."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openplanet.earth.partition import positions
from openplanet.errors import InputError


def test_rows_without_a_position_are_left_out_and_said(tmp_path, caplog):
    path = tmp_path / "photos.parquet"
    table = pa.table(
        {
            "lat": pa.array([1, None, 3, 4], pa.float32()),
            "lng": pa.array([10, 20, None, 40], pa.int32()),
        }
    )
    pq.write_table(table, path)
    [(lat, lng)] = positions.from_parquet(path)
    assert lat.tolist() == [1, 4] and lng.tolist() == [10, 40] and lat.dtype == lng.dtype == np.float64
    assert "photos.parquet: 2 of 4 rows have no position" in caplog.text


def test_coordinate_files_that_cannot_be_used(tmp_path):
    path = tmp_path / "photos.parquet"
    with pytest.raises(InputError, match=r"photos\.parquet does not exist"):
        list(positions.from_parquet(path))
    path.write_text("lat,lng\n1,2\n")
    with pytest.raises(InputError, match=r"photos\.parquet cannot be read as Parquet"):
        list(positions.from_parquet(path))
    pq.write_table(pa.table({"lat": [1.0], "lon": [2.0]}), path)
    with pytest.raises(InputError, match=r"photos\.parquet has no column lng"):
        list(positions.from_parquet(path))
    pq.write_table(pa.table({"lat": ["north"], "lng": [2.0]}), path)
    with pytest.raises(InputError, match=r"photos\.parquet"):
        list(positions.from_parquet(path))
    pq.write_table(pa.table({"lat": [1.0, 1.0, math.inf], "lng": [2.0, 2.0, 2.0]}), path)
    with pytest.raises(InputError, match=r"photos\.parquet: row 2: lat inf"):
        list(positions.from_parquet(path, batch_size=2))


def test_csv(tmp_path, caplog):
    path = tmp_path / "photos.CSV"
    path.write_bytes(b'\xef\xbb\xbffile,lng,lat,note\na.jpg,10,1,x\nb.jpg,,2,\nc.jpg,30.5,-3.25,"y,z"\n')
    [(lat, lng)] = positions.from_file(path)
    assert lat.tolist() == [1, -3.25] and lng.tolist() == [10, 30.5]
    assert "1 of 3 rows have no position" in caplog.text


def test_a_csv_of_a_careless_hand(tmp_path, caplog):
    """Spaces about names and numbers, names there twice, NA for nothing, and 0, 0 as ingest takes it: as none."""
    path = tmp_path / "photos.csv"
    path.write_bytes(b'note, lat , "lng",note\n1, 48.5 ,2,x\n2,NA,2,x\n3,0,0,x\n4,0.0,5,\xfc\n')
    [(lat, lng)] = positions.from_file(path)
    assert lat.tolist() == [48.5, 0] and lng.tolist() == [2, 5]
    said = caplog.text
    assert "1 of 4 rows have no position" in said and "1 of 4 rows lie at 0, 0" in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"lat,lon\n1,2\n", "no column lng"),
        (b"lat,lng\n1,2\nnorth,2\n", "row 1: lat 'north' is no number"),
        (b"lat,lng\n1,2\n3\n", "cannot be read as CSV"),
        (b"lat,lng\n", "none of its 0 rows has a position"),
        (b"lat,lng\n0,0\n,\n", "none of its 2 rows has a position"),
        (b"lat,lng,lat\n1,2,3\n", "more than one column lat"),
        (b"latitude,lng\n1,2\n", "no column lat.*it has: latitude, lng"),
        (b"lat,lng\n1,2\n91,2\n", "row 1: lat 91"),
        (b"", "no column lat and no lng"),
        (b"\xff\xfe\xff", "cannot be read as CSV"),
        (None, "does not exist"),
    ],
)
def test_csv_files_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "photos.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"photos\.csv.*{message}"):
        list(positions.from_file(path))


def test_a_parquet_file_of_several_row_groups_is_read_in_order(tmp_path):
    path = tmp_path / "photos.parquet"
    lat = np.linspace(-90, 90, 10_002)
    pq.write_table(pa.table({"lat": lat, "other": ["x"] * len(lat), "lng": lat * 2}), path, row_group_size=999)
    batches = list(positions.from_file(path))
    assert np.concatenate([b[0] for b in batches]).tolist() == lat.tolist()
    assert np.concatenate([b[1] for b in batches]).tolist() == (lat * 2).tolist()


@pytest.mark.parametrize("rows_in_group", [100_000, 3_000_000])
def test_reading_holds_little_in_memory(tmp_path, rows_in_group):
    path = tmp_path / "photos.parquet"
    lat = np.random.default_rng(0).uniform(-90, 90, 3_000_000)
    table = pa.table({"lat": lat, "lng": lat})
    pq.write_table(table, path, row_group_size=rows_in_group, use_dictionary=False, compression="none")
    del table
    before, most = pa.total_allocated_bytes(), 0
    for _ in positions.from_parquet(path, batch_size=1 << 16):
        most = max(most, pa.total_allocated_bytes() - before)
    assert path.stat().st_size > 48_000_000
    assert most < 8_000_000
