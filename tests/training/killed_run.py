"""Run by the tests: train, and die of SIGKILL at a given batch (counted over epochs); -1: live to the end.

A sixth argument is a file that gets a line for each batch trained on: epoch, its number among those of all processes,
its seed, and its photos.
"""

import os
import pickle
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from openplanet.photos.dataset import Dataset
from openplanet.training.fit import fit
from openplanet.training.image_module import TrainingModule
from openplanet.training.photos import data


def main() -> None:
    dataset, recipe_file, out, die_at, stream, *log = sys.argv[1:]
    torch.set_num_threads(1)
    recipe = pickle.loads(Path(recipe_file).read_bytes())
    if stream == "stream":
        data.CACHE_BYTES = 0
    step = TrainingModule.training_step

    def dying(self: TrainingModule, batch: dict[str, Any], batch_index: int) -> Any:
        if self.current_epoch * self.batches + batch_index == int(die_at):
            os.kill(os.getpid(), signal.SIGKILL)
        if log:
            number = batch_index * self.trainer.world_size + self.global_rank
            with Path(log[0]).open("a") as file:
                rows = ",".join(map(str, batch["row"].tolist()))
                file.write(f"{self.current_epoch} {number} {self.seed_for(batch_index)} {rows}\n")
        return step(self, batch, batch_index)

    TrainingModule.training_step = dying  # type: ignore[method-assign]
    fit(Dataset.open(dataset), recipe, Path(out), resume=Path(out).exists())


if __name__ == "__main__":
    main()
