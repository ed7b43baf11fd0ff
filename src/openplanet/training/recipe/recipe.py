"""The recipe of an image model: everything that its training needs, as one frozen and typed object."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from openplanet import fields
from openplanet.fields import BelowOne, Between, Count, FromZero, Mean, Object, Pairs, PartOfSide, Share, Std
from openplanet.models import hub
from openplanet.models.backbone import own_preprocessing
from openplanet.models.checkpoint import image_config_of
from openplanet.models.heads.registry import HEADS
from openplanet.models.image_model import MAX_IMAGE_SIZE, MAX_WIDTH, ImageConfig
from openplanet.training.recipe.base import RunRecipe, as_dict, override

__all__ = ["Recipe", "as_dict", "override", "weights_path"]

PREPROCESSING = ("image_size", "mean", "std", "centre_crop")


@dataclass(frozen=True, kw_only=True, config=fields.RECIPE)
class Recipe(RunRecipe):
    """A named, complete configuration of the training of an image model.

    There is deliberately no vertical flip, and horizontal flips are off unless asked for: the side that people
    drive on and the script of signs are cues of place, and mirroring destroys them.
    Raises RecipeError where a value is out of its range.
    """

    batch_size: Annotated[int, Field(ge=2)]
    """Photos in a batch, on each device; batch norm needs two."""

    max_photos: Count
    """A cell holding more training photos is split (the paper's t1), where no partition is given."""
    min_photos: Count
    """A cell holding fewer is dropped, and its photos with it (the paper's t2)."""
    levels: Pairs = ()
    """Further partitions, as (max_photos, min_photos). Coarser ones above that one, from coarse to fine: a softmax for
    each, and the product along the hierarchy as the answer. Empty: one partition, the paper's. With head overlaid
    those that lie askew."""

    backbone: str
    """Name of a timm model."""
    backbone_args: Object = dataclasses.field(default_factory=dict)
    """Further arguments of timm.create_model."""
    image_size: Annotated[int, Field(ge=8, le=MAX_IMAGE_SIZE)] | None = None
    """Side of the square input in pixels; None: the backbone's own."""
    embedding_dim: Annotated[int, Field(ge=1, le=MAX_WIDTH)] | None = None
    """Width of a layer between backbone and softmax; None: none."""
    mean: Mean | None = None
    """Mean of red, green, blue that the input is normalised by; None: what the backbone's weights were trained with
    (0.5 where they are random)."""
    std: Std | None = None
    """Standard deviation of red, green, blue, likewise."""
    centre_crop: PartOfSide | None = None
    """Share of the short side that the central square has which the model sees; None: what the backbone's weights were
    trained with (1 where they are random)."""
    weights: str | None = None
    """None: random; "hub": timm's own from the Hugging Face Hub; else a local safetensors file of the backbone,
    which must fit it key by key."""
    init: str | None = None
    """Start from the backbone of another checkpoint instead (a folder, or a name that `openplanet download` fetched),
    with its preprocessing: its backbone, image size, mean, std and crop stand in for those here."""
    frozen: bool = False
    """Leave the backbone as its weights are: its features are computed once and kept, and only what follows is
    trained. Nothing is augmented then."""
    feature_norm: bool = False
    """Standardise the backbone's features before what follows (see ImageConfig)."""
    shrinkage: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Of optimizer lda: the share of a sphere in the covariance, over 0 and at most 1."""
    head: Annotated[str, fields.one_of(lambda: (name for name, head in HEADS.items() if head.trained))] = "softmax"
    """softmax: a matrix (the paper's); embeddings: the cosine with learned embeddings of the cells (after GeoSURGE);
    overlaid: a softmax for each of the levels, which are partitions of spheres turned at random (the first is not),
    and none for the cells of the answer, which their overlay tells apart (CPlaNet)."""
    aux_head: bool = False
    """Train an auxiliary softmax on earlier features too (inception_v3 has the place for one)."""
    aux_weight: FromZero = 0.4
    """Weight of its loss. 0.4 is what TF-slim's train_image_classifier.py gives the Inception family."""

    class_balance: Between | None = None
    """Weigh photos by their cell's effective number of photos with this beta (0.99, 0.999 ...); None: all alike."""
    crop: BelowOne = 0.0
    """Random crops keep between 1 - crop and 1 of the side; 0: always the whole square."""
    jitter: BelowOne = 0.0
    """Brightness, contrast and saturation change at random by up to this share; hue never (sky, soil)."""
    flip: bool = False
    """Mirror photos at random. Off: driving side and writing are cues of place."""
    random_ops: Annotated[int, Field(ge=0, le=64)] = 0
    """So many random changes of each photo besides (training/photos/random_ops.py says which, and which never)."""
    random_strength: Share = 0.5
    """How strong they are at most, 0 to 1."""
    shuffle_buffer: Count = 16384
    """Photos that do not fit in memory are shuffled among so many at a time (in each process)."""
    workers: Annotated[int, Field(ge=0, le=1024)] = 0
    """Processes that decode photos when they do not fit in memory."""
    compile: bool = False
    """torch.compile the model: faster on a GPU after minutes of compiling."""

    def __post_init__(self) -> None:
        super().__post_init__()
        plain = self.frozen and self.head == "softmax" and not self.levels and self.embedding_dim is None
        rule = "adamw or adagrad unless frozen=true, head=softmax, without levels, embedding_dim, ema_decay"
        self._check(self.optimizer != "lda" or (plain and self.ema_decay is None), "optimizer", rule)
        self._check(not (self.frozen and self.aux_head), "aux_head", "false where the backbone is frozen")
        if HEADS[self.head].nested:
            splits = [pair[0] for pair in self.levels] + [self.max_photos]
            self._check(splits == sorted(set(splits), reverse=True), "levels", "from coarse to fine, above max_photos")
        else:
            self._check(len(self.levels) > 1, "levels", f"of at least 2 partitions with head={self.head}")
            self._check(not self.aux_head, "aux_head", f"false with head={self.head}")

    def resolved(self) -> "Recipe":
        """With the backbone's own preprocessing in place of each None, and with all that ``init`` brings.

        Raises CheckpointError where ``init`` is no checkpoint of an image model.
        """
        if self.init is not None:
            own = image_config_of(hub.resolve(self.init))
            taken = {name: getattr(own, name) for name in ("backbone", "backbone_args", *PREPROCESSING)}
            return dataclasses.replace(self, weights=None, **taken)
        given: dict[str, Any] = {name: getattr(self, name) for name in PREPROCESSING}
        if None not in given.values():
            return self
        brought: dict[str, Any] = {}
        if self.weights is not None or self.image_size is None:
            brought = dataclasses.asdict(own_preprocessing(self.backbone))
        if self.weights is None:
            brought |= {"mean": (0.5,) * 3, "std": (0.5,) * 3, "centre_crop": 1.0}
        return dataclasses.replace(self, **{name: brought[name] for name, value in given.items() if value is None})

    def image_config(self, decoded_side: int = 320) -> ImageConfig:
        """The part of it that the model is built from, for a dataset whose photos have a short side of
        ``decoded_side`` pixels."""
        recipe = self.resolved()
        names = {f.name for f in dataclasses.fields(ImageConfig)} - {"decoded_side", "embedding", "head_args"}
        return ImageConfig(**{name: getattr(recipe, name) for name in names}, decoded_side=decoded_side)


def weights_path(recipe: Recipe) -> Path | None:
    """The file of the backbone's initial weights; None for random ones and for the Hub's."""
    return Path(recipe.weights).expanduser() if recipe.weights and recipe.weights != "hub" else None
