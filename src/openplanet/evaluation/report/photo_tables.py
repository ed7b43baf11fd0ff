"""How an evaluation of photos is laid out: its tables, and its figures as plain values."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from openplanet.evaluation.answers import MODEL, POINTS, Floats
from openplanet.evaluation.measures.metrics import COUNTRY_METHOD
from openplanet.evaluation.measures.naming import CONFIDENCES
from openplanet.evaluation.measures.row import CITY, COUNTRY, ECE, GEOSCORE, MEAN, MEDIAN, NLL, REGION, Row, within
from openplanet.evaluation.report.tables import NOT_SAID, Block, Line, km_text, percents, whole_km
from openplanet.evaluation.result import Layout, Result
from openplanet.inference.place_tree import LEVELS
from openplanet.models.regions import SHARES

FIRST = "first guess, % within"
PUBLISHED = "published, not run, % within"
PROBABILITY_COLUMNS = ("NLL", "Brier", "ECE %", "in 50 %", "in 80 %", "in 90 %", "in 95 %", "90 % cells", "90 % km²")


def blocks(result: Result) -> list[Block]:
    """First guess with the other measures, best of five, published figures, intervals, probabilities."""
    names = tuple(km_text(km) for km in result.distances_km)
    found = [
        Block(FIRST, (*names, "median", "mean", "GeoScore", "country %", "region %", "city %"), _first(result)),
        Block("best of five, % within", names, tuple(_five(result.rows))),
    ]
    if result.published:
        found.append(_reported(Block(PUBLISHED, (*names, "mean", "GeoScore"), tuple(_published(result)))))
    columns = (*names, "median", "GeoScore", "country %", "region %", "city %")
    found.append(Block("first guess, 95 % interval", columns, tuple(map(_interval, result.rows))))
    sure = [row for row in result.rows if row.distribution is not None]
    if sure:
        found.append(Block("probabilities of cells", PROBABILITY_COLUMNS, tuple(map(_probabilities, sure))))
        lines = tuple(map(_probability_interval, sure))
        found.append(Block("cells, 95 % interval", ("NLL", "ECE %"), lines))
    found += naming_blocks(result.model)
    return found


def breakdown_blocks(result: Result) -> list[Block]:
    """One table for each division of the set, of the subject's first guesses."""
    columns = (*(km_text(km) for km in result.distances_km), "median", "GeoScore", "country %", "photos")
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
        for each in result.breakdowns
    ]


def best_of_block(row: Row) -> Block:
    """Share of photos within each distance for the nearest of one locator's first 1 to 5 guesses."""
    names = tuple(map(km_text, row.distances_km))
    lines = [Line(f"best of {k}", percents(shares)) for k, shares in enumerate(row.best_of, 1)]
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


def naming_blocks(row: Row) -> list[Block]:
    """What a person is told: which places at which confidence, how often rightly, and what the regions hold."""
    found = row.answers.naming
    if found is None:
        return []
    told = [Line(f"confidence {100 * each:g} %", _told(found.told(each))) for each in CONFIDENCES]
    columns = [text for level in LEVELS[::-1] for text in (f"{level} %", f"{level} right %")]
    held = [("radius about the best point", found.radius_SN), ("set of cells", found.cells_SN)]
    shares = tuple(f"{100 * share:g} %" for share in SHARES)
    return [
        Block(f"{row.name}: the place that is named", (*columns, "nothing %"), tuple(told)),
        Block(f"{row.name}: regions hold, %", shares, tuple(Line(n, percents(h.mean(axis=1))) for n, h in held)),
    ]


def _told(told: Sequence[tuple[str, float, float | None]]) -> tuple[str, ...]:
    *levels, (_, nothing, _) = told
    return percents([value for _, share, right in levels for value in (share, right)] + [nothing])


def _first(result: Result) -> tuple[Line, ...]:
    one = [Line(row.name, (*percents(row.shares), *_others(row))) for row in result.rows]
    for row in result.rows:
        if row.name in (MODEL, POINTS) and (shares := result.over_limit(row)) is not None:
            one.append(Line(f"{row.name} / Bayes limit", (*percents(shares), *[""] * 6)))
    return tuple(one)


def _five(rows: Sequence[Row]) -> Iterator[Line]:
    for row in rows:
        yield Line(row.name, percents(row.best_of[-1]))


def _published(result: Result) -> Iterator[Line]:
    for each in result.published:
        mark = "" if each.confirmed else " †"
        mean = NOT_SAID if each.mean_km is None else whole_km(each.mean_km)
        score = NOT_SAID if each.geoscore is None else f"{each.geoscore:,.0f}"
        yield Line(f"{each.system} ({each.year}){mark}", (*percents(each.at(result.distances_km)), mean, score))


def _reported(block: Block) -> Block:
    """Without the columns that no system reports."""
    said = [i for i in range(len(block.columns)) if any(line.cells[i] != NOT_SAID for line in block.lines)]
    lines = tuple(Line(line.name, tuple(line.cells[i] for i in said)) for line in block.lines)
    return Block(block.title, tuple(block.columns[i] for i in said), lines)


def _interval(row: Row) -> Line:
    shares = (_ends(row, within(km)) for km in row.distances_km)
    names = (_ends(row, measure) for measure in (COUNTRY, REGION, CITY))
    return Line(row.name, (*shares, _ends(row, MEDIAN, 1, 0), _ends(row, GEOSCORE, 1, 0), *names))


def _ends(row: Row, measure: str, scale: float = 100, digits: int = 1) -> str:
    found = row.figures.get(measure)
    if found is None or found.low is None or found.high is None:
        return NOT_SAID
    return "–".join(f"{scale * end:,.{digits}f}" if math.isfinite(end) else "∞" for end in (found.low, found.high))


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
    return Line(row.name, (_ends(row, NLL, 1, 2), _ends(row, ECE)))


def _others(row: Row) -> tuple[str, ...]:
    names = percents([row.value(measure) for measure in (COUNTRY, REGION, CITY)])
    return whole_km(row.value(MEDIAN)), whole_km(row.value(MEAN)), f"{row.value(GEOSCORE):,.0f}", *names


def to_dict(result: Result) -> dict[str, Any]:
    """All figures, JSON-safe (no NaN, no Infinity). Shares are 0 to 1."""
    points, groups = result.row(POINTS), result.groups
    return {
        "split": result.split,
        "photos": len(result.truth.lat),
        "photo_ids": list(result.truth.photo_id),
        "truth": _degrees(result.truth.lat, result.truth.lng),
        "failed": result.model.failed,
        "outside_partition": result.outside,
        "cells": result.cells,
        "distances_km": list(result.distances_km),
        "country_method": COUNTRY_METHOD,
        "drawn_together": {"what": groups.what, "count": groups.count, "effective": groups.effective},
        "rows": [row_dict(row) for row in result.rows],
        "subject": result.subject,
        "headline": list(result.verdicts),
        "breakdowns": [each.to_dict() for each in result.breakdowns],
        "published_not_run": [each.to_dict() for each in result.published],
        "near_training_photos": None if result.near is None else result.near.to_dict(),
        "leaks": [each.to_dict() for each in result.leaks],
        "naming": None if result.model.answers.naming is None else result.model.answers.naming.to_dict(),
        "model_share_of_bayes_limit": _by_km(result, result.model),
        "best_point_share_of_bayes_limit": _by_km(result, points),
        "notes": list(result.notes),
    }


def row_dict(row: Row) -> dict[str, Any]:
    """All figures of a row, JSON-safe: what is infinite is None."""

    def interval(measure: str) -> list[float | None] | None:
        return row.figures[measure].interval if measure in row.figures else None

    by_km = zip(row.distances_km, row.shares, row.best_of[-1], strict=True)
    named = {"median_km": MEDIAN, "geoscore": GEOSCORE}
    named |= {f"{each}_accuracy": each for each in (COUNTRY, REGION, CITY)}
    values = {key: row.value(measure) for key, measure in {"median_km": MEDIAN, "mean_km": MEAN, **named}.items()}
    return {
        "name": row.name,
        "what": row.answers.what,
        "photos": row.photos,
        "failed": row.failed,
        "within_km": [
            {"km": km, "top1": one, "top5": five, "top1_interval_95": interval(within(km))} for km, one, five in by_km
        ],
        **{key: value if math.isfinite(value) else None for key, value in values.items()},
        "guesses": _guesses(row),
        "best_of": None
        if row.per_distance
        else [{"guesses": k, "within": list(shares)} for k, shares in enumerate(row.best_of, 1)],
        "probabilities": None if row.distribution is None else row.distribution.to_dict(),
        "label_accuracy": dict(row.labels),
        "interval_95": {key: interval(measure) for key, measure in {**named, "nll": NLL, "ece": ECE}.items()},
    }


def _guesses(row: Row) -> list[Any]:
    """[lat, lng] of the first guess for each photo of ``photo_ids`` (of those a player was shown), null for none; of a
    row that answers each distance by itself a list for each distance."""
    if row.answers.points_DNK2 is not None:
        return [_degrees(*points_N2[:, 0].T) for points_N2 in row.answers.points_DNK2]
    return _degrees(row.answers.lat[:, 0], row.answers.lng[:, 0])


def _degrees(lat_N: Floats, lng_N: Floats) -> list[list[float] | None]:
    pairs = zip(lat_N.tolist(), lng_N.tolist(), strict=True)
    return [None if math.isnan(lat) else [round(lat, 5), round(lng, 5)] for lat, lng in pairs]


def _by_km(result: Result, row: Row | None) -> list[dict[str, float | None]] | None:
    shares = None if row is None else result.over_limit(row)
    if shares is None:
        return None
    return [{"km": km, "share": share} for km, share in zip(result.distances_km, shares, strict=True)]


def _more(result: Result) -> list[Block]:
    """What files hold besides: the subject's best of five and levels, and the breakdowns."""
    levels = level_block(result.model)
    return [best_of_block(result.model), *([levels] if levels else []), *breakdown_blocks(result)]


PHOTOS = Layout(blocks, to_dict, _more)
