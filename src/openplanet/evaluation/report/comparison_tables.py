"""How a comparison is laid out: its tables, its figures as plain values, and what it shows in sentences."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from openplanet.evaluation.measures.paired import Difference
from openplanet.evaluation.measures.row import (
    CITY,
    COUNTRY,
    ECE,
    GEOSCORE,
    LESS_IS_BETTER,
    MEDIAN,
    NLL,
    REGION,
    Figure,
    Row,
    within,
)
from openplanet.evaluation.report.tables import NOT_SAID, Block, Line
from openplanet.evaluation.result import Layout, Pair, Result

FORMS = {GEOSCORE: (1.0, 0), MEDIAN: (1.0, 1), NLL: (1.0, 2)}  # scale and digits; others are shares, in percent


def measures(rows: Sequence[Row]) -> tuple[str, ...]:
    """The measures that are compared, in the order of the table: those that a contestant has."""
    named = (*map(within, rows[0].distances_km), GEOSCORE, COUNTRY, REGION, CITY, MEDIAN, NLL, ECE)
    return tuple(name for name in named if any(name in row.figures for row in rows))


def blocks(result: Result) -> list[Block]:
    """Tables of the contestants and of their differences: shares within distances, then everything else."""
    inside = tuple(map(within, result.distances_km))
    others = tuple(measure for measure in measures(result.rows) if measure not in inside)
    return [
        _contestants(result, "first guess, % within (95 % interval)", inside, ()),
        _contestants(result, "other measures (95 % interval)", others, ("no guess",)),
        _apart(result, "difference in points (95 % interval), * real", inside),
        _apart(result, "difference (95 % interval), * real", others),
    ]


def to_dict(result: Result) -> dict[str, Any]:
    """Plain values, JSON-safe."""
    names = measures(result.rows)
    return {
        "names": [row.name for row in result.rows],
        "measures": list(names),
        "figures": [{name: asdict(row.figures[name]) for name in names if name in row.figures} for row in result.rows],
        "unanswered": [row.failed for row in result.rows],
        "differences": [
            {"a": a, "b": b, "measures": [{**asdict(each), "real": each.real} for each in differences]}
            for a, b, differences in result.differences
        ],
        "photos": len(result.truth.lat),
        "notes": list(result.notes),
    }


def _contestants(result: Result, title: str, names: tuple[str, ...], more: tuple[str, ...]) -> Block:
    lines = tuple(
        Line(
            row.name,
            (*(_figure(each, row.figures.get(each)) for each in names), *([f"{row.failed:,}"] if more else [])),
        )
        for row in result.rows
    )
    return Block(title, (*map(_short, names), *more), lines)


def _apart(result: Result, title: str, names: tuple[str, ...]) -> Block:
    lines = []
    for a, b, differences in result.differences:
        by_name = {each.measure: each for each in differences}
        lines.append(Line(f"{a} less {b}", tuple(_difference(by_name.get(each)) for each in names)))
    return Block(title, tuple(map(_short, names)), tuple(lines))


def _short(measure: str) -> str:
    return "ECE %" if measure == ECE else measure.removeprefix("within ")


def _figure(measure: str, figure: Figure | None) -> str:
    if figure is None or figure.low is None or figure.high is None:
        return NOT_SAID
    scale, digits = FORMS.get(measure, (100.0, 1))
    value, low, high = (f"{scale * each:,.{digits}f}" for each in (figure.value, figure.low, figure.high))
    return f"{value} ({low}–{high})"


def _difference(each: Difference | None) -> str:
    if each is None:
        return f"{NOT_SAID} "
    scale, digits = FORMS.get(each.measure, (100.0, 1))
    middle, low, high = (f"{scale * value:+,.{digits}f}" for value in (each.difference, each.low, each.high))
    return f"{middle} ({low} to {high}){'*' if each.real else ' '}"


def verdicts(pairs: Sequence[Pair]) -> Iterator[str]:
    """What is real between every two, in sentences."""
    alike = []
    for a, b, differences in pairs:
        real = [each for each in differences if each.real]
        for better, worse, sign in ((a, b, 1), (b, a, -1)):
            where = [each.measure for each in real if sign * each.difference * _way(each.measure) > 0]
            if where:
                yield f"{better} is really better than {worse}: {', '.join(where)}."
        if not real:
            alike.append(f"{a} and {b}")
    if alike:
        yield f"No difference is shown: {'; '.join(alike)}."


def _way(measure: str) -> int:
    return -1 if measure in LESS_IS_BETTER else 1


COMPARISON = Layout(blocks, to_dict)
