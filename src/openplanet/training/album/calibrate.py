"""How sure an album model may be: its temperatures and regions, by validation albums with and without anchors.

Shapes: N photos, T photos of an album, C cells.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from openplanet.models.album.anchors import LEAST_PHOTOS, Mask, draw
from openplanet.models.album.base import AlbumCalibration, AlbumModel
from openplanet.models.album.embedded import EmbeddedAlbum, batch
from openplanet.models.calibration import Calibration, fit_temperature
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.regions import RegionFitter
from openplanet.training.temperature import MOST_REGIONS, MOST_SCORES

ANCHORS = 0.25
"""Share of the photos whose position is given, where any is."""


def calibrate_albums(model: AlbumModel, image: Checkpoint, val: Sequence[EmbeddedAlbum]) -> AlbumCalibration:
    """Fitted on the albums of several photos among ``val``; of very many on some, evenly spaced."""
    several = [album for album in val if int(album.located.sum()) >= LEAST_PHOTOS]
    return AlbumCalibration(*(_fitted(model, image, several, share) for share in (0.0, ANCHORS)))


def _fitted(model: AlbumModel, image: Checkpoint, albums: Sequence[EmbeddedAlbum], share: float) -> Calibration:
    photos = sum(map(len, albums))
    step = max(1, -(-photos * len(image.partition) // MOST_SCORES))
    asked = list(_answers(model, image, albums[::step], share))
    if not asked:
        return Calibration(note="no validation album has several located photos")
    scores, cells, places = zip(*asked, strict=True)
    scores_NC, cell_N, at_N2 = torch.cat(scores), torch.cat(cells), np.concatenate(places)
    found, fitter = fit_temperature(scores_NC, cell_N), RegionFitter(image.partition)
    for row in np.unique(np.linspace(0, len(cell_N) - 1, MOST_REGIONS).astype(np.int64)):
        probability_C = found.log_probs(scores_NC[row : row + 1])[0].double().exp().numpy()
        lat, lng = at_N2[row].tolist()
        fitter.add(probability_C, lat, lng, int(cell_N[row]))
    return dataclasses.replace(found, regions=fitter.fit())


def _answers(
    model: AlbumModel, image: Checkpoint, albums: Sequence[EmbeddedAlbum], share: float
) -> Iterator[tuple[Tensor, Tensor, np.ndarray[tuple[int, int], np.dtype[np.float64]]]]:
    """Of each album's photos without a given position: scores [N, C], cells [N], positions in degrees [N, 2]."""
    for album in albums:
        given_T: Mask = draw(album, share)
        with torch.inference_mode():
            one = batch([album], image.model, image.partition, [given_T], image.calibration.temperature)
            scores_TC = model(one)[0].float().cpu()
        asked_T = album.located & ~given_T
        cell_T = torch.from_numpy(album.cells(image.partition))
        yield scores_TC[asked_T], cell_T[asked_T], np.stack([album.lat_T, album.lng_T], axis=1)[asked_T]
