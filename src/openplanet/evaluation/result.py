"""What an evaluation found: several locators on the same photos, as plain values and as tables."""

from dataclasses import dataclass
from typing import Any

from openplanet.evaluation.measures.bootstrap import Groups
from openplanet.evaluation.measures.breakdown import Breakdown
from openplanet.evaluation.measures.metrics import COUNTRY_METHOD
from openplanet.evaluation.report import tables
from openplanet.evaluation.rows import BAYES, MODEL, NEAREST, POINTS, PRIOR, Intervals, Row, Truth
from openplanet.evaluation.testsets.leakage import Leak
from openplanet.evaluation.testsets.published import Published

__all__ = ["BAYES", "MODEL", "NEAREST", "POINTS", "PRIOR", "Evaluation", "Intervals", "Row", "Truth"]


@dataclass(frozen=True)
class Evaluation:
    """The measures of several locators on the same photos."""

    split: str
    truth: Truth
    distances_km: tuple[float, ...]
    outside: int  # photos whose true position no cell holds: counted like any other
    cells: int
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    where: str = ""  # the set in a sentence: "the test split"
    subject: str = MODEL  # name of the row that the report is about
    groups: Groups | None = None  # what was drawn together for the intervals
    breakdowns: tuple[Breakdown, ...] = ()  # of the subject's first guesses
    published: tuple[Published, ...] = ()  # what others report on the same set: not run by us
    leaks: tuple[Leak, ...] = ()

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
        pairs = zip(row.summary.within_top1, limit.summary.within_top1, strict=True)
        return tuple(ours / best if best > 0 else None for ours, best in pairs)

    def to_dict(self) -> dict[str, Any]:
        """All figures, JSON-safe (no NaN, no Infinity). Shares are 0 to 1."""
        points = self.row(POINTS)
        return {
            "split": self.split,
            "photos": len(self.truth.lat),
            "failed": self.model.summary.failed,
            "outside_partition": self.outside,
            "cells": self.cells,
            "distances_km": list(self.distances_km),
            "country_method": COUNTRY_METHOD,
            "drawn_together": None if self.groups is None else {"what": self.groups.what, "count": self.groups.count},
            "rows": [row.to_dict() for row in self.rows],
            "subject": self.subject,
            "breakdowns": [each.to_dict() for each in self.breakdowns],
            "published_not_run": [each.to_dict() for each in self.published],
            "leaks": [each.to_dict() for each in self.leaks],
            "model_share_of_bayes_limit": self._by_km(self.share_of_limit),
            "best_point_share_of_bayes_limit": self._by_km(None if points is None else self.over_limit(points)),
            "notes": list(self.notes),
        }

    def _by_km(self, shares: tuple[float | None, ...] | None) -> list[dict[str, float | None]] | None:
        if shares is None:
            return None
        return [{"km": km, "share": share} for km, share in zip(self.distances_km, shares, strict=True)]

    def blocks(self) -> list[tables.Block]:
        """The tables as text: ``tables.blocks``."""
        return tables.blocks(self)

    def to_text(self) -> str:
        """The tables for a terminal, with the notes on how it was measured."""
        return tables.to_text(self)

    def to_markdown(self) -> str:
        """The tables as Markdown, with the notes on how it was measured."""
        return tables.to_markdown(self)
