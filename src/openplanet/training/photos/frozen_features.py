"""The photos of a split as a frozen backbone sees them: kept (models/features.py), so that partitions, heads and seeds
are tried in seconds."""

import numpy as np
import torch

from openplanet.earth.partition.adaptive import Partition
from openplanet.models import features
from openplanet.models.device import best_device
from openplanet.models.image_model import ImageModel
from openplanet.photos.dataset import Dataset
from openplanet.progress import say
from openplanet.stores.location import Location
from openplanet.training.photos.data import SplitPhotos


def load_split(
    dataset: Dataset, split: str, partition: Partition, model: ImageModel, drop: bool, folder: Location | None = None
) -> SplitPhotos:
    """Features of the located photos of ``split`` as ``model``'s backbone sees them.

    ``drop``: leave out photos in no cell of ``partition``. ``folder``: where features are kept, by default beside the
    dataset. Memory holds 4 bytes a feature of each photo.
    """
    table = dataset.table(["photo_id", "lat", "lng"], split, located=True)
    was_training = model.training
    model.to(best_device()).eval()
    seen = features.of_backbone(dataset, split, model, folder, table["photo_id"].to_pylist())
    model.cpu().train(was_training)
    say(f"{split}: features of {model.config.backbone} are kept in {folder or features.default_folder(dataset)}")
    row_of = {name: row for row, name in enumerate(table["photo_id"].to_pylist())}
    rows = [row_of[name] for name in seen.photo_ids]
    lat_N, lng_N = (table[name].to_numpy()[rows] for name in ("lat", "lng"))
    cell_N = partition.assign(lat_N, lng_N)
    outside = int((cell_N < 0).sum())
    kept = np.flatnonzero((cell_N >= 0) | (not drop))
    if outside:
        fate = "left out of training" if drop else "kept, and counted as wrong"
        say(f"{split}: {outside} photos lie in no cell of the partition: {fate}")
    if seen.failed:
        say(f"{split}: {len(seen.failed)} photos cannot be decoded and are left out: {', '.join(seen.failed[:5])}")
    return SplitPhotos(
        photo_ids=[seen.photo_ids[row] for row in kept],
        lat_N=lat_N[kept],
        lng_N=lng_N[kept],
        cell_N=cell_N[kept],
        inputs={"features": seen.features_NF[torch.from_numpy(kept)]},
        undecodable=seen.failed,
        in_no_cell=outside,
    )
