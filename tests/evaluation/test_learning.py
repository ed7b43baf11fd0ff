"""Learning curves: points where the values say, the kept epoch marked, nothing where nothing is known."""

import dataclasses
import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openplanet.evaluation.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from openplanet.evaluation.learning import LOSSES, SHARES, curve, learning
from openplanet.inference.predictor import Predictor

ROWS = [
    {"epoch": 1, "train_loss": 4.0, "val_loss": 3.0, "val_within_25_km": 0.1, "val_within_750_km": 0.2, "seconds": 30},
    {"epoch": 2, "train_loss": 2.0, "val_loss": 2.5, "val_within_25_km": 0.2, "val_within_750_km": 0.8, "seconds": 30},
    {"epoch": 3, "train_loss": 1.0, "val_loss": 3.5, "val_within_25_km": 0.1, "val_within_750_km": 0.7, "seconds": 30},
]


def points(svg: str) -> list[list[tuple[float, float]]]:
    found = re.findall(r'points="([^"]*)"', svg)
    return [[tuple(float(n) for n in pair.split(",")) for pair in line.split()] for line in found]  # type: ignore[misc]


def test_the_lines_go_through_the_values() -> None:
    training, validation = points(curve(ROWS, LOSSES, 2, percent=False))
    assert [x for x, _ in training] == pytest.approx([LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT], abs=0.1)
    top, bottom = TOP, HEIGHT - BOTTOM  # the axis goes from 0 to 4
    assert [y for _, y in training] == pytest.approx([bottom - v / 4 * (bottom - top) for v in (4, 2, 1)], abs=0.1)
    assert [y for _, y in validation] == pytest.approx(
        [bottom - v / 4 * (bottom - top) for v in (3, 2.5, 3.5)], abs=0.1
    )


def test_shares_are_on_an_axis_of_percent_and_the_kept_epoch_is_named() -> None:
    svg = curve(ROWS, SHARES, 2, percent=True)
    assert "100%" in svg and "kept: epoch 2" in svg and "<title>within 750 km</title>" in svg
    assert points(svg)[1][1][1] == pytest.approx(HEIGHT - BOTTOM - 0.8 * (HEIGHT - TOP - BOTTOM), abs=0.1)
    assert "kept" not in curve(ROWS, SHARES, None, percent=True)


@pytest.mark.parametrize("losses", [[0.0], [1e-4, 2e-4], [7000.0, 3.0]])
def test_any_values_fit(losses: list[float]) -> None:
    rows = [{"epoch": n, "train_loss": value, "val_loss": None} for n, value in enumerate(losses, 1)]
    line, nothing = points(curve(rows, LOSSES, 1, percent=False))
    assert nothing == []
    assert all(LEFT <= x <= WIDTH - RIGHT and TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1 for x, y in line)


def test_what_the_report_is_told(predictor: Predictor) -> None:
    checkpoint = dataclasses.replace(predictor.checkpoint, training={"curves": ROWS}, accuracy={"epoch": 2})
    told = learning(Predictor(checkpoint))
    assert told is not None and told["kept"] == 2 and told["epochs"] == 3 and told["minutes"] == 1.5
    assert [legend for _, legend, _ in told["figures"]] == [list(LOSSES.values()), list(SHARES.values())]
    unvalidated = [{k: v for k, v in row.items() if not k.startswith("val")} for row in ROWS]
    told = learning(Predictor(dataclasses.replace(checkpoint, training={"curves": unvalidated})))
    assert told is not None and [legend for _, legend, _ in told["figures"]] == [[LOSSES["train_loss"]]]


def test_nothing_where_nothing_is_known(predictor: Predictor) -> None:
    assert learning(SimpleNamespace()) is None  # another system's locator
    assert learning(Predictor(dataclasses.replace(predictor.checkpoint, training={}))) is None


@given(st.floats(0, 1e12), st.integers(1, 60), st.booleans())
def test_every_axis_can_be_drawn(most: float, epochs: int, percent: bool) -> None:
    """Also where the largest value begins with 9, as 91.7 % does: no step of the old ones was large enough."""
    rows = [{"epoch": epoch, "loss": most * (epoch + 1) / epochs} for epoch in range(epochs)]
    svg = curve(rows, {"loss": ("loss", "#000")}, epochs // 2, percent)
    assert svg.count("grid") <= 12 and "nan" not in svg


@pytest.mark.parametrize("most", [0.905, 0.917, 0.95, 0.99, 9.1, 95.0])
def test_a_value_that_begins_with_nine(most: float) -> None:
    assert "</svg>" in curve([{"epoch": 0, "a": most}], {"a": ("a", "#000")}, 0, percent=True)
