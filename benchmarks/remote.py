"""Requests and bytes of a dataset and a checkpoint on S3 (moto's server on loopback), beside the local disk.

PYTHONPATH=tests:tests/stores python benchmarks/remote.py DATASET CHECKPOINT --photo PHOTO [--epochs 2] [--workers 0]

Opening, looking up positions, epochs of streamed training photos (decoded; no network is trained), and `locate` of one
photo. "cold": an empty cache; "warm": the cache has what was read before; "no cache": OPENPLANET_CACHE_GB=0. The server
is in this process, so that seconds from it are an upper bound.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made
from s3_server import S3, s3_server

from openplanet import recipes
from openplanet.inference.locator import open_locator
from openplanet.models.checkpoint import Checkpoint
from openplanet.photos.dataset import Dataset
from openplanet.photos.row_groups import row_groups
from openplanet.stores.location import Location
from openplanet.training.distributed import Ranks
from openplanet.training.photos import data, stream
from openplanet.training.recipe.recipe import override


def measured(name: str, s3: S3, work: Callable[[], Any]) -> Any:
    """Do the work and print a row."""
    s3.reset()
    made.forget()
    started = time.perf_counter()
    result = work()
    wall = time.perf_counter() - started
    print(f"| {name} | {s3.count()} | {s3.sent / 1e6:.2f} | {wall:.2f} |", flush=True)
    return result


def epoch(photos: Any, loader: Any, number: int) -> int:
    """Read an epoch; how many photos it had."""
    loader.sampler.set_epoch(number)
    return sum(len(batch["row"]) for batch in loader)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--photo", type=Path, required=True)
    args = parser.parse_args()
    data.CACHE_BYTES = 0  # streamed, however small
    recipe = override(recipes.get("planet_cpu"), {"workers": str(args.workers), "shuffle_buffer": "1024"})
    with tempfile.TemporaryDirectory() as home, s3_server() as s3:
        os.environ["OPENPLANET_HOME"] = home
        cells = Checkpoint.load(args.checkpoint).partition
        dataset_url = str(made.uploaded(args.dataset, "s3://bucket/photos.ds"))
        model_url = str(made.uploaded(args.checkpoint, "s3://bucket/model"))
        groups = len(row_groups(Dataset.open(args.dataset)))
        print(f"row groups: {groups}\n\n| what | requests | MB | s |\n|---|---|---|---|")

        def stream_from(where: Location | str, name: str) -> None:
            there = measured(f"{name}: open", s3, lambda: Dataset.open(where))
            measured(f"{name}: footers", s3, lambda: row_groups(there))
            photos = measured(
                f"{name}: positions of train",
                s3,
                lambda: data.load_split(there, "train", cells, 64, True, recipe.shuffle_buffer),
            )
            assert isinstance(photos, stream.StreamedPhotos)
            for number in range(args.epochs):
                loader = data.loader(photos, recipe.batch_size, recipe, shuffle=True, ranks=Ranks())
                photos._kept.clear()
                measured(f"{name}: epoch {number + 1}", s3, lambda: epoch(photos, loader, number))  # noqa: B023

        stream_from(args.dataset, "once before")
        stream_from(args.dataset, "local")
        stream_from(dataset_url, "s3")
        os.environ["OPENPLANET_CACHE_GB"] = "0"
        stream_from(dataset_url, "s3, no cache")
        del os.environ["OPENPLANET_CACHE_GB"]

        def locate(where: Location | str) -> None:
            list(open_locator(where).locate_many([args.photo]))

        locate(args.checkpoint)
        measured("local: locate", s3, lambda: locate(args.checkpoint))
        measured("s3: locate, cold", s3, lambda: locate(model_url))
        measured("s3: locate, warm", s3, lambda: locate(model_url))


if __name__ == "__main__":
    main()
