"""The experiments of benchmarks/real_photos.py, by group and name: what each changes of a recipe, and its cells."""

from dataclasses import dataclass, field

from openplanet.earth.partition.adaptive import TargetCells, Thresholds

ADAPTIVE = Thresholds(60, 5)  # 158 cells of the train split
MIN_PHOTOS = 5
IMAGENET = {
    "backbone": "mobilenetv2_100", "backbone_args": '{"pad_type":"same"}', "image_size": "160",
    "mean": "0.5,0.5,0.5", "std": "0.5,0.5,0.5",
}  # fmt: skip
PROBE = IMAGENET | {"smoothing_km": "none"}
# of planet_modern: the learning rate is MobileNetV2's, not ConvNeXt's; an average over 0.999 would reach back before
# the first of 426 steps; smoothing is what the probe was best with on val; size and epochs are what two cores can do
MODERN = IMAGENET | {
    "image_size": "128", "epochs": "6", "levels": "500/5", "smoothing_km": "1", "learning_rate": "5e-4",
    "ema_decay": "0.99", "precision": "bfloat16",
}  # fmt: skip
PAPER = {"image_size": "96", "aux_head": "false", "precision": "bfloat16", "batch_size": "32", "epochs": "12"}


@dataclass(frozen=True)
class Level:
    """All cells of one S2 level with at least MIN_PHOTOS photos."""

    level: int


@dataclass(frozen=True)
class Experiment:
    """One row of a table: a recipe, what is changed of it, its cells (coarse to fine), its share of the photos."""

    recipe: str = "probe"
    changes: dict[str, str] = field(default_factory=dict)
    cells: tuple[Thresholds | TargetCells | Level, ...] = (ADAPTIVE,)
    share: float = 1.0


def probe(*cells: Thresholds | TargetCells | Level, share: float = 1.0, **changes: str) -> Experiment:
    """A frozen probe with some fields of PROBE changed."""
    return Experiment("probe", PROBE | changes, cells or (ADAPTIVE,), share)


GROUPS: dict[str, dict[str, Experiment]] = {
    "smoothing": {"probe": probe()} | {f"smoothing {km} km": probe(smoothing_km=str(km)) for km in (1, 3, 10, 25, 75)},
    "cells": {f"adaptive {n}": probe(TargetCells(n, MIN_PHOTOS)) for n in (25, 52, 85, 155, 245, 600)}
    | {f"level {level}": probe(Level(level)) for level in (9, 10, 11, 12)},
    "least photos": {f"60 down to {n}": probe(Thresholds(60, n)) for n in (1, 2, 10, 20)},
    "levels": {
        "two levels": probe(Thresholds(500, 5), ADAPTIVE, levels="500/5"),
        "three levels": probe(Thresholds(1000, 5), Thresholds(250, 5), ADAPTIVE, levels="1000/5,250/5"),
    },
    "targets": {
        "embeddings": probe(head="embeddings"),
        "embeddings, two levels": probe(Thresholds(500, 5), ADAPTIVE, head="embeddings", levels="500/5"),
        "class_balance 0.99": probe(class_balance="0.99"),
    },
    "photos": {f"1/{n} of the photos": probe(share=1 / n) for n in (8, 4, 2)},
    "trained whole": {
        "planet_2016": Experiment("planet_2016", PAPER),
        "planet_modern": Experiment("planet_modern", MODERN, (Thresholds(500, 5), ADAPTIVE)),
    },
}


TEMPERED = ("probe", "smoothing 1 km", "smoothing 10 km", "embeddings", "two levels", "planet_modern", "planet_2016")
