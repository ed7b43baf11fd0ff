"""What a trained model says of validation photos, and how sure it may be by that: its temperature, and its regions.

Shapes: N photos, B in a batch, C cells.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from openplanet.earth import geo
from openplanet.earth.partition.adaptive import Partition
from openplanet.earth.partition.best_point import PointFinder
from openplanet.errors import CheckpointError
from openplanet.models.calibration import Calibration, fit_temperature
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.device import best_device
from openplanet.models.image_model import ImageModel
from openplanet.models.regions import LEAST_PHOTOS, SHARES, WITHIN_KM, RegionFitter
from openplanet.photos.dataset import Dataset
from openplanet.training.photos.data import Photos
from openplanet.training.photos.frozen_features import load_split

Floats = NDArray[np.float64]

MOST_SCORES = 2**26
"""Photos x cells looked at: 256 MB of memory, and far more photos than one number needs."""
MOST_REGIONS = 2000  # photos whose regions are looked at: a few ms each at 26,263 cells
BATCH = 64


def calibrate(model: ImageModel, partition: Partition, val: Photos) -> Calibration:
    """Fit the temperature of ``model`` on ``val``, then its regions; of very many photos on some, evenly spaced.

    In float32, as Predictor asks it. The model comes back on the device and in the mode that it was in.
    """
    scores_NC, cell_N, _ = _scores(model, val, MOST_SCORES // model.num_cells)
    found, fitter = fit_temperature(scores_NC, cell_N), RegionFitter(partition)
    for answer in answers(model, found, val, MOST_REGIONS):
        fitter.add(*answer)
    return dataclasses.replace(found, regions=fitter.fit())


def answers(
    model: ImageModel, calibration: Calibration, photos: Photos, most: int
) -> Iterator[tuple[Floats, float, float, int]]:
    """Of at most ``most`` photos, evenly spaced: probabilities [C], position in degrees, cell (or -1)."""
    scores_NC, cell_N, at_N2 = _scores(model, photos, min(most, MOST_SCORES // model.num_cells))
    for row, (lat, lng) in enumerate(at_N2):
        probability_C = calibration.log_probs(scores_NC[row : row + 1])[0].double().exp().numpy()
        yield probability_C, lat, lng, int(cell_N[row])


def _scores(
    model: ImageModel, photos: Photos, most: int
) -> tuple[torch.Tensor, torch.Tensor, list[tuple[float, float]]]:
    """Scores [N, C], cells [N] and positions of at most ``most`` photos, evenly spaced."""
    wanted = max(1, min(len(photos), most))
    rows_N = (
        np.unique(np.linspace(0, len(photos) - 1, wanted).astype(np.int64)) if len(photos) else np.empty(0, np.int64)
    )
    before, was_training = model.mean.device, model.training
    device = best_device()
    model.to(device).eval()
    scores, cells = list[torch.Tensor](), list[torch.Tensor]()
    at: list[tuple[float, float]] = []
    for start in range(0, len(rows_N), BATCH):
        batch = photos[rows_N[start : start + BATCH].tolist()]
        if not len(batch["row"]):
            continue
        with torch.inference_mode():
            if "features" in batch:
                scores_BC = model.combine(model.classify(batch["features"].to(device)))
            else:
                scores_BC = model(batch["pixels"].to(device))
        scores.append(scores_BC.float().cpu())
        cells.append(batch["cell"])
        at += zip(batch["lat"].tolist(), batch["lng"].tolist(), strict=True)
    model.to(before).train(was_training)
    if not scores:
        return torch.empty(0, model.num_cells), torch.empty(0, dtype=torch.int64), at
    return torch.cat(scores), torch.cat(cells), at


def recalibrate(folder: Path, dataset: Dataset, split: str = "val", check: str = "test") -> tuple[Calibration, str]:
    """Fit the temperature and the regions of the checkpoint in ``folder`` on photos of ``split``, and keep them in it.

    Gives the calibration, and in words how many photos of the split ``check``, which nothing was fitted on, its regions
    hold. Raises DatasetError where ``split`` has no located photo, CheckpointError where there are too few.
    """
    checkpoint = Checkpoint.load(folder, best_device())
    photos = load_split(dataset, split, checkpoint.partition, checkpoint.model, drop=False)
    found = calibrate(checkpoint.model, checkpoint.partition, photos)
    if not found.regions.fitted:
        raise CheckpointError(
            f"{dataset.path}: {len(photos)} located photos in {split} are too few to calibrate by: {LEAST_PHOTOS} are"
            " needed; nothing was changed"
        )
    checkpoint.calibration = found
    checkpoint.save_calibration(folder)
    held = load_split(dataset, check, checkpoint.partition, checkpoint.model, drop=False)
    return found, coverage_words(checkpoint, held, check)


def coverage_words(checkpoint: Checkpoint, photos: Photos, split: str) -> str:
    """What share of ``photos`` the radii about their best points, and the sets of cells, hold; for a person."""
    if not len(photos):
        return f"{split}: no located photo to check the regions by"
    regions, partition = checkpoint.calibration.regions, checkpoint.partition
    finder = PointFinder.of(partition)
    inside_S, covered_S, count = np.zeros(len(SHARES)), np.zeros(len(SHARES)), 0
    for probability_C, lat, lng, cell in answers(checkpoint.model, checkpoint.calibration, photos, MOST_REGIONS):
        (at_lat,), (at_lng,), _ = finder.best_within(probability_C, WITHIN_KM)
        far = float(geo.distance_km(at_lat, at_lng, lat, lng))
        inside_S += far <= np.array(regions.radii_km(partition, probability_C, at_lat, at_lng))
        covered_S += [cell >= 0 and bool((regions.cells(probability_C, share) == cell).any()) for share in SHARES]
        count += 1
    told = [
        f"{share:.0%}: radius holds {inside / count:.1%}, cells hold {covered / count:.1%}"
        for share, inside, covered in zip(SHARES, inside_S, covered_S, strict=True)
    ]
    return f"{split}, {count:,} photos. " + "; ".join(told)
