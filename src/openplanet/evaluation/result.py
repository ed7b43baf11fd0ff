"""What was found of several contestants on the same photos: of photos, of albums, or of a comparison."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from openplanet.evaluation.answers import BAYES, MODEL, Truth
from openplanet.evaluation.measures.bootstrap import Groups
from openplanet.evaluation.measures.breakdown import Breakdown
from openplanet.evaluation.measures.paired import Difference
from openplanet.evaluation.measures.row import Row
from openplanet.evaluation.report import tables
from openplanet.evaluation.report.tables import Block
from openplanet.evaluation.testsets.leakage import Leak
from openplanet.evaluation.testsets.nearness import Nearness
from openplanet.evaluation.testsets.published import Published

Pair = tuple[str, str, tuple[Difference, ...]]
"""The names of two contestants, and the first's figures less the second's."""


@dataclass(frozen=True)
class Layout:
    """How a kind of result is laid out: its tables, its JSON, and the tables that only files hold."""

    blocks: Callable[["Result"], list[Block]]
    to_dict: Callable[["Result"], dict[str, Any]]
    more: Callable[["Result"], list[Block]] = lambda _: []


@dataclass(frozen=True)
class Result:
    """Rows of figures on the photos of ``truth``, with what a reader must know of them."""

    layout: Layout
    where: str  # the set in a sentence: "the test split"
    truth: Truth
    distances_km: tuple[float, ...]
    rows: tuple[Row, ...]
    groups: Groups  # what was drawn together for the intervals
    notes: tuple[str, ...]
    split: str = ""
    subject: str = MODEL  # name of the row that the report is about
    cells: int = 0  # of the subject
    outside: int = 0  # photos whose true position no cell holds: counted like any other
    albums: int = 0
    breakdowns: tuple[Breakdown, ...] = ()
    published: tuple[Published, ...] = ()  # what others report on the same set: not run by us
    leaks: tuple[Leak, ...] = ()
    near: Nearness | None = None  # how near the set comes to the training photos, where those are known
    differences: tuple[Pair, ...] = ()
    verdicts: tuple[str, ...] = ()  # what the differences show, in sentences

    def row(self, name: str) -> Row | None:
        """The row of that name, if it is there."""
        return next((row for row in self.rows if row.name == name), None)

    @property
    def model(self) -> Row:
        """The row of the model that was evaluated."""
        return next(row for row in self.rows if row.name == self.subject)

    @property
    def share_of_limit(self) -> tuple[float | None, ...] | None:
        """The model's top-1 share over the Bayes limit's, per distance; None where no limit is known."""
        return self.over_limit(self.model)

    def over_limit(self, row: Row) -> tuple[float | None, ...] | None:
        """``row``'s top-1 share over the Bayes limit's, per distance; None where no limit is known."""
        limit = self.row(BAYES)
        if limit is None:
            return None
        return tuple(ours / best if best > 0 else None for ours, best in zip(row.shares, limit.shares, strict=True))

    def blocks(self) -> list[Block]:
        """The tables as text."""
        return self.layout.blocks(self)

    def all_blocks(self) -> list[Block]:
        """Every table there is."""
        return [*self.blocks(), *self.layout.more(self)]

    def to_dict(self) -> dict[str, Any]:
        """All figures, JSON-safe (no NaN, no Infinity). Shares are 0 to 1."""
        return self.layout.to_dict(self)

    def to_text(self, width: int | None = None) -> str:
        """The tables for a terminal of ``width`` letters (None: any), what they show, and how it was measured."""
        told = [tables.text(block, width) for block in self.blocks()]
        parts = [*told, "\n".join(self.verdicts), "\n".join(self.notes)]
        return "\n\n".join(part for part in parts if part)

    def to_markdown(self) -> str:
        """All tables as Markdown, with the notes on how it was measured."""
        return tables.to_markdown(self.all_blocks(), (*self.verdicts, *self.notes))

    def to_html(self) -> Markup:
        """The tables for a section of a report."""
        return tables.to_html(self.blocks(), (*self.verdicts, *self.notes))

    def to_latex(self) -> str:
        """All tables for a paper (booktabs), the notes as comments."""
        return tables.to_latex(self.all_blocks(), (*self.verdicts, *self.notes))

    def to_csv(self) -> str:
        """All figures in long form: table, row, column, value (as shown)."""
        return tables.to_csv(self.all_blocks())
