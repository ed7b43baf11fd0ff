"""Grouped cross-validation: every photo is tested once, by a model that saw no photo of its album (or photographer).

python benchmarks/cross_validation.py --dataset photos.ds --work FOLDER --recipe probe --set max_photos=60 ...

One split of few albums is luck. The albums (photographers, where no one has most photos) are divided among the folds
at random, about as many photos in each; a tenth of the others is val, the rest trains. The table pools the photos of
all folds; intervals draw whole albums. What is done is not done again: a stopped run goes on.

Shapes: N photos, G groups, F folds, D distances.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from resplit import resplit

from openplanet import recipes
from openplanet.evaluation.albums import evaluate_albums
from openplanet.evaluation.answers import Truth
from openplanet.evaluation.evaluate import evaluate
from openplanet.evaluation.measures import bootstrap, metrics
from openplanet.evaluation.measures.bootstrap import Groups
from openplanet.evaluation.result import Result
from openplanet.evaluation.testsets.photoset import read_truth
from openplanet.inference.predictor import Predictor
from openplanet.models.checkpoint import Checkpoint
from openplanet.photos.dataset import Dataset
from openplanet.progress import on_terminal, say
from openplanet.training.fit import fit
from openplanet.training.recipe.recipe import Recipe, override

Ints = NDArray[np.int64]
Hits = dict[str, dict[str, NDArray[np.float64]]]
"""Row → photo_id → whether the photo is within each distance [D]."""

FOLDS, VAL = 5, 0.1
DISTANCES_KM = (5.0, 10.0, 50.0, 100.0)
FAR = "model, over 1 km from train"


def located(dataset: Dataset) -> Truth:
    """The photos with a position, of all splits."""
    parts = [read_truth(dataset, split, needed=False) for split in ("train", "val", "test")]
    joined = [sum((getattr(part, name) for part in parts), ()) for name in ("photo_id", "source", "owner", "album")]
    lat, lng = (np.concatenate([getattr(part, name) for part in parts]) for name in ("lat", "lng"))
    return Truth(joined[0], joined[1], lat, lng, joined[2], joined[3])


def divide(groups: Groups, folds: int, seed: int) -> Ints:
    """The fold of each group [G]: in random order, each into the fold that has fewest photos so far."""
    size_G = np.bincount(groups.group_N, minlength=groups.count)
    photos_F, fold_G = np.zeros(folds, np.int64), np.empty(groups.count, np.int64)
    for group in np.random.default_rng(seed).permutation(groups.count):
        fold_G[group] = photos_F.argmin()
        photos_F[fold_G[group]] += size_G[group]
    return fold_G


def splits(groups: Groups, fold_G: Ints, fold: int, seed: int) -> list[str]:
    """The split of each photo [N] where ``fold`` is tested; a tenth of the others, by whole groups, is val."""
    size_G = np.bincount(groups.group_N, minlength=groups.count)
    name_G = np.where(fold_G == fold, "test", "train")
    order = np.random.default_rng([seed, fold]).permutation(np.flatnonzero(fold_G != fold))
    name_G[order[: np.searchsorted(size_G[order].cumsum(), VAL * size_G[order].sum()) + 1]] = "val"
    return name_G[groups.group_N].tolist()


def run_fold(
    dataset: Dataset, split_of: dict[str, str], recipe: Recipe, folder: Path, neighbours: bool, albums: bool
) -> tuple[Result, Result | None]:
    """Train on the fold's train split and measure on its test split: single photos, and albums where asked for."""

    def split(row: dict[str, str]) -> str:
        return split_of.get(row["photo_id"], "none")

    part = resplit(dataset, split, folder / "photos.ds", {"fold": folder.name})
    model = folder / "model"
    if not (model / "model.safetensors").is_file():
        fit(part, recipe, model, resume=model.exists())
    found = evaluate(part, Predictor.load(model), extra_distances=DISTANCES_KM, neighbours=neighbours)
    return found, evaluate_albums(part, Checkpoint.load(model), extra_distances=DISTANCES_KM) if albums else None


def pooled(results: Iterable[Result]) -> Hits:
    """What each row got right, over the photos of all folds; the rows of some photos by those that they are of."""
    found: Hits = {}
    for result in results:
        rows = {row.name: row.hits for row in result.rows if row.photos == len(result.truth.lat)}
        for name, hits_ND in rows.items():
            found.setdefault(name, {}).update(zip(result.truth.photo_id, hits_ND.astype(np.float64), strict=True))
        if result.near is not None:
            hits_ND, photo_id = result.model.hits.astype(np.float64), result.truth.photo_id
            found.setdefault(FAR, {}).update((photo_id[n], hits_ND[n]) for n in result.near.far.tolist())
    return found


def table(hits: Hits, truth: Truth, groups: Groups, distances_km: Sequence[float]) -> list[str]:
    """Markdown: shares in %, and below them 95 % intervals by drawing groups again."""
    names = [f"{km:g} km" for km in distances_km]
    lines = [f"| within, % | {' | '.join(names)} |", f"|{'---|' * (len(names) + 1)}"]
    for name, of_photo in hits.items():
        index = np.array([n for n, photo in enumerate(truth.photo_id) if photo in of_photo], np.int64)
        hits_ND, part = np.stack([of_photo[truth.photo_id[n]] for n in index]), groups.part(index)
        low_D, high_D = bootstrap.interval(bootstrap.means(hits_ND, part), part)
        triples = zip(100 * hits_ND.mean(axis=0), 100 * low_D, 100 * high_D, strict=True)
        cells = [f"{share:.1f} ({low:.0f}–{high:.0f})" for share, low, high in triples]
        lines.append(f"| {name} ({len(index):,} photos) | {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder of the folds")
    parser.add_argument("--recipe", default="probe")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--folds", type=int, default=FOLDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--neighbours", action="store_true", help="also the baselines that look at training photos")
    parser.add_argument("--albums", action="store_true", help="also the album models that need no training")
    args = parser.parse_args()
    recipe = override(recipes.get(args.recipe), dict(change.split("=", 1) for change in args.changes))
    dataset = Dataset.open(args.dataset)
    truth = located(dataset)
    groups = truth.groups()
    fold_G = divide(groups, args.folds, args.seed)
    results, of_albums = list[Result](), list[Result]()
    for fold in range(args.folds):
        say(f"fold {fold + 1} of {args.folds}")
        split_of = dict(zip(truth.photo_id, splits(groups, fold_G, fold, args.seed), strict=True))
        one, album = run_fold(dataset, split_of, recipe, args.work / f"fold-{fold}", args.neighbours, args.albums)
        results.append(one)
        of_albums += [] if album is None else [album]
    print(f"{len(truth.lat):,} photos, {groups.text}, {args.folds} folds")
    for found in filter(None, (results, of_albums)):
        print(*table(pooled(found), truth, groups, metrics.with_standard(DISTANCES_KM)), sep="\n", end="\n\n")


if __name__ == "__main__":
    with on_terminal():
        main()
