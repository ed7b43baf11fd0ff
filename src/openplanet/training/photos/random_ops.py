"""Random changes after RandAugment (Cubuk et al. 2019, arXiv 1909.13719): a few of a list, each of random strength.

Only what another camera, weather or hand could have done to the same place. Left out of RandAugment's list,
because they destroy cues of place:
- flips: a mirrored street drives on the wrong side, its signs are in no script; upside down there is no horizon;
- solarize, invert, posterize, equalize, hue: the colour of soil, sky, vegetation, road paint and number plates;
- rotation and shear by up to 30 degrees: horizon, slope of roofs and of the sun's path (4 degrees, a camera held
  askew, is kept);
- cutting out large squares, where the one sign or plate may be.

Shapes: B photos in a batch, H W pixels.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

LARGEST_TILT = 4.0  # degrees
Operation = Callable[[Tensor, Tensor], Tensor]


def _factor(amount_B: Tensor) -> Tensor:
    return (1 + 0.6 * amount_B)[:, None, None, None]


def brightness(x: Tensor, amount_B: Tensor) -> Tensor:
    """Exposure: 0.4 to 1.6 times as bright."""
    return x * _factor(amount_B)


def contrast(x: Tensor, amount_B: Tensor) -> Tensor:
    """Haze and lens: 0.4 to 1.6 times as far from the mean."""
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (x - mean) * _factor(amount_B) + mean


def saturation(x: Tensor, amount_B: Tensor) -> Tensor:
    """The camera's taste: towards grey or away from it, the hue unchanged."""
    grey = x.mean(dim=1, keepdim=True)
    return (x - grey) * _factor(amount_B) + grey


def gamma(x: Tensor, amount_B: Tensor) -> Tensor:
    """Tone curve: shadows lifted or closed."""
    return (x.clamp(0, 255) / 255).pow(torch.exp2(amount_B)[:, None, None, None]) * 255


def sharpness(x: Tensor, amount_B: Tensor) -> Tensor:
    """Out of focus, or sharpened."""
    blurred = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return x + (x - blurred) * amount_B[:, None, None, None]


def tilt(x: Tensor, amount_B: Tensor) -> Tensor:
    """A camera held askew by up to 4 degrees."""
    angle_B = amount_B * math.radians(LARGEST_TILT)
    cos, sin, zero = angle_B.cos(), angle_B.sin(), torch.zeros_like(angle_B)
    theta_B23 = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    grid = functional.affine_grid(theta_B23, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


OPERATIONS: tuple[Operation, ...] = (brightness, contrast, saturation, gamma, sharpness, tilt)
"""Each takes photos [B, 3, H, W], 0..255, and amounts [B], -1..1, of which 0 changes nothing."""


def random_ops(x: Tensor, number: int, strength: float, generator: torch.Generator) -> Tensor:
    """``number`` operations on each photo of [B, 3, H, W], of amounts up to ``strength`` either way."""
    for _ in range(number):
        which_B = torch.randint(len(OPERATIONS), (len(x),), generator=generator, device=x.device)
        amount_B = (torch.rand(len(x), generator=generator, device=x.device) * 2 - 1) * strength
        for index, operation in enumerate(OPERATIONS):
            rows = (which_B == index).nonzero()[:, 0]
            if len(rows):
                x = x.index_copy(0, rows, operation(x[rows], amount_B[rows]).clamp(0, 255))
    return x
