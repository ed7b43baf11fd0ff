"""Fixtures that several test folders share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("OPENPLANET_SHARED", Path(__file__).parents[2] / "shared"))


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not here (looked in {folder}; set OPENPLANET_SHARED): these files are never committed")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing that a test keeps for the user lands in the home of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENPLANET_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def exif_cases() -> Path:
    """Folder of files that break Exif readers, with cases.csv; skips where it is absent."""
    return _shared("exif_cases")


@pytest.fixture(scope="session")
def real_photos() -> Path:
    """Folder of real geotagged photos, with photos.csv; skips where it is absent."""
    return _shared("photos")
