"""Several locators side by side on the same photos, and which of their differences are more than luck.

Shapes: N photos, K guesses, M measures.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openplanet.errors import InputError
from openplanet.evaluation import baselines, bootstrap, locating, metrics, retrieval, tables
from openplanet.evaluation.bootstrap import Difference
from openplanet.evaluation.geoclip import PREFIX, open_locator
from openplanet.evaluation.metrics import TOP_K
from openplanet.evaluation.photoset import PhotoSet
from openplanet.evaluation.predictions import read_predictions
from openplanet.evaluation.rows import DENSITY, NEAREST, RANDOM
from openplanet.evaluation.scoring import measure_names, per_photo
from openplanet.evaluation.tables import Block, Line
from openplanet.photos.shards import Dataset

Floats = NDArray[np.float64]
Guessed = tuple[Floats, Floats]

BASELINES = {"random": RANDOM, "nearest": NEAREST, "density": DENSITY}


@dataclass(frozen=True)
class Comparison:
    """``means`` [contestants][measures] and, for every two contestants, their paired differences."""

    names: tuple[str, ...]
    measures: tuple[str, ...]
    means: tuple[tuple[float, ...], ...]
    intervals: tuple[tuple[tuple[float, float], ...], ...]
    differences: tuple[tuple[str, str, tuple[Difference, ...]], ...]
    photos: int
    drawn: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-safe."""
        found = asdict(self)
        found["differences"] = [
            {"a": a, "b": b, "measures": [{**asdict(each), "real": each.real} for each in differences]}
            for a, b, differences in self.differences
        ]
        return found

    def to_text(self) -> str:
        """The table with intervals, then what is real and what is not, in sentences."""
        lines = []
        for name, means, intervals in zip(self.names, self.means, self.intervals, strict=True):
            pairs = zip(self.measures, means, intervals, strict=True)
            lines.append(Line(name, tuple(_cell(measure, mean, *interval) for measure, mean, interval in pairs)))
        parts = [tables.text(Block("first guess (95 % interval)", self.measures, tuple(lines)))]
        parts += [_verdict(a, b, differences) for a, b, differences in self.differences]
        parts.append(
            f"{self.photos:,} photos, {self.drawn}. Real: p below 5 % for all differences of this table together "
            "(Holm), by exchanging the two on whole groups of photos. Not real: these photos cannot tell them apart."
        )
        return "\n\n".join(parts)


def compare(
    contestants: Sequence[str], photoset: PhotoSet, train: Dataset | None, extra_distances: Sequence[float] = ()
) -> Comparison:
    """Compare checkpoint folders, files of predictions and baselines (``random``, ``nearest``, ``density``).

    Baselines are fitted on the train split of ``train``. Raises InputError for fewer than two contestants, for one
    that is none of these, and for a player of a game, who saw only some of the photos.
    """
    if len(contestants) < 2:
        raise InputError("a comparison needs two: checkpoints, files of predictions, or random, nearest, density")
    distances_km = tuple(sorted({*metrics.DISTANCES_KM, *map(float, extra_distances)}))
    guessed: dict[str, Guessed] = {}
    for text in contestants:
        for name, guesses in _guesses(text, photoset, train).items():
            if name in guessed:
                raise InputError(f"two contestants are called {name}: rename a folder or file")
            guessed[name] = guesses
    groups = photoset.truth.groups()
    values = {name: per_photo(guesses, photoset.truth, distances_km) for name, guesses in guessed.items()}
    measures = measure_names(distances_km)
    intervals = []
    for values_NM in values.values():
        low, high = bootstrap.mean_intervals(values_NM, groups)
        intervals.append(tuple((float(a), float(b)) for a, b in zip(low, high, strict=True)))
    pairs = [(a, b, bootstrap.compare(measures, values[a], values[b], groups)) for a, b in combinations(values, 2)]
    return Comparison(
        tuple(values),
        tuple(measures),
        tuple(tuple(float(mean) for mean in values_NM.mean(axis=0)) for values_NM in values.values()),
        tuple(intervals),
        _corrected(pairs),
        len(photoset),
        f"{groups.count:,} {groups.what} drawn together",
    )


def _corrected(
    pairs: list[tuple[str, str, list[Difference]]],
) -> tuple[tuple[str, str, tuple[Difference, ...]], ...]:
    corrected = iter(bootstrap.holm([each.p for _, _, differences in pairs for each in differences]))
    return tuple(
        (a, b, tuple(replace(each, p_corrected=next(corrected)) for each in differences)) for a, b, differences in pairs
    )


def _guesses(text: str, photoset: PhotoSet, train: Dataset | None) -> dict[str, Guessed]:
    if text in BASELINES:
        return {text: _baseline(text, photoset, train)}
    path = Path(text)
    if path.is_dir() or text.startswith(PREFIX):
        answers = locating.ask(open_locator(text), photoset, ())
        return {path.name: (answers.lat, answers.lng)}
    if path.suffix.lower() in (".csv", ".json"):
        found = read_predictions(path, photoset.truth)
        if any(each.human for each in found):
            raise InputError(f"{path} holds rounds of a game: measure it with openplanet evaluate --predictions {path}")
        return {each.name: (each.lat, each.lng) for each in found}
    raise InputError(
        f"{text} is no contestant: give a checkpoint folder, a CSV or JSON of predictions, or {', '.join(BASELINES)}"
    )


def _baseline(name: str, photoset: PhotoSet, train: Dataset | None) -> Guessed:
    if train is None:
        raise InputError(f"{name} is fitted on training photos: give the dataset with --train")
    gallery = retrieval.Gallery(train)
    if len(gallery) == 0:
        raise InputError(f"{train.path} has no training photo with a position: {name} cannot be fitted on it")
    if name == "random":
        return baselines.random_guesses(gallery.lat, gallery.lng, len(photoset), TOP_K)
    return retrieval.by_features(gallery, photoset)[BASELINES[name]][0]


def _cell(measure: str, mean: float, low: float, high: float) -> str:
    if measure == "GeoScore":
        return f"{mean:,.0f} ({low:,.0f}–{high:,.0f})"
    return f"{100 * mean:.1f} ({100 * low:.1f}–{100 * high:.1f})"


def _verdict(a: str, b: str, differences: Sequence[Difference]) -> str:
    lines = [f"{a} against {b}:"]
    for each in differences:
        scale = 1.0 if each.measure == "GeoScore" else 100.0
        unit = "" if each.measure == "GeoScore" else " points"
        better = a if each.difference > 0 else b
        verdict = f"real: {better} is better" if each.real else "not real"
        lines.append(
            f"  {each.measure:>15}: {scale * each.difference:+.1f}{unit} "
            f"({scale * each.low:+.1f} to {scale * each.high:+.1f}), p {each.p_corrected:.3f}: {verdict}"
        )
    return "\n".join(lines)
