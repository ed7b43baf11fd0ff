import os
import shutil
from pathlib import Path

import pytest

from openplanet.errors import InputError
from openplanet.stores import cache


@pytest.fixture(autouse=True)
def _empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENPLANET_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "IN_MEMORY", 0)


def test_it_stays_below_its_limit_and_the_longest_unused_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cache.CACHE_GB, "1e-5")  # 10 kB
    for number in range(10):
        cache.cached(f"range{number}", lambda: bytes(1500))
        os.utime(tmp_path / "cache" / "ranges" / f"range{number}", (number, number))
        cache.cached("range0", lambda: pytest.fail("it was used all the time"))  # used last
        there = sorted(path.name for path in (tmp_path / "cache" / "ranges").iterdir())
        assert len(there) <= 6 and "range0" in there and f"range{number}" in there
    assert "range1" not in there


def test_damaged_bytes_are_fetched_again(tmp_path: Path) -> None:
    cache.cached("a", lambda: b"whole")
    cache.cached("b", lambda: b"another")
    file = tmp_path / "cache" / "ranges" / "a"
    file.write_bytes(b"x" + file.read_bytes()[1:])
    assert cache.cached("a", lambda: b"whole") == b"whole"
    file.write_bytes(b"short")
    cache.cached("b", lambda: b"another")
    assert cache.cached("a", lambda: b"whole") == b"whole"


def test_without_room_it_only_costs_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("no folder")
    assert cache.cached("a", lambda: b"whole") == b"whole"
    with pytest.raises(InputError, match="make room, or set OPENPLANET_HOME"):
        cache.copied("key", "file", lambda path: None)
    monkeypatch.setenv(cache.CACHE_GB, "much")
    with pytest.raises(InputError, match="OPENPLANET_CACHE_GB is 'much': give gigabytes"):
        cache.limit()


def test_a_copy_in_use_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.CACHE_GB, "1e-6")
    file = cache.copied("key", "file", lambda path: path.write_bytes(bytes(5000)) and None)
    cache.copied("other", "file", lambda path: path.write_bytes(bytes(5000)) and None)
    assert file.is_file()
    os.close(cache._in_use.pop(file.parent))
    cache.copied("third", "file", lambda path: path.write_bytes(bytes(5000)) and None)
    assert not file.exists()


def test_an_entry_that_is_deleted_while_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, deleted = cache._lock_file, list[int]()

    def late(handle: int, *how: str) -> None:
        lock(handle, *how)
        if not deleted:  # another process deleted the entry before this one had the lock
            deleted.append(handle)
            shutil.rmtree(tmp_path / "cache" / "copies" / "key")

    monkeypatch.setattr(cache, "_lock_file", late)
    file = cache.copied("key", "file", lambda path: path.write_bytes(b"x") and None)
    assert deleted and file.read_bytes() == b"x" and (file.parent / ".in-use").exists()
    assert os.fstat(cache._in_use[file.parent]).st_nlink == 1
