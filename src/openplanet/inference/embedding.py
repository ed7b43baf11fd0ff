"""An album from plain files: what a Predictor sees of photos that are in no dataset.

Shapes: T photos of the album, D embedding.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from openplanet.errors import InputError
from openplanet.inference.located import Photo
from openplanet.inference.predictor import Predictor
from openplanet.models.album.embedded import EmbeddedAlbum, Floats


def embed_album(
    predictor: Predictor,
    photos: Sequence[Photo],
    album_id: str = "album",
    lat_T: Floats | None = None,
    lng_T: Floats | None = None,
    seconds_T: Floats | None = None,
    embedded: Sequence[Tensor | None] | None = None,
) -> tuple[EmbeddedAlbum, list[int]]:
    """The album of ``photos``, given in order of capture, and the places (0..T-1) of those that cannot be read and
    are not in it.

    Positions in degrees and times in seconds, NaN (or None for all) where not known. ``embedded``: what
    ``embed_many`` gave for these very photos, where it was asked before. Nothing is kept on disk.
    Raises InputError where no photo can be read.
    """
    if embedded is None:
        embedded = list(predictor.embed_many(photos))
    right = [place for place, each in enumerate(embedded) if each is not None]
    if not right:
        raise InputError(f"{album_id}: none of its {len(photos)} photos can be read")
    columns = [np.full(len(photos), np.nan) if given is None else given for given in (lat_T, lng_T, seconds_T)]
    album = EmbeddedAlbum(
        album_id,
        [_name(photos[place], place) for place in right],
        torch.stack([each for each in embedded if each is not None]),
        *(np.asarray(column, np.float64)[right] for column in columns),
    )
    return album, [place for place, each in enumerate(embedded) if each is None]


def _name(photo: Photo, place: int) -> str:
    """The file's name, or the place in the album of a photo that is no file."""
    return str(photo) if isinstance(photo, str | Path) else str(place)
