"""Fixtures for the tests of models."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """Folder of ImageNet weights that are never committed; skips where it is absent."""
    folder = Path(os.environ.get("OPENPLANET_SHARED", Path(__file__).parents[3] / "shared")) / "weights"
    if not folder.is_dir():
        pytest.skip(
            f"weights are not here (looked in {folder}; set OPENPLANET_SHARED): these files are never committed"
        )
    return folder
