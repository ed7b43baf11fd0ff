"""The closed form against the definition: Gaussians with one covariance, and their posterior."""

import dataclasses
from pathlib import Path

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
    fit_discriminant(model, features_NF, cell_N, 0.3)
    model.train().classify(features_NF[:50] + 100)  # the norm stands
    found_NC = model.eval().classify(features_NF)[0].log_softmax(dim=1).detach()

    scaled = ((features_NF - features_NF.mean(dim=0)) / features_NF.std(dim=0)).double()
    means = torch.stack([scaled[cell_N == cell].mean(dim=0) for cell in range(3)])
    covariance = shrunken(scaled - means[cell_N], 0.3)
    gaussians = [torch.distributions.MultivariateNormal(mean, covariance).log_prob(scaled) for mean in means]
    joint_NC = torch.stack(gaussians, dim=1) + torch.tensor([0.5, 0.25, 0.25]).log()
    torch.testing.assert_close(found_NC.double(), joint_NC.log_softmax(dim=1), atol=2e-3, rtol=1e-3)


def test_shrinking_keeps_the_trace_and_ends_at_a_sphere() -> None:
    residual = torch.randn(20, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    trace = residual.square().sum() / 20
    for share in (0.1, 0.5, 1.0):
        covariance = shrunken(residual, share)
        assert covariance.trace() == pytest.approx(float(trace))
        least = float(torch.linalg.eigvalsh(covariance)[0])  # fewer photos than features: without a sphere it is 0
        assert least == pytest.approx(share * float(trace) / 30)


def test_only_a_plain_softmax_on_a_frozen_backbone_has_a_closed_form(tiny_recipe: Recipe, tmp_path: Path) -> None:
    frozen = dataclasses.replace(tiny_recipe, frozen=True, ema_decay=None, levels=(), embedding_dim=None)
    assert dataclasses.replace(frozen, optimizer="lda").optimizer == "lda"
    for change in (
        {"frozen": False},
        {"head": "embeddings"},
        {"embedding_dim": 8},
        {"ema_decay": 0.9},
        {"shrinkage": 0.0},
    ):
        with pytest.raises(RecipeError, match=r"optimizer|shrinkage"):
            dataclasses.replace(frozen, optimizer="lda", **change)
