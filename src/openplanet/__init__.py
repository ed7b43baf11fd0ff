"""OpenPlaNet: from the pixels of a photo, a probability over the Earth.

    from openplanet import Predictor
    Predictor.load("checkpoint").locate("photo.jpg").top(5)

The names below are loaded on first use, so that ``import openplanet.earth`` never waits for torch.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openplanet.inference.prediction import Prediction
    from openplanet.inference.predictor import Predictor

    __version__: str

__all__ = ["Prediction", "Predictor", "__version__"]

# Threads of OpenMP spin while they wait, and take the time of those that work: on a busy machine a small network costs
# 4 to 6 times as much. The library reads this once, when torch loads it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

_WHERE = {"Prediction": "openplanet.inference.prediction", "Predictor": "openplanet.inference.predictor"}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("openplanet")
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'openplanet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
