"""Fixtures that several test folders share."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SLOW = (
    "training", "evaluation", "synthetic", "models", "test_globe.py", "test_cli.py", "test_extending.py",
    "test_ingest.py", "test_flags.py", "test_huggingface.py", "test_leak.py", "test_recipes.py",
    "test_album_predictor.py", "test_budget.py", "test_cli_partition.py", "test_progress.py", "test_examples.py",
)  # fmt: skip
"""Folders and files whose tests train networks, start processes or make planets: `make check` leaves them out."""

SHARED = Path(os.environ.get("OPENPLANET_SHARED", Path(__file__).parents[2] / "shared"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make check` leaves out."""
    for item in items:
        if set(item.path.relative_to(Path(__file__).parent).parts) & set(SLOW):
            item.add_marker(pytest.mark.slow)


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


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """A real Ray cluster on this machine, of two cores; its workers import the tests as this process does."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent / "runners"), *sys.path]))
        ray.init(
            address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False,
            object_store_memory=100_000_000,
        )  # fmt: skip
        yield
        ray.shutdown()
