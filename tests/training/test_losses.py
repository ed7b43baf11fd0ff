"""Targets and losses, against figures worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from openplanet.earth.geo import distance_km, to_xyz
from openplanet.training.losses import (
    class_weights,
    cross_entropy,
    great_circle_km,
    haversine_smoothed,
    one_hot,
    target_distribution,
)

LAT, LNG = np.array([0.0, 0.0, 50.0]), np.array([0.0, 3.0, 100.0])


def xyz(lat: np.ndarray, lng: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(to_xyz(lat, lng)).float()


def test_one_hot_is_the_papers_cross_entropy() -> None:
    cell = torch.tensor([1])
    target = target_distribution(cell, xyz(LAT[:1], LNG[:1]), xyz(LAT, LNG), None, 0.0)
    loss = cross_entropy(torch.tensor([[0.0, math.log(2.0), 0.0]]), target, 0.0)
    assert float(loss) == pytest.approx(math.log(2))  # p = 2 / (1 + 2 + 1)


def test_smoothed_targets_fall_with_distance() -> None:
    at = xyz(np.array([0.0]), np.array([0.5]))
    target = target_distribution(torch.tensor([0]), at, xyz(LAT, LNG), 200.0, 0.0)[0]
    km = distance_km(0.0, 0.5, LAT, LNG)
    expected = np.exp(-(km - km[0]) / 200.0)
    np.testing.assert_allclose(target.numpy(), expected / expected.sum(), atol=1e-3)
    assert target[0] > target[1] > target[2]


def test_label_smoothing_means_the_same_for_both_kinds_of_target() -> None:
    logits, cell = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0])
    positions = xyz(LAT, LNG)[cell]
    hard = cross_entropy(logits, target_distribution(cell, positions, xyz(LAT, LNG), None, 0.1), 0.1)
    nearly = target_distribution(cell, positions, xyz(LAT, LNG), 1.0, 0.1)  # 1 km: one-hot but for rounding
    assert float(cross_entropy(logits, nearly, 0.1)) == pytest.approx(float(hard), rel=1e-4)


def test_distances_are_exact_near_and_far() -> None:
    near = xyz(np.array([0.0, 10.0]), np.array([0.001, 20.0]))
    km = great_circle_km(xyz(np.array([0.0]), np.array([0.0])), near)[0]
    np.testing.assert_allclose(km.numpy(), distance_km(0.0, 0.0, [0.0, 10.0], [0.001, 20.0]), atol=0.01)
    assert float(great_circle_km(xyz(np.array([0.0]), np.array([0.0])), xyz(np.array([0.0]), np.array([180.0])))) == (
        pytest.approx(20015.1, abs=0.5)
    )


def test_the_sharpest_smoothing_is_one_hot() -> None:
    cell = torch.tensor([1, 2])
    torch.testing.assert_close(haversine_smoothed(xyz(LAT, LNG)[cell], xyz(LAT, LNG), 1.0), one_hot(cell, 3))


def test_class_weights() -> None:
    count = torch.tensor([1, 10, 1000])
    equal = class_weights(count, 1e-9)
    torch.testing.assert_close(equal, torch.ones(3))
    weight = class_weights(count, 0.99)
    assert float((weight * count).sum() / count.sum()) == pytest.approx(1.0)
    by_hand = [1 / (1 - 0.99**n) for n in (1, 10, 1000)]
    assert float(weight[0] / weight[1]) == pytest.approx(by_hand[0] / by_hand[1])
    nearly = class_weights(count, 1 - 1e-9)
    assert float(nearly[0] / nearly[2]) == pytest.approx(1000, rel=1e-3)  # as inverse frequency


def test_a_weighted_batch_may_be_cut_in_two() -> None:
    logits, cell = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    weight = torch.tensor([2.0, 0.5, 1.0, 3.0])
    whole = cross_entropy(logits, cell, 0.1, weight)
    halves = [cross_entropy(logits[part], cell[part], 0.1, weight[part]) for part in (slice(0, 2), slice(2, 4))]
    torch.testing.assert_close(whole, (halves[0] + halves[1]) / 2)
    torch.testing.assert_close(cross_entropy(logits, cell, 0.1, torch.ones(4)), cross_entropy(logits, cell, 0.1))


def test_smoothed_targets_take_no_more_memory_than_they_must() -> None:
    """At 26,263 cells every [B, C] that is made counts: the distances, in place, and their softmax."""
    made: set[int] = set()
    kept: list[torch.Tensor] = []  # so that no address is used twice

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor) and result.shape == (3, 40):
                made.add(result.untyped_storage().data_ptr())
                kept.append(result)
            return result

    xyz_C3 = torch.nn.functional.normalize(torch.randn(40, 3), dim=1)
    with Counting():
        target_distribution(torch.zeros(3, dtype=torch.int64), xyz_C3[:3], xyz_C3, 75.0, 0.1)
    assert len(made) == 2
