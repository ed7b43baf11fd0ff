"""Random changes of training photos that keep what tells their place, made in batches on the device.

Never a vertical flip, never a change of hue (sky, soil, road paint and plates are cues), and mirroring only where the
recipe asks for it: the side of driving and the script of signs are cues too.
Shapes: B photos in a batch, H W pixels.
"""

import torch
from torch import Tensor
from torch.nn import functional

from openplanet.training.photos.random_ops import random_ops
from openplanet.training.recipe.recipe import Recipe


def augment(pixels_B3HW: Tensor, side: int, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """uint8 squares, somewhat larger than the model's input → float [B, 3, side, side], 0..255.

    Crops keep a random share of the side, between 1 - crop and 1, at a random place; then colour changes.
    The same generator state gives the same result.
    """
    x = pixels_B3HW.float()
    batch, device = len(x), x.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(batch, *shape, generator=generator, device=device) * (high - low) + low

    scale_B = uniform(1 - recipe.crop, 1.0)
    shift_B2 = uniform(-1.0, 1.0, 2) * (1 - scale_B)[:, None]
    mirror_B = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0) if recipe.flip else torch.ones_like(scale_B)
    theta_B23 = torch.zeros(batch, 2, 3, device=device)
    theta_B23[:, 0, 0], theta_B23[:, 1, 1], theta_B23[:, :, 2] = scale_B * mirror_B, scale_B, shift_B2
    grid = functional.affine_grid(theta_B23, [batch, 3, side, side], align_corners=False)
    # reflection: a crop at the very edge looks half a pixel beyond it
    x = functional.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    if recipe.jitter > 0:
        strength = recipe.jitter
        x = x * uniform(1 - strength, 1 + strength, 1, 1, 1)  # brightness
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        x = (x - mean) * uniform(1 - strength, 1 + strength, 1, 1, 1) + mean  # contrast
        grey = x.mean(dim=1, keepdim=True)
        x = (x - grey) * uniform(1 - strength, 1 + strength, 1, 1, 1) + grey  # saturation
    if recipe.random_ops:
        x = random_ops(x, recipe.random_ops, recipe.random_strength, generator)
    return x.clamp_(0, 255)
