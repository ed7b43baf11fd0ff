"""Albums as album models take them: the embedding of each photo, its time, and its position where it is known.

Shapes: B albums in a batch, T photos of the longest, C cells, D embedding, N photos.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import InputError
from openplanet.models import features
from openplanet.models.album.base import ROWS, UNKNOWN, Albums
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageModel
from openplanet.photos.albums import clocks
from openplanet.photos.dataset import Dataset
from openplanet.progress import say
from openplanet.stores.location import Location

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MOST_ANSWERS = 20_000  # photos whose answers are averaged: half a minute at 26,263 cells


@dataclass(frozen=True, eq=False)
class EmbeddedAlbum:
    """The photos of one album in order of capture, as the frozen image model sees them."""

    album_id: str
    photo_ids: list[str]
    embedding_TD: Tensor
    """float32, on the CPU: the image model's layer before the softmax."""
    lat_T: Floats
    """Degrees; NaN where the position is not known."""
    lng_T: Floats
    seconds_T: Floats
    """Time of capture in seconds, by one clock for the whole album; NaN where it is not known."""

    @classmethod
    def of_photos(
        cls,
        names: Sequence[str],
        embedded: Sequence[Tensor | None],
        lat_T: Floats | None = None,
        lng_T: Floats | None = None,
        seconds_T: Floats | None = None,
    ) -> "EmbeddedAlbum":
        """Of photos that are in no dataset, given in order of capture; those that could not be embedded are left out.

        Positions in degrees and times in seconds, NaN (or None for all) where not known. Raises InputError where
        none is embedded.
        """
        right = [place for place, each in enumerate(embedded) if each is not None]
        if not right:
            raise InputError(f"none of the album's {len(names)} photos can be read")
        columns = [np.full(len(names), np.nan) if given is None else given for given in (lat_T, lng_T, seconds_T)]
        return cls(
            "album",
            [names[place] for place in right],
            torch.stack([each for each in embedded if each is not None]),
            *(np.asarray(column, np.float64)[right] for column in columns),
        )

    def __len__(self) -> int:
        return len(self.photo_ids)

    @property
    def located(self) -> Mask:
        """Whose position is known."""
        return ~(np.isnan(self.lat_T) | np.isnan(self.lng_T))

    def cells(self, partition: Partition) -> npt.NDArray[np.int64]:
        """The cell of each photo [T]; UNKNOWN for a photo without a position or in no cell."""
        cell_T = np.full(len(self), UNKNOWN, dtype=np.int64)
        known_T = self.located
        cell_T[known_T] = partition.assign(self.lat_T[known_T], self.lng_T[known_T])
        return cell_T

    def part(self, rows: Sequence[int] | npt.NDArray[np.int64] | slice) -> "EmbeddedAlbum":
        """The album of some of its photos, in the order of ``rows``."""
        chosen = np.arange(len(self))[rows]
        return EmbeddedAlbum(
            self.album_id,
            [self.photo_ids[row] for row in chosen],
            self.embedding_TD[torch.from_numpy(chosen)],
            self.lat_T[chosen],
            self.lng_T[chosen],
            self.seconds_T[chosen],
        )


def embedded_albums(
    dataset: Dataset, split: str, checkpoint: Checkpoint, folder: Location | None = None
) -> list[EmbeddedAlbum]:
    """All albums of a split, in order of album_id, with all their photos: those without a position too.

    A photo of no album is an album by itself. Photos that cannot be decoded are told and left out. What the
    backbone sees is computed once and kept in ``folder`` [default: DATASET.embeddings]; memory holds all embeddings,
    4 D bytes a photo. Raises DatasetError where dataset or folder is damaged.
    """
    seen = features.of_embedding(dataset, split, checkpoint.model, folder)
    if seen.failed:
        some = ", ".join(seen.failed[:5]) + (", ..." if len(seen.failed) > 5 else "")
        say(f"{split}: {len(seen.failed)} photos cannot be decoded and are left out of their albums: {some}")
    ids, embedding_ND = seen.photo_ids, seen.features_NF
    table = _rows(dataset, split, ids)
    album_N = np.array(table["album"].to_pylist(), dtype=object)
    order_N = table["order"].to_numpy()
    sorted_N = np.lexsort((np.arange(len(ids)), order_N, album_N)) if ids else np.empty(0, np.int64)
    starts = [row for row in range(len(ids)) if row == 0 or album_N[sorted_N[row]] != album_N[sorted_N[row - 1]]]
    columns = [table[name].to_numpy().astype(np.float64) for name in ("lat", "lng", "seconds")]
    return [
        EmbeddedAlbum(
            str(album_N[rows[0]]),
            [ids[row] for row in rows],
            embedding_ND[torch.from_numpy(rows)],
            *(column_N[rows] for column_N in columns),
        )
        for rows in np.split(sorted_N, starts[1:])
        if len(rows)
    ]


def _rows(dataset: Dataset, split: str, ids: list[str]) -> pa.Table:
    """Album, order, position and time of the photos ``ids``, which stand in stored order."""
    table = dataset.table(["photo_id", "album_id", "album_order", *clocks.COLUMNS], split)
    table = table.filter(pc.is_in(table["photo_id"], pa.array(ids, pa.string())))
    album = pc.coalesce(table["album_id"], table["photo_id"])
    code_N = album.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    seconds_N = clocks.align(table, code_N).seconds()
    return pa.table(
        {
            "album": album,
            "order": pc.fill_null(table["album_order"], 0),
            "lat": table["lat"],
            "lng": table["lng"],
            "seconds": pa.array(seconds_N),
        }
    )


def batch(
    albums: Sequence[EmbeddedAlbum],
    image_model: ImageModel,
    partition: Partition,
    anchors: Sequence[Mask] | None = None,
    temperature: float = 1.0,
    with_log_probs: bool = True,
) -> Albums:
    """Albums of any lengths, padded to the longest, on the image model's device (times on the CPU).

    ``anchors``: for each album a mask [T] of the photos whose position the model is given; those without one, or in
    no cell, are none. ``temperature``: what the image model's scores are divided by (a calibrated checkpoint has
    one). ``with_log_probs``: False leaves log_probs_BTC without cells, [B, T, 0], for models that do not read it.
    Memory: 4 B T C bytes, twice that for several albums.
    """
    device = next(image_model.parameters()).device
    count, longest = len(albums), max(len(album) for album in albums)
    embedding_BTD = torch.zeros(count, longest, albums[0].embedding_TD.shape[1])
    seconds_BT = torch.full((count, longest), torch.nan, dtype=torch.float64)
    anchor_BT = torch.full((count, longest), UNKNOWN, dtype=torch.int64)
    present_BT = torch.zeros(count, longest, dtype=torch.bool)
    for row, album in enumerate(albums):
        length = len(album)
        embedding_BTD[row, :length] = album.embedding_TD
        seconds_BT[row, :length] = torch.from_numpy(album.seconds_T)
        present_BT[row, :length] = True
        if anchors is not None and anchors[row].any():
            anchor_BT[row, :length] = torch.from_numpy(np.where(anchors[row], album.cells(partition), UNKNOWN))
    cells = len(partition) if with_log_probs else 0
    embedding_BTD, present_BT = embedding_BTD.to(device), present_BT.to(device)
    if with_log_probs and count == 1:  # a large album is not held twice
        log_probs_BTC = single_photo_log_probs(image_model, embedding_BTD[0], temperature)[None]
    else:
        log_probs_BTC = torch.full((count, longest, cells), -float(np.log(len(partition))), device=device)
        if with_log_probs:
            log_probs_BTC[present_BT] = single_photo_log_probs(image_model, embedding_BTD[present_BT], temperature)
    return Albums(embedding_BTD, log_probs_BTC, present_BT, seconds_BT, anchor_BT.to(device))


def single_photo_log_probs(image_model: ImageModel, embedding_ND: Tensor, temperature: float = 1.0) -> Tensor:
    """What the image model says of each photo alone, float32 [N, C], from its embedding; without gradients."""
    with torch.no_grad():
        scores_NC = image_model.combine(image_model.head(embedding_ND)).float()
        for part_NC in torch.split(scores_NC, ROWS):  # some photos at a time, in place: copies of all are large
            part_NC.copy_(torch.log_softmax(part_NC / temperature, dim=1))
        return scores_NC


def mean_answer(albums: Sequence[EmbeddedAlbum], image: Checkpoint) -> Tensor:
    """What the image model says of photos in general: the mean of its answers to at most MOST_ANSWERS of the albums'
    photos, evenly spread, and one that says nothing; float64 [C], on the CPU.

    This is the prior that its probabilities hold. It is far flatter than the shares of the training photos where
    targets were smoothed, or scores are divided by a temperature.
    """
    device, cells = next(image.model.parameters()).device, len(image.partition)
    total_C, count = torch.full((cells,), 1 / cells, dtype=torch.float64), 1
    step = max(1, math.ceil(sum(map(len, albums)) / MOST_ANSWERS))
    photos = (album.embedding_TD[row] for album in albums for row in range(len(album)))
    for some_ND in torch.split(torch.stack(list(itertools.islice(photos, 0, None, step))), 256) if albums else ():
        log_probs_NC = single_photo_log_probs(image.model, some_ND.to(device), image.calibration.temperature)
        total_C, count = total_C + log_probs_NC.double().exp().sum(dim=0).cpu(), count + len(some_ND)
    return total_C / count
