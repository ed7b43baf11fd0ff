"""Targets and losses over the cells.

Shapes: B photos in a batch, C cells.
"""

import torch
from torch import Tensor
from torch.nn import functional

from openplanet.earth.geo import EARTH_RADIUS_KM


def target_distribution(
    cell_B: Tensor, xyz_B3: Tensor, centroid_xyz_C3: Tensor, smoothing_km: float | None, label_smoothing: float
) -> Tensor:
    """What the softmax is asked to give for each photo, [B] class indices or [B, C] probabilities.

    ``smoothing_km`` None: one-hot, the paper's (returned as indices; PyTorch's loss adds ``label_smoothing``).
    Else every cell gets exp(-(distance to its centroid - distance to the true cell's) / smoothing_km),
    normalised: the haversine smoothing of PIGEON (Haas et al. 2023, arXiv 2307.05845, section 3.2), by which a
    neighbouring cell is less wrong than one on another continent.
    """
    if smoothing_km is None:
        return cell_B
    cosine_BC = (xyz_B3 @ centroid_xyz_C3.T).clamp(-1, 1)
    distance_BC = torch.acos(cosine_BC) * EARTH_RADIUS_KM
    target_BC = torch.softmax(-distance_BC / smoothing_km, dim=1)
    return target_BC * (1 - label_smoothing) + label_smoothing / target_BC.shape[1]


def cross_entropy(logits_BC: Tensor, target: Tensor, label_smoothing: float) -> Tensor:
    """Mean cross-entropy in nats; ``target`` as ``target_distribution`` gives it. Computed in float32."""
    smoothing = 0.0 if target.is_floating_point() else label_smoothing
    return functional.cross_entropy(logits_BC.float(), target, label_smoothing=smoothing)
