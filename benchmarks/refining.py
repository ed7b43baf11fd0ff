"""Does the nearest training photo within the winning cell name a better position than the cell's centroid?

python benchmarks/refining.py CHECKPOINT DATASET [val|test]

Shapes: N photos asked, M training photos, C cells, F features.
"""

import argparse

import numpy as np
import torch
from numpy.typing import NDArray

from openplanet.earth import geo
from openplanet.earth.partition.best_point import PointFinder
from openplanet.models import features
from openplanet.models.checkpoint import Checkpoint
from openplanet.photos.dataset import Dataset

KM = (0.2, 1.0, 5.0, 10.0, 25.0, 100.0, 200.0)
WITHIN_KM = 25.0
Floats = NDArray[np.float64]


def seen(dataset: Dataset, split: str, checkpoint: Checkpoint) -> tuple[torch.Tensor, Floats, Floats]:
    """Embeddings [N, F] and positions (degrees) of a split's located photos."""
    table = dataset.table(["photo_id", "lat", "lng"], split, located=True)
    row_of = {name: row for row, name in enumerate(table["photo_id"].to_pylist())}
    found = features.of_embedding(dataset, split, checkpoint.model, photo_ids=list(row_of))
    rows = [row_of[name] for name in found.photo_ids]
    return found.features_NF, table["lat"].to_numpy()[rows], table["lng"].to_numpy()[rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("dataset")
    parser.add_argument("split", nargs="?", default="val")
    args = parser.parse_args()
    checkpoint, dataset = Checkpoint.load(args.checkpoint), Dataset.open(args.dataset)
    cells, normalize = checkpoint.partition, torch.nn.functional.normalize
    train_MF, train_lat, train_lng = seen(dataset, "train", checkpoint)
    asked_NF, lat_N, lng_N = seen(dataset, args.split, checkpoint)
    with torch.inference_mode():
        scores_NC = checkpoint.model.combine(checkpoint.model.head(asked_NF))
        probability_NC = checkpoint.calibration.log_probs(scores_NC).double().exp().numpy()
    cosine_NM = (normalize(asked_NF, dim=1) @ normalize(train_MF, dim=1).T).numpy()
    best_N, cell_M = probability_NC.argmax(axis=1), cells.assign(train_lat, train_lng)
    finder = PointFinder.of(cells)
    points = [finder.best_within(row_C, WITHIN_KM) for row_C in probability_NC]
    point_lat, point_lng = (np.array([each[axis][0] for each in points]) for axis in (0, 1))
    far_NM = geo.distance_km(point_lat[:, None], point_lng[:, None], train_lat[None], train_lng[None])

    def nearest(allowed_NM: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        chosen_N = np.where(allowed_NM, cosine_NM, -2.0).argmax(axis=1)
        return train_lat[chosen_N], train_lng[chosen_N]

    answers = {
        "likeliest cell": (cells.centroid_lat[best_N], cells.centroid_lng[best_N]),
        "nearest photo in it": nearest(cell_M[None] == best_N[:, None]),
        f"best point for {WITHIN_KM:g} km": (point_lat, point_lng),
        f"nearest photo within {WITHIN_KM:g} km of it": nearest(far_NM <= WITHIN_KM),
        "nearest photo": nearest(np.ones_like(far_NM, dtype=bool)),
    }
    print(f"{len(lat_N):,} photos of {args.split}, % within " + ", ".join(f"{km:g}" for km in KM) + " km; median km")
    for name, at in answers.items():
        km_N = geo.distance_km(*at, lat_N, lng_N)
        print(f"{name:30}", *(f"{100 * (km_N <= km).mean():5.1f}" for km in KM), f"{np.median(km_N):6.0f}")


if __name__ == "__main__":
    main()
