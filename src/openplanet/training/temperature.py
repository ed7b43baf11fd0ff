"""What a trained model says of validation photos, and how sure it may be by that: its temperature, and its regions.

Shapes: N photos, B in a batch, C cells.
"""

import dataclasses

import numpy as np
import torch

from openplanet.earth.partition.adaptive import Partition
from openplanet.models.calibration import Calibration, fit_temperature
from openplanet.models.device import best_device
from openplanet.models.image_model import ImageModel
from openplanet.models.regions import RegionFitter
from openplanet.training.photos.data import Photos

MOST_SCORES = 2**26
"""Photos x cells looked at: 256 MB of memory, and far more photos than one number needs."""
MOST_REGIONS = 2000  # photos whose regions are looked at: a few ms each at 26,263 cells
BATCH = 64


def calibrate(model: ImageModel, partition: Partition, val: Photos) -> Calibration:
    """Fit the temperature of ``model`` on ``val``, then its regions; of very many photos on some, evenly spaced.

    In float32, as Predictor asks it. The model comes back on the device and in the mode that it was in.
    """
    wanted = max(1, min(len(val), MOST_SCORES // model.num_cells))
    rows_N = np.unique(np.linspace(0, len(val) - 1, wanted).astype(np.int64)) if len(val) else np.empty(0, np.int64)
    before, was_training = model.mean.device, model.training
    device = best_device()
    model.to(device).eval()
    scores, cells = [torch.empty(0, len(partition))], [torch.empty(0, dtype=torch.int64)]
    at: list[tuple[float, float]] = []
    for start in range(0, len(rows_N), BATCH):
        batch = val[rows_N[start : start + BATCH].tolist()]
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
    scores_NC, cell_N = torch.cat(scores), torch.cat(cells)
    found = fit_temperature(scores_NC, cell_N)
    fitter = RegionFitter(partition)
    for row in np.unique(np.linspace(0, len(at) - 1, min(len(at), MOST_REGIONS)).astype(np.int64)).tolist():
        probability_C = found.log_probs(scores_NC[row : row + 1])[0].double().exp().numpy()
        lat, lng = at[int(row)]
        fitter.add(probability_C, lat, lng, int(cell_N[row]))
    return dataclasses.replace(found, regions=fitter.fit())
