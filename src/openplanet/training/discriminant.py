"""The softmax of a frozen backbone in closed form: linear discriminant analysis with a shrunken covariance.

Each cell is a Gaussian around the mean of its photos' features; all share one covariance, shrunk towards a sphere by as
much as Ledoit and Wolf (2004, "A well-conditioned estimator for large-dimensional covariance matrices") find best. The
posterior of such cells is a softmax: seconds, nothing to tune. The answers are too sure of themselves; the temperature
that is fitted after every training mends that.

Shapes: N photos, F features, C cells.
"""

import torch
from torch import Tensor, nn

from openplanet.models.heads.softmax import Softmax
from openplanet.models.image_model import ImageModel


def fit_discriminant(model: ImageModel, features_NF: Tensor, cell_N: Tensor) -> float:
    """Set the norm of the features and the softmax of ``model`` from photos in cells (int64, 0 to C-1, each with a
    photo or none); returns the share of the sphere in the covariance. The norm stands then, whatever it is shown.

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
    covariance_FF, share = shrunken(features_NF - mean_CF[cell_N])
    weight_CF = torch.linalg.solve(covariance_FF, mean_CF.T).T
    prior_C = (count_C.clamp(min=0.5) / count_C.sum()).log()
    with torch.no_grad():
        head.weight.copy_(weight_CF)
        head.bias.copy_(prior_C - 0.5 * (weight_CF * mean_CF).sum(dim=1))
    return share


def shrunken(residual_NF: Tensor) -> tuple[Tensor, float]:
    """The covariance [F, F] of residuals of mean 0, and the share of a sphere of the same trace in it, 0 to 1."""
    count, width = residual_NF.shape
    sample_FF = residual_NF.T @ residual_NF / count
    sphere_FF = torch.eye(width, dtype=residual_NF.dtype) * sample_FF.trace() / width
    apart = (sample_FF - sphere_FF).square().sum()
    # mean squared distance of one photo's own outer product from the sample's, over the photos
    noise = (residual_NF.square().sum(dim=1).square().sum() / count - sample_FF.square().sum()) / count
    share = float((noise / apart).clamp(0, 1)) if apart > 0 else 1.0
    floor = 1e-6 * sphere_FF  # where there are fewer photos than features and nothing to shrink by
    return share * sphere_FF + (1 - share) * sample_FF + floor, share
