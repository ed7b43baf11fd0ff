"""How far the clock of a second camera is off, from where the photos of both were taken.

``photos.sessions`` notices offsets where both cameras know their positions. Here the second one need not: its photos
are put among those of the first at every shift, and the shift is taken at which the journey is likeliest under the
hidden Markov model of ``travel``: at a wrong one somebody is in two towns at once.

Shapes: T photos of both cameras, C cells.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openplanet.models.album.travel import Travel
from openplanet.photos.albums.sessions import MAX_OFFSET_HOURS

Floats = NDArray[np.float64]

COARSE_MINUTES, FINE_MINUTES = 15.0, 1.0  # zones differ by quarters of an hour; then, around the best
SURE = 2.0  # 95 % of a chi-squared of one degree of freedom, halved: shifts less likely by this are ruled out
CLEAR = 3.0  # nats by which an offset must be likelier than none: twenty times


@dataclass(frozen=True)
class ClockOffset:
    """``seconds`` are added to the second camera's times to get the first one's.

    ``gain``: how much likelier (natural logarithm) the journey is than with no offset. ``low``, ``high``: seconds,
    between which all shifts lie that are not ruled out. ``photos``: of the second camera, with a time.
    """

    seconds: float
    gain: float
    low: float
    high: float
    photos: int

    @property
    def clear(self) -> bool:
        """Whether there is an offset to speak of: likelier than none by CLEAR, and told from none."""
        return self.gain >= CLEAR and not self.low <= 0.0 <= self.high

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, with what it rests on."""
        return {
            "seconds": self.seconds,
            "log_likelihood_gain": self.gain,
            "interval_seconds": [self.low, self.high],
            "photos": self.photos,
            "clear": self.clear,
        }


def estimate(model: Travel, log_probs_TC: Tensor, seconds_T: Floats, anchor_T: Tensor, second_T: Any) -> ClockOffset:
    """The offset of the camera whose photos are in the mask ``second_T``; the others' clock is taken to be right.

    ``log_probs_TC``, ``anchor_T``: as album models are given them. Photos without a time are left out. Shifts of up to
    26 hours either way, all zones of the Earth, are tried: every 15 minutes, then every minute around the best.
    Where either camera has no photo with a time, an offset of 0 that is not clear.
    """
    timed_T = np.isfinite(seconds_T)
    second_N = np.asarray(second_T, bool)[timed_T]
    count = int(second_N.sum())
    if count in (0, len(second_N)):
        return ClockOffset(0.0, 0.0, -3600 * MAX_OFFSET_HOURS, 3600 * MAX_OFFSET_HOURS, count)
    keep = torch.from_numpy(np.flatnonzero(timed_T))
    photos = (log_probs_TC[keep], seconds_T[timed_T], anchor_T[keep], second_N)
    steps = int(MAX_OFFSET_HOURS * 60 / COARSE_MINUTES)
    shifts = (n * COARSE_MINUTES * 60 for n in range(-steps, steps + 1))
    coarse = {shift: _likelihood(model, photos, shift) for shift in shifts}
    middle = _middle(coarse)
    around = int(COARSE_MINUTES / FINE_MINUTES)
    shifts = (middle + n * FINE_MINUTES * 60 for n in range(-around, around + 1))
    every = {shift: _likelihood(model, photos, shift) for shift in shifts} | coarse
    seconds = _middle(every)
    possible = [shift for shift, found in every.items() if found >= every[seconds] - SURE]
    return ClockOffset(seconds, every[seconds] - every[0.0], min(possible), max(possible), count)


def _middle(found: dict[float, float]) -> float:
    """The likeliest shift; of several that are as likely in a row, the middle one (0 where it is among them)."""
    best = max(found.values())
    equal = sorted(shift for shift, value in found.items() if value >= best - 1e-9)
    return 0.0 if 0.0 in equal else equal[len(equal) // 2]


def _likelihood(model: Travel, photos: tuple[Tensor, Floats, Tensor, NDArray[np.bool_]], shift: float) -> float:
    log_probs_TC, seconds_T, anchor_T, second_T = photos
    moved_T = seconds_T + shift * second_T
    order = np.argsort(moved_T, kind="stable")
    rows = torch.from_numpy(order)
    return model.likelihood(log_probs_TC[rows], torch.from_numpy(moved_T[order]), anchor_T[rows])
