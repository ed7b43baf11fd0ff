"""The album model as the trainer sees it: albums to states, and a softmax over those of its photos that are asked for.

Shapes: B albums, T photos of the longest, N photos that are asked for, C cells, D embedding.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from openplanet.earth.geo import to_xyz
from openplanet.models.album.base import Albums
from openplanet.models.album.embedded import EmbeddedAlbum, Mask, batch
from openplanet.models.album.neural import NeuralAlbumModel
from openplanet.models.checkpoint import Checkpoint
from openplanet.training.album.data import Swaps, draw_anchors, stretch
from openplanet.training.album.recipe import AlbumRecipe
from openplanet.training.lightning_module import TrainedModule, validation_sums
from openplanet.training.losses import cross_entropy, target_distribution

ROWS = 4096
"""Photos whose scores are looked at at once in validation: 430 MB at 26,263 cells."""


class AlbumTraining(TrainedModule):
    """One training run of an album model; the image model is not part of it, and only asked.

    Scores over the cells are made of the photos that are asked for alone: N C numbers, whatever is padded.
    """

    model: NeuralAlbumModel
    recipe: AlbumRecipe

    def __init__(
        self,
        model: NeuralAlbumModel,
        recipe: AlbumRecipe,
        image: Checkpoint,
        train: Sequence[EmbeddedAlbum],
        val: Sequence[EmbeddedAlbum],
        batches: int,
        asked: int,
    ) -> None:
        super().__init__(model, recipe, batches, asked)
        self.image, self.train_albums, self.val_albums = image, train, val
        self.swaps = Swaps(train, image.partition)
        # in a list, so that it is no part of the weights that are saved and averaged
        self._frozen = [image.model]
        centroids = to_xyz(image.partition.centroid_lat, image.partition.centroid_lng)
        self.centroid_xyz_C3 = torch.from_numpy(centroids).float()

    @property
    def evaluated_model(self) -> NeuralAlbumModel:
        """As for every run."""
        model = super().evaluated_model
        assert isinstance(model, NeuralAlbumModel)
        return model

    def training_step(self, rows: dict[str, Tensor], batch_index: int) -> Tensor:
        rng = np.random.default_rng(self.seed_for(batch_index))
        albums = [stretch(self.train_albums[row], self.recipe, rng) for row in rows["row"].tolist()]
        albums = [self.swaps.swapped(album, self.recipe.swap, rng) for album in albums]
        anchors = [draw_anchors(album, self.recipe, rng) for album in albums]
        made = self._batch([self._noisy(album) for album in albums], anchors, self.model)
        cell_BT = padded([album.cells(self.image.partition) for album in albums], -1).to(self.device)
        asked_BT = (cell_BT >= 0) & (made.anchor_BT < 0)
        scores_NC = self._scores(self.model, made, self._states(self.model, made), asked_BT)
        loss = self._loss(scores_NC, cell_BT[asked_BT], self._points(albums)[asked_BT])
        return self.noted(loss, batch_index, f"album {albums[0].album_id}")

    def validation_step(self, rows: dict[str, Tensor], batch_index: int) -> None:
        model = self.evaluated_model
        albums = [self.val_albums[row] for row in rows["row"].tolist()]
        made = self._batch(albums, None, model)
        cell_BT = padded([album.cells(self.image.partition) for album in albums], -1).to(self.device)
        located_BT = padded([album.located for album in albums], False).to(self.device)
        at_BT2, states_BTH = _positions(albums), self._states(model, made)
        for row_N in torch.split(located_BT.flatten().nonzero()[:, 0], ROWS):
            asked_BT = torch.zeros_like(located_BT.flatten()).index_fill(0, row_N, True).view_as(located_BT)
            scores_NC = self._scores(model, made, states_BTH, asked_BT)
            at_N2 = at_BT2[asked_BT.cpu()].numpy()
            self.sums += validation_sums(scores_NC, cell_BT[asked_BT], self.image.partition, at_N2[:, 0], at_N2[:, 1])

    def _batch(self, albums: Sequence[EmbeddedAlbum], anchors: list[Mask] | None, model: NeuralAlbumModel) -> Albums:
        image_model = self._frozen[0].to(self.device)
        temperature = self.image.calibration.temperature
        return batch(albums, image_model, self.image.partition, anchors, temperature, model.reads_log_probs)

    def _noisy(self, album: EmbeddedAlbum) -> EmbeddedAlbum:
        if not self.recipe.noise:
            return album
        noise_TD = torch.randn_like(album.embedding_TD) * self.model.std_D.cpu() * self.recipe.noise
        return dataclasses.replace(album, embedding_TD=album.embedding_TD + noise_TD)

    @staticmethod
    def _states(model: NeuralAlbumModel, made: Albums) -> Tensor:
        return model.states(model.steps(made), made)

    @staticmethod
    def _scores(model: NeuralAlbumModel, made: Albums, states_BTH: Tensor, asked_BT: Tensor) -> Tensor:
        """[N, C], float32, of the photos ``asked_BT``."""
        log_probs_NC = made.log_probs_BTC[asked_BT] if model.reads_log_probs else None
        return model.scores(states_BTH[asked_BT], log_probs_NC).float()

    def _points(self, albums: Sequence[EmbeddedAlbum]) -> Tensor:
        """Positions on the unit sphere, float32 [B, T, 3] on the device; NaN where not known."""
        at_BT2 = _positions(albums).numpy()
        return torch.from_numpy(to_xyz(at_BT2[..., 0], at_BT2[..., 1])).float().to(self.device)

    def _loss(self, scores_NC: Tensor, cell_N: Tensor, xyz_N3: Tensor) -> Tensor:
        if not len(cell_N):
            return scores_NC.sum()  # of nothing: 0, with the gradients that other processes wait for
        centroid_xyz_C3, smoothing = self.centroid_xyz_C3.to(self.device), self.recipe.label_smoothing
        target = target_distribution(cell_N, xyz_N3, centroid_xyz_C3, self.recipe.smoothing_km, smoothing)
        return cross_entropy(scores_NC, target, smoothing)


def padded(rows: Sequence[npt.NDArray[Any]], fill: float) -> Tensor:
    """Arrays [T, ...] of different lengths as one tensor [B, T, ...]."""
    return nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True, padding_value=fill)


def _positions(albums: Sequence[EmbeddedAlbum]) -> Tensor:
    """Degrees, float64 [B, T, 2]; NaN where not known."""
    return padded([np.stack([album.lat_T, album.lng_T], axis=1) for album in albums], np.nan)
