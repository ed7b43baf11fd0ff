"""Albums made of numbers, and a small image model, for the tests of album models."""

import functools

import numpy as np
import torch

from openplanet.earth.partition import adaptive as partitions
from openplanet.earth.partition.adaptive import Partition
from openplanet.models.album.embedded import EmbeddedAlbum
from openplanet.models.image_model import ImageConfig, ImageModel

PLACES = ((48.8, 2.3), (-33.9, 151.2), (35.7, 139.7), (0.1, 37.0), (40.7, -74.0))
IMAGE = ImageConfig("test_resnet", 32)


@functools.cache
def cells() -> Partition:
    """A cell for each of PLACES."""
    lat_N, lng_N = (np.repeat([place[axis] for place in PLACES], 3) for axis in (0, 1))
    return partitions.build([(lat_N, lng_N)], max_photos=3, min_photos=1)


@functools.cache
def image_model() -> ImageModel:
    """With random weights; its heads are sure enough to matter."""
    torch.manual_seed(0)
    model = ImageModel(IMAGE, len(cells()))
    torch.nn.init.normal_(model.head.weight, std=0.5)  # type: ignore[union-attr, arg-type]
    return model.eval()


def album(length: int, seed: int = 0, dim: int | None = None, name: str = "a") -> EmbeddedAlbum:
    """Random embeddings at random PLACES, the last photo without a position, every third without a time."""
    rng = np.random.default_rng([seed, length])
    at = rng.integers(len(PLACES), size=length)
    lat_T, lng_T = (np.array([PLACES[place][axis] for place in at]) for axis in (0, 1))
    lat_T[-1] = lng_T[-1] = np.nan
    seconds_T = np.cumsum(rng.exponential(3600.0, length))
    seconds_T[::3] = np.nan
    embedding_TD = torch.from_numpy(rng.normal(size=(length, dim or image_model().embedding_dim))).float()
    ids = [f"{name}{place}" for place in range(length)]
    return EmbeddedAlbum(name, ids, embedding_TD, lat_T, lng_T, seconds_T)
