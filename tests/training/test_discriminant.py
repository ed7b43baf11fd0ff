"""The closed form against the definition: Gaussians with one covariance, and their posterior."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from openplanet.errors import RecipeError
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.training.discriminant import fit_discriminant, shrunken
from openplanet.training.recipe.recipe import Recipe


def test_the_softmax_is_the_posterior_of_the_gaussians() -> None:
    torch.manual_seed(0)
    model = ImageModel(ImageConfig("test_resnet", 32, feature_norm=True), 3)
    width = model.embedding_dim
    cell_N = torch.arange(400) % 4 % 3  # the first cell has twice as many photos
    features_NF = torch.randn(400, width) * 3 + 5 + torch.randn(3, width)[cell_N]
    fit_discriminant(model, features_NF, cell_N)
    model.train().classify(features_NF[:50] + 100)  # the norm stands
    found_NC = model.eval().classify(features_NF)[0].log_softmax(dim=1).detach()

    scaled = ((features_NF - features_NF.mean(dim=0)) / features_NF.std(dim=0)).double()
    means = torch.stack([scaled[cell_N == cell].mean(dim=0) for cell in range(3)])
    covariance, _ = shrunken(scaled - means[cell_N])
    gaussians = [torch.distributions.MultivariateNormal(mean, covariance).log_prob(scaled) for mean in means]
    joint_NC = torch.stack(gaussians, dim=1) + torch.tensor([0.5, 0.25, 0.25]).log()
    torch.testing.assert_close(found_NC.double(), joint_NC.log_softmax(dim=1), atol=2e-3, rtol=1e-3)


def test_shrinkage_is_that_of_ledoit_and_wolf() -> None:
    rng = np.random.default_rng(0)
    for photos in (8, 60, 20_000):
        x = rng.normal(size=(photos, 6)) * np.arange(1, 7)
        sample = x.T @ x / photos
        sphere = np.eye(6) * np.trace(sample) / 6
        noise = sum(np.square(np.outer(row, row) - sample).sum() for row in x) / photos**2
        share = min(noise / np.square(sample - sphere).sum(), 1.0)
        found, got = shrunken(torch.from_numpy(x))
        assert got == pytest.approx(share)
        np.testing.assert_allclose(found.numpy(), share * sphere + (1 - share) * sample, rtol=1e-4, atol=1e-4)
    assert got < 0.01  # of very many photos hardly any


def test_only_a_plain_softmax_on_a_frozen_backbone_has_a_closed_form(tiny_recipe: Recipe, tmp_path: Path) -> None:
    frozen = dataclasses.replace(tiny_recipe, frozen=True, ema_decay=None, levels=(), embedding_dim=None)
    assert dataclasses.replace(frozen, optimizer="lda").optimizer == "lda"
    for change in ({"frozen": False}, {"head": "embeddings"}, {"embedding_dim": 8}, {"ema_decay": 0.9}):
        with pytest.raises(RecipeError, match="optimizer"):
            dataclasses.replace(frozen, optimizer="lda", **change)
