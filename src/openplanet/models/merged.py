"""A checkpoint to share: its cells merged until none is small enough to tell where somebody lives.

The weights stay as they are, over classes that no longer have a place of their own; a cell's probability is the sum
of those of the classes in it, at the temperature of the checkpoint. Positions of photos go: cell centres stand in
for centroids. Classes of further partitions are kept, their cells are not.

Shapes: B photos, F cells of the head, M cells that they are merged into.
"""

import copy
import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from openplanet.earth import places, s2
from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import CheckpointError
from openplanet.models.heads.head import ClassMap, sum_by_cell
from openplanet.models.regions import Regions

if TYPE_CHECKING:
    from openplanet.models.checkpoint import Checkpoint

SMALLEST_KM2 = 25.0
"""Default floor: a square of 5 km."""


@dataclass(frozen=True, eq=False)
class Merged:
    """How the F classes of a head lie in M cells."""

    cell_F: Tensor
    """int64 [F], 0..M-1."""
    temperature: float
    """What the scores of the classes are divided by, before their probabilities are summed."""
    classes: ClassMap
    """What the head knows of its F classes."""

    def log_probs(self, scores_BF: Tensor) -> Tensor:
        """Log-probabilities [B, M] of the cells: of each, the logarithm of the sum over its classes."""
        log_BF = torch.log_softmax(scores_BF.float() / self.temperature, dim=1)
        return sum_by_cell(log_BF, self.cell_F, int(self.cell_F.max()) + 1)

    def to_dict(self) -> dict[str, Any]:
        """For config.json."""
        return {
            "cell_of_class": self.cell_F.tolist(),
            "temperature": self.temperature,
            **self.classes.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Any, cells: int) -> "Merged":
        """What ``to_dict`` gave, of a partition of ``cells``; CheckpointError for anything else."""
        try:
            cell_F = torch.tensor(values["cell_of_class"], dtype=torch.int64)
            temperature = float(values["temperature"])
            right = sorted(set(cell_F.tolist())) == list(range(cells)) and 0 < temperature < math.inf
        except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise CheckpointError(f"merged cannot be read ({' '.join(str(error).split())[:200]})") from error
        if not right:
            raise CheckpointError("merged does not give each cell its classes")
        return cls(cell_F, temperature, ClassMap.from_dict(values, len(cell_F)))


def merge(checkpoint: "Checkpoint", smallest_km2: float = SMALLEST_KM2) -> "Checkpoint":
    """``checkpoint`` over cells of at least ``smallest_km2``, without the centroids of its photos, with its weights.

    A smaller cell gives way to the S2 cell above it, with all cells therein, until that is large enough. Raises
    CheckpointError where all cells would become one.
    """
    from openplanet.models.checkpoint import Checkpoint  # noqa: PLC0415 (it holds what is made here)

    ids = checkpoint.partition.cell_id
    while (small := (s2.area_km2(ids) < smallest_km2) & (s2.level_of(ids) > 0)).any():
        ids = _outermost(np.unique(np.where(small, _parent(ids), ids)))
    if len(ids) < 2 or (s2.area_km2(ids) < smallest_km2).any():
        raise CheckpointError(f"no 2 cells would be left of at least {smallest_km2:g} km²: nothing to share")
    cell_F = np.searchsorted(s2.range_max(ids), checkpoint.partition.cell_id)
    before = checkpoint.merged
    model = copy.copy(checkpoint.model)  # with the same weights
    of_head = before.classes if before else model.head.class_map(checkpoint.coarser, checkpoint.partition)
    temperature = before.temperature if before else checkpoint.calibration.temperature
    classes = torch.from_numpy(cell_F.astype(np.int64))
    merged = Merged(classes[before.cell_F] if before else classes, temperature, of_head)
    model.merged = merged
    recipe = dict(checkpoint.recipe)
    if isinstance(recipe.get("weights"), str):
        recipe["weights"] = recipe["weights"].replace("\\", "/").rsplit("/", 1)[-1]
    note = f"temperature {temperature:.3f} is applied before cells are merged"
    calibration = dataclasses.replace(
        checkpoint.calibration,
        temperature=1.0,
        note=note,
        regions=Regions(),  # those were of the cells before
    )
    return Checkpoint(
        model, _partition(checkpoint.partition, ids, cell_F), recipe, checkpoint.image, checkpoint.accuracy,
        checkpoint.training, checkpoint.version, (), calibration, merged,
    )  # fmt: skip


def _parent(ids: Any) -> Any:
    """The S2 cell above each; a face stays itself."""
    low = ids & (~ids + np.uint64(1))
    above = low << np.uint64(2)
    return np.where(s2.level_of(ids) == 0, ids, (ids & (~above + np.uint64(1))) | above)


def _outermost(ids: Any) -> Any:
    """Without cells that lie in another one, ascending."""
    by_size = ids[np.argsort(s2.level_of(ids), kind="stable")]
    kept = by_size[:0]
    for level in np.unique(s2.level_of(by_size)):
        these = by_size[s2.level_of(by_size) == level]
        if len(kept):
            at = np.minimum(np.searchsorted(s2.range_max(kept), these), len(kept) - 1)
            these = these[~((s2.range_min(kept)[at] <= these) & (these <= s2.range_max(kept)[at]))]
        kept = np.sort(np.concatenate([kept, these]))
    return kept


def _partition(before: Partition, ids: Any, cell_F: Any) -> Partition:
    lat, lng = s2.center(ids)
    found = places.named(lat, lng)
    count = np.bincount(cell_F, weights=before.count, minlength=len(ids)).astype(np.int64)
    return dataclasses.replace(
        before,
        cell_id=ids, count=count, lat=lat, lng=lng, centroid_lat=lat, centroid_lng=lng, area_km2=s2.area_km2(ids),
        country_code=tuple(place.country_code for place in found),
        country=tuple(place.country for place in found),
        region=tuple(place.region for place in found),
        city=tuple(place.city for place in found),
        max_photos=max(before.max_photos, int(count.max())),
    )  # fmt: skip


def reveals(partition: Partition) -> str:
    """What the cells tell of where their photos were taken, in a sentence."""
    at = int(partition.area_km2.argmin())
    km2 = float(partition.area_km2[at])
    area = f"{km2:,.1f} km²" if km2 >= 1 else f"{km2 * 1e6:,.0f} m²"
    small = int((partition.area_km2 < SMALLEST_KM2).sum())
    return (
        f"privacy: the smallest of {len(partition):,} cells is {area} and holds {int(partition.count[at])} photos;"
        f" {small:,} cells are under {SMALLEST_KM2:g} km²"
    )
