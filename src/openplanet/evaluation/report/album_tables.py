"""How an evaluation of albums is laid out: its tables, and its figures as plain values."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from openplanet.evaluation.answers import BEST_POINT
from openplanet.evaluation.measures.breakdown import Breakdown
from openplanet.evaluation.measures.row import Row, within
from openplanet.evaluation.report.photo_tables import row_dict
from openplanet.evaluation.report.tables import NOT_SAID, Block, Line, km_text, percents, whole_km
from openplanet.evaluation.result import Layout, Result

CITY_KM = 25.0  # the distance at which places in the album are compared
AMBIGUOUS = "ambiguous photos"
PLACES = ("first photo", "second", "first third", "middle third", "last third", "last photo")
Shares = tuple[float, ...] | None


def ways(result: Result) -> list[Row]:
    """The first guesses of every way to place the photos, the single photo first, and the limits."""
    return [row for row in result.rows if row.answers.is_limit or not row.per_distance]


def best(result: Result, with_times: bool = True) -> Row:
    """The way with most photos within the city distance (first guess), the single photo apart; ``with_times``: of all
    ways, else of those that do not read times of capture."""
    asked = [row for row in ways(result)[1:] if not row.answers.is_limit]
    allowed = [row for row in asked if with_times or not row.answers.reads_times]
    return max(allowed, key=lambda row: row.value(within(CITY_KM)))


def blocks(result: Result) -> list[Block]:
    """First guesses, points, intervals, ambiguous photos, places in the album, and photos beside anchors."""
    names, rows = tuple(map(km_text, result.distances_km)), ways(result)
    unsure = _breakdown(result, AMBIGUOUS)
    photos = unsure.parts[0].photos if unsure.parts else 0
    points = {row.name: _point(result, row).shares for row in rows}
    of_unsure = {row.name: _shares(unsure, row) for row in rows}
    return [
        Block("albums: first guess, % within", names, _lines(result, {row.name: row.shares for row in rows})),
        Block("albums: point for each distance", names, _lines(result, points)),
        Block("albums: first guess, 95 % interval", names, tuple(map(_interval, rows))),
        Block(f"{AMBIGUOUS} ({photos:,})", names, _lines(result, of_unsure)),
        *_by_place(result),
        *(_anchored(each, names) for each in result.breakdowns if each.anchors is not None),
    ]


def to_dict(result: Result) -> dict[str, Any]:
    """All figures, JSON-safe; shares are 0 to 1. Rows as those of photos, with what albums have besides."""
    unsure = _breakdown(result, AMBIGUOUS)
    rows = [
        row_dict(row)
        | {
            "points_within": list(_point(result, row).shares),
            "ambiguous": _listed(_shares(unsure, row)),
            "by_place": {place: _listed(_shares(_breakdown(result, place), row)) for place in PLACES},
        }
        for row in ways(result)
    ]
    anchored = [
        {"anchors": each.anchors, "name": part.name, "photos": part.photos, "within": list(part.within),
         "median_km": part.median_km}
        for each in result.breakdowns if each.anchors is not None for part in each.parts
    ]  # fmt: skip
    return {
        "split": result.split,
        "photos": len(result.truth.lat),
        "photo_ids": list(result.truth.photo_id),
        "albums": result.albums,
        "distances_km": list(result.distances_km),
        "best": best(result).name,
        "ambiguous": {"photos": unsure.parts[0].photos if unsure.parts else 0, "rule": unsure.rule},
        "rows": rows,
        "anchors": anchored,
        "notes": list(result.notes),
    }


def _breakdown(result: Result, title: str) -> Breakdown:
    return next(each for each in result.breakdowns if each.title == title)


def _shares(breakdown: Breakdown, row: Row) -> Shares:
    return next((part.within for part in breakdown.parts if part.name == row.name), None)


def _listed(shares: Shares) -> list[float] | None:
    return None if shares is None else list(shares)


def _point(result: Result, row: Row) -> Row:
    """The row of the points that a way names for each distance; a limit names nothing else."""
    return result.row(f"{row.name}{BEST_POINT}") or row


def _lines(result: Result, shares: Mapping[str, Shares]) -> tuple[Line, ...]:
    """The shares of each way; then those of the best over the single photo's, and of the best without times over the
    album limit's, which knows no times and so bounds no other."""
    missing = (None,) * len(result.distances_km)
    lines = [Line(name, percents(found or missing)) for name, found in shares.items()]
    rows = ways(result)
    compared = [(best(result), rows[0])]
    compared += [(best(result, with_times=False), row) for row in rows[-1:] if row.answers.is_limit]
    for ours, other in compared:
        pairs = zip(shares[ours.name] or missing, shares[other.name] or missing, strict=True)
        ratios = tuple(NOT_SAID if not (a is not None and b) else f"{a / b:.2f}" for a, b in pairs)
        lines.append(Line(f"{ours.name} / {other.name}", ratios))
    return tuple(lines)


def _interval(row: Row) -> Line:
    found = (row.figures[within(km)] for km in row.distances_km)
    return Line(row.name, tuple(f"{100 * (each.low or 0):.1f}–{100 * (each.high or 0):.1f}" for each in found))


def _by_place(result: Result) -> Sequence[Block]:
    found = [_breakdown(result, place) for place in PLACES]
    if not any(each.parts for each in found):
        return ()
    columns = tuple(f"{each.title} ({each.parts[0].photos if each.parts else 0:,})" for each in found)
    city = result.distances_km.index(CITY_KM)
    lines = []
    for row in ways(result):
        shares = [_shares(each, row) for each in found]
        lines.append(Line(row.name, percents([None if each is None else each[city] for each in shares])))
    return [Block(f"by place in the album, % within {CITY_KM:g} km", columns, tuple(lines))]


def _anchored(breakdown: Breakdown, names: tuple[str, ...]) -> Block:
    medians = [math.inf if part.median_km is None else part.median_km for part in breakdown.parts]
    pairs = zip(breakdown.parts, medians, strict=True)
    lines = tuple(Line(part.name, (*percents(part.within), whole_km(median))) for part, median in pairs)
    return Block(breakdown.title, (*names, "median"), lines)


ALBUMS = Layout(blocks, to_dict)
