"""Several coarse partitions that lie askew: a small softmax for each, the answer over what they cut each other into.

CPlaNet (Seo, Weyand, Sim, Han 2018, "CPlaNet: Enhancing Image Geolocalization by Combinatorial Partitioning of
Maps", ECCV, section 3): few classes with many photos each, and yet as many places told apart as there are different
tuples of classes. As there, classes are merged S2 cells: those of the answer, each in the class where its photos'
centroid lies. So the answer is over an ordinary partition, which everything that reads answers understands.

Shapes: B photos in a batch, C cells of the answer, L partitions, F fine cells: the tuples of classes that occur.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from openplanet.earth.geo import NO_TURN, from_xyz, to_xyz
from openplanet.earth.partition.adaptive import Partition, Thresholds
from openplanet.earth.partition.combinatorial import build_turned, random_turns
from openplanet.errors import PartitionError, RecipeError
from openplanet.models.heads.head import ClassMap, Floats, Head, Ints, Photos
from openplanet.models.heads.softmax import softmax_layer


class Overlaid(Head):
    """One small softmax matrix for each partition; none for the cells of the answer."""

    nested = False
    class_LC: Tensor
    fine_C: Tensor
    class_LF: Tensor
    log_share_C: Tensor

    def __init__(self, features: int, classes: ClassMap) -> None:
        super().__init__(features, classes)
        if len(classes.sizes) < 2 or classes.log_share_C is None:
            raise RecipeError("head=overlaid needs at least 2 partitions to overlay: give them as levels")
        self.sizes = classes.sizes
        first, *rest = (softmax_layer(features, size, std=0.01) for size in classes.sizes)
        self.weight, self.bias = first.weight, first.bias
        self.coarser = nn.ModuleList(rest)
        # a fine cell is one tuple of classes that occurs; a share tells cells of the answer with the same one apart
        class_LF, fine_C = torch.unique(classes.class_LC, dim=1, return_inverse=True)
        held = {"class_LC": classes.class_LC, "class_LF": class_LF, "fine_C": fine_C}
        held["log_share_C"] = classes.log_share_C
        for name, values in held.items():
            self.register_buffer(name, values, persistent=False)

    @classmethod
    def class_map(cls, further: Sequence[Partition], cells: Partition) -> ClassMap:
        """A cell whose centroid lies in none of a partition's cells goes to the one with the nearest centroid.

        Raises PartitionError where a partition has all photos in one class: it could teach nothing.
        """
        rows = [_classes(partition, cells) for partition in further]
        sizes = tuple(int(row.max()) + 1 for row in rows)
        if min(sizes, default=0) < 2:
            which = sizes.index(min(sizes)) if sizes else "(none is given)"
            raise PartitionError(f"overlaid partition {which} has one class: give it a lower max_photos")
        class_LC = np.stack(rows)
        fine_C = np.unique(class_LC.T, axis=0, return_inverse=True)[1].reshape(-1)
        share_C = cells.count / np.bincount(fine_C, weights=cells.count)[fine_C]
        return ClassMap(sizes, torch.from_numpy(class_LC), torch.from_numpy(np.log(share_C)).float())

    @classmethod
    def partitions(cls, photos: Photos, further: Sequence[Thresholds], cells: Thresholds, seed: int) -> list[Partition]:
        return build_turned(photos, [*further, cells], [*random_turns(len(further), seed), NO_TURN])

    @classmethod
    def describe(cls, sizes: Sequence[int]) -> str:
        listed = ", ".join(map(str, sizes))
        return f", told apart by the overlay of {len(sizes)} partitions of {listed} cells (CPlaNet)"

    def classes_of(self, cell_B: Tensor) -> list[Tensor]:
        return [row_C[cell_B] for row_C in self.class_LC]

    def centres(self, partitions: Sequence[Partition]) -> list[tuple[Ints, Floats, Floats]]:
        return counts_and_centroids(self.class_LC, partitions[0])

    def forward(self, embedding_BD: Tensor) -> list[Tensor]:
        return [
            functional.linear(embedding_BD, self.weight, self.bias),
            *(layer(embedding_BD) for layer in self.coarser),
        ]

    def combine(self, logits: Sequence[Tensor]) -> Tensor:
        return overlay_log_probs(logits, self.class_LF, self.fine_C, self.log_share_C)


def counts_and_centroids(class_LC: Tensor, answers: Partition) -> list[tuple[Ints, Floats, Floats]]:
    """Of the classes of each partition: training photos, and lat, lng of their centroid."""
    xyz_C3 = to_xyz(answers.centroid_lat, answers.centroid_lng) * answers.count[:, None]
    found = []
    for row_C in class_LC.cpu().numpy():
        count = np.bincount(row_C, weights=answers.count).astype(np.int64)
        xyz = np.stack([np.bincount(row_C, weights=column) for column in xyz_C3.T], axis=-1)
        found.append((count, *from_xyz(xyz)))
    return found


def _classes(partition: Partition, answers: Partition) -> Ints:
    cell_C = partition.assign(answers.centroid_lat, answers.centroid_lng)
    stray = np.flatnonzero(cell_C < 0)
    if len(stray):
        near = to_xyz(answers.centroid_lat[stray], answers.centroid_lng[stray])
        cell_C[stray] = np.argmax(near @ to_xyz(partition.centroid_lat, partition.centroid_lng).T, axis=1)
    return np.unique(cell_C, return_inverse=True)[1].reshape(-1).astype(np.int64)


def overlay_log_probs(logits: Sequence[Tensor], class_LF: Tensor, fine_C: Tensor, log_share_C: Tensor) -> Tensor:
    """Log-probabilities [B, C] of the answer's cells.

    The score of a fine cell is the sum of the log-probabilities of its classes (CPlaNet, section 3.2), normalised
    over the fine cells; within one, cells have their shares of its photos.
    """
    total_BF = torch.zeros((), device=fine_C.device)
    for each, row_F in zip(logits, class_LF, strict=True):
        total_BF = total_BF + torch.log_softmax(each.float(), dim=1)[:, row_F]
    return torch.log_softmax(total_BF, dim=1)[:, fine_C] + log_share_C
