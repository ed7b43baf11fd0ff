"""Make a dataset and train a model on it: photos, dataset, cells, checkpoint.

    python examples/1_train.py

The photos are a small synthetic planet, so that nothing is downloaded. For your own, drop `planet.make` and give
`ingest` your folder. The other examples use what this one writes to `example/`.
"""

import logging
from dataclasses import replace
from pathlib import Path

from openplanet import recipes
from openplanet.earth.partition.adaptive import build
from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest.ingest import ingest, summary
from openplanet.synthetic import planet
from openplanet.training.fit import fit

OUT = Path("example")


def main() -> None:
    logging.basicConfig(level="INFO", format="%(message)s")  # the library logs; nothing is printed without this

    planet.make(OUT / "planet", photos=250)
    manifest = ingest([OUT / "planet" / "photos"], OUT / "photos.ds")
    print(summary(manifest, OUT / "photos.ds"))

    dataset = Dataset.open(OUT / "photos.ds")
    cells = build(dataset.coordinates("train"), max_photos=40, min_photos=5)
    cells.save(OUT / "cells.parquet")
    print(f"{len(cells)} cells")

    recipe = replace(recipes.get("planet_cpu"), epochs=3)
    checkpoint = fit(dataset, recipe, OUT / "model", partition=cells, resume=(OUT / "model").exists())
    print(f"model with {len(checkpoint.partition)} cells: {checkpoint.accuracy}")


if __name__ == "__main__":
    main()
