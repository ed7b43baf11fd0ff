"""Train a second model with another backbone, and see whether it is better.

python examples/1_train.py
python examples/4_compare.py
"""

from pathlib import Path

from openplanet import recipes
from openplanet.earth.partition.adaptive import Partition
from openplanet.evaluation.compare import compare
from openplanet.evaluation.testsets.photoset import of_dataset
from openplanet.photos.dataset import Dataset
from openplanet.training.fit import fit
from openplanet.training.recipe.recipe import override

OUT = Path("example")


def main() -> None:
    dataset, cells = Dataset.open(OUT / "photos.ds"), Partition.load(OUT / "cells.parquet")
    changes = {"backbone": "mobilenetv3_small_050", "backbone_args": "{}", "epochs": "2"}  # as with --set
    recipe = override(recipes.get("planet_cpu"), changes)
    fit(dataset, recipe, OUT / "mobile", partition=cells, resume=(OUT / "mobile").exists())

    result = compare([str(OUT / "model"), str(OUT / "mobile"), "prior"], of_dataset(dataset, "test"), dataset)
    print(result.to_text())  # intervals, paired differences, and a sentence for each that is real
    for row in result.rows:
        print(row.name, {name: figure.value for name, figure in row.figures.items()})


if __name__ == "__main__":
    main()
