"""The finders: what they read off a curve, and a search on a tiny dataset that leaves nothing behind."""

import math
from pathlib import Path

import numpy as np
import pytest

from openplanet.errors import TrainingError
from openplanet.photos.shards import Dataset
from openplanet.training import find as finder
from openplanet.training.find import find, smoothed, steepest
from openplanet.training.recipe import Recipe

RATES = np.geomspace(1e-6, 1, 100).tolist()


def curve(noise: float = 0.0) -> list[tuple[float, float]]:
    """Flat, then falling fastest at a rate of 0.01, then rising without end."""
    rng = np.random.default_rng(0)
    return [
        (rate, 4 - 1.5 / (1 + math.exp(-4 * (math.log10(rate) + 2))) + 1e3 * rate**6 + noise * rng.normal())
        for rate in RATES
    ]


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_the_steepest_fall_is_found(noise: float) -> None:
    at = steepest(smoothed(curve(noise)))
    assert at is not None and 0.005 < at < 0.02


def test_no_fall_no_suggestion() -> None:
    assert steepest([(rate, 4.0) for rate in RATES]) is None
    assert steepest([(rate, 4.0 + rate) for rate in RATES]) is None
    assert steepest(curve()[:10]) is None  # too short to tell


def test_smoothing_is_centred_and_ends_at_the_first_that_is_no_number() -> None:
    line = [(rate, float(index)) for index, rate in enumerate(RATES)]
    assert smoothed(line) == [(rate, pytest.approx(loss)) for rate, loss in line]  # no lag
    line[30] = (RATES[30], math.nan)
    assert len(smoothed(line)) == 30
    bumped = [(rate, 10.0 if index == 50 else 0.0) for index, rate in enumerate(RATES)]
    assert max(loss for _, loss in smoothed(bumped)) == pytest.approx(10 / 11)


def test_a_learning_rate_is_looked_for_and_nothing_is_kept(
    dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(finder, "STEPS", 40)
    found = find("learning_rate", dataset, tiny_recipe)
    rates = [rate for rate, _ in found.points]
    assert len(rates) > 20 and rates == sorted(rates) and all(math.isfinite(loss) for _, loss in found.points)
    assert found.suggestion is None or 1e-6 < found.suggestion < 1
    text = found.to_text()
    assert "learning rate" in text and "0.003" in text  # what the recipe has
    assert list(tmp_path.iterdir()) == []


def test_a_batch_size_is_looked_for(dataset: Dataset, tiny_recipe: Recipe) -> None:
    found = find("batch_size", dataset, tiny_recipe)
    assert [size for size, _ in found.points] == [2.0, 4.0, 8.0, 16.0, 32.0]  # 40 photos
    speeds = dict(found.points)
    assert found.suggestion in speeds and min(speeds.values()) > 0
    assert speeds[found.suggestion] >= 0.95 * max(speeds.values())
    assert f"--set batch_size={found.suggestion:.3g}" in found.to_text()


def test_not_under_torchrun(dataset: Dataset, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="without torchrun"):
        find("batch_size", dataset, tiny_recipe)
