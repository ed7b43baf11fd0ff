"""The experiments on real photos (notes/results.md, "Real photos: experiments"): every figure there comes from here.

python benchmarks/real_photos.py --photos FOLDER --weights FILE --work FOLDER run smoothing cells levels ...
python benchmarks/real_photos.py --photos FOLDER --weights FILE --work FOLDER report

``run`` trains the experiments of the named groups (or single ones by name), three seeds each, and prints what they
give on val, which is what choices are made by. ``report`` prints the tables of the test split. What is done is not
done again: a stopped run goes on. FOLDER of photos: files/ and photos.csv; FILE: MobileNetV2's ImageNet weights.
"""

import argparse
import dataclasses
import os
from pathlib import Path

import numpy as np
import real_photos_measure as measure
import torch
from real_photos_experiments import ADAPTIVE, GROUPS, MIN_PHOTOS, TEMPERED, Experiment, Level
from real_photos_measure import Answers
from real_photos_tables import HEADER, intervals, row, temperatures
from resplit import resplit

from openplanet import recipes
from openplanet.earth.partition import adaptive as partitions
from openplanet.earth.partition.adaptive import Partition, TargetCells, Thresholds
from openplanet.evaluation.answers import Truth
from openplanet.evaluation.testsets.photoset import read_truth
from openplanet.models.calibration import Calibration
from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest.ingest import ingest
from openplanet.progress import on_terminal, say
from openplanet.storage import atomic_path, read_json, write_json
from openplanet.training.fit import fit
from openplanet.training.recipe.recipe import Recipe, override

SEEDS = (0, 1, 2)


def dataset_of(photos: Path, work: Path) -> Dataset:
    """The photos, ingested once and split by album."""
    folder = work / "photos.ds"
    if not (folder / "manifest.json").is_file():
        ingest([photos / "files"], folder, coordinates=photos / "photos.csv", split_by="album")
    return Dataset.open(folder)


def subset(dataset: Dataset, share: float, seed: int, folder: Path) -> Dataset:
    """The dataset with so many of its training photos, by whole albums drawn by ``seed``; val and test as they are."""
    albums, sizes = np.unique(read_truth(dataset, "train").album, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(albums))
    kept = set(albums[order[: np.searchsorted(sizes[order].cumsum(), share * sizes.sum()) + 1]])

    def split(row: dict[str, str]) -> str:
        return "none" if row["split"] == "train" and row["album_id"] not in kept else row["split"]

    return resplit(dataset, split, folder, {"subset": [share, seed]})


def cells_of(dataset: Dataset, wanted: tuple[Thresholds | TargetCells | Level, ...]) -> list[Partition]:
    """The partitions, from the train split alone."""
    positions = list(dataset.coordinates("train"))
    if not isinstance(wanted[0], Level):
        return partitions.build_many(positions, [each for each in wanted if not isinstance(each, Level)], nested=True)
    # cells above the level hold one photo less than the least, so that none that counts is left whole
    found = partitions.build(positions, MIN_PHOTOS - 1, MIN_PHOTOS - 1, wanted[0].level)
    kept = (found.level == wanted[0].level) & (found.count >= MIN_PHOTOS)
    names = [f.name for f in dataclasses.fields(found) if len(np.shape(getattr(found, f.name))) == 1]
    columns = {name: getattr(found, name) for name in names if name != "turn"}
    some = {n: tuple(np.array(c)[kept]) if isinstance(c, tuple) else c[kept] for n, c in columns.items()}
    dropped = found.total_photos - int(found.count[kept].sum())
    return [dataclasses.replace(found, **some, dropped_photos=dropped)]


class Bench:
    """The photos, where results are kept, and the experiments by name."""

    def __init__(self, photos: Path, weights: Path, work: Path) -> None:
        self.work, self.weights = work, weights
        self.dataset = dataset_of(photos, work)
        self.truth: dict[str, Truth] = {s: read_truth(self.dataset, s) for s in ("train", "val", "test")}

    def recipe(self, experiment: Experiment, seed: int) -> Recipe:
        """The experiment's recipe, as ``--set`` would make it."""
        changes = experiment.changes | {"seed": str(seed)}
        if "backbone" in changes:
            changes["weights"] = str(self.weights)
        return override(recipes.get(experiment.recipe), changes)

    def folder(self, name: str, seed: int) -> Path:
        """Where an experiment's checkpoint and answers are."""
        return self.work / "exp" / f"{name.replace(' ', '-').replace('/', 'of')}-s{seed}"

    def cells(self, name: str) -> int:
        """How many cells an experiment that has run had."""
        return int(read_json(self.folder(name, SEEDS[0]) / "answers.json")["cells"])

    def done(self, name: str, seeds: list[int]) -> list[int]:
        """The seeds that have ended: the report trains nothing."""
        if ended := [seed for seed in seeds if (self.folder(name, seed) / "answers.npz").is_file()]:
            return ended
        raise SystemExit(f"{name} has not been run: real_photos.py ... run {name}")

    def log_probs(self, name: str, seed: int) -> dict[str, np.ndarray]:
        """Split → log-probabilities [N, C] of what has ended."""
        with np.load(self.folder(name, seed) / "answers.npz") as saved:
            return {split: saved[f"{split}_log_probs"] for split in ("val", "test")}

    def answers(self, name: str, experiment: Experiment, seed: int) -> dict[str, Answers]:
        """Train, ask and measure, or read what that gave: split → answers."""
        folder = self.folder(name, seed)
        if not (folder / "answers.npz").is_file():
            self._run(experiment, seed, folder)
        found = read_json(folder / "answers.json")
        with np.load(folder / "answers.npz") as saved:
            return {
                s: Answers(saved[f"{s}_first"], saved[f"{s}_points"], found[s]["probabilities"])
                for s in ("val", "test")
            }

    def rivals(self, share: float = 1.0, seed: int = 0) -> dict[str, dict[str, Answers]]:
        """What knows no classes, fitted on the train split or a share of it: locator → split → answers."""
        file = self.work / "exp" / f"rivals-{share:g}-{seed}.npz"
        if not file.is_file():
            measure.keep(file, self._rivals(share, seed))
        return measure.kept(file)

    def _rivals(self, share: float, seed: int) -> dict[str, dict[str, Answers]]:
        train, asked = self.truth["train"], ("val", "test")
        kept_M = np.arange(len(train.lat))
        if share < 1:
            folder = self.work / "subsets" / f"{share:g}-{seed}"
            ids = set(read_truth(subset(self.dataset, share, seed, folder), "train").photo_id)
            kept_M = np.array([row for row, photo in enumerate(train.photo_id) if photo in ids])
        cells = cells_of(self.dataset, (ADAPTIVE,))[0]
        recipe = self.recipe(GROUPS["smoothing"]["probe"], 0)
        network = {s: measure.backbone_features(recipe, self.weights, cells, self.dataset, s) for s in self.truth}
        scaled = {s: measure.standardised(network["train"][kept_M], network[s]) for s in asked}
        kinds = {"MobileNetV2 standardised": (scaled["val"][0], {s: scaled[s][1] for s in asked})}
        found: dict[str, dict[str, Answers]] = {}
        if share == 1:
            made = measure.handmade(self.dataset, self.truth, self.work / "handmade.npz")
            kinds["hand-made"] = made["train"], made
            kinds["MobileNetV2"] = measure.unit(network["train"]), {s: measure.unit(network[s]) for s in asked}
            found["random photo"] = {s: measure.random_photo(train, self.truth[s], seed) for s in asked}
            found["prior"] = {s: measure.constant(cells, train, self.truth[s]) for s in asked}
        for kind, (train_MF, features) in kinds.items():
            pairs = {s: (features[s], self.truth[s]) for s in asked}
            near = measure.nearest_neighbours(train_MF, train.part(kept_M), pairs)
            found |= {f"{name}, {kind}": answers for name, answers in near.items()}
        return found

    def _run(self, experiment: Experiment, seed: int, folder: Path) -> None:
        dataset, recipe = self.dataset, self.recipe(experiment, seed)
        if experiment.share < 1:
            dataset = subset(dataset, experiment.share, seed, self.work / "subsets" / f"{experiment.share:g}-{seed}")
            measure.share_features(recipe, self.dataset, dataset)
        cells = cells_of(dataset, experiment.cells)
        checkpoint = fit(dataset, recipe, folder, partition=cells, resume=folder.exists())
        checkpoint.calibration = Calibration()  # what it was before a temperature; step "temperature" fits one
        arrays: dict[str, np.ndarray] = {}
        record = {"cells": len(cells[-1]), "train": checkpoint.training["photos"], "accuracy": checkpoint.accuracy}
        for split in ("val", "test"):
            log_probs_NC = measure.log_probs_of(checkpoint, recipe, self.dataset, split)
            found = measure.of_log_probs(log_probs_NC, cells[-1], self.truth[split])
            arrays |= {f"{split}_first": found.first_N, f"{split}_points": found.points_ND}
            arrays[f"{split}_log_probs"] = log_probs_NC
            record[split] = {"probabilities": found.probabilities, **found.summary()}
        write_json(folder / "answers.json", record)
        with atomic_path(folder / "answers.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)


def rows(bench: Bench, group: str, names: list[str], seeds: list[int], split: str) -> list[str]:
    """The lines of a group's table, of all its experiments or the named ones."""
    lines = []
    for name, experiment in GROUPS[group].items():
        if not names or group in names or name in names:
            ended = seeds if split == "val" else bench.done(name, seeds)
            found = [bench.answers(name, experiment, seed) for seed in ended]
            seen = "" if len(ended) > 1 else ", one seed"
            lines.append(row(f"{name} ({bench.cells(name)} cells{seen})", found, split))
            say(lines[-1])
    return lines


def shared_rows(bench: Bench, seeds: list[int], split: str) -> list[str]:
    """The lines of nearest neighbours on shares of the photos: the same albums as the models of group "photos"."""
    lines = []
    for name, experiment in GROUPS["photos"].items():
        found = [bench.rivals(experiment.share, seed) for seed in seeds]
        lines += [row(f"{name}: {rival}", [each[rival] for each in found], split) for rival in found[0]]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("photos", "weights", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("step", choices=("run", "report"))
    parser.add_argument(
        "names", nargs="*", help="groups or experiments, rivals, shares, differences, temperature; none: all"
    )
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    bench = Bench(args.photos, args.weights, args.work)
    seeds, split = [int(seed) for seed in args.seeds.split(",")], "val" if args.step == "run" else "test"
    for group in GROUPS:
        if lines := rows(bench, group, args.names, seeds, split):
            print(f"\n### {group} ({split})\n\n{HEADER}", *lines, sep="\n", flush=True)
    if not args.names or "rivals" in args.names:
        lines = [row(name, [answers], split) for name, answers in bench.rivals().items()]
        print(f"\n### rivals ({split})\n\n{HEADER}", *lines, sep="\n", flush=True)
    if not args.names or "shares" in args.names:
        print(f"\n### rivals of shares ({split})\n\n{HEADER}", *shared_rows(bench, seeds, split), sep="\n", flush=True)
    if args.step == "report" and (not args.names or "differences" in args.names):
        models = GROUPS["smoothing"] | GROUPS["trained whole"]
        found = {
            name: [bench.answers(name, each, seed)[split] for seed in bench.done(name, seeds)]
            for name, each in models.items()
        }
        rivals = {name: [each[split]] for name, each in bench.rivals().items()}
        intervals(rivals | found, bench.truth[split].groups())
    if args.step == "report" and (not args.names or "temperature" in args.names):
        print("\n| | T | NLL before, after | ECE % | 90 % region holds % | best point 25 km | best point 100 km |")
        print("|---|---|---|---|---|---|---|")
        for name in TEMPERED:
            cells = Partition.load(bench.folder(name, seeds[0]) / "partition.parquet")
            told = [bench.log_probs(name, seed) for seed in bench.done(name, seeds)]
            print(temperatures(name, cells, bench.truth, told), flush=True)


if __name__ == "__main__":
    with on_terminal():
        main()
