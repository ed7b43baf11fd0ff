"""The recipe of an album model: everything that its training needs, as one frozen and typed object."""

import dataclasses
from typing import Annotated

from pydantic.dataclasses import dataclass

from openplanet import fields
from openplanet.fields import Count, FromZero, Share
from openplanet.models.album.base import AlbumConfig, Dropout, Layers, Options, Width
from openplanet.models.album.registry import ALBUM_MODELS
from openplanet.training.recipe.base import RunRecipe


@dataclass(frozen=True, kw_only=True, config=fields.RECIPE)
class AlbumRecipe(RunRecipe):
    """A named, complete configuration of the training of an album model, on a frozen image model.

    ``batch_size`` counts albums here. Raises RecipeError where a value is out of its range.
    """

    variant: Annotated[str, fields.one_of(lambda: ALBUM_MODELS)]
    """Name of the album model (models/album/registry.py)."""
    width: Width = 256
    """Hidden units, of each direction where there are two."""
    layers: Layers = 1
    """Layers, one above the other."""
    dropout: Dropout = 0.0
    """Share of inputs and hidden units that are set to zero while training."""
    residual: bool = False
    """Add to the image model's answer for each photo, and see it, instead of starting from nothing (the paper)."""
    options: Annotated[Options, fields.OBJECT] = dataclasses.field(default_factory=Options)
    """What the variant alone knows, as JSON: {"window": 25} of blstm, {"heads": 4} of transformer."""

    crop: Count = 25
    """Photos of an album that are trained on at once; of a longer one as many random stretches in an epoch as would
    cover it."""
    shorten: Share = 0.0
    """Share of albums that are cut at random to a shorter stretch, so that few photos are no surprise."""
    anchors: Share = 0.5
    """Share of albums in which some positions are given, at random up to half of them, and not asked for."""
    swap: Share = 0.0
    """Share of photos in whose place another training photo of the same cell is seen, at random: few albums then
    hardly ever come twice alike."""
    noise: FromZero = 0.0
    """Standard deviation of what is added to the standardised embeddings at random."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(self.optimizer != "lda", "optimizer", "adamw or adagrad for an album model")

    def album_config(self) -> AlbumConfig:
        """The part of it that the model is built from."""
        names = [f.name for f in dataclasses.fields(AlbumConfig)]
        return AlbumConfig(**{name: getattr(self, name) for name in names})
