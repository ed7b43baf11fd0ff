"""Inline SVG of what the probabilities are worth: reliability, and share found against area searched.

``best_of_curves`` is the paper's figure 4: share against distance for the best of one to five guesses.
"""

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from openplanet.evaluation import metrics
from openplanet.evaluation.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, colour, distance_grid, x_of, y_of
from openplanet.evaluation.distribution import Bin
from openplanet.evaluation.result import Evaluation
from openplanet.evaluation.rows import MODEL, Row

STEPS = 160
TICKS_KM2 = (1.0, 100.0, 10_000.0, 1e6, 1e8)
TICK_NAMES = ("1", "100", "10,000", "1 million", "100 million")
MOST_KM2 = 5.101e8  # the Earth
SHADES = ("#1a5fb4", "#3f7cc4", "#6699d3", "#8fb6e1", "#b6d1ee")  # best of one to five


def best_of_curves(evaluation: Evaluation) -> str:
    """SVG: share of photos within each distance for the best of the subject's first one to five guesses."""
    row = evaluation.model
    km_NK = metrics.distances(row.lat, row.lng, evaluation.truth.lat, evaluation.truth.lng)
    km_X = np.geomspace(0.5, 20_100, STEPS)
    lines = []
    for k in range(metrics.TOP_K, 0, -1):
        share_X = metrics.share_within(metrics.best_of(km_NK, k), km_X.tolist())
        at = [(x_of(km), y_of(share)) for km, share in zip(km_X.tolist(), share_X.tolist(), strict=True)]
        lines.append(_polyline(at, SHADES[k - 1], f"best of {k}", 2.6 if k == 1 else 1.8))
    grid = distance_grid(evaluation.distances_km)
    return _svg("Share of photos against distance, best of one to five guesses", [*grid, *lines])


def reliability_diagram(row: Row) -> str:
    """SVG: how often the likeliest cell was right against how probable it was held, a disc for each bin."""
    assert row.distribution is not None
    fair = _polyline([(_x(0), y_of(0)), (_x(1), y_of(1))], "#8b929c", "as sure as right", 1.2)
    parts = [*_share_grid(), *_percent_axis(), fair]
    for level, ink in ((row.distribution.levels[0], colour(MODEL)), (row.distribution.levels[-1], "#c2700a")):
        parts += _discs(level.bins, ink, level.name)
    return _svg("How often it is right against how sure it is", parts)


def recall_area(rows: Sequence[Row]) -> str:
    """SVG: share of photos found by searching an area, the densest cells first, for each row with probabilities."""
    parts = _share_grid()
    for km2, name in zip(TICKS_KM2, TICK_NAMES, strict=True):
        x = _x(_area_share(km2))
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 26}" text-anchor="middle">{name}</text>')
    parts.append(_axis_name("km² searched (logarithmic)"))
    for row in rows:
        if row.distribution is not None:
            at = [(_x(_area_share(km2)), y_of(share)) for km2, share in row.distribution.recall]
            parts.append(_polyline(at, colour(row.name), row.name, 2.4))
    return _svg("Share of photos found against area searched", parts)


def _area_share(km2: float) -> float:
    return math.log(km2) / math.log(MOST_KM2)


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _discs(bins: Sequence[Bin], ink: str, name: str) -> list[str]:
    most = max(each.photos for each in bins)
    at = [(_x(each.confidence), y_of(each.accuracy)) for each in bins]
    discs = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2 + 7 * math.sqrt(each.photos / most):.1f}" fill="{ink}" '
        f'fill-opacity=".75"><title>{escape(name)}: {each.photos:,} photos, {100 * each.confidence:.0f}% sure, '
        f"{100 * each.accuracy:.0f}% right</title></circle>"
        for (x, y), each in zip(at, bins, strict=True)
    ]
    line = f'<g opacity=".45">{_polyline(at, ink, name, 1.2)}</g>'  # bins of few photos make it jump
    return [line, *discs]


def _share_grid() -> list[str]:
    parts = []
    for percent in range(0, 101, 20):
        y = y_of(percent / 100)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{y:.1f}" dy=".35em" text-anchor="end">{percent}%</text>')
    return parts


def _percent_axis() -> list[str]:
    ticks = [
        f'<text x="{_x(percent / 100):.1f}" y="{HEIGHT - BOTTOM + 26}" text-anchor="middle">{percent}%</text>'
        for percent in range(0, 100, 20)
    ]
    last = f'<text x="{_x(1):.1f}" y="{HEIGHT - BOTTOM + 26}" text-anchor="end">100%</text>'
    return [*ticks, last, _axis_name("probability that the model gives its answer")]


def _axis_name(text: str) -> str:
    return f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(text)}</text>'


def _polyline(at: Sequence[tuple[float, float]], ink: str, title: str, width: float) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    return (
        f'<polyline fill="none" stroke="{ink}" stroke-width="{width}" stroke-linejoin="round" points="{points}">'
        f"<title>{escape(title)}</title></polyline>"
    )


def _svg(title: str, parts: Sequence[str]) -> str:
    return "".join(
        [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" class="curve">', f"<title>{title}</title>", *parts, "</svg>"]
    )
