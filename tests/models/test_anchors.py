"""Which photos are anchors."""

import numpy as np
import torch

from openplanet.models.album.anchors import draw
from openplanet.models.album.embedded import EmbeddedAlbum

NAN = np.nan


def album(lat_T):
    lat_T = np.array(lat_T, float)
    names = [f"{place}" for place in range(len(lat_T))]
    return EmbeddedAlbum("a", names, torch.zeros(len(lat_T), 1), lat_T, lat_T, np.full(len(lat_T), NAN))


def test_a_share_of_the_located_photos_never_all():
    some = album([1.0] * 20 + [NAN] * 20)
    assert draw(some, 0.5).sum() == 10
    assert not draw(some, 0.5)[20:].any()
    assert draw(some, 0.01).sum() == 1
    assert draw(some, 0.999).sum() == 19
    assert draw(some, 0.0).sum() == 0
    np.testing.assert_array_equal(draw(some, 0.5), draw(some, 0.5))
    assert draw(album([1.0]), 0.5).sum() == 0
