"""OpenPlaNet: from the pixels of a photo, a probability over the Earth.

    from openplanet import Predictor
    Predictor.load("checkpoint").locate("photo.jpg").top(5)

The names below are loaded on first use, so that ``import openplanet.earth`` never waits for torch.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openplanet.inference.prediction import Prediction
    from openplanet.inference.predictor import Predictor

    __version__: str

__all__ = ["Prediction", "Predictor", "__version__"]

_WHERE = {"Prediction": "openplanet.inference.prediction", "Predictor": "openplanet.inference.predictor"}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("openplanet")
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'openplanet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
