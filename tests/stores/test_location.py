import pickle
from pathlib import Path

import pytest

from openplanet.errors import InputError
from openplanet.storage import atomic_path, check_outputs, json_file, read_json, write_json
from openplanet.stores.location import RemotePath, is_url, listing, location


def test_urls_are_told_from_paths() -> None:
    for text in ("s3://b/x", "memory://b/x", "hf://datasets/a/b"):
        assert is_url(text) and isinstance(location(text), RemotePath)
    for text in ("folder/x", "/s3/x", "hf:owner/name", "im2gps:/x", "C:/x"):
        assert not is_url(text) and location(text) == Path(text)
    assert location("file:///tmp/a%20b") == Path("/tmp/a b")
    assert str(location("s3://bucket//x/")) == "s3://bucket/x"
    for text in ("ftp://b/x", "s3://", "s3://b/../x"):
        with pytest.raises(InputError, match=text.replace("/", "/")):
            location(text)


def test_it_answers_as_a_path(memory: str) -> None:
    place = location(f"{memory}/a/scores.tar.json")
    assert isinstance(place, RemotePath)
    assert (place.name, place.stem, place.suffix) == ("scores.tar.json", "scores.tar", ".json")
    assert place.with_suffix(".csv") == location(f"{memory}/a/scores.tar.csv")
    assert place.parent / "x" == place.with_name("x") and pickle.loads(pickle.dumps(place)) == place
    assert not place.exists() and not place.parent.is_dir() and listing(place.parent) == {}
    with pytest.raises(FileNotFoundError):
        place.stat()
    write_json(place, {"a": 1})
    assert place.is_file() and place.parent.is_dir() and not place.is_dir()
    assert read_json(place) == {"a": 1} and place.open("r").read() == place.read_text()
    assert [*listing(place.parent)] == ["scores.tar.json"]
    assert listing(place.parent)["scores.tar.json"].stat().st_size == len(place.read_bytes())


def test_outputs_replace_only_their_own_kind(memory: str) -> None:
    scores, notes = location(f"{memory}/scores.json"), location(f"{memory}/notes.txt")
    kind = json_file("evaluation")
    write_json(scores, {"generator": "OpenPlaNet evaluation"})
    write_json(notes, {"mine": True})
    check_outputs([(scores, kind)])
    with pytest.raises(InputError, match=r"notes.txt exists and is not an OpenPlaNet evaluation"):
        check_outputs([(notes, kind)])
    with pytest.raises(InputError, match="would be written twice"):
        check_outputs([(scores, kind), (scores, kind)])
    with pytest.raises(InputError, match="is an input"):
        check_outputs([(scores, kind)], [scores])


def test_what_fails_while_it_is_written_leaves_what_was_there(memory: str) -> None:
    place = location(f"{memory}/x.json")
    write_json(place, {"a": 1})
    with pytest.raises(ZeroDivisionError), atomic_path(place) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert read_json(place) == {"a": 1}
