"""The charts of a report, drawn by matplotlib: accuracy against distance, calibration, area searched, learning curves.

Each function returns a Figure; ``svg`` turns one into inline SVG for a page. Shapes: N photos, X points along an axis.
"""

import io
import re
from collections.abc import Sequence
from importlib.resources import as_file, files
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from openplanet.evaluation import answers
from openplanet.evaluation.measures import metrics
from openplanet.evaluation.measures.distribution import Bin
from openplanet.evaluation.measures.row import Row
from openplanet.evaluation.result import Result
from openplanet.inference.place_tree import LEVELS

FROM_KM, TO_KM = 0.5, 20_100.0
STEPS = 240
MOST_KM2 = 5.101e8  # the Earth

Dashes = str | tuple[int, tuple[int, ...]]
LINES: dict[str, tuple[str, Dashes]] = {  # colour and dashes of each locator
    answers.RANDOM: ("#b9bec6", (0, (1, 3))),
    answers.PRIOR: ("#8b929c", (0, (2, 3))),
    answers.PRIOR_POINTS: ("#77767b", (0, (5, 3))),
    answers.NEAREST: ("#c2700a", (0, (7, 3))),
    answers.DENSITY: ("#8f5a0a", (0, (3, 3))),
    answers.EMBEDDED_NEAREST: ("#2a7d4f", (0, (2, 3))),
    answers.EMBEDDED: ("#2a7d4f", (0, (7, 3))),
    answers.MODEL: ("#1a5fb4", "-"),
    answers.POINTS: ("#1a5fb4", (0, (5, 3))),
    answers.CENTRES: ("#1a5fb4", (0, (1, 2))),
    answers.RIGHT_CELL: ("#5e5c64", (0, (1, 1))),
    answers.BAYES: ("#2b2f36", (0, (9, 3, 2, 3))),
}
OTHER: tuple[str, Dashes] = ("#7a3e9d", "-")
SHADES = ("#1a5fb4", "#3f7cc4", "#6699d3", "#8fb6e1", "#b6d1ee")  # best of one to five
LOSSES = {"train_loss": ("training", "#c2700a"), "val_loss": ("validation", "#1a5fb4")}
SHARES = {"val_within_25_km": ("within 25 km", "#1a5fb4"), "val_within_750_km": ("within 750 km", "#2a7d4f")}


def svg(figure: Figure, title: str) -> Markup:
    """The figure as an inline ``svg`` element; the same bytes for the same figure and title."""
    out = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text[text.index("<svg") :], flags=re.S)
    text = text.replace("xlink:href", "href")
    head = f'<svg class="curve" role="img" {_view_box(text)}><title>{escape(title)}</title>'
    return Markup(re.sub(r"^<svg[^>]*>", head.replace("\\", r"\\"), text))


def _view_box(text: str) -> str:
    found = re.search(r'viewBox="[^"]*"', text)
    assert found is not None
    return found.group()


def share_curve(result: Result) -> Figure:
    """Share of photos within each distance, for every locator that was asked of all photos."""
    figure, axes = _axes("km from the true place")
    _distance_axis(axes, result.distances_km)
    for row in result.rows:
        if row.photos == len(result.truth.lat):  # a player's few rounds make no curve
            _draw(axes, row)
    _best_of(axes, result.model, metrics.TOP_K, LINES[answers.MODEL][0], f"{answers.MODEL}, best of five", ":")
    figure.legend(ncols=3, loc="outside lower center")  # beside so many lines no place inside is free
    return figure


def best_of_curves(result: Result) -> Figure:
    """The paper's figure 4: share within each distance for the best of the first one to five guesses."""
    figure, axes = _axes("km from the true place")
    _distance_axis(axes, result.distances_km)
    for k, ink in enumerate(SHADES, 1):
        _best_of(axes, result.model, k, ink, f"best of {k}" if k > 1 else "first guess")
    axes.legend()
    return figure


def reliability_diagram(row: Row) -> Figure:
    """How often the likeliest cell was right against how probable it was held; a disc for each bin, by photos."""
    assert row.distribution is not None
    figure, axes = _axes("probability that the model gives its answer")
    axes.plot([0, 1], [0, 1], color="#8b929c", linewidth=1.2, label="as sure as right")
    levels = row.distribution.levels
    for level, ink in {levels[0]: LINES[answers.MODEL][0], levels[-1]: "#c2700a"}.items():
        _discs(axes, level.bins, ink, level.name)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.legend()
    return figure


def named_rightly(row: Row) -> Figure:
    """How often the named place is right, when only the surest answers are given; a line for each level."""
    assert row.answers.naming is not None
    figure, axes = _axes("share of photos that get an answer, the surest first")
    for level, ink in zip(LEVELS, (SHADES[3], SHADES[1], SHADES[0]), strict=True):
        axes.plot(*row.answers.naming.curve(level), color=ink, label=level)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.legend()
    return figure


def recall_area(asked: Sequence[Row]) -> Figure:
    """Share of photos found by searching an area, the densest cells first, for each row with probabilities."""
    figure, axes = _axes("km² searched")
    for row in asked:
        if row.distribution is not None:
            km2, share = zip(*row.distribution.recall, strict=True)
            axes.plot(km2, share, color=_look(row)[0], label=row.name)
    axes.set_xscale("log")
    axes.set_xlim(1, MOST_KM2)
    axes.legend()
    return figure


def learning_curve(
    epochs: Sequence[dict[str, Any]], lines: dict[str, tuple[str, str]], kept: int | None, percent: bool
) -> Figure:
    """Some columns of training.csv against the epoch, with a line at the epoch that was kept.

    ``lines``: column → (name, colour). Epochs without a value (nothing was validated) are left out.
    """
    figure, axes = _axes("epoch", percent=percent)
    for column, (name, ink) in lines.items():
        known = [(int(row["epoch"]), float(row[column])) for row in epochs if row.get(column) is not None]
        at = [(epoch, value) for epoch, value in known if np.isfinite(value)]
        if at:
            axes.plot(*zip(*at, strict=True), color=ink, marker="o", label=name)
    if kept is not None:
        axes.axvline(kept, color="#5c6470", linestyle="--", linewidth=1, label=f"kept: epoch {kept}")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


def _axes(below: str, percent: bool = True) -> tuple[Figure, Axes]:
    with as_file(files("openplanet.evaluation.report").joinpath("charts.mplstyle")) as look, style.context(look):
        figure = Figure()
        axes = figure.add_subplot()
    axes.set_xlabel(below)
    if percent:
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure, axes


def _distance_axis(axes: Axes, distances_km: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(FROM_KM, TO_KM)
    axes.xaxis.set_major_locator(FixedLocator([*distances_km, 20_000.0]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda km, _: f"{km:,.6g}"))


def _look(row: Row) -> tuple[str, Dashes]:
    return LINES.get(row.name, OTHER)


def _draw(axes: Axes, row: Row) -> None:
    ink, dashes = _look(row)
    if row.per_distance:  # it answers each distance by itself: a ring at each
        km = [max(each, FROM_KM) for each in row.distances_km]
        axes.plot(km, row.shares, color=ink, linestyle=dashes, marker="o", mfc="white", lw=1.2, label=row.name)
    else:
        axes.plot(*_shares(row, 1), color=ink, linestyle=dashes, label=row.name)


def _best_of(axes: Axes, row: Row, k: int, ink: str, name: str, dashes: Dashes = "-") -> None:
    axes.plot(*_shares(row, k), color=ink, linestyle=dashes, label=name)


def _shares(row: Row, k: int) -> tuple[Any, Any]:
    km_X = np.geomspace(FROM_KM, TO_KM, STEPS)
    return km_X, metrics.share_within(metrics.best_of(row.km, k), km_X.tolist())


def _discs(axes: Axes, bins: Sequence[Bin], ink: str, name: str) -> None:
    most = max(each.photos for each in bins)
    sure, right = [each.confidence for each in bins], [each.accuracy for each in bins]
    axes.plot(sure, right, color=ink, linewidth=1, alpha=0.45)  # bins of few photos make it jump
    sizes = [8 + 120 * each.photos / most for each in bins]
    axes.scatter(sure, right, s=sizes, color=ink, alpha=0.75, linewidths=0, label=name)
