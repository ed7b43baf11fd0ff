"""Learning curves of the model in a report: loss and validation accuracy by epoch, and which epoch was kept."""

from typing import Any

from openplanet.evaluation.report.charts import LOSSES, SHARES, learning_curve, svg
from openplanet.inference.locator import Locator, checkpoint_of


def learning(locator: Locator) -> dict[str, Any] | None:
    """Charts and sentences for the report; None for a locator whose training we know nothing of.

    The rows are those of training.csv, which a checkpoint's config.json keeps.
    """
    checkpoint = checkpoint_of(locator)
    if checkpoint is None or not (rows := checkpoint.training.get("curves")):
        return None
    kept = checkpoint.accuracy.get("epoch")
    loss, placed = learning_curve(rows, LOSSES, kept, percent=False), learning_curve(rows, SHARES, kept, percent=True)
    drawn = {"Loss by epoch": loss, "Validation photos placed by epoch": placed}
    return {
        "figures": [(name, svg(figure, name)) for name, figure in drawn.items() if figure.axes[0].lines],
        "kept": kept,
        "epochs": len(rows),
        "minutes": sum(float(row.get("seconds") or 0) for row in rows) / 60,
        "temperature": checkpoint.calibration.describe(),
    }
