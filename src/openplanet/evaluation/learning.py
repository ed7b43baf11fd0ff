"""Learning curves of the model in a report: loss and validation accuracy by epoch, and which epoch was kept."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from openplanet.evaluation.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, y_of
from openplanet.models.checkpoint import Checkpoint

LOSSES = {"train_loss": ("training", "#c2700a"), "val_loss": ("validation", "#1a5fb4")}
SHARES = {"val_within_25_km": ("within 25 km", "#1a5fb4"), "val_within_750_km": ("within 750 km", "#2a7d4f")}
MOST_TICKS = 8  # epochs named below the axis
KEPT = "#5c6470"


def learning(locator: Any) -> dict[str, Any] | None:
    """Figures, legends and sentences for the report; None for a locator whose training we know nothing of.

    ``locator`` is a Predictor; the rows are those of training.csv, which the checkpoint's config.json keeps.
    """
    checkpoint = getattr(locator, "checkpoint", None)
    if not isinstance(checkpoint, Checkpoint) or not (rows := checkpoint.training.get("curves")):
        return None
    kept = checkpoint.accuracy.get("epoch")
    figures = [
        (curve(rows, LOSSES, kept, percent=False), _legend(rows, LOSSES), "Loss"),
        (curve(rows, SHARES, kept, percent=True), _legend(rows, SHARES), "Validation photos placed"),
    ]
    return {
        "figures": [figure for figure in figures if figure[1]],
        "kept": kept,
        "epochs": len(rows),
        "minutes": sum(float(row.get("seconds") or 0) for row in rows) / 60,
        "temperature": checkpoint.calibration.describe(),
    }


def curve(rows: Sequence[dict[str, Any]], lines: dict[str, tuple[str, str]], kept: int | None, percent: bool) -> str:
    """SVG of some columns against the epoch, with a line at the epoch that was kept.

    ``lines``: column → (name, colour). Epochs without a value (nothing validated) are left out.
    """
    values = [float(row[column]) for row in rows for column in lines if _given(row.get(column))]
    step = _step(max(values, default=1.0))
    top = 1.0 if percent and max(values, default=1.0) > 0.5 else step * max(1, math.ceil(max(values, default=1) / step))
    epochs = [int(row["epoch"]) for row in rows]
    parts = _axes(epochs, step, top, percent)
    for column, (name, ink) in lines.items():
        at = [
            (_x(int(row["epoch"]), epochs), y_of(float(row[column]) / top)) for row in rows if _given(row.get(column))
        ]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{ink}"/>' for x, y in at)
        parts.append(
            f'<polyline fill="none" stroke="{ink}" stroke-width="2.2" stroke-linejoin="round" points="{points}">'
            f"<title>{escape(name)}</title></polyline>{dots}"
        )
    if kept is not None and kept in epochs:
        x = _x(kept, epochs)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="{KEPT}" stroke-dasharray="3 3">'
            f"<title>epoch {kept}, kept</title></line>"
        )
        anchor, side = ("end", -6) if kept > (epochs[0] + epochs[-1]) / 2 else ("start", 6)
        parts.append(
            f'<text x="{x + side:.1f}" y="{TOP + 14}" text-anchor="{anchor}" '
            f'paint-order="stroke" stroke="#fbfbf9" stroke-width="4">kept: epoch {kept}</text>'
        )
    title = f"{', '.join(name for name, _ in lines.values())} by epoch"
    start = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" class="curve"><title>{escape(title)}</title>'
    return "".join([start, *parts, "</svg>"])


def _given(value: Any) -> bool:
    return value is not None and math.isfinite(float(value))


def _step(most: float) -> float:
    """Between lines of the grid: 1, 2 or 5 times a power of ten, so that there are four to nine of them."""
    size = 10 ** math.floor(math.log10(most)) if most > 1e-9 else 1.0
    return next(size * part for part in (0.1, 0.2, 0.5, 1.0, 2.0) if most / (size * part) <= 9)


def _x(epoch: int, epochs: Sequence[int]) -> float:
    span = max(1, epochs[-1] - epochs[0])
    middle = 0.5 if len(epochs) == 1 else (epoch - epochs[0]) / span
    return LEFT + middle * (WIDTH - LEFT - RIGHT)


def _axes(epochs: Sequence[int], step: float, top: float, percent: bool) -> list[str]:
    parts = []
    for index in range(round(top / step) + 1):
        value, y = index * step, y_of(index * step / top)
        text = f"{100 * value:.3g}%" if percent else f"{value:.4g}"
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{y:.1f}" dy=".35em" text-anchor="end">{text}</text>')
    every = max(1, math.ceil(len(epochs) / MOST_TICKS))
    for epoch in epochs[::every]:
        x = _x(epoch, epochs)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 26}" text-anchor="middle">{epoch}</text>')
    name = f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">epoch</text>'
    return [*parts, name]


def _legend(rows: Sequence[dict[str, Any]], lines: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
    return [pair for column, pair in lines.items() if any(_given(row.get(column)) for row in rows)]
