"""A model for tests of geotagging."""

import numpy as np
import pytest
import torch

from openplanet.earth.partition.adaptive import build
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel

TOWNS = [(48.86, 2.35), (50.85, 4.35), (-17.8, 178.0), (-14.0, -171.8)]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A network with random weights over a cell for each town, as a folder."""
    lat_N, lng_N = (np.repeat([town[axis] for town in TOWNS], 3) for axis in (0, 1))
    partition = build([(lat_N, lng_N)], max_photos=3, min_photos=1)
    config = ImageConfig("test_resnet", image_size=32)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    Checkpoint(ImageModel(config, len(partition)).eval(), partition, {"name": "none"}, config, {}).save(folder)
    return folder
