"""Tables of text, whatever they say, in the forms that are written: for a terminal, a page, Markdown, LaTeX and CSV."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from openplanet.evaluation.kinds import CSV_COLUMNS, LATEX_MARK, MARKDOWN_MARK
from openplanet.storage import inert

NOT_SAID = "–"


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


def km_text(km: float) -> str:
    """A distance as people write it: ``2500 km``, ``0.5 km``; an infinite one is a dash."""
    return f"{km:g} km" if math.isfinite(km) else "–"


def percents(shares: Sequence[float | None]) -> tuple[str, ...]:
    """Shares of 0 to 1 as percent with one decimal; None is a dash."""
    return tuple("–" if share is None else f"{100 * share:.1f}" for share in shares)


def whole_km(km: float) -> str:
    """A distance in whole km; an infinite one is a dash."""
    return f"{km:,.0f} km" if math.isfinite(km) else "–"


def text(block: Block, width: int | None = None) -> str:
    """The block with its columns aligned. Where ``width`` letters are too few for all, the other columns follow below
    under the same names."""
    rows = [(block.title, *block.columns), *[(line.name, *line.cells) for line in block.lines]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    shown, parts = 1, list[str]()
    while shown < len(widths) or not parts:
        last = shown + 1
        while last < len(widths) and (width is None or _line_width(widths[0], widths[shown : last + 1]) <= width):
            last += 1
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[shown:last], widths[shown:last])]).rstrip()
            for row in rows
        ]
        lines.insert(1, "-" * max(len(line) for line in lines))
        parts.append("\n".join(lines))
        shown = last
    return "\n\n".join(parts)


def _line_width(name: int, cells: Sequence[int]) -> int:
    return name + sum(2 + each for each in cells)


def markdown(block: Block) -> str:
    """The block as a Markdown table."""
    head = [block.title, *block.columns]
    rule = ["---", *["---:"] * len(block.columns)]
    lines = [head, rule, *[[line.name, *line.cells] for line in block.lines]]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |" for cells in lines)


def html(block: Block) -> Markup:
    """The block as the report's other tables."""
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(column) for column in block.columns)
    cell, line = Markup("<td>{}</td>").format, Markup("<tr>{}{}</tr>").format
    lines = Markup("").join(line(cell(each.name), Markup("").join(map(cell, each.cells))) for each in block.lines)
    form = '<div class="scroll"><table class="accuracy dense"><tbody><tr class="head"><th scope="col">{}</th>{}</tr>{}'
    return Markup(form + "</tbody></table></div>").format(block.title, head, lines)


def to_markdown(blocks: Sequence[Block], notes: Sequence[str]) -> str:
    """The tables as Markdown, the notes as a list."""
    lines = "\n".join(f"- {note}" for note in notes)
    return "\n\n".join([MARKDOWN_MARK, *map(markdown, blocks), lines]) + "\n"


def to_html(blocks: Sequence[Block], notes: Sequence[str]) -> Markup:
    """The tables for a section of a report."""
    return Markup("").join([*map(html, blocks), *(Markup("<p>{}</p>").format(note) for note in notes)])


def to_latex(blocks: Sequence[Block], notes: Sequence[str]) -> str:
    """The tables for a paper (booktabs), one after the other, the notes as comments."""
    comments = "".join(f"% {note}\n" for note in notes)
    return f"{LATEX_MARK}\n{comments}" + "\n".join(map(latex, blocks))


def to_csv(blocks: Sequence[Block]) -> str:
    """All figures in long form: table, row, column, value (as shown)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for block in blocks:
        for line in block.lines:
            writer.writerows(
                [*map(inert, (block.title, line.name, column)), cell]
                for column, cell in zip(block.columns, line.cells, strict=True)
            )
    return out.getvalue()


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
