"""What speaks for an answer: the parts of the photo that it hangs on, the most alike photos of a reference, the prior.

Shapes: G rows and columns of a grid over the photo, B photos in a batch, N reference photos, C cells, D embedding.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from openplanet.earth import geo
from openplanet.errors import InputError
from openplanet.inference.located import Located
from openplanet.inference.locator import Locator, checkpoint_of
from openplanet.inference.photo_locator import PhotoLocator
from openplanet.inference.prediction import BestPoint, Prediction
from openplanet.models import features
from openplanet.models.image_model import ImageModel
from openplanet.models.preprocess import Pixels
from openplanet.models.regions import WITHIN_KM
from openplanet.photos.dataset import Dataset

Floats = NDArray[np.float64]

GRID = 7
BATCH = 16
NEAREST = 5


@dataclass(frozen=True)
class Alike:
    """A photo of the reference dataset: cosine of its embedding with the photo's, and where it was taken (degrees)."""

    source: str
    cosine: float
    lat: float
    lng: float
    km: float  # from the best point
    attribution: str | None
    licence: str | None
    photo_id: str = ""


@dataclass(frozen=True)
class Evidence:
    """``drop_GG``: by how much the probability about the best point falls when that part of the photo is covered, from
    the top left; negative where it rises. ``prior``: what the same surroundings have by the training photos alone."""

    drop_GG: Floats
    prior: float
    alike: tuple[Alike, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return {
            "drop_when_covered": [[round(x, 4) for x in row] for row in self.drop_GG.tolist()],
            "prior_probability": self.prior,
            "alike": [vars(each) for each in self.alike],
        }


class Reference:
    """The located photos of a dataset's train split, as ``model`` sees them; kept beside it.

    Raises InputError where it has none. Memory: 4 D bytes a photo.
    """

    def __init__(self, dataset: Dataset, model: ImageModel) -> None:
        columns = ["photo_id", "source", "lat", "lng", "attribution", "licence"]
        table = dataset.table(columns, "train", located=True)
        seen = features.of_embedding(dataset, "train", model, photo_ids=table["photo_id"].to_pylist())
        if not seen.photo_ids:
            raise InputError(f"{dataset.path}: no located photo of its train split can be read, to compare with")
        row_of = {name: row for row, name in enumerate(table["photo_id"].to_pylist())}
        self._rows = table.take([row_of[name] for name in seen.photo_ids]).to_pylist()
        self._unit_ND = torch.nn.functional.normalize(seen.features_NF, dim=1)

    def nearest(self, embedding_D: torch.Tensor, best: BestPoint, count: int = NEAREST) -> tuple[Alike, ...]:
        """The most alike photos, the most alike first."""
        cosine_N = self._unit_ND @ torch.nn.functional.normalize(embedding_D.cpu().float(), dim=0)
        found = torch.topk(cosine_N, min(count, len(cosine_N)))
        told = []
        for cosine, index in zip(found.values.tolist(), found.indices.tolist(), strict=True):
            row = self._rows[index]
            km = float(geo.distance_km(best.lat, best.lng, row["lat"], row["lng"]))
            by = (row["attribution"], row["licence"], row["photo_id"])
            told.append(Alike(row["source"], cosine, row["lat"], row["lng"], km, *by))
        return tuple(told)


def with_evidence(
    stream: Iterable[Located], locator: Locator, within_km: float, reference: Dataset | None = None
) -> Iterator[Located]:
    """The same answers, each of the model's own with evidence: about GRID x GRID more looks at each photo.

    Raises InputError where the locator is no single checkpoint of photos.
    """
    checkpoint = checkpoint_of(locator)
    if checkpoint is None or not isinstance(locator, PhotoLocator):
        raise InputError("evidence is given for a checkpoint of single photos, not for albums or other systems")
    gallery = None if reference is None else Reference(reference, checkpoint.model)
    for located in stream:
        if located.prediction is None or located.by_anchors is not None:
            yield located
        else:
            seen_3HW = locator.read(located.photo)
            yield replace(located, evidence=evidence(locator, gallery, seen_3HW, located.prediction, within_km))


def evidence(
    locator: PhotoLocator,
    gallery: Reference | None,
    pixels_3HW: Pixels,
    prediction: Prediction,
    within_km: float = WITHIN_KM,
) -> Evidence:
    """What speaks for the ``prediction`` of a photo with these pixels (``locator.read``)."""
    best, partition = prediction.best_point(within_km), locator.partition
    near_C = geo.distance_km(best.lat, best.lng, partition.centroid_lat, partition.centroid_lng) <= within_km
    mean_3 = pixels_3HW.mean(axis=(1, 2)).astype(np.uint8)
    edges = np.linspace(0, pixels_3HW.shape[1], GRID + 1).astype(int)
    covered = []
    for row in range(GRID):
        for column in range(GRID):
            one = pixels_3HW.copy()
            one[:, edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = mean_3[:, None, None]
            covered.append(one)
    told = [
        each
        for start in range(0, len(covered), BATCH)
        for each in locator.look(np.stack(covered[start : start + BATCH]))
    ]
    left = np.array([each.probabilities[near_C].sum() for each, _ in told])
    drop_GG = (best.probability - left).reshape(GRID, GRID)
    prior = float(partition.count[near_C].sum() / partition.count.sum())
    if gallery is None:
        return Evidence(drop_GG, prior)
    ((_, embedding_D),) = locator.look(pixels_3HW[None])
    return Evidence(drop_GG, prior, gallery.nearest(embedding_D, best))
