"""Learning curves: points where the values say, the kept epoch marked, nothing where nothing is known."""

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from openplanet.evaluation.report.charts import LOSSES, SHARES, learning_curve, svg
from openplanet.evaluation.report.learning import learning
from openplanet.inference.album_predictor import AlbumPredictor
from openplanet.inference.predictor import Predictor
from openplanet.models.album.base import AlbumConfig
from openplanet.models.album.registry import build

ROWS = [
    {"epoch": 1, "train_loss": 4.0, "val_loss": 3.0, "val_within_25_km": 0.1, "val_within_750_km": 0.2, "seconds": 30},
    {"epoch": 2, "train_loss": 2.0, "val_loss": 2.5, "val_within_25_km": 0.2, "val_within_750_km": 0.8, "seconds": 30},
    {"epoch": 3, "train_loss": 1.0, "val_loss": 3.5, "val_within_25_km": 0.1, "val_within_750_km": 0.7, "seconds": 30},
]


def lines(figure: Figure) -> dict[str, list[tuple[float, float]]]:
    """What is drawn, by name."""
    (axes,) = figure.axes
    return {
        str(line.get_label()): list(zip(*(np.asarray(each).tolist() for each in line.get_data()), strict=True))
        for line in axes.lines
    }


def test_the_lines_go_through_the_values() -> None:
    drawn = lines(learning_curve(ROWS, LOSSES, 2, percent=False))
    assert drawn["training"] == [(1, 4.0), (2, 2.0), (3, 1.0)]
    assert drawn["validation"] == [(1, 3.0), (2, 2.5), (3, 3.5)]
    assert [x for x, _ in drawn["kept: epoch 2"]] == [2, 2]


def test_shares_are_on_an_axis_of_percent_and_the_kept_epoch_is_named() -> None:
    text = svg(learning_curve(ROWS, SHARES, 2, percent=True), "Photos <placed>")
    for each in ("100%", "kept: epoch 2", "within 750 km", "<title>Photos &lt;placed&gt;</title>"):
        assert each in text
    assert "kept" not in svg(learning_curve(ROWS, SHARES, None, percent=True), "x")


def test_the_svg_stands_in_a_page_without_touching_it() -> None:
    figure = learning_curve(ROWS, LOSSES, 2, percent=False)
    text = svg(figure, "Loss")
    assert text.startswith('<svg class="curve"') and text.endswith("</svg>\n")
    assert "<style" not in text and "://" not in text and "<?xml" not in text
    assert svg(learning_curve(ROWS, LOSSES, 2, percent=False), "Loss") == text


@pytest.mark.parametrize("losses", [[0.0], [1e-4, 2e-4], [7000.0, 3.0], [float("nan"), 1.0]])
def test_any_values_fit(losses: list[float]) -> None:
    rows = [{"epoch": n, "train_loss": value, "val_loss": None} for n, value in enumerate(losses, 1)]
    drawn = lines(learning_curve(rows, LOSSES, None, percent=False))
    assert [y for _, y in drawn["training"]] == [loss for loss in losses if loss == loss]
    assert "validation" not in drawn


def test_what_the_report_is_told(predictor: Predictor) -> None:
    checkpoint = dataclasses.replace(predictor.checkpoint, training={"curves": ROWS}, accuracy={"epoch": 2})
    told = learning(Predictor(checkpoint))
    assert told is not None and told["kept"] == 2 and told["epochs"] == 3 and told["minutes"] == 1.5
    assert [name for name, _ in told["figures"]] == ["Loss by epoch", "Validation photos placed by epoch"]
    unvalidated = [{k: v for k, v in row.items() if not k.startswith("val")} for row in ROWS]
    told = learning(Predictor(dataclasses.replace(checkpoint, training={"curves": unvalidated})))
    assert told is not None and "validation" not in told["figures"][0][1] and "training" in told["figures"][0][1]


def test_nothing_where_nothing_is_known(predictor: Predictor) -> None:
    assert learning(AlbumPredictor(predictor, build(AlbumConfig("average"), predictor.partition, 8), "average")) is None
    assert learning(Predictor(dataclasses.replace(predictor.checkpoint, training={}))) is None


@settings(deadline=None, max_examples=30)  # matplotlib draws
@given(st.floats(0, 1e12), st.integers(1, 60), st.booleans())
@example(0.917, 30, True).via("a region's 91.7 % once broke a report")
def test_every_axis_can_be_drawn(most: float, epochs: int, percent: bool) -> None:
    rows = [{"epoch": epoch, "loss": most * (epoch + 1) / epochs} for epoch in range(epochs)]
    assert "</svg>" in svg(learning_curve(rows, {"loss": ("loss", "#000")}, epochs // 2, percent), "x")
