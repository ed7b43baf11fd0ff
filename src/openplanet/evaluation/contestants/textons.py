"""Texture as a histogram of what each pixel is: flat, slope, dark or light spot, dark or light line, saddle.

Basic image features (Crosier and Griffin 2010, "Using Basic Image Features for Texture Classification"): a fixed
dictionary in place of the textons that Im2GPS clustered, so that nothing is fitted to the photos.

Shapes: N photos, S side in pixels.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Float32s = NDArray[np.float32]

KINDS = 7
SIGMA = 1.0  # of the derivatives, in pixels of each scale
HALVINGS = 3  # scales: the picture as it is, at half and at a quarter of its side
FLAT = 0.03  # how much of the local brightness a pixel must differ by, else it is flat


def texton_histogram(light_NSS: Float32s) -> Float32s:
    """Square roots of the shares of pixels of each kind, jointly at three scales: [N, 343]. Sides divisible by 4."""
    n, side = light_NSS.shape[:2]
    code = np.zeros((n, side, side), np.int64)
    for scale in range(HALVINGS):
        step = 2**scale
        small = light_NSS.reshape(n, side // step, step, side // step, step).mean(axis=(2, 4))
        kinds = _kinds(small)
        code = code * KINDS + kinds.repeat(step, axis=1).repeat(step, axis=2)
    bins = KINDS**HALVINGS
    counts = np.bincount((code.reshape(n, -1) + np.arange(n)[:, None] * bins).ravel(), minlength=n * bins)
    return np.asarray(np.sqrt(counts.reshape(n, bins) / side**2), dtype=np.float32)


def _kinds(light_NSS: Float32s) -> NDArray[np.int64]:
    """0 flat, 1 slope, 2 dark spot, 3 light spot, 4 dark line, 5 light line, 6 saddle."""

    def derive(along_y: int, along_x: int) -> Float32s:
        found = gaussian_filter(light_NSS, (0, SIGMA, SIGMA), order=(0, along_y, along_x), mode="nearest", truncate=3)
        return np.asarray(found * SIGMA ** (along_y + along_x), np.float32)

    x, y, xx, yy, xy = derive(0, 1), derive(1, 0), derive(0, 2), derive(2, 0), derive(1, 1)
    bend = xx + yy
    twist = np.sqrt((xx - yy) ** 2 + 4 * xy**2)
    root2 = np.float32(np.sqrt(2))
    strengths = [
        FLAT * derive(0, 0),
        2 * np.hypot(x, y),
        bend,
        -bend,
        (twist + bend) / root2,
        (twist - bend) / root2,
        twist,
    ]
    return np.asarray(np.argmax(np.stack(strengths), axis=0), np.int64)
