"""From guesses to a row of the table: measures, their intervals, and what the probabilities are worth.

Shapes: N photos, K guesses, M measures, D distances.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import places
from openplanet.evaluation.measures import metrics
from openplanet.evaluation.measures.bootstrap import Groups, calibration, interval, mean_intervals, median_interval
from openplanet.evaluation.measures.cell_scores import CellScores
from openplanet.evaluation.measures.distribution import distribution_of
from openplanet.evaluation.rows import Intervals, Row, Truth

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """What all rows of one table have in common: photos, distances, what is drawn together."""

    truth: Truth
    distances_km: tuple[float, ...]
    groups: Groups
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def row(self, name: str, what: str, guesses: tuple[Floats, Floats], scores: CellScores | None = None) -> Row:
        """The row of a locator with guesses lat, lng [N, K], most likely first, NaN for none."""
        truth = self.truth
        return Row(
            name,
            what,
            *guesses,
            metrics.summarise(*guesses, truth.lat, truth.lng, self.distances_km),
            distribution=None if scores is None else distribution_of(scores),
            intervals=self._intervals(guesses, scores),
            labels=label_accuracy(self.labels, guesses[0][:, 0], guesses[1][:, 0]),
        )

    def points_row(self, row: Row, points_DNK2: Floats, what: str, name: str) -> Row:
        """The row of points [D, N, K, 2] that are named for each distance by itself, best first, NaN for none; all else
        is that of ``row``, the same locator's likeliest cells."""
        lat_N, lng_N = self.truth.lat, self.truth.lng
        km_DNK = [metrics.distances(each[..., 0], each[..., 1], lat_N, lng_N) for each in points_DNK2]
        return self.limit_row(replace(row, name=name, what=what), np.stack(km_DNK))

    def limit_row(self, row: Row, km_DNK: Floats) -> Row:
        """``row`` with answers of their own for each distance, which are so far from the truth (infinite: none)."""
        wanted_D = np.array(self.distances_km)[:, None]
        first_DN, best_DN = km_DNK[..., 0] <= wanted_D, km_DNK.min(axis=2) <= wanted_D
        summary = replace(
            row.summary,
            within_top1=tuple(first_DN.mean(axis=1).tolist()),
            within_top5=tuple(best_DN.mean(axis=1).tolist()),
        )
        assert row.intervals is not None
        within = _pairs(mean_intervals(first_DN.T.astype(np.float64), self.groups))
        return replace(
            row,
            summary=summary,
            per_distance=True,
            distribution=None,
            labels=(),
            intervals=replace(row.intervals, within=within, nll=None, ece=None),
        )

    def part(self, index: NDArray[np.int64]) -> "Measure":
        """The same for some of the photos."""
        truth = self.truth.part(index)
        return Measure(truth, self.distances_km, truth.groups())

    def _intervals(self, guesses: tuple[Floats, Floats], scores: CellScores | None) -> Intervals:
        values_NM = per_photo(guesses, self.truth, self.distances_km)
        pairs = _pairs(mean_intervals(values_NM, self.groups))
        km_N = metrics.distances(*guesses, self.truth.lat, self.truth.lng)[:, 0]
        found = Intervals(pairs[:-4], median_interval(km_N, self.groups), *pairs[-4:])
        if scores is None:
            return found
        lost_N1, counted_N = likelihood(scores)
        index = np.flatnonzero(counted_N)
        if len(index) and np.isfinite(lost_N1[index]).all():
            found = replace(found, nll=_pairs(mean_intervals(lost_N1[index], self.groups.part(index)))[0])
        return replace(found, ece=_pairs(interval(calibration(sureness(scores), self.groups), self.groups))[0])


def _pairs(found: tuple[Floats, Floats]) -> tuple[tuple[float, float], ...]:
    return tuple(zip(*(ends.tolist() for ends in found), strict=True))


def likelihood(scores: CellScores) -> tuple[Floats, NDArray[np.bool_]]:
    """-ln p of each true cell [N, 1], infinite where that was given nothing; and the photos that count [N]: those taken
    in a cell and answered."""
    return -scores.log_prob_LN[0].astype(np.float64)[:, None], scores.known_LN[0] & scores.answered_N


def sureness(scores: CellScores) -> Floats:
    """Probability of the likeliest cell, and whether it was right (0 or 1): [N, 2]."""
    return np.column_stack([scores.confidence_LN[0], scores.right_LN[0]]).astype(np.float64)


def measure_names(distances_km: Sequence[float]) -> list[str]:
    """Names of the columns of ``per_photo``."""
    return [*(f"within {km:g} km" for km in distances_km), "GeoScore", "country", "region", "city"]


def per_photo(guesses: tuple[Floats, Floats], truth: Truth, distances_km: Sequence[float]) -> Floats:
    """[N, D + 4]: within each distance (0 or 1), GeoScore, right country, region, city (0 or 1), of first guesses."""
    km_N = metrics.distances(*guesses, truth.lat, truth.lng)[:, 0]
    right_3N = metrics.same_place(guesses[0][:, 0], guesses[1][:, 0], truth.lat, truth.lng)
    within = [km_N <= km for km in distances_km]
    return np.stack([*within, metrics.geoscore(km_N), *right_3N], axis=1).astype(np.float64)


def label_accuracy(
    labels: Mapping[str, tuple[str, ...]], lat_N: Floats, lng_N: Floats
) -> tuple[tuple[str, float], ...]:
    """OSV-5M's own accuracies: the names that its authors give against those of the city nearest to the guess.

    Names are compared as its authors join them: region_country, area_region_country, city_area_region_country. A
    photo without a name is left out of that measure; a photo without a guess is wrong.
    """
    if not labels:
        return ()
    given = np.flatnonzero(~np.isnan(lat_N))
    named = dict(zip(given.tolist(), places.nearest_parts(lat_N[given], lng_N[given]), strict=True))
    found = []
    for measure, truth in labels.items():
        counted = [n for n, name in enumerate(truth) if name and name.lower() != "nan"]
        right = [n in named and _plain(_joined(measure, *named[n])) == _plain(truth[n]) for n in counted]
        found.append((measure, float(np.mean(right)) if right else 0.0))
    return tuple(found)


def _plain(name: str) -> str:
    """Without accents and case: the authors' list of cities writes some names otherwise than ours."""
    parts = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def _joined(measure: str, code: str, region: str, area: str, city: str) -> str:
    return {
        "country": code,
        "region": f"{region}_{code}",
        "area": f"{area}_{region}_{code}",
        "city": f"{city}_{area}_{region}_{code}",
    }[measure]
