"""Targets, weights and losses over the cells.

Shapes: B photos in a batch, C cells.
"""

import torch
from torch import Tensor
from torch.nn import functional

from openplanet.earth.geo import EARTH_RADIUS_KM


def great_circle_km(xyz_B3: Tensor, xyz_C3: Tensor) -> Tensor:
    """Distances [B, C] in km of unit vectors, from the chord: exact to about a metre in float32, where the
    arc cosine of their product would be off by kilometres for points near each other."""
    chord_BC = torch.cdist(xyz_B3, xyz_C3, compute_mode="donot_use_mm_for_euclid_dist")
    # in place: at 26,000 cells each step would be one more [B, C]; nothing is trained through positions
    return chord_BC.div_(2).clamp_(max=1).asin_().mul_(2 * EARTH_RADIUS_KM)


def one_hot(cell_B: Tensor, num_cells: int) -> Tensor:
    """The paper's target, [B, C]. Slower than class indices, which ``cross_entropy`` takes as well."""
    return functional.one_hot(cell_B, num_cells).float()


def haversine_smoothed(xyz_B3: Tensor, centroid_xyz_C3: Tensor, smoothing_km: float) -> Tensor:
    """exp(-(distance to the cell's centroid - distance to the true cell's) / smoothing_km), normalised, [B, C].

    The haversine smoothing of PIGEON (Haas, Skreta, Alberti, Finn 2023, arXiv 2307.05845), by which a neighbouring
    cell is less wrong than one on another continent; there not normalised. Normalised, the distance to the true
    cell cancels out, so that it need not be known.
    """
    return torch.softmax(great_circle_km(xyz_B3, centroid_xyz_C3).div_(-smoothing_km), dim=1)


def target_distribution(
    cell_B: Tensor, xyz_B3: Tensor, centroid_xyz_C3: Tensor, smoothing_km: float | None, label_smoothing: float
) -> Tensor:
    """What the softmax is asked to give for each photo, [B] class indices or [B, C] probabilities.

    ``smoothing_km`` None: one-hot, the paper's (returned as indices; PyTorch's loss adds ``label_smoothing``).
    Else ``haversine_smoothed``, of which ``label_smoothing`` is spread evenly over all cells.
    """
    if smoothing_km is None:
        return cell_B
    target_BC = haversine_smoothed(xyz_B3, centroid_xyz_C3, smoothing_km)
    return target_BC.mul_(1 - label_smoothing).add_(label_smoothing / target_BC.shape[1])


def class_weights(count_C: Tensor, beta: float) -> Tensor:
    """Weight of a photo of each cell [C], by the effective number of its photos; 1 on average over the photos.

    (1 - beta) / (1 - beta^count): Cui, Jia, Lin, Song, Belongie 2019, "Class-balanced loss based on effective
    number of samples", arXiv 1901.05555, equation 2. beta 0 weighs all photos alike, beta → 1 all cells.
    """
    count_C = count_C.double()
    weight_C = 1 / (1 - beta**count_C)
    return (weight_C * count_C.sum() / (weight_C * count_C).sum()).float()


def cross_entropy(logits_BC: Tensor, target: Tensor, label_smoothing: float, weight_B: Tensor | None = None) -> Tensor:
    """Mean cross-entropy in nats; ``target`` as ``target_distribution`` gives it. Computed in float32.

    ``weight_B`` multiplies each photo's; the sum is still divided by B, so that a batch that is cut in two, over
    steps or devices, has the same gradient.
    """
    smoothing = 0.0 if target.is_floating_point() else label_smoothing
    if weight_B is None:
        return functional.cross_entropy(logits_BC.float(), target, label_smoothing=smoothing)
    loss_B = functional.cross_entropy(logits_BC.float(), target, label_smoothing=smoothing, reduction="none")
    return (loss_B * weight_B).mean()
