"""Several locators side by side on the same photos, and which of their differences are more than luck.

Shapes: N photos, K guesses, M measures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from openplanet.evaluation import bootstrap, leakage, metrics, tables
from openplanet.evaluation.bootstrap import Difference, Groups
from openplanet.evaluation.contestants import Contestants, need_pictures
from openplanet.evaluation.locating import Locator
from openplanet.evaluation.photoset import PhotoSet
from openplanet.evaluation.scoring import measure_names, per_photo
from openplanet.evaluation.tables import Block, Line
from openplanet.photos.shards import Dataset

Pair = tuple[str, str, tuple[Difference, ...]]


@dataclass(frozen=True)
class Comparison:
    """``means`` [contestants][measures] and, for every two contestants, their paired differences."""

    names: tuple[str, ...]
    measures: tuple[str, ...]
    means: tuple[tuple[float, ...], ...]
    intervals: tuple[tuple[tuple[float, float], ...], ...]
    unanswered: tuple[int, ...]  # photos without a guess: wrong in every measure
    differences: tuple[Pair, ...]
    photos: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-safe."""
        found = asdict(self)
        found["differences"] = [
            {"a": a, "b": b, "measures": [{**asdict(each), "real": each.real} for each in differences]}
            for a, b, differences in self.differences
        ]
        return found

    def to_text(self) -> str:
        """Two tables, of the contestants and of their differences; then what is real, in sentences."""
        short = tuple(measure.removeprefix("within ") for measure in self.measures)
        rows = zip(self.names, self.means, self.intervals, self.unanswered, strict=True)
        lines = tuple(
            Line(
                name,
                (*(_cell(*each) for each in zip(self.measures, means, intervals, strict=True)), f"{unanswered:,}"),
            )
            for name, means, intervals, unanswered in rows
        )
        apart = tuple(Line(f"{a} less {b}", tuple(map(_difference, each))) for a, b, each in self.differences)
        parts = [
            tables.text(Block("first guess, % within (95 % interval)", (*short, "no guess"), lines)),
            tables.text(Block("difference in points (95 % interval), * real", short, apart)),
            "\n".join(_verdicts(self.differences)),
            "\n".join(self.notes),
        ]
        return "\n\n".join(parts)


def compare(
    contestants: Sequence[str],
    photoset: PhotoSet,
    train: Dataset | None,
    extra_distances: Sequence[float] = (),
    strict: bool = False,
) -> Comparison:
    """Compare checkpoint folders, files of predictions and baselines (``contestants.BASELINES``).

    Baselines are fitted on the train split of ``train``, with which the set must share nothing: what it shares is
    told, and with ``strict`` refused. Raises InputError for fewer than two contestants, for one that is none, for two
    of one name, and for a player of a game, who saw only some of the photos.
    """
    asked = Contestants(contestants, photoset, train)
    looked_at = strict or not photoset.of_files or need_pictures(contestants)
    models: list[Locator | None] = [*asked.locators()] or [None]
    blind = [each for model in models for each in leakage.blind_spots(train, True, looked_at, model)]
    blind = list(dict.fromkeys(blind))
    leaks = () if train is None else leakage.check(photoset, train, looked_at)
    if strict:
        leakage.refuse(leaks, blind)
    distances_km = tuple(sorted({*metrics.DISTANCES_KM, *map(float, extra_distances)}))
    guessed = asked.guesses()
    groups = photoset.truth.groups()
    values = {name: per_photo(guesses, photoset.truth, distances_km) for name, guesses in guessed.items()}
    measures = measure_names(distances_km)
    intervals = []
    for values_NM in values.values():
        low, high = bootstrap.mean_intervals(values_NM, groups)
        intervals.append(tuple((float(a), float(b)) for a, b in zip(low, high, strict=True)))
    two = list(combinations(values, 2))
    exchanges = bootstrap.exchanges_for(len(two) * len(measures))
    pairs = [
        (a, b, tuple(bootstrap.compare(measures, values[a], values[b], groups, exchanges=exchanges))) for a, b in two
    ]
    return Comparison(
        tuple(values),
        tuple(measures),
        tuple(tuple(float(mean) for mean in values_NM.mean(axis=0)) for values_NM in values.values()),
        tuple(intervals),
        tuple(int(np.isnan(lat_NK).all(axis=1).sum()) for lat_NK, _ in guessed.values()),
        corrected(pairs),
        len(photoset),
        (
            f"{len(photoset):,} photos of {photoset.name}, {groups.count:,} {groups.what} drawn together. A photo "
            "without a guess counts as wrong.",
            *_meaning(groups, pairs, exchanges),
            *photoset.notes,
            *(f"{name}: {what}." for name, what in asked.told.items()),
            *(f"Leakage guard: {leak.text}." for leak in leaks),
            *(f"Leakage guard: not sure: {reason}" for reason in blind),
        ),
    )


def corrected(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The pairs with p corrected for all their differences together (Holm). Where no group differs at all there is
    nothing to test, and nothing to correct for."""
    tested = iter(bootstrap.holm([each.p for _, _, differences in pairs for each in differences if each.p < 1]))
    return tuple(
        (a, b, tuple(replace(each, p_corrected=next(tested) if each.p < 1 else 1.0) for each in differences))
        for a, b, differences in pairs
    )


def _meaning(groups: Groups, pairs: Sequence[Pair], exchanges: int) -> Iterator[str]:
    tests = sum(each.p < 1 for _, _, differences in pairs for each in differences)
    yield (
        f"Real (*): p below 5 % after the correction for {tests} differences that this table tests together (Holm); p "
        "is how often exchanging the two on whole groups of photos gives as large a difference. A difference that is "
        "not marked may be there all the same: these photos cannot show it."
    )
    least = bootstrap.smallest_p(groups, exchanges)
    if tests and least * tests >= 1 - bootstrap.LEVEL:
        yield (
            f"Nothing in this table could be shown to be real: {groups.count} {groups.what} give a p of {least:.2g} at "
            f"best, {min(1.0, least * tests):.2g} after the correction. Take photos of more {groups.what}, or compare "
            "fewer."
        )


def _cell(measure: str, mean: float, interval: tuple[float, float]) -> str:
    low, high = interval
    if measure == "GeoScore":
        return f"{mean:,.0f} ({low:,.0f}–{high:,.0f})"
    return f"{100 * mean:.1f} ({100 * low:.1f}–{100 * high:.1f})"


def _difference(each: Difference) -> str:
    scale, digits = (1.0, 0) if each.measure == "GeoScore" else (100.0, 1)
    middle, low, high = (f"{scale * value:+,.{digits}f}" for value in (each.difference, each.low, each.high))
    return f"{middle} ({low} to {high}){'*' if each.real else ' '}"


def _verdicts(pairs: Sequence[Pair]) -> Iterator[str]:
    """What is real between every two, in sentences."""
    alike = []
    for a, b, differences in pairs:
        real = [each for each in differences if each.real]
        for better, worse, sign in ((a, b, 1), (b, a, -1)):
            where = [each.measure for each in real if sign * each.difference > 0]
            if where:
                yield f"{better} is really better than {worse}: {', '.join(where)}."
        if not real:
            alike.append(f"{a} and {b}")
    if alike:
        yield f"No difference is shown: {'; '.join(alike)}."
