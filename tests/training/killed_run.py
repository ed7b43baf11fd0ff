"""Run by the tests: train, and die of SIGKILL at a given batch (counted over epochs); -1: live to the end."""

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
    dataset, recipe_file, out, die_at, stream = sys.argv[1:6]
    torch.set_num_threads(1)
    recipe = pickle.loads(Path(recipe_file).read_bytes())
    if stream == "stream":
        data.CACHE_BYTES = 0
    step = TrainingModule.training_step

    def dying(self: TrainingModule, batch: dict[str, Any], batch_index: int) -> Any:
        if self.current_epoch * self.batches + batch_index == int(die_at):
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, batch, batch_index)

    TrainingModule.training_step = dying  # type: ignore[method-assign]
    fit(Dataset.open(dataset), recipe, Path(out), resume=Path(out).exists())


if __name__ == "__main__":
    main()
