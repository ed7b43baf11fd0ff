"""Albums a second and memory of the trained album models, by the length of the album and the number of cells.

python benchmarks/albums.py [--variants lstm,blstm,...] [--lengths 8,25,100,400] [--cells 221,26263]

One album at a time, one thread, embeddings given (512 wide); each case in a process of its own, whose memory is the
highest during the answers less that of the process with the model before them.
"""

import argparse
import multiprocessing
import resource
import time
from typing import Any

import torch

from openplanet.models.album.base import AlbumConfig, Albums
from openplanet.models.album.registry import build

EMBEDDING = 512
SECONDS = 1.0


def measure(variant: str, length: int, cells: int) -> tuple[float, float]:
    """Albums a second, and MB."""
    torch.set_num_threads(1)
    everything: Any = range(cells)  # of the partition the trained models ask for nothing but its length
    model = build(AlbumConfig(variant, residual=variant == "transformer"), everything, EMBEDDING).eval()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    albums = Albums(
        torch.randn(1, length, EMBEDDING),
        torch.randn(1, length, cells).log_softmax(dim=2),
        torch.ones(1, length, dtype=torch.bool),
        torch.arange(length, dtype=torch.float64)[None] * 3600,
        torch.full((1, length), -1),
    )
    start, done = time.process_time(), 0
    with torch.inference_mode():
        while time.process_time() - start < SECONDS:
            model(albums)
            done += 1
    rate = done / (time.process_time() - start)
    return rate, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", default="lstm,lstm_repeated,blstm,transformer")
    parser.add_argument("--lengths", default="8,25,100,400")
    parser.add_argument("--cells", default="221,26263")
    arguments = parser.parse_args()
    print("variant        cells  photos  albums/CPU second      MB")
    for variant in arguments.variants.split(","):
        for cells in map(int, arguments.cells.split(",")):
            for length in map(int, arguments.lengths.split(",")):
                with multiprocessing.get_context("fork").Pool(1) as pool:
                    rate, megabytes = pool.apply(measure, (variant, length, cells))
                print(f"{variant:14s} {cells:5d}  {length:6d}  {rate:17.1f}  {megabytes:6.0f}", flush=True)


if __name__ == "__main__":
    main()
