"""What the maps' signs look like and what the legend says of them: shades of values, and marks.

N values.
"""

import math
from html import escape
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kind = Literal["guess", "truth", "photo"]

INK, GUESS, TRUTH = "#22303a", "#1769aa", "#0a7d4b"
# From light to dark by even steps of lightness, readable for the colour-blind, far from the pale hues of land
# and water. The light end is not white, so that the least cell is still seen; the dark end hides no coasts.
RAMP = ("#fbe08a", "#f9bd60", "#f39651", "#e66d55", "#ce4a66", "#a83278", "#7c2680", "#55257f")

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def colour(share: float) -> str:
    """Colour of a value by its place between the least (0) and the most (1)."""
    position = min(max(share, 0.0), 1.0) * (len(RAMP) - 1)
    low = min(int(position), len(RAMP) - 2)
    rgb = [[int(code[i : i + 2], 16) for i in (1, 3, 5)] for code in RAMP[low : low + 2]]
    mixed = [round(a + (b - a) * (position - low)) for a, b in zip(*rgb, strict=True)]
    return "#" + "".join(f"{part:02x}" for part in mixed)


def mark(kind: Kind, rank: int | None = None) -> str:
    """A guess is a disc and the truth a ring round it: told apart without colours, and when they meet."""
    if kind == "photo":
        return f'<circle r="3" fill="{INK}"/>'
    if kind == "truth":
        return (
            '<circle r="12" fill="none" stroke="#fff" stroke-width="5.5"/>'
            f'<circle r="12" fill="#fff" fill-opacity=".25" stroke="{TRUTH}" stroke-width="3"/>'
            f'<circle r="3" fill="{TRUTH}" stroke="#fff"/>'
        )
    text = 'fill="#fff" font-family="system-ui,sans-serif" font-size="11" font-weight="600" text-anchor="middle"'
    label = "" if rank is None else f'<text y="4" {text}>{rank}</text>'
    return f'<circle r="{6 if rank is None else 9}" fill="{GUESS}" stroke="#fff" stroke-width="1.8"/>{label}'


def key_sign(kind: Kind) -> str:
    """The mark, small, for the legend."""
    half = 14 if kind == "truth" else 8
    return f'<svg viewBox="{-half} {-half} {2 * half} {2 * half}" aria-hidden="true">{mark(kind)}</svg>'


def shares(value_N: Floats, low: float, high: float, log: bool) -> Floats:
    """Place of each value between the least and the most; 1 where all are alike."""
    if high <= low:
        return np.ones(len(value_N))
    if log:
        return np.asarray(np.log(value_N / low) / math.log(high / low))
    return np.asarray((value_N - low) / (high - low))


def ramp(what: str, low: float, high: float, log: bool, percent: bool) -> str:
    """Legend of the shades: a bar with its least and most, and powers of ten between on a logarithmic one."""
    gradient = ",".join(RAMP)
    ticks = [low, high]
    if log and high > low:
        powers = [10.0**n for n in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
        share_N = shares(np.array(powers), low, high, True) if powers else np.zeros(0)
        ticks = [low, *(p for p, s in zip(powers, share_N.tolist(), strict=True) if 0.25 < s < 0.75), high]
        ticks = ticks if len(ticks) <= 4 else [low, ticks[len(ticks) // 2], high]
    at = shares(np.array(ticks), low, high, log) if high > low else np.array([0.0, 1.0])
    spans = "".join(
        f'<span style="left:{100 * share:.0f}%">{_number(tick, percent)}</span>'
        for tick, share in zip(ticks, at.tolist(), strict=True)
    )
    return (
        f"<div><b>{escape(what)}</b>"
        f'<div class="op-ramp" style="background:linear-gradient(90deg,{gradient})"></div>'
        f'<div class="op-ticks">{spans}</div></div>'
    )


def span(what: str, first: str, last: str) -> str:
    """Legend of shades that run from one thing to another, such as two times."""
    ends = f'<span style="left:0%">{escape(first)}</span><span style="left:100%">{escape(last)}</span>'
    gradient = ",".join(RAMP)
    return (
        f'<div><b>{escape(what)}</b><div class="op-ramp op-wide" style="background:linear-gradient(90deg,{gradient})">'
        f'</div><div class="op-ticks op-wide">{ends}</div></div>'
    )


def percentage(share: float) -> str:
    """A probability as people read it: 84%, 8.4%, 0.08%, <0.01%."""
    percent = 100 * share
    if 0 < percent < 0.01:
        return "<0.01%"
    return f"{percent:.0f}%" if percent >= 9.95 else f"{percent:.1f}%" if percent >= 0.095 else f"{percent:.2f}%"


def _number(value: float, percent: bool) -> str:
    if percent:
        return escape(percentage(value))
    if value >= 10:
        return f"{value:,.0f}"
    if value >= 0.001 or value == 0:
        return f"{value:.2g}"
    digits, exponent = f"{value:.0e}".split("e")
    return f"{digits}×10{str(int(exponent)).translate(SUPERSCRIPT)}"
