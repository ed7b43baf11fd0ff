import json
import os
from pathlib import Path

import numpy as np
import pytest

from openplanet.errors import InputError
from openplanet.evaluation.answers import Truth
from openplanet.evaluation.contestants.predictions import read_predictions

TRUTH = Truth(("a1", "b2", "c3"), ("x/a.jpg", "x/b.jpg", "y/b.jpg"), np.array([1.0, 2, 3]), np.array([1.0, 2, 3]))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_ranked_by_probability_and_matched_by_id_or_file(tmp_path: Path) -> None:
    text = "photo,lat,lng,probability\na1,1,1,0.2\nx/a.jpg,5,5,0.7\nx/b.jpg,2,2,0.1\nzzz,0,0,1\n"
    (found,) = read_predictions(write(tmp_path / "theirs.csv", text), TRUTH)
    assert found.name == "theirs" and found.what.endswith("(1 of its rows are of photos not in this set)")
    np.testing.assert_array_equal(found.lat[0, :3], [5, 1, np.nan])
    assert found.lat[1, 0] == 2 and np.isnan(found.lat[2]).all()  # no row: no guess
    assert found.shown_N is None  # and it is measured all the same


def test_a_name_of_two_photos_is_nobodys(tmp_path: Path) -> None:
    (found,) = read_predictions(write(tmp_path / "t.csv", "image,latitude,longitude\nb.jpg,9,9\na.jpg,1,1\n"), TRUTH)
    assert "(1 of its rows" in found.what and np.isnan(found.lat[1:]).all()


def test_file_order_where_there_is_no_probability(tmp_path: Path) -> None:
    (found,) = read_predictions(write(tmp_path / "t.csv", "photo,lat,lng\na1,7,7\na1,8,8\n"), TRUTH)
    assert found.lat[0, :2].tolist() == [7, 8]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_players_are_measured_on_their_rounds(form: str, tmp_path: Path) -> None:
    rounds = [
        {"photo": "a1", "lat": 1, "lng": 1, "player": "ann", "round": 1},
        {"photo": "b2", "lat": 2, "lng": 2, "player": "ann", "round": 2},
        {"photo": "c3", "lat": 0, "lng": 0, "player": "bob", "round": 1},
    ]
    if form == "json":
        path = write(tmp_path / "game.json", json.dumps({"rounds": rounds}))
    else:
        lines = ["photo,lat,lng,player,round", *(",".join(map(str, each.values())) for each in rounds)]
        path = write(tmp_path / "game.csv", "\n".join(lines))
    ann, bob = read_predictions(path, TRUTH)
    assert (ann.name, bob.name) == ("player ann", "player bob")
    assert ann.shown_N.tolist() == [0, 1] and bob.shown_N.tolist() == [2]


def test_no_answer_is_an_empty_field(tmp_path: Path) -> None:
    (found,) = read_predictions(write(tmp_path / "t.csv", "photo,lat,lng\na1,,\nb2,2,2\n"), TRUTH)
    assert np.isnan(found.lat[0]).all() and found.lat[1, 0] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("photo,lat\na1,1\n", "no column lng"),
        ("photo,lat,lng\na1,north,1\n", "row 1: 'north' is no number"),
        ("photo,lat,lng\na1,91,1\n", "no position"),
        ("photo,lat,lng\nq,1,1\n", "none of its 1 rows"),
        ("", "no predictions"),
        ("lat,lng\n1,1\n", "has none of img_id"),
    ],
)
def test_bad_files_are_named(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words) as error:
        read_predictions(write(tmp_path / "bad.csv", text), TRUTH)
    assert "bad.csv" in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 200_000, "nested"),
        ('[{"a":' * 500, "cannot be read"),
        ('[{"photo": "a1", "lat": true, "lng": 2}]', "'True' is no number"),
        ('[{"photo": "a1", "lat": [1], "lng": 2}]', "is no number"),
        ('[{"photo": "a1", "lat": {"a": 1}, "lng": 2}]', "is no number"),
        ('{"rounds": 7}', "no predictions"),
        ('"\\ud83d"', "no predictions"),
        ("[1]", "no predictions"),
    ],
    ids=range(8),
)
def test_odd_json_is_named(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words) as error:
        read_predictions(write(tmp_path / "bad.json", text), TRUTH)
    assert "bad.json" in str(error.value)


@pytest.mark.timeout(30)
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match=r"pipe\.csv cannot be read.*not a regular file"):
        read_predictions(tmp_path / "pipe.csv", TRUTH)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        read_predictions(tmp_path / "nowhere.csv", TRUTH)
