import os
from pathlib import Path

import pytest

from openplanet.errors import InputError
from openplanet.photos.sources.registry import find
from openplanet.photos.sources.source import Rejection, file_stamp


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(*sources: Path, out: Path | None = None) -> list[str]:
    return [candidate.name for candidate in find(sources, out).candidates]


def test_folders_are_walked_and_other_files_counted(tmp_path: Path) -> None:
    root = tmp_path / "Pictures"
    touch(root / "b.JPG", root / "rome" / "a.heic", root / "rome" / "old" / "c.png", root / "notes.txt")
    touch(root / ".hidden.jpg", root / ".trash" / "d.jpg", root / "README", root / "@eaDir" / "e.jpg")
    found = find([root])
    assert [(c.name, c.album) for c in found.candidates] == [
        ("Pictures/b.JPG", "Pictures"),
        ("Pictures/rome/a.heic", "Pictures/rome"),
        ("Pictures/rome/old/c.png", "Pictures/rome/old"),
    ]
    assert dict(found.skipped) == {".txt": 1, "hidden": 1, "none": 1}


def test_files_named_outright_are_always_candidates(tmp_path: Path) -> None:
    touch(tmp_path / "x" / "scan.dat", tmp_path / "x" / ".secret.jpg")
    assert names(tmp_path / "x" / "scan.dat", tmp_path / "x" / ".secret.jpg") == ["x/scan.dat", "x/.secret.jpg"]


def test_nothing_is_found_twice_and_loops_end(tmp_path: Path) -> None:
    root = tmp_path / "p"
    touch(root / "a.jpg", root / "sub" / "b.jpg")
    (root / "loop").symlink_to(root)
    (tmp_path / "alias").symlink_to(root)
    assert names(root, tmp_path / "alias", root / "sub", root / "a.jpg") == ["p/a.jpg", "p/sub/b.jpg"]
    assert names(root / "sub", root) == ["sub/b.jpg", "p/a.jpg"]


def test_links_to_files_and_hard_links_are_files_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path / "p" / "a.jpg")
    (tmp_path / "p" / "b.jpg").symlink_to(tmp_path / "p" / "a.jpg")
    (tmp_path / "p" / "c.jpg").hardlink_to(tmp_path / "p" / "a.jpg")
    (tmp_path / "p" / "d.jpg").symlink_to(tmp_path / "nowhere")
    found = find([tmp_path / "p"])
    assert [c.name for c in found.candidates] == ["p/a.jpg", "p/b.jpg", "p/c.jpg", "p/d.jpg"]
    assert [isinstance(file_stamp(c.path), str) for c in found.candidates] == [False, False, False, True]


def test_folders_of_one_name_stay_apart_and_the_first_keeps_it(tmp_path: Path) -> None:
    touch(tmp_path / "one" / "photos" / "a.jpg", tmp_path / "two" / "photos" / "a.jpg")
    first, second = tmp_path / "one" / "photos", tmp_path / "two" / "photos"
    assert names(first) == ["photos/a.jpg"]
    assert names(first, second) == ["photos/a.jpg", "photos (2)/a.jpg"]


def test_the_dataset_itself_is_not_searched(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "out" / "b.jpg")
    assert names(tmp_path, out=tmp_path / "out") == [f"{tmp_path.name}/a.jpg"]


def test_names_that_are_not_utf8_are_kept_and_shown(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102 (pathlib takes no bytes)
    Path(os.fsdecode(folder + b"/\xff.jpg")).write_bytes(b"x")
    (candidate,) = find([tmp_path]).candidates
    assert candidate.name == f"{tmp_path.name}/caf\\xe9/\\xff.jpg"
    assert candidate.path.read_bytes() == b"x"


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (candidate,) = find([tmp_path]).candidates
    assert file_stamp(candidate.path) == "it is not a regular file"


def test_an_unreadable_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "p" / "locked" / "a.jpg", tmp_path / "p" / "b.jpg")
    scandir = os.scandir

    def refuse(path: str) -> object:  # the tests may run as root, whom no folder refuses
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find([tmp_path / "p"])
    assert [c.name for c in found.candidates] == ["p/b.jpg"]
    assert found.rejected == [Rejection("p/locked", "unreadable folder", "Permission denied")]


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone: no such file or folder"):
        find([tmp_path / "gone"])
