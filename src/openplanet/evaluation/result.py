"""What an evaluation found, and its forms: plain values, a table for a terminal, a table for a page.

Shapes: N photos, K guesses per photo.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openplanet.evaluation.metrics import COUNTRY_METHOD, Summary

Floats = NDArray[np.float64]

PRIOR, NEAREST, MODEL, BAYES = "prior", "nearest neighbour", "model", "Bayes limit"
POINTS = "model, best point"


@dataclass(frozen=True)
class Truth:
    """The photos of a set and where they were taken (degrees, [N])."""

    photo_id: tuple[str, ...]
    source: tuple[str, ...]  # where ingest found the file: untrusted text
    lat: Floats
    lng: Floats


@dataclass(frozen=True)
class Row:
    """One locator's guesses [N, K], most likely first (NaN for none), and what they are worth."""

    name: str
    what: str  # in a sentence
    lat: Floats
    lng: Floats
    summary: Summary
    per_distance: bool = False  # a limit of its own for each distance, which no one guess need reach at all


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

    def row(self, name: str) -> Row | None:
        """The row of that name, if it is there."""
        return next((row for row in self.rows if row.name == name), None)

    @property
    def model(self) -> Row:
        """The row of the model that was evaluated."""
        return next(row for row in self.rows if row.name == MODEL)

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
            "rows": [{"name": row.name, "what": row.what, **row.summary.to_dict()} for row in self.rows],
            "model_share_of_bayes_limit": self._by_km(self.share_of_limit),
            "best_point_share_of_bayes_limit": self._by_km(None if points is None else self.over_limit(points)),
            "notes": list(self.notes),
        }

    def _by_km(self, shares: tuple[float | None, ...] | None) -> list[dict[str, float | None]] | None:
        if shares is None:
            return None
        return [{"km": km, "share": share} for km, share in zip(self.distances_km, shares, strict=True)]

    def blocks(self) -> list["Block"]:
        """The table's blocks as text: top-1 with the other measures, then the best of the first five."""
        one = [Line(row.name, (*percents(row.summary.within_top1), *_others(row.summary))) for row in self.rows]
        for row in self.rows:
            if row.name in (MODEL, POINTS) and (shares := self.over_limit(row)) is not None:
                one.append(Line(f"{row.name} / Bayes limit", (*percents(shares), "", "", "", "")))
        five = [Line(row.name, percents(row.summary.within_top5)) for row in self.rows]
        names = tuple(km_text(km) for km in self.distances_km)
        return [
            Block("first guess, % within", (*names, "median", "mean", "GeoScore", "country %"), tuple(one)),
            Block("best of five, % within", names, tuple(five)),
        ]

    def to_text(self) -> str:
        """The table for a terminal, with the notes on how it was measured."""
        parts = [_text(block) for block in self.blocks()]
        return "\n\n".join([*parts, "\n".join(self.notes)])

    def to_markdown(self) -> str:
        """The table as Markdown, with the notes on how it was measured."""
        parts = []
        for block in self.blocks():
            head = [block.title, *block.columns]
            rule = ["---", *["---:"] * len(block.columns)]
            lines = [head, rule, *[[line.name, *line.cells] for line in block.lines]]
            parts.append("\n".join(f"| {' | '.join(cells)} |" for cells in lines))
        return "\n\n".join([*parts, "\n".join(f"- {note}" for note in self.notes)]) + "\n"


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


def _others(summary: Summary) -> tuple[str, ...]:
    def whole(km: float) -> str:
        return f"{km:,.0f} km" if math.isfinite(km) else "–"

    share = f"{100 * summary.country:.1f}"
    return whole(summary.median_km), whole(summary.mean_km), f"{summary.geoscore:,.0f}", share


def _text(block: Block) -> str:
    rows = [(block.title, *block.columns), *[(line.name, *line.cells) for line in block.lines]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]).rstrip() for name, *cells in rows]
    lines.insert(1, "-" * max(len(line) for line in lines))
    return "\n".join(lines)
