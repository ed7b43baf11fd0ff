"""Writing a checkpoint's network for an engine, and measuring it against PyTorch before it may answer.

Shapes: B photos in a batch, C cells, D embedding, N photos, H W pixels.
"""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from openplanet.earth import geo
from openplanet.errors import InputError
from openplanet.inference.engines.engine import Network, in_batches
from openplanet.inference.engines.exported import (
    ABOUT,
    ABOUT_JSON,
    FOLDER,
    About,
    Exported,
    Framing,
    name_of,
    network_of,
)
from openplanet.inference.engines.registry import ENGINES
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.checkpoint_folder import sound_config
from openplanet.models.image_model import ImageModel
from openplanet.models.preprocess import Pixels, decode
from openplanet.photos.dataset import Dataset
from openplanet.progress import say, warn
from openplanet.storage import sha256_of, write_json

CALIBRATION_PHOTOS = 256
"""Training photos by which int8 chooses its ranges; more change nothing that can be measured."""
MOST_PHOTOS = 2000
"""Validation photos that are compared."""
FEW_PHOTOS = 100
"""With fewer a loss of a percent is one photo."""
DISTANCES_KM = (25, 200, 750)
BATCH = 8
REPEATS = 5


class Graph(nn.Module):
    """What is exported: uint8 pixels [B, 3, H, W] → scores [B, C] before the temperature, embedding [B, D]."""

    def __init__(self, model: ImageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        embedding_BD = self.model.embed(pixels_B3HW)
        return self.model.combine(self.model.head(embedding_BD)).float(), embedding_BD.float()


@dataclass(frozen=True, eq=False)
class Photos:
    """Pixels [N, 3, H, W] and positions in degrees [N]."""

    pixels: Pixels
    lat: np.ndarray[Any, np.dtype[np.float64]]
    lng: np.ndarray[Any, np.dtype[np.float64]]


def export(
    folder: Path, engine: str, precision: str, dataset: Dataset | None = None, max_loss: float = 0.01
) -> Exported:
    """Write the network of the checkpoint in ``folder`` for an engine of ENGINES, into ``folder``, and measure it.

    ``dataset``: its train split calibrates int8; its val split says what share of photos lies within DISTANCES_KM by
    PyTorch and by the engine. Raises InputError, leaving what was there before, where a share falls by more than
    ``max_loss``, where int8 has no dataset, and where a package is missing.
    """
    if engine not in ENGINES:
        raise InputError(f"there is no engine {engine}: give one of {', '.join(ENGINES)}")
    ENGINES[engine].check(precision)
    if precision == "int8" and dataset is None:
        raise InputError("int8 chooses its ranges by training photos: give the dataset with --dataset")
    checkpoint, config = Checkpoint.load(folder), sound_config(folder)
    graph = Graph(checkpoint.model).eval().requires_grad_(False)
    side = checkpoint.image.image_size
    example = np.random.default_rng(0).integers(0, 256, (BATCH, 3, side, side), np.uint8)
    calibration = example[:0]
    if dataset is not None and precision == "int8":
        calibration = _photos(dataset, "train", checkpoint, CALIBRATION_PHOTOS).pixels
    name = name_of(engine, precision)
    made = folder / FOLDER / f".{name}.{os.getpid()}.part"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    try:
        say(f"writing {name}")
        ENGINES[engine].write(graph, example[:2], made, precision, calibration)
        # on one thread: CPU seconds then count work, not waiting
        network = ENGINES[engine].open(made, precision, 1)
        compared = Photos(example, np.zeros(0), np.zeros(0))
        if dataset is not None:
            compared = _photos(dataset, "val", checkpoint, MOST_PHOTOS)
        say(f"comparing it with PyTorch on {len(compared.pixels)} photos")
        measured = _measured(graph, network, checkpoint, compared, max_loss, name)
        speedup = _speedup(graph, network, example)
        framing = Framing(side, checkpoint.image.centre_crop, checkpoint.image.decoded_side)
        files = {file.name: sha256_of(file) for file in sorted(made.iterdir())}
        about = About(
            engine, precision, network_of(config), framing, checkpoint.model.head.nested, speedup, measured, files
        )
        write_json(made / ABOUT, ABOUT_JSON.dump_python(about))
        place = folder / FOLDER / name
        shutil.rmtree(place, ignore_errors=True)
        made.rename(place)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return Exported(place, about)


def _photos(dataset: Dataset, split: str, checkpoint: Checkpoint, most: int) -> Photos:
    """At most so many located photos of a split, evenly through it; InputError where none can be read."""
    image = checkpoint.image
    short_side = image.decoded_side if dataset.side > image.decoded_side else None  # as photos of files are read
    step = max(1, -(-dataset.count(split, located=True) // most))
    pixels, positions, row = [], [], 0
    for batch in dataset.batches(["image", "lat", "lng"], split, located=True, batch_size=64):
        for each in batch.slice(-row % step).to_pylist()[::step] if -row % step < batch.num_rows else []:
            picture = decode(each["image"]["bytes"], image.image_size, image.centre_crop, short_side)
            if picture is not None:
                pixels.append(picture)
                positions.append((each["lat"], each["lng"]))
        row += batch.num_rows
    if not pixels:
        raise InputError(f"{dataset.path} has no located photo in its {split} split: {dataset.how_to_divide()}")
    lat, lng = np.array(positions, np.float64).T
    return Photos(np.stack(pixels), lat, lng)


def _measured(
    graph: Graph, network: Network, checkpoint: Checkpoint, photos: Photos, max_loss: float, name: str
) -> dict[str, Any]:
    """How far the engine is from PyTorch. Raises InputError where a share of photos falls by more than asked."""
    changes, errors, cells = [], [], []
    for pixels in in_batches(photos.pixels, BATCH):
        with torch.inference_mode():
            exact = [each.numpy() for each in graph(torch.from_numpy(pixels))]
        scores_BC, embedding_BD = network(pixels)
        errors.append(_relative(embedding_BD, exact[1]))
        changes.append(np.abs(_shares(scores_BC, checkpoint) - _shares(exact[0], checkpoint)).sum(axis=1) / 2)
        cells.append(np.stack([exact[0].argmax(axis=1), scores_BC.argmax(axis=1)]))
    cell_2N = np.concatenate(cells, axis=1)
    found: dict[str, Any] = {
        "photos": cell_2N.shape[1],
        "embedding_error": float(np.concatenate(errors).mean()),
        "probability_moved": float(np.concatenate(changes).mean()),
        "same_first_cell": float((cell_2N[0] == cell_2N[1]).mean()),
    }
    if not len(photos.lat):
        return found
    if len(photos.lat) < FEW_PHOTOS:
        warn(f"{len(photos.lat)} validation photos say little of what {name} loses: give a larger dataset")
    p = checkpoint.partition
    km_2N = geo.distance_km(p.centroid_lat[cell_2N], p.centroid_lng[cell_2N], photos.lat, photos.lng)
    for km in DISTANCES_KM:
        before, after = (km_2N <= km).mean(axis=1).tolist()
        found[f"within_{km}_km"] = {"pytorch": before, "engine": after}
        if before - after > max_loss:
            raise InputError(
                f"{name} places {after:.1%} of {len(photos.lat)} validation photos within {km} km, PyTorch"
                f" {before:.1%}: that is more than --max-loss {max_loss:g}, and it is not kept; give another"
                " --precision, or allow more"
            )
    return found


def _relative(got_BD: Any, exact_BD: Any) -> Any:
    """Error of each embedding as a share of its length."""
    return np.linalg.norm(got_BD - exact_BD, axis=1) / np.maximum(np.linalg.norm(exact_BD, axis=1), 1e-12)


def _shares(scores_BC: Any, checkpoint: Checkpoint) -> Any:
    """Probabilities [B, C]."""
    return torch.softmax(torch.from_numpy(np.array(scores_BC)) / checkpoint.calibration.temperature, dim=1).numpy()


def _speedup(graph: Graph, network: Network, example_B3HW: Pixels) -> float:
    """CPU seconds of PyTorch over those of the engine, for the same batch on one thread: the least of REPEATS each."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            exact = _seconds(lambda: graph(torch.from_numpy(example_B3HW)))
    finally:
        torch.set_num_threads(threads)
    return exact / _seconds(lambda: network(example_B3HW))


def _seconds(work: Any) -> float:
    taken = []
    for _ in range(REPEATS + 1):  # the first warms up
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return max(min(taken[1:]), 1e-9)
