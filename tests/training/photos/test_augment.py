"""Augmentation keeps what tells the place."""

import dataclasses

import torch

from openplanet.training.photos.augment import augment
from openplanet.training.recipe.recipe import Recipe


def ramps(count: int) -> torch.Tensor:
    """Brightness grows to the right in red, downward in green; blue is flat."""
    ramp = torch.linspace(0, 255, 36).to(torch.uint8)
    one = torch.stack([ramp.expand(36, 36), ramp[:, None].expand(36, 36), torch.full((36, 36), 100, dtype=torch.uint8)])
    return one.expand(count, 3, 36, 36)


def run(recipe: Recipe, seed: int = 0, count: int = 64) -> torch.Tensor:
    return augment(ramps(count), recipe.image_size or 0, recipe, torch.Generator().manual_seed(seed))


def test_right_stays_right_and_up_stays_up(tiny_recipe: Recipe) -> None:
    x = run(tiny_recipe)
    assert x.shape == (64, 3, 32, 32) and x.min() >= 0 and x.max() <= 255
    assert (x[:, 0, :, -1] > x[:, 0, :, 0]).all() and (x[:, 1, -1] > x[:, 1, 0]).all()


def test_mirroring_only_where_asked_for(tiny_recipe: Recipe) -> None:
    x = run(dataclasses.replace(tiny_recipe, flip=True))
    mirrored = (x[:, 0, 16, -1] < x[:, 0, 16, 0]).float().mean()
    assert 0.2 < mirrored < 0.8
    assert (x[:, 1, -1] > x[:, 1, 0]).all()  # but never upside down


def test_the_seed_decides(tiny_recipe: Recipe) -> None:
    assert torch.equal(run(tiny_recipe, 1), run(tiny_recipe, 1))
    assert not torch.equal(run(tiny_recipe, 1), run(tiny_recipe, 2))
    assert not torch.equal(run(tiny_recipe)[0], run(tiny_recipe)[1])  # each photo its own


def test_without_strength_it_is_a_plain_resize(tiny_recipe: Recipe) -> None:
    plain = dataclasses.replace(tiny_recipe, crop=0.0, jitter=0.0, image_size=36)
    assert torch.allclose(run(plain), ramps(64).float(), atol=1e-2)


def test_crops_keep_the_share_that_the_recipe_says(tiny_recipe: Recipe) -> None:
    x = run(dataclasses.replace(tiny_recipe, crop=0.5, jitter=0.0), count=500)
    share = (x[:, 0, 16, -1] - x[:, 0, 16, 0]) / 255
    assert 0.45 < share.min() < 0.6 and 0.9 < share.max() <= 1.0
