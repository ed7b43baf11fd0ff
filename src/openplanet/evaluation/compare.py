"""Several locators side by side on the same photos, and which of their differences are more than luck.

Shapes: N photos, K guesses, M measures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from openplanet.evaluation.contestants.contestants import Contestants, need_pictures
from openplanet.evaluation.measures import metrics, paired
from openplanet.evaluation.measures.bootstrap import LEVEL, Groups
from openplanet.evaluation.measures.paired import Difference
from openplanet.evaluation.measures.row import ECE, Columns, Measure, Row
from openplanet.evaluation.report.comparison_tables import COMPARISON, measures, verdicts
from openplanet.evaluation.report.notes import CROP
from openplanet.evaluation.result import Pair, Result
from openplanet.evaluation.testsets import leakage, nearness
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.inference.locator import trained_on
from openplanet.photos.dataset import Dataset


def compare(
    contestants: Sequence[str],
    photoset: PhotoSet,
    train: Dataset | None,
    extra_distances: Sequence[float] = (),
    strict: bool = False,
) -> Result:
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
    distances_km = metrics.with_standard(extra_distances)
    groups = photoset.truth.groups()
    measure = Measure(photoset.truth, distances_km, groups)
    entries = asked.answers()
    # half way round the Earth, so that the median of any two can be compared
    columns = [measure.columns(each, metrics.FARTHEST_KM) for each in entries]
    rows = tuple(measure.row(each, its) for each, its in zip(entries, columns, strict=True))
    two = list(combinations(zip(rows, columns, strict=True), 2))
    exchanges = paired.exchanges_for(len(two) * len(measures(rows)))
    pairs = [(a.name, b.name, tuple(_paired(its, others, groups, exchanges))) for (a, its), (b, others) in two]
    differences = corrected(pairs)
    return Result(
        layout=COMPARISON,
        where=photoset.name,
        truth=photoset.truth,
        distances_km=distances_km,
        rows=rows,
        groups=groups,
        notes=(
            *_counted(photoset, groups, rows),
            *([CROP] if asked.models() else []),
            *_meaning(groups, pairs, exchanges),
            *photoset.notes,
            *nearness.notes(photoset.truth, train),
            *(f"{each.name}: {each.what}." for each in entries if each.what),
            *(f"Leakage guard: {leak.text}." for leak in leaks),
            *(f"Leakage guard: not sure: {reason}" for reason in blind),
        ),
        subject=rows[0].name,
        leaks=leaks,
        differences=differences,
        verdicts=tuple(verdicts(differences)),
    )


def _paired(a: Sequence[Columns], b: Sequence[Columns], groups: Groups, exchanges: int) -> Iterator[Difference]:
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


def _counted(photoset: PhotoSet, groups: Groups, rows: Sequence[Row]) -> Iterator[str]:
    """What counts how."""
    yield (
        f"{len(photoset):,} photos of {photoset.name}, {groups.text} drawn together. A photo without a "
        "guess counts as wrong, and in the median as half way round the Earth."
    )
    if ECE in measures(rows):
        yield (
            "NLL (mean of -ln p of the true cell, over photos in a cell that are answered) and ECE (of the likeliest "
            "cell, in 15 bins) are compared between contestants over the same cells only; between two, NLL is over the "
            "photos that count for both. In the median, NLL and ECE less is better. Intervals of ECE lie a bit high: "
            "drawing photos again adds noise, which it counts as error."
        )
    by_cells: dict[tuple[int, int], list[str]] = {}
    for row in rows:
        scores, partition = row.answers.scores, row.answers.partition
        if scores is not None and partition is not None:
            outside = int((scores.cell_N < 0).sum())
            by_cells.setdefault((outside, len(partition)), []).append(row.name)
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
