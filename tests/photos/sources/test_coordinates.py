import unicodedata
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openplanet.earth.partition import positions
from openplanet.errors import InputError
from openplanet.photos.sources import coordinates
from openplanet.photos.sources.entry import Entry
from openplanet.photos.sources.registry import find


def csv_file(folder: Path, *lines: str) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def matched(table: Path, *sources: Path) -> tuple[dict[str, float | None], list[tuple[str, str]]]:
    found = find(sources)
    result = coordinates.match(
        coordinates.read(table), table, [candidate.place for candidate in found.candidates], found.roots
    )
    by_name = {found.candidates[index].name: entry.lat for index, entry in result.by_candidate.items()}
    return by_name, [(rejection.file, rejection.reason) for rejection in result.rejected]


def photos(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def test_reads_all_columns_of_csv_and_ignores_others(tmp_path: Path) -> None:
    table = csv_file(
        tmp_path,
        "\ufefffile,lat,lng,colour,album,album_order,taken_at,owner,licence",
        "a.jpg,1.5,-2,red,rome,3,2019-10-01T16:19:26+02:00,Ada,CC0",
        "b.jpg,,,blue,,,2019:10:01 16:19:26,,",
    )
    assert coordinates.read(table) == [
        Entry(
            "a.jpg", 1.5, -2.0, "rome", 3, datetime(2019, 10, 1, 14, 19, 26), True, "Ada", "CC0", utc_offset_minutes=120
        ),
        Entry("b.jpg", taken_at=datetime(2019, 10, 1, 16, 19, 26)),
    ]


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    rows = {"file": ["a.jpg", "b.jpg"], "lat": [1.5, None], "lng": [-2.0, None], "album_order": [3, None]}
    rows |= {"taken_at": [datetime(2019, 10, 1), None], "size": [1, 2]}
    pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    assert coordinates.read(tmp_path / "t.parquet") == [
        Entry("a.jpg", 1.5, -2.0, album_order=3, taken_at=datetime(2019, 10, 1)),
        Entry("b.jpg"),
    ]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("file:lat:lng", r"no column file, lat, lng "),
        ("file,lat,lng,lat", "more than one column lat"),
    ],
)
def test_tables_of_another_make_are_told_what_to_mend(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"table\.csv.*{message}"):
        coordinates.read(csv_file(tmp_path, header, "a.jpg,1,2,3"))


@pytest.mark.parametrize(
    ("lat", "lng", "problem"),
    [
        ("north", "2", "bad number"),
        ("1,5", "2", "bad number"),
        ("", "2", "bad number"),
        ("nan", "2", "bad number"),
        ("1", "inf", "bad number"),
        ("90.1", "2", "out of range"),
        ("1", "-180.5", "out of range"),
        ("90", "180", ""),
        ("0", "2", ""),
    ],
)
def test_positions_that_are_none(tmp_path: Path, lat: str, lng: str, problem: str) -> None:
    (entry,) = coordinates.read(csv_file(tmp_path, "file,lat,lng", f'a.jpg,"{lat}",{lng}'))
    assert entry.problem == problem
    assert (entry.lat is None) == bool(problem)


def test_a_bad_optional_value_spoils_itself_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    orders = ["1.0", "nan", "3000000000", "-9e99", "first", "inf", "2"]
    table = csv_file(
        tmp_path,
        "file,lat,lng,taken_at,album_order",
        *[f"{n}.jpg,1,2,yesterday,{each}" for n, each in enumerate(orders)],
    )
    entries = coordinates.read(table)
    assert all((each.lat, each.lng, each.problem, each.taken_at) == (1, 2, "", None) for each in entries)
    assert [each.album_order for each in entries] == [1, None, None, None, None, None, 2]
    said = caplog.text
    assert said.count("WARNING") == 2
    assert "7 of 7 values of taken_at are none, such as 'yesterday'" in said
    assert "4 of 7 values of album_order are none, such as '3000000000'" in said


@pytest.mark.parametrize(
    "nothing", ["", " ", "NA", "na", "N/A", "#N/A", "NULL", "nUlL", "NaN", "nan", "None", "-", "<NA>", "\\N", "0"]
)
def test_cells_that_hold_no_position_mean_so_for_ingest_and_partition(tmp_path: Path, nothing: str) -> None:
    table = csv_file(tmp_path, "file,lat,lng", f"a.jpg,{nothing},{nothing}", "b.jpg,1,2")
    assert coordinates.read(table) == [Entry("a.jpg"), Entry("b.jpg", 1.0, 2.0)]
    assert [lat_N.tolist() for lat_N, _ in positions.from_file(table)] == [[1.0]]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "T.CSV"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize(("separator", "decimal"), [(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ",")])
def test_tables_as_spreadsheets_write_them(
    tmp_path: Path, name: str, encoding: str, separator: str, decimal: str
) -> None:
    lines = ["file, lat ,lng,album", "Zürich.jpg,47~37,8~54,Straße", "b.jpg,-1~5,2,x", "c.jpg,NA,NA,x"]
    text = "\r\n".join(lines).replace(",", separator).replace("~", decimal)
    (tmp_path / name).write_bytes(text.encode(encoding))
    first, second, third = coordinates.read(tmp_path / name)
    assert (first.file, first.lat, first.lng, first.album) == ("Zürich.jpg", 47.37, 8.54, "Straße")
    assert (second.lat, second.lng, third.lat, third.problem) == (-1.5, 2, None, "")
    assert [(*lat_N, *lng_N) for lat_N, lng_N in positions.from_file(tmp_path / name)] == [(47.37, -1.5, 8.54, 2)]


def test_names_match_exactly_then_by_accents_then_by_letter_case(tmp_path: Path) -> None:
    names = [unicodedata.normalize("NFD", "Zürich.jpg"), "Über.JPG", "x/A.jpg", "x/a.jpg", "y/B.jpg", "y/b.JPG"]
    root = photos(tmp_path / "p", *names)
    table = csv_file(
        tmp_path,
        "file,lat,lng",
        "p/Zürich.jpg,1,1",
        "p/über.jpg,2,1",
        "p/x/a.jpg,3,1",
        "p/x/A.jpg,4,1",
        "p/y/b.jpg,5,1",
    )
    by_name, rejected = matched(table, root)
    assert by_name == {f"p/{names[0]}": 1.0, "p/Über.JPG": 2.0, "p/x/a.jpg": 3.0, "p/x/A.jpg": 4.0}
    assert rejected == [("p/y/b.jpg", "ambiguous")]


def test_bare_names_match_so_too(tmp_path: Path) -> None:
    root = photos(tmp_path / "p", "x/" + unicodedata.normalize("NFD", "Zürich.jpg"), "x/Über.JPG")
    by_name, rejected = matched(csv_file(tmp_path, "file,lat,lng", "zürich.JPG,1,1", "über.jpg,2,1"), root)
    assert sorted(by_name.values(), key=str) == [1.0, 2.0] and not rejected


def test_missing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"table\.csv has no column lat, lng \(it has: file, latitude\)"):
        coordinates.read(csv_file(tmp_path, "file,latitude", "a.jpg,1"))
    with pytest.raises(InputError, match=r"cannot be read as a table of coordinates: No such file or directory$"):
        coordinates.read(tmp_path / "none.csv")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(InputError, match="cannot be read"):
        coordinates.read(tmp_path / "bad.parquet")


def test_files_are_found_beside_the_table_in_a_source_absolutely_and_by_name(tmp_path: Path) -> None:
    root = photos(tmp_path / "p", "a.jpg", "x/b.jpg", "y/c.jpg", "y/z/d.jpg", "e.jpg")
    table = csv_file(
        tmp_path, "file,lat,lng", "p/a.jpg,1,1", "x/b.jpg,2,1", f"{root}/y/c.jpg,3,1", "d.jpg,4,1", "gone.jpg,5,1"
    )
    by_name, rejected = matched(table, root)
    assert by_name == {"p/a.jpg": 1.0, "p/x/b.jpg": 2.0, "p/y/c.jpg": 3.0, "p/y/z/d.jpg": 4.0}
    assert rejected == [("gone.jpg", "not found")]


def test_a_bare_name_never_decides_between_two(tmp_path: Path) -> None:
    root = photos(tmp_path / "p", "x/a.jpg", "y/a.jpg", "x/b.jpg")
    # two files called a.jpg; two rows called b.jpg, one of a folder that was not copied
    table = csv_file(tmp_path, "file,lat,lng", "a.jpg,1,1", "x/b.jpg,2,1", "z/b.jpg,3,1")
    by_name, rejected = matched(table, root)
    assert by_name == {"p/x/b.jpg": 2.0}
    assert rejected == [("a.jpg", "not found"), ("z/b.jpg", "not found")]


def test_the_first_row_of_a_file_counts(tmp_path: Path) -> None:
    root = photos(tmp_path / "p", "a.jpg")
    by_name, rejected = matched(csv_file(tmp_path, "file,lat,lng", "p/a.jpg,1,1", "a.jpg,2,1"), root)
    assert by_name == {"p/a.jpg": 1.0} and rejected == [("a.jpg", "repeated in table")]


def test_a_table_alone_names_the_files(tmp_path: Path) -> None:
    photos(tmp_path, "x/a.jpg")
    table = csv_file(tmp_path, "file,lat,lng", "x/a.jpg,1,1", "x/gone.jpg,1,1")
    assert coordinates.files_of(coordinates.read(table), table) == [tmp_path / "x" / "a.jpg"]
