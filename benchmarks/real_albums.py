"""The album models on real photos, several seeds each (notes/results.md, "Albums: all variants, test splits").

python benchmarks/real_albums.py --dataset photos.ds --checkpoint probe --work FOLDER choose
python benchmarks/real_albums.py --dataset photos.ds --checkpoint probe --work FOLDER run
python benchmarks/real_albums.py --work FOLDER report

``choose`` trains ``lstm`` once with each of a few settings, and prints what they give on val. ``run`` trains all six
recipes with the settings that are best there, with each of the seeds, and measures them on test by ``openplanet
evaluate``, as a person would. ``report`` prints the table. What is done is not done again.
"""

import argparse
import itertools
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from openplanet import album_recipes
from openplanet.evaluation.contestants.album_asking import AlbumSet, first_guesses
from openplanet.evaluation.measures.row import Row
from openplanet.models.album.checkpoint import AlbumCheckpoint
from openplanet.models.checkpoint import Checkpoint
from openplanet.photos.dataset import Dataset
from openplanet.progress import on_terminal, say
from openplanet.storage import read_json, write_json
from openplanet.training.album.fit_albums import fit_albums
from openplanet.training.recipe.base import override

FIRST = 0  # the seed by which settings are chosen
DISTANCES = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 750.0)
CHOSEN_BY = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0)  # km: the mean share of val within these
SETTINGS = [{"smoothing_km": km, "shorten": s} for km, s in itertools.product(("none", "10", "200"), ("0", "0.5"))]
ANCHORS = "0,10,50"


def name_of(recipe: str, settings: dict[str, str], seed: int) -> str:
    """The folder of a checkpoint."""
    return f"{recipe}-km{settings['smoothing_km']}-cut{settings['shorten']}-s{seed}"


class Bench:
    """The photos, the image model that all read, and where results are kept."""

    def __init__(self, dataset: Path, checkpoint: Path, work: Path, seeds: list[int]) -> None:
        self.dataset, self.image, self.work, self.seeds = (
            Dataset.open(dataset),
            Checkpoint.load(checkpoint),
            work,
            seeds,
        )
        self.paths = str(dataset), str(checkpoint)

    def trained(self, recipe: str, settings: dict[str, str], seed: int) -> Path:
        """The folder of a model that has been trained; it is trained where there is none."""
        folder = self.work / name_of(recipe, settings, seed)
        if not (folder / "config.json").is_file():
            changed = override(album_recipes.get(recipe), settings | {"seed": str(seed)})
            fit_albums(self.dataset, self.image, changed, folder, resume=folder.exists())
        return folder

    def on_val(self, recipe: str, settings: dict[str, str]) -> float:
        """Mean share of the val photos within CHOSEN_BY of the first guess, no position given; one seed."""
        file = self.work / f"{name_of(recipe, settings, FIRST)}.json"
        if not file.is_file():
            model = AlbumCheckpoint.load(self.trained(recipe, settings, FIRST)).model
            val = AlbumSet.of(self.dataset, "val", self.image, ())
            share_D = Row(first_guesses(val, model), val.truth, tuple(CHOSEN_BY), {}).hits.mean(axis=0)
            write_json(file, {"within": share_D.tolist(), "score": float(share_D.mean())})
            say(f"val: {name_of(recipe, settings, FIRST)}: {' '.join(f'{100 * share:.1f}' for share in share_D)}")
        return float(read_json(file)["score"])

    def best(self) -> dict[str, str]:
        """The settings that val likes best; the same for all recipes: a third of an hour each would be too much."""
        return max(SETTINGS, key=lambda settings: self.on_val("lstm", settings))

    def evaluate(self) -> None:
        """The test split, once: all models in one table."""
        best = self.best()
        folders = [self.trained(recipe, best, seed) for recipe in album_recipes.RECIPES for seed in self.seeds]
        options = [part for folder in folders for part in ("--album-checkpoint", str(folder))]
        dataset, checkpoint = self.paths
        command = [sys.executable, "-m", "openplanet", "evaluate", dataset, "--checkpoint", checkpoint, "--albums",
                   "--no-neighbours", "--anchors", ANCHORS, "--distances", ",".join(f"{km:g}" for km in DISTANCES),
                   "--json", str(self.work / "test.json"), *options]  # fmt: skip
        say(" ".join(command))
        subprocess.run(command, check=True)


def report(found: dict[str, Any]) -> None:
    """The table of first guesses, and those with anchors: mean of the seeds, and half of their range."""
    columns = [found["distances_km"].index(km) for km in DISTANCES]
    head = "".join(f" {km:g} km |" for km in DISTANCES)
    _table("no position given", f"{head} best point, 25 km | best point, 100 km |", found["rows"], lambda row: [
        *(row["within_km"][d]["top1"] for d in columns), *(row["points_within"][columns[n]] for n in (3, 5))
    ])  # fmt: skip
    for share in sorted({row["anchors"] for row in found["anchors"]} - {0.0}):
        rows = [row for row in found["anchors"] if row["anchors"] == share]
        title = f"{100 * share:g} % anchors, the other {rows[0]['photos']:,}"
        _table(title, head, rows, lambda row: [row["within"][d] for d in columns])


def _table(
    title: str, head: str, rows: Sequence[dict[str, Any]], shares: Callable[[dict[str, Any]], list[float]]
) -> None:
    seeds: dict[str, list[list[float]]] = defaultdict(list)
    for row in rows:
        seeds[re.sub("-km[^,]*", "", row["name"])].append(shares(row))
    print(f"\n| {title}, % within |{head}\n|---|{'---:|' * head.count('|')}")
    for name, found in seeds.items():
        shares_SD = 100 * np.array(found)
        pairs = zip(shares_SD.mean(axis=0), np.ptp(shares_SD, axis=0) / 2, strict=True)
        cells = (f"{mean:.1f}" + (f" ±{half:.1f}" if len(found) > 1 else "") for mean, half in pairs)
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("dataset", "checkpoint"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("step", choices=("choose", "run", "report"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.step != "report":
        bench = Bench(args.dataset, args.checkpoint, args.work, [int(seed) for seed in args.seeds.split(",")])
        say(f"chosen on val: {bench.best()}")
        if args.step == "run":
            bench.evaluate()
    if args.step != "choose":
        report(read_json(args.work / "test.json")["albums"])


if __name__ == "__main__":
    with on_terminal():
        main()
