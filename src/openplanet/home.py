"""Where OpenPlaNet keeps a user's own files, and the copies that it may delete."""

import os
from importlib import import_module
from pathlib import Path

HOME = "OPENPLANET_HOME"


def home() -> Path:
    """Folder of what OpenPlaNet keeps for a user: OPENPLANET_HOME, else the platform's own place for it."""
    given = os.environ.get(HOME)
    if given:
        return Path(given)
    return Path(import_module("platformdirs").user_data_path("openplanet", appauthor=False))


def cache_home() -> Path:
    """Folder of what can be fetched again: OPENPLANET_HOME/cache, else the platform's own place for it."""
    if os.environ.get(HOME):
        return home() / "cache"
    return Path(import_module("platformdirs").user_cache_path("openplanet", appauthor=False))
