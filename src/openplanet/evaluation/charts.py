"""Inline SVG of an evaluation: the share of photos located, against distance on a logarithmic axis.

Shapes: N photos, X points along the axis.
"""

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from openplanet.evaluation import metrics, rows
from openplanet.evaluation.result import Evaluation
from openplanet.evaluation.rows import MODEL, Row

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 68, 12, 14, 60  # room for the larger letters of a telephone
FROM_KM, TO_KM = 0.5, 20_100.0
STEPS = 240

LINES = {  # colour and dashes of each locator
    rows.RANDOM: ("#b9bec6", "1 3"),
    rows.PRIOR: ("#8b929c", "2 3"),
    rows.PRIOR_POINTS: ("#77767b", "5 3"),
    rows.NEAREST: ("#c2700a", "7 3"),
    rows.DENSITY: ("#8f5a0a", "3 3"),
    rows.EMBEDDED: ("#2a7d4f", "7 3"),
    rows.MODEL: ("#1a5fb4", ""),
    rows.POINTS: ("#1a5fb4", "5 3"),
    rows.BAYES: ("#2b2f36", "9 3 2 3"),
}
OTHER = ("#7a3e9d", "")


def colour(name: str) -> str:
    """The colour that a locator has in every figure."""
    return LINES.get(name, OTHER)[0]


def dashes(name: str) -> str:
    """Its pattern of dashes; none for an unbroken line."""
    return LINES.get(name, OTHER)[1]


def x_of(km: float) -> float:
    """Position of a distance on the axis."""
    share = math.log(km / FROM_KM) / math.log(TO_KM / FROM_KM)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def y_of(share: float) -> float:
    """Position of a share, 0 to 1, on the axis."""
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def share_curve(evaluation: Evaluation) -> str:
    """SVG of the share of photos within each distance, for every locator."""
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" class="curve">',
        "<title>Share of photos against distance</title>",
        *distance_grid(evaluation.distances_km),
    ]
    for row in drawn_rows(evaluation):
        drawn = _rings(row) if row.per_distance else _line(evaluation, row, 1, dashes(row.name))
        parts.append(drawn)
    parts.append(_line(evaluation, evaluation.model, metrics.TOP_K, "1 4"))
    return "".join([*parts, "</svg>"])


def drawn_rows(evaluation: Evaluation) -> list[Row]:
    """The rows that are of all photos: a player's few rounds make no curve beside them."""
    return [row for row in evaluation.rows if len(row.lat) == len(evaluation.truth.lat)]


def legend(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """(name, colour, dash pattern) of every line of ``share_curve``."""
    first = [(f"{row.name}", colour(row.name), dashes(row.name)) for row in drawn_rows(evaluation)]
    return [*first, (f"{MODEL}, best of five", colour(MODEL), "1 4")]


def distance_grid(distances_km: Sequence[float]) -> list[str]:
    parts = []
    for percent in range(0, 101, 20):
        y = y_of(percent / 100)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{y:.1f}" dy=".35em" text-anchor="end">{percent}%</text>')
    last = -math.inf
    for km in (*distances_km, 20_000.0):
        x = x_of(max(km, FROM_KM))
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        if x - last > 56:
            anchor = "end" if km == 20_000.0 else "middle"
            parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 26}" text-anchor="{anchor}">{km:,.6g}</text>')
            last = x
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">'
        "km from the true place (logarithmic)</text>"
    )
    return parts


def _rings(row: Row) -> str:
    """A locator that answers each of the table's distances by itself: a ring at each, joined by a thin line."""
    pairs = zip(row.summary.distances_km, row.summary.within_top1, strict=True)
    at = [(x_of(max(km, FROM_KM)), y_of(share)) for km, share in pairs]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    ink = colour(row.name)
    rings = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#fff" stroke="{ink}"/>' for x, y in at)
    dash = dashes(row.name)
    return (
        f'<polyline fill="none" stroke="{ink}" stroke-width="1.2" stroke-dasharray="{dash}" points="{points}"/>'
        f'<g stroke-width="1.6">{rings}<title>{escape(row.name)}</title></g>'
    )


def _line(evaluation: Evaluation, row: Row, k: int, dash: str) -> str:
    km_X = np.geomspace(FROM_KM, TO_KM, STEPS)
    km_NK = metrics.distances(row.lat, row.lng, evaluation.truth.lat, evaluation.truth.lng)
    share_X = metrics.share_within(metrics.best_of(km_NK, k), km_X.tolist())
    points = " ".join(
        f"{x_of(km):.1f},{y_of(share):.1f}" for km, share in zip(km_X.tolist(), share_X.tolist(), strict=True)
    )
    width = 2.6 if row.name == MODEL else 1.8
    return (
        f'<polyline fill="none" stroke="{colour(row.name)}" stroke-width="{width}" stroke-dasharray="{dash}" '
        f'stroke-linejoin="round" points="{points}"><title>{escape(row.name)}</title></polyline>'
    )
