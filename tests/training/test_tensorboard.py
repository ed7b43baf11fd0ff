"""TensorBoard is optional."""

import importlib
from pathlib import Path

import pytest

from openplanet.errors import InputError
from openplanet.training.tensorboard import TensorBoardCurves


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(InputError, match=r"pip install 'openplanet\[tensorboard\]'"):
        TensorBoardCurves(tmp_path)
