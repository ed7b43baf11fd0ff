"""What benchmarks/real_photos.py measures: likeliest cells and best points of a model, and its rivals.

Shapes: N photos, M training photos, C cells, D distances, F features.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from openplanet.earth.geo import distance_km
from openplanet.earth.partition.adaptive import Partition
from openplanet.earth.partition.best_point import PointFinder
from openplanet.evaluation.answers import Truth
from openplanet.evaluation.contestants import baselines, neighbours
from openplanet.evaluation.contestants.neighbours import Kernel
from openplanet.evaluation.measures.cell_scores import CellScorer
from openplanet.evaluation.measures.distribution import distribution_of
from openplanet.evaluation.measures.metrics import median_km
from openplanet.evaluation.testsets.photoset import read_images
from openplanet.inference.predictor import Predictor
from openplanet.models import features
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageModel
from openplanet.photos.dataset import Dataset
from openplanet.storage import atomic_path
from openplanet.training.photos import frozen_features
from openplanet.training.recipe.recipe import Recipe

Floats = NDArray[np.float64]
Float32s = NDArray[np.float32]

KM = (1, 5, 10, 25, 50, 100, 200, 750, 2500)
CHOSEN_BY = (5, 25, 100)  # km: choices take the highest mean share of best points on val at these distances
KERNELS = (Kernel(1, 1.0), *(Kernel(n, km) for n in (10, 50, 200) for km in (1.0, 5.0, 20.0, 50.0, 200.0)))


@dataclass(frozen=True)
class Answers:
    """Of each photo: km from the truth to the first guess [N], and to the guess made for each of KM [N, D]."""

    first_N: Floats
    points_ND: Floats
    probabilities: dict[str, float | None]

    def summary(self) -> dict[str, Any]:
        """Shares within each of KM, and the rest of a row of the tables; JSON-safe."""
        return {
            "first": [float((self.first_N <= km).mean()) for km in KM],
            "points": [float((self.points_ND[:, d] <= km).mean()) for d, km in enumerate(KM)],
            "median_km": median_km(self.first_N),
            **self.probabilities,
        }

    def hits(self) -> Floats:
        """Whether first guess, then best point lies within each distance: [N, 2 D]."""
        km_D = np.array(KM)
        return np.concatenate([self.first_N[:, None] <= km_D, self.points_ND <= km_D], axis=1).astype(np.float64)


def score(summary: dict[str, Any]) -> float:
    """What choices go by."""
    return float(np.mean([summary["points"][KM.index(km)] for km in CHOSEN_BY]))


def of_log_probs(log_probs_NC: Float32s, partition: Partition, truth: Truth) -> Answers:
    """The answers of a distribution over cells."""
    finder, scorer = PointFinder(partition), CellScorer(partition)
    best_N = log_probs_NC.argmax(axis=1)
    first_N = distance_km(partition.centroid_lat[best_N], partition.centroid_lng[best_N], truth.lat, truth.lng)
    at_ND2 = np.empty((len(best_N), len(KM), 2))
    for row, p_C in enumerate(np.exp(log_probs_NC.astype(np.float64))):
        for d, km in enumerate(KM):
            lat_K, lng_K, _ = finder.best_within(p_C, km)
            at_ND2[row, d] = lat_K[0], lng_K[0]
    scorer.add(log_probs_NC, truth.lat, truth.lng)
    found = distribution_of(scorer.finish())
    region = next(each for each in found.regions if each.mass == 0.9)
    cell = found.levels[0]
    probabilities = {"nll": cell.nll, "ece": cell.ece, "covered_90": region.covered}
    points_ND = distance_km(at_ND2[..., 0], at_ND2[..., 1], truth.lat[:, None], truth.lng[:, None])
    return Answers(np.asarray(first_N), np.asarray(points_ND), probabilities)


def log_probs_of(checkpoint: Checkpoint, recipe: Recipe, dataset: Dataset, split: str) -> Float32s:
    """Log-probabilities [N, C] of a split: from kept features where the backbone is frozen."""
    if not recipe.frozen:
        located = Predictor(checkpoint).locate_many(read_images(dataset, split))
        return np.stack([each.prediction.log_probs for each in located if each.prediction is not None])
    model = checkpoint.model.eval()
    photos = frozen_features.load_split(dataset, split, checkpoint.partition, model, drop=False)
    with torch.inference_mode():
        logits_NC = model.combine(model.classify(photos.inputs["features"]))
    return np.asarray(torch.log_softmax(logits_NC.float(), dim=1).numpy())


def backbone_features(recipe: Recipe, weights: Path, cells: Partition, dataset: Dataset, split: str) -> Float32s:
    """The frozen backbone's own features [N, F] of a split, in stored order, kept beside the dataset."""
    model = ImageModel(recipe.image_config(), len(cells))
    model.load_backbone(weights)
    photos = frozen_features.load_split(dataset, split, cells, model, drop=False)
    return np.asarray(photos.inputs["features"].numpy())


def keep(file: Path, answers: dict[str, dict[str, Answers]]) -> None:
    """Write what rivals answered, for ``kept`` to read."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, of_split in answers.items():
        for split, each in of_split.items():
            told = np.array(json.dumps(each.probabilities))
            arrays |= {f"{name}|{split}|first": each.first_N, f"{name}|{split}|points": each.points_ND}
            arrays[f"{name}|{split}|told"] = told
    with atomic_path(file) as temporary, temporary.open("wb") as opened:
        np.savez(opened, **arrays)  # type: ignore[arg-type]


def kept(file: Path) -> dict[str, dict[str, Answers]]:
    """Locator → split → answers, as ``keep`` wrote them."""
    found: dict[str, dict[str, Answers]] = {}
    with np.load(file) as saved:
        for key in saved.files:
            name, split, what = key.split("|")
            if what == "first":
                told = json.loads(str(saved[f"{name}|{split}|told"]))
                found.setdefault(name, {})[split] = Answers(saved[key], saved[f"{name}|{split}|points"], told)
    return found


def share_features(recipe: Recipe, whole: Dataset, part: Dataset) -> None:
    """Keep for ``part``, whose row groups are those of ``whole`` with fewer training photos, what is known of them."""
    model = ImageModel(recipe.image_config(), 2)
    model.load_backbone(Path(str(recipe.weights)))
    source, target = (features.place_of(each, features.backbone_key(model))[0] for each in (whole, part))
    if source.is_dir() and not target.is_dir():
        shutil.copytree(source, target)


def unit(features_NF: Float32s) -> Float32s:
    """Of length 1, so that angles count."""
    return np.asarray(features_NF / np.maximum(np.linalg.norm(features_NF, axis=1, keepdims=True), 1e-12), np.float32)


def standardised(train_MF: Float32s, asked_NF: Float32s) -> tuple[Float32s, Float32s]:
    """In deviations of the training photos and of length 1: what the probe's softmax sees, and evaluate's rows use."""
    mean, deviation = train_MF.mean(axis=0), train_MF.std(axis=0) + 1e-5
    return unit((train_MF - mean) / deviation), unit((asked_NF - mean) / deviation)


def handmade(dataset: Dataset, splits: Iterable[str], file: Path) -> dict[str, Float32s]:
    """The hand-made features of the splits in the training photos' deviations, kept in ``file``."""
    if not file.is_file():
        blocks = {split: baselines.features(read_images(dataset, split)) for split in splits}
        joined = {split: baselines.standardised(blocks["train"], blocks[split])[1] for split in blocks}
        np.savez(file, **joined)  # type: ignore[arg-type]
    with np.load(file) as found:
        return {split: found[split] for split in found.files}


def nearest_neighbours(
    train_MF: Float32s, train: Truth, asked: dict[str, tuple[Float32s, Truth]]
) -> dict[str, dict[str, Answers]]:
    """1-NN and the density of neighbours on ``val`` and ``test``: locator → split → answers.

    The density has the freedom that a model's best points have: a kernel for each distance, chosen on val.
    """
    found = {split: neighbours.nearest(train_MF, features_NF) for split, (features_NF, _) in asked.items()}

    def km(split: str, guess: Callable[..., tuple[Floats, Floats]], *arguments: Any) -> Floats:
        truth = asked[split][1]
        lat_NK, lng_NK = guess(*arguments)
        return np.asarray(distance_km(lat_NK[:, 0], lng_NK[:, 0], truth.lat, truth.lng))

    def dense(split: str, kernel: Kernel) -> Floats:
        return km(split, neighbours.densest, *found[split], train.lat, train.lng, kernel, 1)

    first = {s: km(s, baselines.different_places, found[s][0], train.lat, train.lng, 1) for s in asked}
    on_val = [dense("val", kernel) for kernel in KERNELS]
    single = KERNELS[int(np.argmax([np.mean([(km_N <= km).mean() for km in CHOSEN_BY]) for km_N in on_val]))]
    each = [KERNELS[int(np.argmax([(km_N <= km).mean() for km_N in on_val]))] for km in KM]
    print(
        "kernels chosen on val:",
        single,
        *(f"{km} km: {k.neighbours}/{k.sigma_km:g}" for km, k in zip(KM, each, strict=True)),
    )
    return {
        "1-NN": {s: Answers(first[s], np.repeat(first[s][:, None], len(KM), axis=1), {}) for s in asked},
        "density": {
            s: Answers(dense(s, single), np.stack([dense(s, kernel) for kernel in each], axis=1), {}) for s in asked
        },
    }


def constant(partition: Partition, train: Truth, truth: Truth) -> Answers:
    """The prior: shares of the training photos, whatever a photo shows."""
    log_prob_C = baselines.prior_log_probs(partition, train.lat, train.lng)
    return of_log_probs(np.repeat(log_prob_C[None], len(truth.lat), axis=0), partition, truth)


def random_photo(train: Truth, truth: Truth, seed: int) -> Answers:
    """The place of a training photo drawn by chance."""
    lat_NK, lng_NK = baselines.random_guesses(train.lat, train.lng, len(truth.lat), 1, seed)
    km_N = np.asarray(distance_km(lat_NK[:, 0], lng_NK[:, 0], truth.lat, truth.lng))
    return Answers(km_N, np.repeat(km_N[:, None], len(KM), axis=1), {})


def mean_hits(answers: Sequence[Answers]) -> Floats:
    """[N, 2 D]: over the seeds of one experiment."""
    return np.mean([each.hits() for each in answers], axis=0)
