"""What the tests of stores share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import S3, s3_server


@pytest.fixture(scope="session")
def _s3() -> Iterator[S3]:
    with s3_server() as running:
        yield running


@pytest.fixture
def s3(_s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The server, without faults, and a cache that is empty."""
    monkeypatch.setenv("OPENPLANET_HOME", str(tmp_path / "home"))
    _s3.reset()
    return _s3


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A URL below which nothing is, in this process's memory; the cache is empty."""
    monkeypatch.setenv("OPENPLANET_HOME", str(tmp_path / "home"))
    return f"memory://{tmp_path.name}"
