"""plan.csv survives spreadsheets, and what somebody typed there counts or is refused by its row."""

import pytest

from openplanet.errors import InputError
from openplanet.geotagging.run import HAND, About, Candidate, Photo, Row, Run, to_csv

ROWS = [
    Row("", "lib/a.jpg", 48.865, 2.355, 849.0, "between anchors", 0.99, "Paris", "Île-de-France", "France", "FR"),
    Row("yes", "lib/=b,\udce9.jpg", source="model", probability=0.6, country="France", country_code="FR"),
    Row("", "lib/c.jpg", left_out="not enough evidence"),
]


def saved(folder, rows=ROWS):
    photos = {
        row.file: Photo(row.file, f"/x/{row.file}", {"sha256": "1", "sidecars": {}},
                        None if row.lat is None else (row.lat, row.lng), (Candidate(1.0, 2.0, 0.5, "Paris"),))
        for row in rows
    }  # fmt: skip
    run = Run(folder, About("0123", "files", ("/x",), {}, {}, "2024"), rows, photos)
    folder.mkdir()
    return run


def test_a_run_reads_back_as_it_was(tmp_path):
    run = saved(tmp_path / "run", [ROWS[0], ROWS[2]])
    run.save()
    assert Run.open(tmp_path / "run") == run


def test_without_its_last_file_it_is_no_run(tmp_path):
    saved(tmp_path / "run", [ROWS[0]]).save()
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(InputError, match="no geotag run"):
        Run.open(tmp_path / "run")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_spreadsheets_may_write_their_own_csv(tmp_path, separator):
    run = saved(tmp_path / "run", [ROWS[0], ROWS[2]])
    run.save()
    lines = [
        ["file", "accept", "lat", "lng", "more"],
        ["lib/c.jpg", "X", "-33,85" if separator != "," else "-33.85", "151.2", "?"],
        ["lib/a.jpg", "No", "48.865", "2.355", ""],
    ]
    text = "\ufeff" + "\r\n".join(separator.join(line) for line in lines)
    (tmp_path / "run" / "plan.csv").write_text(text, encoding="utf-8")
    c, a = Run.open(tmp_path / "run").rows
    assert (c.accept, c.lat, c.lng, c.source, c.left_out) == ("yes", -33.85, 151.2, HAND, "")
    assert (a.accept, a.lat) == ("no", 48.865)


def test_a_moved_point_is_by_hand_and_what_the_plan_said_is_void(tmp_path):
    run = saved(tmp_path / "run", [ROWS[0]])
    run.save()
    text = to_csv(ROWS[:1]).replace("48.865000", "48.9")
    (tmp_path / "run" / "plan.csv").write_text(text)
    (row,) = Run.open(tmp_path / "run").rows
    assert (row.source, row.radius_m, row.probability, row.country) == (HAND, None, None, "")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("maybe,lib/a.jpg,1,2", "row 2: accept is 'maybe'"),
        ("yes,lib/a.jpg,1,", "row 2: lat and lng go together"),
        ("yes,lib/a.jpg,north,2", "row 2: lat is 'north'"),
        ("yes,lib/a.jpg,91,2", "row 2: lat 91.0, lng 2.0 is no position"),
        ("yes,lib/z.jpg,1,2", "row 2: 'lib/z.jpg' is not of this run"),
        ("yes,lib/a.jpg,1,2\nyes,lib/a.jpg,1,2", "row 3: lib/a.jpg stands there twice"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_row(tmp_path, line, words):
    saved(tmp_path / "run", [ROWS[0]]).save()
    (tmp_path / "run" / "plan.csv").write_text(f"accept,file,lat,lng\n{line}\n")
    with pytest.raises(InputError, match=words):
        Run.open(tmp_path / "run")


def test_names_that_a_spreadsheet_would_run_come_back(tmp_path):
    row = Row("yes", "=cmd.jpg", country="France")
    run = saved(tmp_path / "run", [row])
    run.save()
    assert "'=cmd.jpg" in (tmp_path / "run" / "plan.csv").read_text()
    assert Run.open(tmp_path / "run").rows == [row]
