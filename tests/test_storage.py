"""Files that are whole or absent, with the rights that the user wants, and told early where they cannot be."""

import os
from pathlib import Path

import pytest

from openplanet.errors import InputError
from openplanet.storage import atomic_path, check_writable, parse_json, read_json, write_text


def test_a_file_has_the_rights_that_the_umask_gives_whoever_wrote_it(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "a") as temporary:
            temporary.unlink()
            temporary.touch(mode=0o600)  # as safetensors does
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_what_fails_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")
    with pytest.raises(KeyError), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("new")
        raise KeyError
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_places_that_cannot_be_written_are_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    check_writable(tmp_path / "new" / "folder" / "a.json")
    check_writable(tmp_path / "file")
    assert {path.name for path in tmp_path.iterdir()} == {"file"}
    with pytest.raises(InputError, match="it is a folder"):
        check_writable(tmp_path)
    with pytest.raises(InputError, match=r"a\.json cannot be written: Not a directory"):
        check_writable(tmp_path / "file" / "a.json")


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"a":' * 200_000, "[" * 100 + "]" * 100, '{"a":' * 900 + "1" + "}" * 900]
)
def test_nested_json_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nested"):
        parse_json(text)
    (tmp_path / "deep.json").write_text(text)
    with pytest.raises(InputError, match=r"deep\.json is damaged"):
        read_json(tmp_path / "deep.json")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"Rome \ud83d"', "Rome �"),
        (r'"\ude00\ud83d\ude00\ud83d"', "�😀�"),
        (r'"\\ud83d"', r"\ud83d"),
        (r'"\\\ud83d"', "\\�"),
        (r'{"\uD83D": ["\uDBFF\uDFFF"]}', {"�": ["\U0010ffff"]}),
        (b'\xef\xbb\xbf"\xc3\xa9"', "é"),
    ],
)
def test_half_an_emoji_is_replaced(text: str | bytes, value: object) -> None:
    assert parse_json(text) == value


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    for name in ("pipe.json", "zero.json"):
        with pytest.raises(InputError, match=rf"{name} cannot be read: it is not a regular file"):
            read_json(tmp_path / name)
    with pytest.raises(InputError, match=r"gone\.json cannot be read: No such file"):
        read_json(tmp_path / "gone.json")
