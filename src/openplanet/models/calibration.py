"""How sure a model may be: one temperature by which its scores are divided before the softmax, and its regions.

It changes no order of the cells, only how much probability the first ones get, so that what is said to hold 90 % of
the probability holds the photo nine times of ten.

Shapes: N photos, C cells.
"""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from openplanet.models.regions import Regions

if TYPE_CHECKING:  # answers by an exported engine do without torch
    from torch import Tensor

LEAST_PHOTOS = 50
"""With fewer, chance alone moves the fitted temperature by tens of percent."""
RANGE = (0.2, 10.0)
"""Temperatures beyond are signs of something else gone wrong, and would hide it."""
STEPS = 24  # halvings of that range, in logarithms: to a ten-millionth
ROWS = 256  # photos summed at a time: the softmax of all would be as large as the scores again


@dataclass(frozen=True)
class Calibration:
    """A temperature, and what it was fitted on."""

    temperature: float = 1.0
    """Scores are divided by it: more than 1 makes a model less sure."""
    photos: int = 0
    """Validation photos inside cells that it was fitted on; 0: not fitted."""
    loss_before: float | None = None
    """Their mean negative log-likelihood, nats, at temperature 1."""
    loss_after: float | None = None
    """The same at ``temperature``."""
    note: str = ""
    """Why it was not fitted, or stopped at the end of its range."""
    regions: Regions = field(default_factory=Regions)
    """What regions must hold at this temperature."""

    def log_probs(self, scores_NC: "Tensor") -> "Tensor":
        """Log-probabilities [N, C], float32, of a model's scores (logits, or log-probabilities)."""
        return (scores_NC.float() / self.temperature).log_softmax(dim=1)

    def describe(self) -> str:
        """In a sentence."""
        if self.loss_before is None or self.loss_after is None:
            return f"temperature 1, not fitted: {self.note or 'written before it was'}"
        return (
            f"temperature {self.temperature:.3f}, fitted on {self.photos:,} validation photos (loss"
            f" {self.loss_before:.3f} before, {self.loss_after:.3f} after)" + (f"; {self.note}" if self.note else "")
        )


def fit_temperature(scores_NC: "Tensor", cell_N: "Tensor") -> Calibration:
    """The temperature with the least negative log-likelihood of the true cells.

    Temperature scaling: Guo, Pleiss, Sun, Weinberger 2017, "On Calibration of Modern Neural Networks", arXiv
    1706.04599, section 4.2. ``scores_NC``: logits or log-probabilities; ``cell_N``: int64, -1 for a photo in no cell
    (left out: no temperature gives it probability). The likelihood is convex in 1 / temperature, so that halving by
    the sign of its slope finds the one minimum. Temperature 1 with a ``note`` where there are fewer than
    LEAST_PHOTOS photos in cells, or scores that are no numbers.
    """
    known = cell_N >= 0
    if int(known.sum()) < LEAST_PHOTOS:
        return Calibration(note=f"{int(known.sum())} validation photos in cells, and {LEAST_PHOTOS} are needed")
    scores_NC, cell_N = scores_NC[known], cell_N[known]
    if not bool(scores_NC.isfinite().all()):
        return Calibration(note="the model's scores of some validation photos are no numbers")
    low, high = (math.log(end) for end in RANGE)
    for _ in range(STEPS):
        middle = (low + high) / 2
        # a slope below zero: more certainty would help
        low, high = (low, middle) if _slope(scores_NC, cell_N, math.exp(-middle)) < 0 else (middle, high)
    temperature = math.exp((low + high) / 2)
    at_end = min(temperature / RANGE[0], RANGE[1] / temperature) < 1.001
    return Calibration(
        temperature,
        len(cell_N),
        _loss(scores_NC, cell_N, 1.0),
        _loss(scores_NC, cell_N, temperature),
        f"the best one lies outside {RANGE[0]:g} to {RANGE[1]:g}" if at_end else "",
    )


def _slope(scores_NC: "Tensor", cell_N: "Tensor", sharpness: float) -> float:
    """Derivative of the mean negative log-likelihood by sharpness, 1 / temperature."""
    total = 0.0
    for start in range(0, len(cell_N), ROWS):
        rows_BC, cell_B = scores_NC[start : start + ROWS], cell_N[start : start + ROWS]
        rows_BC = rows_BC.float()
        expected_B = ((rows_BC * sharpness).softmax(dim=1) * rows_BC).sum(dim=1)
        total += float((expected_B - rows_BC.gather(1, cell_B[:, None])[:, 0]).double().sum())
    return total / len(cell_N)


def _loss(scores_NC: "Tensor", cell_N: "Tensor", temperature: float) -> float:
    total = 0.0
    for start in range(0, len(cell_N), ROWS):
        rows_BC, cell_B = scores_NC[start : start + ROWS], cell_N[start : start + ROWS]
        log_probs_BC = (rows_BC.float() / temperature).log_softmax(dim=1)
        total -= float(log_probs_BC.gather(1, cell_B[:, None]).double().sum())
    return total / len(cell_N)
