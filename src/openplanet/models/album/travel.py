"""``travel``: a hidden Markov model over cells, whose transitions are how far people get in how long.

The state of a photo is its cell. What the image model says of the photo, divided by what it says of photos in general,
takes the place of the emission (the hybrid of Bourlard and Morgan 1994, "Connectionist Speech Recognition": posterior /
prior is the likelihood up to a factor). The prior must be the one that the answers hold (``general_C``: their mean over
the training albums): smoothed targets and a temperature leave little of the shares of the training photos, and dividing
by these would give the emptiest cells a bonus with every photo of a long album. Where no album was seen it is flat.
Photos taken one after the other look alike, so that their evidence is not independent: it can be raised to ``exponent``
below 1 (a photo's own to ``own``). The photo of an album of one is left as the image model has it. Transitions: see
``Transitions``. Forward-backward (Rabiner 1989), in logarithms, over the ``top`` cells of the album: exact where the
partition has no more.

Not in the paper. Needs no training; ``Movement`` is counted on training albums.

Shapes: B albums, T photos, C cells, K cells of one album (ascending), R rings about a cell, S buckets of time,
Z sizes of cells.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from openplanet.earth import geo
from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import RecipeError
from openplanet.models.album.base import UNKNOWN, AlbumCalibration, AlbumConfig, AlbumModel, Albums
from openplanet.models.album.embedded import EmbeddedAlbum, mean_answer
from openplanet.models.album.movement import KM_EDGES, RINGS, SAME, Ints, Movement, buckets, sizes
from openplanet.models.calibration import Calibration
from openplanet.models.checkpoint import Checkpoint

TOP = 512  # cells of an album: 9 matrices of 2 MB
EXPONENT, JUMP = 1.0, 0.001  # what real photos in five folds and the val split of the synthetic planet both like
UNSEEN = AlbumCalibration(Calibration(2.5, note="of other albums"), Calibration(1.7, note="of other albums"))
"""Where no album was seen to calibrate by: temperatures between those that val albums of the demo (1.8 and 1.7) and of
real photos (3.4 and 1.6) want. Too sure is the worse mistake."""
ROWS = 64  # cells whose distances to all others are held at once: 13 MB at 26,263 cells


class Chain(NamedTuple):
    """What forward-backward found of one album. ``cells_K``: the states; the rest natural logarithms."""

    cells_K: Tensor
    before_TK: Tensor
    """From all photos before each."""
    after_TK: Tensor
    """From all photos after each."""


class Transitions:
    """P(cell of the next photo | cell of this one, time between) for one partition.

    ``Movement`` gives the probability to stay in a cell of this size, and that of each ring about it; a ring's is
    shared among the cells whose centroids lie in it, in proportion to their photos. Rings without a cell are struck out
    and the rest scaled up: the next photo lies in some cell. A share ``jump`` goes anywhere, by the prior: no path is
    impossible. Over all C cells each row sums to 1.
    """

    def __init__(self, partition: Partition, jump: float) -> None:
        self.jump = jump
        self.prior_C = prior_of(partition)
        self._size_C = torch.from_numpy(sizes(partition))
        self._xyz_C3 = torch.from_numpy(geo.to_xyz(partition.centroid_lat, partition.centroid_lng))
        self._minus_cosines = -torch.cos(torch.tensor(KM_EDGES, dtype=torch.float64) / geo.EARTH_RADIUS_KM)

    def among(self, cells_K: Tensor, share_SZR: Tensor) -> Tensor:
        """[S, K, K], float64: from each to each of the cells, one matrix for each bucket of time.

        ``share_SZR``: ``Movement.share_SZR``.
        """
        found = zip(*(self._from(part, cells_K) for part in torch.split(cells_K, ROWS)), strict=True)
        ring_KK, weight_KR = (torch.cat(parts) for parts in found)
        share_SKR = share_SZR[:, self._size_C[cells_K]] * (weight_KR > 0)
        share_SKR /= share_SKR.sum(dim=2, keepdim=True)
        rate_SKR = share_SKR / weight_KR.clamp_min(torch.finfo(torch.float64).tiny)
        matrix_SKK = rate_SKR.gather(2, ring_KK.expand(len(rate_SKR), -1, -1))
        return ((1.0 - self.jump) * matrix_SKK + self.jump) * self.prior_C[cells_K]

    def _from(self, part_K: Tensor, cells_K: Tensor) -> tuple[Tensor, Tensor]:
        """Of some cells: rings to the cells of the album, and the prior that each ring holds in all."""
        ring_KC = torch.bucketize(-(self._xyz_C3[part_K] @ self._xyz_C3.T), self._minus_cosines, right=True) + 1
        ring_KC[torch.arange(len(part_K)), part_K] = SAME
        weight_KC = self.prior_C.expand(len(part_K), -1)
        weight_KR = torch.zeros(len(part_K), RINGS, dtype=torch.float64).scatter_add_(1, ring_KC, weight_KC)
        return ring_KC[:, cells_K], weight_KR


def prior_of(partition: Partition) -> Tensor:
    """[C], float64: share of the training photos in each cell."""
    count_C = torch.from_numpy(np.maximum(partition.count, 1).astype(np.float64))
    return count_C / count_C.sum()


class Travel(AlbumModel):
    """See the module. ``exponent``, ``own`` (None: as exponent): over 0; ``jump``: in 0..1; ``top``: cells of an album.

    Raises RecipeError for others. Without ``fit_statistics`` people move as in ``Movement.usual``, and answers of the
    image model are taken to hold no prior.
    """

    needs_training = False
    reads_times = True
    share_SZR: Tensor
    steps_S: Tensor
    general_C: Tensor

    def __init__(
        self,
        partition: Partition,
        embedding_dim: int,
        config: AlbumConfig,
        exponent: float = EXPONENT,
        own: float | None = None,
        jump: float = JUMP,
        top: int = TOP,
    ) -> None:
        super().__init__(partition, embedding_dim, config)
        if not (exponent > 0 and (own is None or own > 0) and 0 < jump < 1 and top > 0):
            raise RecipeError(f"travel takes exponent, own and top above 0, jump between 0 and 1, not {config.options}")
        self.exponent, self.own, self.top = exponent, own, top
        self.transitions = Transitions(partition, jump)
        usual = Movement.usual()
        self.register_buffer("share_SZR", torch.from_numpy(usual.share_SZR))
        self.register_buffer("steps_S", torch.tensor(usual.steps_S))
        self.register_buffer("general_C", torch.full((len(partition),), 1 / len(partition), dtype=torch.float64))
        self._last: tuple[int, Tensor, Tensor] | None = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Travel":
        """Stays on the CPU, in float64, which not every device has: a chain of small steps gains nothing elsewhere."""
        return self

    @classmethod
    def over(
        cls, partition: Partition, movement: Movement | None = None, general_C: Tensor | None = None, **options: float
    ) -> "Travel":
        """A model from Python: for ``partition``, with ``movement`` and what the image model says in general where
        albums have been seen."""
        model = cls(partition, 0, AlbumConfig("travel", options=dict(options)), **options)  # type: ignore[arg-type]
        if movement is not None:
            model.movement = movement
        if general_C is not None:
            model.general_C.copy_(general_C)
        return model

    @property
    def movement(self) -> Movement:
        """How far people get, as the model has it."""
        return Movement(self.share_SZR.cpu().numpy().copy(), tuple(self.steps_S.tolist()))

    @movement.setter
    def movement(self, movement: Movement) -> None:
        self.share_SZR.copy_(torch.from_numpy(movement.share_SZR))
        self.steps_S.copy_(torch.tensor(movement.steps_S))

    def fit_statistics(self, albums: Sequence[EmbeddedAlbum], image: Checkpoint) -> None:
        """Count how far the photographers of these albums got in how long, and what is said of their photos."""
        partition = image.partition
        self.movement = Movement.fit(((album.cells(partition), album.seconds_T) for album in albums), partition)
        self.general_C.copy_(mean_answer(albums, image))

    def forward(self, albums: Albums) -> Tensor:
        """See ``AlbumModel``. Each album by itself; memory grows with T x C and K x K."""
        if len(albums.present_BT) == 1 and bool(albums.present_BT.all()):  # a large one is not held twice
            return self.album(albums.log_probs_BTC[0].cpu(), albums.seconds_BT[0].cpu(), albums.anchor_BT[0].cpu())[
                None
            ]
        answers_BTC = albums.log_probs_BTC.clone()
        for index, present_T in enumerate(albums.present_BT):
            length = int(present_T.sum())
            if length:
                one = (albums.log_probs_BTC, albums.seconds_BT, albums.anchor_BT)
                answers_BTC[index, :length] = self.album(*(values[index, :length].cpu() for values in one))
        return answers_BTC

    def album(self, log_probs_TC: Tensor, seconds_T: Tensor, anchor_T: Tensor) -> Tensor:
        """Of one album: log-probabilities [T, C], float32."""
        chain = self.chain(log_probs_TC, seconds_T, anchor_T)
        own = 1.0 if len(log_probs_TC) == 1 else self.own or self.exponent
        own_TK = self._evidence(log_probs_TC, anchor_T, chain.cells_K, own)
        inside_TK = torch.log_softmax(chain.before_TK + own_TK + chain.after_TK, dim=1)
        if len(chain.cells_K) == log_probs_TC.shape[1]:
            return inside_TK.float()
        answer_TC = log_probs_TC.clone().float()
        for rows in torch.split(torch.arange(len(answer_TC)), ROWS):
            self._fill(answer_TC, rows, inside_TK[rows], chain.cells_K)
        return answer_TC

    def _fill(self, answer_TC: Tensor, rows: Tensor, inside_NK: Tensor, cells_K: Tensor) -> None:
        """Elsewhere than in the album's cells: by a jump there, then as the photo alone says."""
        rest_NC = answer_TC[rows].double().index_fill(1, cells_K, -math.inf)
        outside_N1 = (rest_NC.logsumexp(dim=1, keepdim=True) + math.log(self.transitions.jump)).clamp(max=-1e-3)
        filled_NC = torch.log_softmax(rest_NC, dim=1) + outside_N1
        filled_NC[:, cells_K] = inside_NK + torch.log1p(-torch.exp(outside_N1))
        answer_TC[rows] = filled_NC.float()

    def chain(self, log_probs_TC: Tensor, seconds_T: Tensor, anchor_T: Tensor) -> Chain:
        """Forward and backward through one album; photos with an anchor are there for certain."""
        cells_K = self._cells(log_probs_TC, anchor_T)
        matrix_SKK = self._matrices(cells_K)
        step_T = buckets(seconds_T.double().cpu().numpy())
        evidence_TK = self._evidence(log_probs_TC, anchor_T, cells_K, self.exponent)
        before_TK, after_TK = self._forward(evidence_TK, cells_K, matrix_SKK, step_T), torch.zeros_like(evidence_TK)
        for t in range(len(step_T) - 1, -1, -1):
            after_TK[t] = _through(after_TK[t + 1] + evidence_TK[t + 1], matrix_SKK[step_T[t]])
        return Chain(cells_K, before_TK, after_TK)

    def likelihood(self, log_probs_TC: Tensor, seconds_T: Tensor, anchor_T: Tensor) -> float:
        """Of the whole album, natural logarithm, up to a term that does not depend on times: to compare clocks by."""
        cells_K = self._cells(log_probs_TC, anchor_T)
        evidence_TK = self._evidence(log_probs_TC, anchor_T, cells_K, self.exponent)
        step_T = buckets(seconds_T.double().cpu().numpy())
        before_TK = self._forward(evidence_TK, cells_K, self._matrices(cells_K), step_T)
        return float((before_TK[-1] + evidence_TK[-1]).logsumexp(dim=0))

    def _forward(self, evidence_TK: Tensor, cells_K: Tensor, matrix_SKK: Tensor, step_T: Ints) -> Tensor:
        before_TK = torch.empty_like(evidence_TK)
        before_TK[0] = self.general_C.cpu()[cells_K].log()  # of one photo its own answer remains
        for t, step in enumerate(step_T.tolist()):
            before_TK[t + 1] = _through(before_TK[t] + evidence_TK[t], matrix_SKK[step].T)
        return before_TK

    def _cells(self, log_probs_TC: Tensor, anchor_T: Tensor) -> Tensor:
        """The cells that the album's photos hold likeliest, together, and its anchors; ascending."""
        count = log_probs_TC.shape[1]
        if count <= self.top:
            return torch.arange(count)
        score_C = log_probs_TC.logsumexp(dim=0)
        score_C[anchor_T[anchor_T != UNKNOWN]] = math.inf
        return score_C.topk(self.top).indices.sort().values

    def _matrices(self, cells_K: Tensor) -> Tensor:
        """Of the cells; the last ones are kept, as all albums of a small partition, and all shifts of a clock, share
        them."""
        version = self.share_SZR._version
        if self._last is None or self._last[0] != version or not torch.equal(self._last[1], cells_K):
            self._last = (version, cells_K, self.transitions.among(cells_K, self.share_SZR.cpu()))
        return self._last[2]

    def _evidence(self, log_probs_TC: Tensor, anchor_T: Tensor, cells_K: Tensor, exponent: float) -> Tensor:
        """[T, K]: exponent x log(posterior / prior); at an anchor 0 for its cell and minus infinity elsewhere."""
        found_TK = exponent * (log_probs_TC[:, cells_K].double() - self.general_C.cpu()[cells_K].log())
        known_T = anchor_T != UNKNOWN
        clamped_TK = torch.where(cells_K == anchor_T[:, None], 0.0, -math.inf).double()
        return torch.where(known_T[:, None], clamped_TK, found_TK)


def _through(log_K: Tensor, matrix_KK: Tensor) -> Tensor:
    """log(matrix @ exp(log_K)), however small: no entry of the matrix is 0, so that no sum is."""
    highest = log_K.max()
    summed: Tensor = (matrix_KK @ (log_K - highest).exp()).log() + highest
    return summed
