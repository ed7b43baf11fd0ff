"""The Markdown tables of benchmarks/real_photos.py: means and spread over seeds, intervals over albums, differences."""

from collections.abc import Mapping, Sequence

import numpy as np
import real_photos_measure as measure
import torch
from real_photos_measure import CHOSEN_BY, KM, Answers, Float32s

from openplanet.earth.partition.adaptive import Partition
from openplanet.evaluation.answers import Truth
from openplanet.evaluation.measures import bootstrap, paired
from openplanet.evaluation.measures.bootstrap import Groups
from openplanet.models.calibration import fit_temperature

HEADER = (
    f"| | {' | '.join(f'{km} km' for km in KM)} | median km | {' | '.join(f'best point {km} km' for km in CHOSEN_BY)}"
    f" | NLL | ECE % | 90 % region holds | score on val |\n|{'---|' * (len(KM) + len(CHOSEN_BY) + 6)}"
)


def row(name: str, of_seeds: list[dict[str, Answers]], split: str) -> str:
    """One line of a Markdown table: means over the seeds on ``split``, and half of max - min behind ±.

    The score in the last column, by which choices are made, is val's in any case.
    """
    summaries = [each[split].summary() for each in of_seeds]

    def cell(values: list[float | None], scale: float, digits: int) -> str:
        known = [scale * value for value in values if value is not None]
        if not known:
            return ""
        spread = f" ±{(max(known) - min(known)) / 2:.{digits}f}" if len(known) > 1 else ""
        return f"{np.mean(known):.{digits}f}{spread}"

    cells = [cell([s["first"][d] for s in summaries], 100, 1) for d in range(len(KM))]
    cells.append(cell([s["median_km"] for s in summaries], 1, 0))
    cells += [cell([s["points"][KM.index(km)] for s in summaries], 100, 1) for km in CHOSEN_BY]
    for key, scale, digits in (("nll", 1, 2), ("ece", 100, 0), ("covered_90", 100, 0)):
        cells.append(cell([s.get(key) for s in summaries], scale, digits))
    cells.append(cell([measure.score(each["val"].summary()) for each in of_seeds], 100, 1))
    return f"| {name} | {' | '.join(cells)} |"


# what the differences are taken between: names of experiments and of rivals, compared at these distances
PAIRS = (
    ("probe", "1-NN, MobileNetV2 standardised"),
    ("probe", "density, MobileNetV2 standardised"),
    ("probe", "density, hand-made"),
    ("probe", "prior"),
    ("planet_modern", "density, MobileNetV2 standardised"),
    ("planet_modern", "probe"),
    ("planet_2016", "prior"),
)
COMPARED_KM = (25, 100)


def intervals(answers: Mapping[str, Sequence[Answers]], groups: Groups) -> None:
    """95 % intervals on test by drawing albums again, and paired differences with Holm's correction over all of them.

    A model's hit is the mean over its seeds, so that the luck of a seed is averaged out before that of the draw.
    """
    columns = [d for shift in (0, len(KM)) for d in (shift + KM.index(km) for km in COMPARED_KM)]
    names = [f"{what} {km} km" for what in ("first guess", "best point") for km in COMPARED_KM]
    hits = {name: measure.mean_hits(each)[:, columns] for name, each in answers.items()}
    print(f"\n| 95 % interval over {groups.count} {groups.what} | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for name, hits_NM in hits.items():
        low, high = bootstrap.interval(bootstrap.means(hits_NM, groups), groups)
        cells = [
            f"{100 * m:.1f} ({100 * a:.0f}–{100 * b:.0f})" for m, a, b in zip(hits_NM.mean(0), low, high, strict=True)
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    pairs = [(a, b, paired.compare(names, hits[a], hits[b], groups)) for a, b in PAIRS]
    corrected = iter(paired.holm([each.p for _, _, found in pairs for each in found]))
    print(f"\n| difference, points | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for a, b, found in pairs:
        cells = [
            f"{100 * d.difference:+.1f} ({100 * d.low:+.0f} to {100 * d.high:+.0f}), p {next(corrected):.2f}"
            for d in found
        ]
        print(f"| {a} less {b} | {' | '.join(cells)} |")


def temperatures(name: str, cells: Partition, truth: Mapping[str, Truth], log_probs: list[dict[str, Float32s]]) -> str:
    """One line: a temperature fitted on val for each seed, and what it does to the answers on test (means)."""
    fitted, told = [], []
    for of_split in log_probs:
        val = truth["val"]
        cell_N = torch.from_numpy(cells.assign(val.lat, val.lng))
        calibration = fit_temperature(torch.from_numpy(of_split["val"]), cell_N)
        fitted.append(calibration.temperature)
        for scaled in (of_split["test"], calibration.log_probs(torch.from_numpy(of_split["test"])).numpy()):
            found = measure.of_log_probs(scaled, cells, truth["test"]).summary()
            points = [100 * found["points"][KM.index(km)] for km in COMPARED_KM]
            told.append([found["nll"], 100 * found["ece"], 100 * found["covered_90"], *points])
    before, after = np.mean(told[::2], axis=0), np.mean(told[1::2], axis=0)
    digits = (2, 1, 0, 1, 1)
    cells_text = [f"{a:.{d}f}, {b:.{d}f}" for a, b, d in zip(before, after, digits, strict=True)]
    return f"| {name} | {np.mean(fitted):.1f} | {' | '.join(cells_text)} |"
