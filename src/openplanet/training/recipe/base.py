"""What every recipe has, of image models and of album models: how training runs. Changed by text, checked by type."""

import dataclasses
import json
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, ModelWrapValidatorHandler, model_validator
from pydantic.dataclasses import dataclass

from openplanet import fields
from openplanet.fields import BelowOne, Between, Count, FromZero, Positive

MAX_SEED = 2**32 - 1  # a batch's seed is about a million times it, and PyTorch takes 64 bits
METRE = 0.001  # km; nearer than that float32 tells no two places apart, and divides 0 by 0


@dataclass(frozen=True, kw_only=True, config=fields.RECIPE)
class RunRecipe:
    """The part of a recipe that does not depend on what is trained.

    Raises RecipeError where a value is out of its range.
    """

    name: str
    """What it is called on the command line."""
    description: str
    """What it is, in one line."""
    seen: str
    """What it was seen to give and to cost, and on what; or that nobody has measured it yet."""

    optimizer: Literal["adagrad", "adamw", "lda"]
    """AdaGrad is the paper's. lda, of a frozen image model with a plain softmax: no steps, a linear discriminant
    analysis in closed form (training/discriminant.py); epochs, learning rate and losses then change nothing."""
    learning_rate: Positive
    """The highest that the schedule reaches."""
    weight_decay: FromZero = 0.0
    """Decoupled for AdamW, an L2 penalty for AdaGrad; not on biases and norms."""
    schedule: Literal["constant", "cosine"] = "constant"
    """After warm-up: constant, or falling to zero at the end along half a cosine."""
    warmup: FromZero = 0.0
    """Epochs during which the learning rate rises linearly from zero."""
    epochs: Count
    """Passes over the training photos."""
    batch_size: Count
    """Photos in a batch, on each device."""
    accumulate: Count = 1
    """Batches of each device whose gradients are summed before the weights move: batches too large for the memory."""
    patience: Count | None = None
    """Stop after so many epochs without a lower validation loss; None: train all epochs."""
    gradient_clip: Positive | None = None
    """Largest norm of the gradient; None: not clipped."""
    label_smoothing: BelowOne = 0.0
    """Share of the target that is spread evenly over all cells; 0 is the paper's one-hot target."""
    smoothing_km: Annotated[float, Field(ge=METRE)] | None = None
    """Spread the target over cells near the photo, falling by e every so many km; None: one-hot."""
    ema_decay: Between | None = None
    """Validate and keep an exponential moving average of the weights with this decay a step; None: none."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: autocast of the matrix products; weights stay float32."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    """Of weights, order and augmentation; the same seed on the same machine gives the same weights."""
    save_every: Count = 1000
    """Steps after which the state is saved within an epoch, so that a kill costs no more than these."""
    tensorboard: bool = False
    """Write curves for TensorBoard beside training.csv (needs the package tensorboard)."""

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, values: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        whose = f"Recipe {fields.given(values).get('name')}"
        return fields.checked(whose, settings_of(cls), values, build)  # type: ignore[no-any-return]

    def __post_init__(self) -> None:
        """The rules between fields."""
        self._check(self.warmup <= self.epochs, "warmup", "no longer than all epochs")

    def _check(self, right: bool, name: str, rule: str) -> None:
        if not right:
            raise fields.refuse(f"Recipe {self.name}", name, rule, getattr(self, name))


NOT_THE_RUN = ("workers", "save_every", "compile", "tensorboard")
"""Fields that change how training runs and not what it gives: they may differ when it is resumed."""

FIXED = ("name", "seen")  # they say which recipe it is and what that one gave: a changed one is not it


AnyRecipe = TypeVar("AnyRecipe", bound=RunRecipe)


def settings_of(kind: type[RunRecipe]) -> list[str]:
    """The names of the fields that ``override`` changes."""
    return [field.name for field in dataclasses.fields(kind) if field.name not in FIXED]


def override(recipe: AnyRecipe, values: Mapping[str, str]) -> AnyRecipe:
    """The recipe with some fields replaced, given as text (``--set epochs=3``).

    "none" stands for None; tuples are comma-separated (pairs: 500/50,100/10); dicts are JSON.
    Raises RecipeError, with a suggestion, for a name that is no field, and for text that is not of its type.
    """
    for name in FIXED:
        if name in values:
            raise fields.unknown(f"Recipe {recipe.name}", name, settings_of(type(recipe)))
    changes: dict[str, Any] = {
        name: None if text.strip().lower() == "none" else text.strip() for name, text in values.items()
    }
    if changes:
        changes["seen"] = f"{recipe.name} with {', '.join(sorted(changes))} changed: not measured"
    return dataclasses.replace(recipe, **changes)


def as_dict(recipe: RunRecipe) -> dict[str, Any]:
    """The fields as JSON gives them back (tuples as lists), for config.json.

    Of a file of weights the name alone: a checkpoint is shared, and the folders of a machine are nobody's business.
    """
    values = typing.cast(dict[str, Any], json.loads(json.dumps(dataclasses.asdict(recipe))))
    return values | {name: Path(values[name]).name for name in ("weights", "init") if values.get(name)}


def defaults_of(kind: type[RunRecipe]) -> dict[str, Any]:
    """Of the fields of a kind of recipe that have one, as ``as_dict`` gives them."""
    all_fields = dataclasses.fields(kind)
    values = {f.name: f.default for f in all_fields if f.default is not dataclasses.MISSING}
    values |= {f.name: f.default_factory() for f in all_fields if f.default_factory is not dataclasses.MISSING}
    return typing.cast(dict[str, Any], json.loads(json.dumps(values)))
