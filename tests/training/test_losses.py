"""Targets and losses, against figures worked out by hand."""

import math

import numpy as np
import pytest
import torch

from openplanet.earth.geo import distance_km, to_xyz
from openplanet.training.losses import cross_entropy, target_distribution

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
