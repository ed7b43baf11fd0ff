"""Random changes that leave the cues of place alone."""

import pytest
import torch

from openplanet.training.photos.random_ops import OPERATIONS, Operation, random_ops

X = torch.rand(4, 3, 24, 24, generator=torch.Generator().manual_seed(0)) * 255


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_no_amount_no_change_and_some_amount_some(operation: Operation) -> None:
    assert torch.allclose(operation(X, torch.zeros(4)), X, atol=0.1)
    changed = operation(X, torch.tensor([1.0, -1.0, 0.5, 0.0]))
    difference = (changed - X).abs().mean(dim=(1, 2, 3))
    assert (difference[:3] > 1).all() and difference[3] < 0.1


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_sky_stays_up_left_stays_left_and_blue_stays_blue(operation: Operation) -> None:
    photo = torch.zeros(2, 3, 24, 24)
    photo[:, 2, :12] = 200.0  # blue sky
    photo[:, 0, 12:, :12] = 150.0  # red to the left below
    result = operation(photo, torch.tensor([0.9, -0.9])).clamp(0, 255)
    assert (result[:, 2, 3].mean(1) > result[:, 2, 20].mean(1)).all()
    assert (result[:, 0, 20, :8].mean(1) > result[:, 0, 20, 16:].mean(1)).all()
    assert (result[:, 2, 3] >= result[:, 0, 3]).all() and (result[:, 0, 20, 5] >= result[:, 2, 20, 5]).all()


def test_the_generator_decides() -> None:
    results = [random_ops(X, 2, 0.5, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])
    assert torch.equal(random_ops(X, 2, 0.0, torch.Generator().manual_seed(1)).round(), X.round())
