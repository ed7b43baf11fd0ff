"""Several locators side by side on the same photos, and which of their differences are more than luck.

Shapes: N photos, K guesses, M measures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from openplanet.evaluation.contestants.contestants import Contestants, Entry, need_pictures
from openplanet.evaluation.measures import metrics, paired
from openplanet.evaluation.measures.bootstrap import LEVEL, Groups
from openplanet.evaluation.measures.compared import ECE, LESS_IS_BETTER, MEDIAN, NLL, Figure, Measured, measured
from openplanet.evaluation.measures.paired import Difference
from openplanet.evaluation.measures.scoring import measure_names
from openplanet.evaluation.report import tables
from openplanet.evaluation.report.notes import CROP
from openplanet.evaluation.report.tables import NOT_SAID, Block, Line
from openplanet.evaluation.testsets import leakage
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.inference.locator import trained_on
from openplanet.photos.dataset import Dataset

Pair = tuple[str, str, tuple[Difference, ...]]

FORMS = {"GeoScore": (1.0, 0), MEDIAN: (1.0, 1), NLL: (1.0, 2)}  # scale and digits; others are shares, in percent


@dataclass(frozen=True)
class Comparison:
    """``figures`` [contestants] by measure, and, for every two contestants, their paired differences. A measure that a
    contestant does not have, or in which two cannot be compared, is not there."""

    names: tuple[str, ...]
    measures: tuple[str, ...]
    figures: tuple[dict[str, Figure], ...]
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

    def blocks(self) -> list[Block]:
        """Tables of the contestants and of their differences: shares within distances, then everything else."""
        within = tuple(measure for measure in self.measures if measure.startswith("within "))
        others = tuple(measure for measure in self.measures if measure not in within)
        return [
            self._contestants("first guess, % within (95 % interval)", within, ()),
            self._contestants("other measures (95 % interval)", others, ("no guess",)),
            self._apart("difference in points (95 % interval), * real", within),
            self._apart("difference (95 % interval), * real", others),
        ]

    def to_text(self) -> str:
        """The tables; then what is real, in sentences."""
        return "\n\n".join(
            [*map(tables.text, self.blocks()), "\n".join(_verdicts(self.differences)), "\n".join(self.notes)]
        )

    def _contestants(self, title: str, measures: tuple[str, ...], more: tuple[str, ...]) -> Block:
        lines = tuple(
            Line(name, (*(_figure(each, found.get(each)) for each in measures), *([f"{lost:,}"] if more else [])))
            for name, found, lost in zip(self.names, self.figures, self.unanswered, strict=True)
        )
        return Block(title, (*map(_short, measures), *more), lines)

    def _apart(self, title: str, measures: tuple[str, ...]) -> Block:
        lines = []
        for a, b, differences in self.differences:
            by_name = {each.measure: each for each in differences}
            lines.append(Line(f"{a} less {b}", tuple(_difference(by_name.get(each)) for each in measures)))
        return Block(title, tuple(map(_short, measures)), tuple(lines))


def compare(
    contestants: Sequence[str],
    photoset: PhotoSet,
    train: Dataset | None,
    extra_distances: Sequence[float] = (),
    strict: bool = False,
) -> Comparison:
    """Compare checkpoints of photos and of albums, files of predictions and baselines (``contestants.NAMED``).

    Baselines are fitted on the train split of ``train``, with which the set must share nothing: what it shares is
    told, and with ``strict`` refused. Raises InputError for fewer than two contestants, for one that is none, for two
    of one name, for an album model where the set has no albums, and for a player of a game, who saw only some photos.
    """
    asked = Contestants(contestants, photoset, train)
    looked_at = strict or not photoset.of_files or need_pictures(contestants)
    training = [each for model in asked.models() for each in trained_on(model)]
    blind = leakage.blind_spots(train, True, looked_at, training)
    leaks = () if train is None else (*leakage.check(photoset, train, looked_at), *asked.gallery_leaks())
    if strict:
        leakage.refuse(leaks, blind)
    distances_km = tuple(sorted({*metrics.DISTANCES_KM, *map(float, extra_distances)}))
    groups = photoset.truth.groups()
    entries = asked.entries()
    found = {name: measured(entry, photoset.truth, distances_km) for name, entry in entries.items()}
    told = {name for each in found.values() for part in each for name in part.names}
    measures = tuple(name for name in (*measure_names(distances_km), MEDIAN, NLL, ECE) if name in told)
    two = list(combinations(found, 2))
    exchanges = paired.exchanges_for(len(two) * len(measures))
    pairs = [(a, b, tuple(_paired(found[a], found[b], groups, exchanges))) for a, b in two]
    figures = [[part.figures(groups) for part in each] for each in found.values()]
    return Comparison(
        tuple(found),
        measures,
        tuple({name: figure for part in each for name, figure in part.items()} for each in figures),
        tuple(int(np.isnan(entry.lat).all(axis=1).sum()) for entry in entries.values()),
        corrected(pairs),
        len(photoset),
        (
            *_counted(photoset, groups, entries, measures),
            *([CROP] if asked.models() else []),
            *_meaning(groups, pairs, exchanges),
            *photoset.notes,
            *(f"{name}: {what}." for name, what in asked.told.items()),
            *(f"Leakage guard: {leak.text}." for leak in leaks),
            *(f"Leakage guard: not sure: {reason}" for reason in blind),
        ),
    )


def _paired(a: Sequence[Measured], b: Sequence[Measured], groups: Groups, exchanges: int) -> Iterator[Difference]:
    of_b = {each.names: each for each in b}
    for each in a:
        if each.names in of_b:
            yield from each.less(of_b[each.names], groups, exchanges)


def corrected(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The pairs with p corrected for all their differences together (Holm). Where no group differs at all there is
    nothing to test, and nothing to correct for."""
    tested = iter(paired.holm([each.p for _, _, differences in pairs for each in differences if each.differ]))
    return tuple(
        (a, b, tuple(replace(each, p_corrected=next(tested) if each.differ else 1.0) for each in differences))
        for a, b, differences in pairs
    )


def _counted(
    photoset: PhotoSet, groups: Groups, entries: Mapping[str, Entry], measures: Sequence[str]
) -> Iterator[str]:
    """What counts how."""
    yield (
        f"{len(photoset):,} photos of {photoset.name}, {groups.count:,} {groups.what} drawn together. A photo without "
        "a guess counts as wrong, and in the median as half way round the Earth."
    )
    if ECE in measures:
        yield (
            "NLL (mean of -ln p of the true cell, over photos in a cell that are answered) and ECE (of the likeliest "
            "cell, in 15 bins) are compared between contestants over the same cells only; between two, NLL is over the "
            "photos that count for both. In the median, NLL and ECE less is better. Intervals of ECE lie a bit high: "
            "drawing photos again adds noise, which it counts as error."
        )
    by_cells: dict[tuple[int, int], list[str]] = {}
    for name, entry in entries.items():
        if entry.scores is not None and entry.partition is not None:
            outside = int((entry.scores.cell_N < 0).sum())
            by_cells.setdefault((outside, len(entry.partition)), []).append(name)
    for (outside, cells), names in by_cells.items():
        yield (
            f"{outside:,} photos were taken outside all {cells:,} cells of {', '.join(names)}; they count like any "
            "other in all but NLL."
        )
    yield f"Country, region and city: {metrics.COUNTRY_METHOD}."


def _meaning(groups: Groups, pairs: Sequence[Pair], exchanges: int) -> Iterator[str]:
    tests = sum(each.differ > 0 for _, _, differences in pairs for each in differences)
    yield (
        f"Real (*): p below 5 % after the correction for {tests} differences that this table tests together (Holm); p "
        "is how often exchanging the two on whole groups of photos gives as large a difference. A difference that is "
        "not marked may be there all the same: these photos cannot show it."
    )
    least = paired.smallest_p(groups, exchanges)
    if tests and least * tests >= 1 - LEVEL:
        yield (
            f"Nothing in this table could be shown to be real: {groups.count} {groups.what} give a p of {least:.2g} at "
            f"best, {min(1.0, least * tests):.2g} after the correction. Take photos of more {groups.what}, or compare "
            "fewer."
        )


def _short(measure: str) -> str:
    return "ECE %" if measure == ECE else measure.removeprefix("within ")


def _figure(measure: str, figure: Figure | None) -> str:
    if figure is None:
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


def _verdicts(pairs: Sequence[Pair]) -> Iterator[str]:
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
