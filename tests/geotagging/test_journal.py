"""The journal outlives a crash in the middle of a line."""

import pytest

from openplanet.errors import InputError
from openplanet.geotagging.journal import Change, Journal

CHANGE = Change("a.jpg", "/x/a\udce9.jpg", "1", "2", {}, {"XMP-photoshop:City": "Paris"}, {}, times=(1, 2))


def test_changes_come_back(tmp_path):
    Journal(tmp_path).add(CHANGE)
    Journal(tmp_path).add(CHANGE)
    assert Journal(tmp_path).changes() == [CHANGE, CHANGE]


def test_half_a_line_at_the_end_is_dropped_and_the_next_one_whole(tmp_path):
    Journal(tmp_path).add(CHANGE)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes() + path.read_bytes()[:20])
    assert Journal(tmp_path).changes() == [CHANGE]
    Journal(tmp_path).add(CHANGE)
    assert Journal(tmp_path).changes() == [CHANGE, CHANGE]


def test_damage_in_the_middle_stops_everything(tmp_path):
    Journal(tmp_path).add(CHANGE)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"rubbish\n" + path.read_bytes())
    with pytest.raises(InputError, match="line 1 is damaged"):
        Journal(tmp_path).changes()
