"""An evaluation as tables of text: for a terminal, Markdown, LaTeX, CSV and the page."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openplanet.evaluation.kinds import CSV_COLUMNS, LATEX_MARK, MARKDOWN_MARK
from openplanet.evaluation.measures.metrics import Summary
from openplanet.evaluation.rows import MODEL, POINTS, Row
from openplanet.storage import inert

if TYPE_CHECKING:  # result.py imports this file
    from openplanet.evaluation.result import Evaluation


@dataclass(frozen=True)
class Line:
    """One locator's figures, as text."""

    name: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """One part of the table, as text."""

    title: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


def blocks(evaluation: "Evaluation") -> list[Block]:
    """First guess with the other measures, best of five, published figures, intervals, probabilities."""
    names = tuple(km_text(km) for km in evaluation.distances_km)
    found = [
        Block(FIRST, (*names, "median", "mean", "GeoScore", "country %", "region %", "city %"), _first(evaluation)),
        Block("best of five, % within", names, tuple(_five(evaluation.rows))),
    ]
    if evaluation.published:
        found.append(_reported(Block(PUBLISHED, (*names, "mean", "GeoScore"), tuple(_published(evaluation)))))
    drawn = [row for row in evaluation.rows if row.intervals is not None]
    if drawn:
        title = "first guess, 95 % interval"
        columns = (*names, "median", "GeoScore", "country %", "region %", "city %")
        found.append(Block(title, columns, tuple(map(_interval, drawn))))
    sure = [row for row in evaluation.rows if row.distribution is not None]
    if sure:
        found.append(Block("probabilities of cells", PROBABILITY_COLUMNS, tuple(map(_probabilities, sure))))
        lines = tuple(map(_probability_interval, sure))
        found.append(Block("cells, 95 % interval", ("NLL", "ECE %"), lines))
    return found


FIRST = "first guess, % within"
PUBLISHED = "published, not run, % within"
NOT_SAID = "–"
PROBABILITY_COLUMNS = ("NLL", "Brier", "ECE %", "in 50 %", "in 80 %", "in 90 %", "in 95 %", "90 % cells", "90 % km²")


def breakdown_blocks(evaluation: "Evaluation") -> list[Block]:
    """One table for each division of the set, of the subject's first guesses."""
    columns = (*(km_text(km) for km in evaluation.distances_km), "median", "GeoScore", "country %", "photos")
    return [
        Block(
            each.title,
            columns,
            tuple(
                Line(
                    part.name,
                    (
                        *percents(part.within),
                        whole_km(math.inf if part.median_km is None else part.median_km),
                        f"{part.geoscore:,.0f}",
                        f"{100 * part.country:.1f}",
                        f"{part.photos:,}",
                    ),
                )
                for part in each.parts
            ),
        )
        for each in evaluation.breakdowns
    ]


def best_of_block(row: Row) -> Block:
    """Share of photos within each distance for the nearest of one locator's first 1 to 5 guesses."""
    names = tuple(km_text(km) for km in row.summary.distances_km)
    lines = [Line(f"best of {k}", percents(shares)) for k, shares in enumerate(row.summary.best_of, 1)]
    return Block(f"{row.name}: best of its guesses, % within", names, tuple(lines))


def level_block(row: Row) -> Block | None:
    """Likelihood and calibration of one locator at each level of coarseness."""
    if row.distribution is None:
        return None
    columns = ("groups", "right %", "confidence %", "NLL", "Brier", "ECE %", "outside")
    lines = [
        Line(
            level.name,
            (
                f"{level.groups:,}",
                f"{100 * level.accuracy:.1f}",
                f"{100 * level.confidence:.1f}",
                "–" if level.nll is None else f"{level.nll:.2f}",
                f"{level.brier:.3f}",
                f"{100 * level.ece:.1f}",
                f"{level.outside:,}",
            ),
        )
        for level in row.distribution.levels
    ]
    return Block(f"{row.name}: probabilities, from fine to coarse", columns, tuple(lines))


def _first(evaluation: "Evaluation") -> tuple[Line, ...]:
    one = [Line(row.name, (*percents(row.summary.within_top1), *_others(row.summary))) for row in evaluation.rows]
    for row in evaluation.rows:
        if row.name in (MODEL, POINTS) and (shares := evaluation.over_limit(row)) is not None:
            one.append(Line(f"{row.name} / Bayes limit", (*percents(shares), *[""] * 6)))
    return tuple(one)


def _five(rows: Sequence[Row]) -> Iterator[Line]:
    for row in rows:
        yield Line(row.name, percents(row.summary.within_top5))


def _published(evaluation: "Evaluation") -> Iterator[Line]:
    for each in evaluation.published:
        mark = "" if each.confirmed else " †"
        mean = NOT_SAID if each.mean_km is None else whole_km(each.mean_km)
        score = NOT_SAID if each.geoscore is None else f"{each.geoscore:,.0f}"
        yield Line(f"{each.system} ({each.year}){mark}", (*percents(each.at(evaluation.distances_km)), mean, score))


def _reported(block: Block) -> Block:
    """Without the columns that no system reports."""
    said = [i for i in range(len(block.columns)) if any(line.cells[i] != NOT_SAID for line in block.lines)]
    lines = tuple(Line(line.name, tuple(line.cells[i] for i in said)) for line in block.lines)
    return Block(block.title, tuple(block.columns[i] for i in said), lines)


def _interval(row: Row) -> Line:
    found = row.intervals
    assert found is not None

    def percent(pair: tuple[float, float] | None) -> str:
        return NOT_SAID if pair is None else f"{100 * pair[0]:.1f}–{100 * pair[1]:.1f}"

    median = "–".join(f"{km:,.0f}" if math.isfinite(km) else "∞" for km in found.median_km)
    score = "–".join(f"{points:,.0f}" for points in found.geoscore)
    names = [percent(pair) for pair in (found.country, found.region, found.city)]
    return Line(row.name, (*map(percent, found.within), median, score, *names))


def _probabilities(row: Row) -> Line:
    found = row.distribution
    assert found is not None
    cell, ninety = found.levels[0], found.regions[2]
    size = [] if ninety.median_km2 is None else [f"{ninety.median_cells:,.0f}", f"{ninety.median_km2:,.0f}"]
    nll = NOT_SAID if cell.nll is None else f"{cell.nll:.2f}"
    covered = percents([region.covered for region in found.regions])
    return Line(
        row.name, (nll, f"{cell.brier:.3f}", f"{100 * cell.ece:.1f}", *covered, *(size or [NOT_SAID, NOT_SAID]))
    )


def _probability_interval(row: Row) -> Line:
    ends = (None, None) if row.intervals is None else (row.intervals.nll, row.intervals.ece)
    cells = (
        NOT_SAID if pair is None else f"{scale * pair[0]:.{digits}f}–{scale * pair[1]:.{digits}f}"
        for pair, scale, digits in zip(ends, (1, 100), (2, 1), strict=True)
    )
    return Line(row.name, tuple(cells))


def to_text(evaluation: "Evaluation") -> str:
    """The tables for a terminal, with the notes on how it was measured."""
    parts = [text(block) for block in blocks(evaluation)]
    return "\n\n".join([*parts, "\n".join(evaluation.notes)])


def to_markdown(evaluation: "Evaluation") -> str:
    """The tables as Markdown, breakdowns too, with the notes on how it was measured."""
    parts = [markdown(block) for block in all_blocks(evaluation)]
    return "\n\n".join([MARKDOWN_MARK, *parts, "\n".join(f"- {note}" for note in evaluation.notes)]) + "\n"


def to_latex(evaluation: "Evaluation") -> str:
    """The tables for a paper (booktabs), one after the other, the notes as comments."""
    notes = "".join(f"% {note}\n" for note in evaluation.notes)
    return f"{LATEX_MARK}\n{notes}" + "\n".join(latex(block) for block in all_blocks(evaluation))


def to_csv(evaluation: "Evaluation") -> str:
    """All figures in long form: table, row, column, value (as shown)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for block in all_blocks(evaluation):
        for line in block.lines:
            writer.writerows(
                [*map(inert, (block.title, line.name, column)), cell]
                for column, cell in zip(block.columns, line.cells, strict=True)
            )
    return out.getvalue()


def all_blocks(evaluation: "Evaluation") -> list[Block]:
    """Every table there is."""
    model = evaluation.model
    levels = level_block(model)
    more = [best_of_block(model), *([levels] if levels else [])]
    return [*blocks(evaluation), *more, *breakdown_blocks(evaluation)]


def km_text(km: float) -> str:
    """A distance as people write it: ``2500 km``, ``0.5 km``; an infinite one is a dash."""
    return f"{km:g} km" if math.isfinite(km) else "–"


def percents(shares: Sequence[float | None]) -> tuple[str, ...]:
    """Shares of 0 to 1 as percent with one decimal; None is a dash."""
    return tuple("–" if share is None else f"{100 * share:.1f}" for share in shares)


def whole_km(km: float) -> str:
    """A distance in whole km; an infinite one is a dash."""
    return f"{km:,.0f} km" if math.isfinite(km) else "–"


def _others(summary: Summary) -> tuple[str, ...]:
    names = percents([summary.country, summary.region, summary.city])
    return whole_km(summary.median_km), whole_km(summary.mean_km), f"{summary.geoscore:,.0f}", *names


def text(block: Block) -> str:
    """The block with its columns aligned."""
    rows = [(block.title, *block.columns), *[(line.name, *line.cells) for line in block.lines]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]).rstrip() for name, *cells in rows]
    lines.insert(1, "-" * max(len(line) for line in lines))
    return "\n".join(lines)


def markdown(block: Block) -> str:
    """The block as a Markdown table."""
    head = [block.title, *block.columns]
    rule = ["---", *["---:"] * len(block.columns)]
    lines = [head, rule, *[[line.name, *line.cells] for line in block.lines]]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |" for cells in lines)


def latex(block: Block) -> str:
    """The block as a LaTeX table (package booktabs)."""
    rows = [" & ".join(map(_tex, (line.name, *line.cells))) + r" \\" for line in block.lines]
    head = " & ".join(map(_tex, (block.title, *block.columns))) + r" \\"
    form = "l" + "r" * len(block.columns)
    return "\n".join(
        [rf"\begin{{tabular}}{{{form}}}", r"\toprule", head, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}", ""]
    )


def _tex(text: str) -> str:
    for plain, escaped in TEX:
        text = text.replace(plain, escaped)
    return text


TEX = (("\\", "/"), *((each, f"\\{each}") for each in "&%$#_{}"), ("~", "-"), ("^", " "), ("–", "--"),
       ("²", "$^2$"), ("†", "$^\\dagger$"), ("∞", "$\\infty$"))  # fmt: skip
