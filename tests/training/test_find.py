"""The search for a batch size, on a tiny dataset: it leaves nothing behind."""

from pathlib import Path

import pytest

from openplanet.errors import TrainingError
from openplanet.photos.dataset import Dataset
from openplanet.training.find import find_batch_size
from openplanet.training.recipe.recipe import Recipe


def test_a_batch_size_is_looked_for(
    dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = find_batch_size(dataset, tiny_recipe)
    assert [size for size, _ in found.points] == [2, 4, 8, 16, 32]  # 40 photos
    speeds = dict(found.points)
    assert found.suggestion in speeds and min(speeds.values()) > 0
    assert speeds[found.suggestion] >= 0.95 * max(speeds.values())
    assert f"--set batch_size={found.suggestion}" in found.to_text()
    assert list(tmp_path.iterdir()) == []


def test_not_under_torchrun(dataset: Dataset, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="without torchrun"):
        find_batch_size(dataset, tiny_recipe)
