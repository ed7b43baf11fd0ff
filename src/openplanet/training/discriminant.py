"""The softmax of a frozen backbone in closed form: linear discriminant analysis with a shrunken covariance.

Each cell is a Gaussian around the mean of its photos' features; all share one covariance, shrunken towards a sphere of
the same trace. The posterior of such cells is a softmax: seconds, no steps. How much to shrink is the recipe's: the
share that Ledoit and Wolf (2004) derive supposes independent photos, which those of an album are not, and is too small
(4 % on real photos, where half is better on val; docs/results.md). The answers are too sure of themselves; the
temperature that is fitted after every training mends that.

Shapes: N photos, F features, C cells.
"""

import torch
from torch import Tensor, nn

from openplanet.models.heads.softmax import Softmax
from openplanet.models.image_model import ImageModel


def fit_discriminant(model: ImageModel, features_NF: Tensor, cell_N: Tensor, shrinkage: float) -> None:
    """Set the norm of the features and the softmax of ``model`` from photos in cells (int64, 0 to C-1, each with a
    photo or none). The norm stands then, whatever it is shown. ``shrinkage``: share of the sphere in the covariance.

    ``model``: with head softmax, no coarser level and no layer between (``Recipe`` refuses others).
    """
    head, norm = model.head, model.feature_norm
    assert isinstance(head, Softmax) and not head.coarser and isinstance(model.embedding, nn.Identity)
    features_NF = features_NF.double()
    if isinstance(norm, nn.BatchNorm1d):
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.copy_(features_NF.mean(dim=0))
        norm.running_var.copy_(features_NF.var(dim=0))
        norm.momentum = 0.0
        features_NF = (features_NF - norm.running_mean) / (norm.running_var + norm.eps).double().sqrt()
    count_C = torch.bincount(cell_N, minlength=head.sizes[0]).double()
    mean_CF = torch.zeros(len(count_C), features_NF.shape[1], dtype=torch.float64).index_add_(0, cell_N, features_NF)
    mean_CF /= count_C.clamp(min=1)[:, None]
    covariance_FF = shrunken(features_NF - mean_CF[cell_N], shrinkage)
    weight_CF = torch.linalg.solve(covariance_FF, mean_CF.T).T
    prior_C = (count_C.clamp(min=0.5) / count_C.sum()).log()
    with torch.no_grad():
        head.weight.copy_(weight_CF)
        head.bias.copy_(prior_C - 0.5 * (weight_CF * mean_CF).sum(dim=1))


def shrunken(residual_NF: Tensor, shrinkage: float) -> Tensor:
    """The covariance [F, F] of residuals of mean 0, ``shrinkage`` (over 0, at most 1) of it a sphere of its trace."""
    sample_FF = residual_NF.T @ residual_NF / len(residual_NF)
    width = len(sample_FF)
    sphere_FF = torch.eye(width, dtype=residual_NF.dtype) * sample_FF.trace() / width
    return shrinkage * sphere_FF + (1 - shrinkage) * sample_FF
