"""The temperature of a trained model, from what it says of validation photos.

Shapes: N photos, B in a batch, C cells.
"""

import numpy as np
import torch

from openplanet.models.calibration import Calibration, fit_temperature
from openplanet.models.device import best_device
from openplanet.models.image_model import ImageModel
from openplanet.training.photos.data import Photos

MOST_SCORES = 2**26
"""Photos x cells looked at: 256 MB of memory, and far more photos than one number needs."""
BATCH = 64


def calibrate(model: ImageModel, val: Photos) -> Calibration:
    """Fit the temperature of ``model`` on ``val``; of very many photos on some, evenly spaced.

    In float32, as Predictor asks it. The model comes back on the device and in the mode that it was in.
    """
    wanted = max(1, min(len(val), MOST_SCORES // model.num_cells))
    rows_N = np.unique(np.linspace(0, len(val) - 1, wanted).astype(np.int64)) if len(val) else np.empty(0, np.int64)
    before, was_training = model.mean.device, model.training
    device = best_device()
    model.to(device).eval()
    scores, cells = [torch.empty(0, model.num_cells)], [torch.empty(0, dtype=torch.int64)]
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
    model.to(before).train(was_training)
    return fit_temperature(torch.cat(scores), torch.cat(cells))
