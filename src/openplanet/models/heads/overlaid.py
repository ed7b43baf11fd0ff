"""Several coarse partitions that lie askew: a small softmax for each, the answer over what they cut each other into.

CPlaNet (Seo, Weyand, Sim, Han 2018, "CPlaNet: Enhancing Image Geolocalization by Combinatorial Partitioning of
Maps", ECCV, section 3): few classes with many photos each, and yet as many places told apart as there are different
tuples of classes. As there, classes are merged S2 cells: those of the answer, each in the class where its photos'
centroid lies. So the answer is over an ordinary partition, which everything that reads answers understands.

Shapes: B photos in a batch, C cells of the answer, P partitions, F fine cells: the tuples of classes that occur.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openplanet.earth.geo import from_xyz, to_xyz
from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import PartitionError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Overlaid:
    """How the C cells of the answer lie in the classes of P partitions."""

    sizes: tuple[int, ...]
    """Number of classes of each partition, [P]: those that have a cell."""
    classes_PC: Tensor
    """int64 [P, C]: the class of each cell."""
    fine_C: Tensor
    """int64 [C], 0..F-1: the fine cell of each cell."""
    classes_PF: Tensor
    """int64 [P, F]: the classes of each fine cell."""
    log_share_C: Tensor
    """float32 [C]: logarithm of each cell's share of the training photos of its fine cell: what the classes cannot
    tell apart is told by the prior."""

    @classmethod
    def of(cls, partitions: Sequence[Partition], answers: Partition) -> "Overlaid":
        """From partitions as ``earth.combinatorial.build_turned`` makes them. A cell whose centroid lies in none of
        a partition's cells goes to the one with the nearest centroid.

        Raises PartitionError where a partition has all photos in one class: it could teach nothing.
        """
        rows = [_classes(partition, answers) for partition in partitions]
        sizes = tuple(int(row.max()) + 1 for row in rows)
        if min(sizes) < 2:
            raise PartitionError(
                f"overlaid partition {sizes.index(min(sizes))} has one class: give it a lower max_photos"
            )
        classes = np.stack(rows)
        tuples_FP, fine_C = np.unique(classes.T, axis=0, return_inverse=True)
        fine_C = fine_C.reshape(-1)
        share_C = answers.count / np.bincount(fine_C, weights=answers.count)[fine_C]
        return cls(
            sizes,
            torch.from_numpy(classes),
            torch.from_numpy(fine_C),
            torch.from_numpy(np.ascontiguousarray(tuples_FP.T)),
            torch.from_numpy(np.log(share_C)).float(),
        )


def counts_and_centroids(classes_PC: Tensor, answers: Partition) -> list[tuple[Ints, Floats, Floats]]:
    """Of the classes of each partition: training photos, and lat, lng of their centroid."""
    xyz_C3 = to_xyz(answers.centroid_lat, answers.centroid_lng) * answers.count[:, None]
    found = []
    for row_C in classes_PC.cpu().numpy():
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


def overlay_log_probs(logits: Sequence[Tensor], classes_PF: Tensor, fine_C: Tensor, log_share_C: Tensor) -> Tensor:
    """Log-probabilities [B, C] of the answer's cells.

    The score of a fine cell is the sum of the log-probabilities of its classes (CPlaNet, section 3.2), normalised
    over the fine cells; within one, cells have their shares of its photos.
    """
    total_BF = torch.zeros((), device=fine_C.device)
    for each, row_F in zip(logits, classes_PF, strict=True):
        total_BF = total_BF + torch.log_softmax(each.float(), dim=1)[:, row_F]
    return torch.log_softmax(total_BF, dim=1)[:, fine_C] + log_share_C
