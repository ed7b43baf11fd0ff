"""What every recipe has, of image models and of album models: how training runs. Changed by text, checked by type."""

import dataclasses
import json
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from openplanet.errors import RecipeError, suggestion
from openplanet.training.recipe.field_text import kind_name, parse

MAX_SEED = 2**32 - 1  # a batch's seed is about a million times it, and PyTorch takes 64 bits


@dataclass(frozen=True, kw_only=True)
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
    learning_rate: float
    """The highest that the schedule reaches."""
    weight_decay: float = 0.0
    """Decoupled for AdamW, an L2 penalty for AdaGrad; not on biases and norms."""
    schedule: Literal["constant", "cosine"] = "constant"
    """After warm-up: constant, or falling to zero at the end along half a cosine."""
    warmup: float = 0.0
    """Epochs during which the learning rate rises linearly from zero."""
    epochs: int
    """Passes over the training photos."""
    batch_size: int
    """Photos in a step, on each device."""
    accumulate: int = 1
    """Steps whose gradients are summed before the weights move: batches too large for the memory."""
    patience: int | None = None
    """Stop after so many epochs without a lower validation loss; None: train all epochs."""
    gradient_clip: float | None = None
    """Largest norm of the gradient; None: not clipped."""
    label_smoothing: float = 0.0
    """Share of the target that is spread evenly over all cells; 0 is the paper's one-hot target."""
    smoothing_km: float | None = None
    """Spread the target over cells near the photo, falling by e every so many km; None: one-hot."""
    ema_decay: float | None = None
    """Validate and keep an exponential moving average of the weights with this decay a step; None: none."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: autocast of the matrix products; weights stay float32."""
    seed: int = 0
    """Of weights, order and augmentation; the same seed on the same machine gives the same weights."""
    save_every: int = 1000
    """Steps after which the state is saved within an epoch, so that a kill costs no more than these."""
    tensorboard: bool = False
    """Write curves for TensorBoard beside training.csv (needs the package tensorboard)."""

    def __post_init__(self) -> None:
        self._check_at_least({"epochs": 1, "batch_size": 1, "accumulate": 1, "save_every": 1, "seed": 0})
        self._check_at_most({"seed": MAX_SEED})
        self._check_at_least({"weight_decay": 0, "warmup": 0, "label_smoothing": 0})
        self._check_more_than_0("learning_rate", "gradient_clip", "smoothing_km", "patience")
        metre = 0.001  # nearer than that float32 tells no two places apart, and divides 0 by 0
        self._check(self.smoothing_km is None or self.smoothing_km >= metre, "smoothing_km", f"at least {metre}")
        self._check_less_than_1("label_smoothing")
        self._check_between_0_and_1("ema_decay")
        self._check(self.warmup <= self.epochs, "warmup", "no longer than all epochs")

    def _check_at_least(self, lowest: Mapping[str, float]) -> None:
        for name, low in lowest.items():
            self._check(low <= getattr(self, name) < math.inf, name, f"at least {low}")

    def _check_at_most(self, highest: Mapping[str, float]) -> None:
        for name, high in highest.items():
            self._check((getattr(self, name) or 0) <= high, name, f"at most {high}")

    def _check_more_than_0(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            self._check(value is None or 0 < value < math.inf, name, "more than 0, and finite")

    def _check_less_than_1(self, *names: str) -> None:
        for name in names:
            self._check(getattr(self, name) < 1, name, "less than 1")

    def _check_between_0_and_1(self, *names: str) -> None:
        for name in names:
            self._check(getattr(self, name) is None or 0 < getattr(self, name) < 1, name, "between 0 and 1")

    def _check(self, right: bool, name: str, rule: str) -> None:
        if not right:
            raise RecipeError(f"Recipe {self.name}: {name} must be {rule}, not {getattr(self, name)!r}")


NOT_THE_RUN = ("workers", "save_every", "compile", "tensorboard")
"""Fields that change how training runs and not what it gives: they may differ when it is resumed."""

FIXED = ("name", "seen")  # they say which recipe it is and what that one gave: a changed one is not it


AnyRecipe = TypeVar("AnyRecipe", bound=RunRecipe)


def override(recipe: AnyRecipe, values: Mapping[str, str]) -> AnyRecipe:
    """The recipe with some fields replaced, given as text (``--set epochs=3``).

    "none" stands for None; tuples are comma-separated (pairs: 500/50,100/10); dicts are JSON.
    Raises RecipeError, with a suggestion, for a name that is no field, and for text that is not of its type.
    """
    kinds = typing.get_type_hints(type(recipe))
    allowed = [name for name in kinds if name not in FIXED]
    changes: dict[str, Any] = {}
    for name, text in values.items():
        if name not in allowed:
            raise RecipeError(f"Recipe {recipe.name} has no setting {name!r}; {suggestion(name, allowed)}")
        try:
            changes[name] = parse(text.strip(), kinds[name])
        except ValueError as error:
            raise RecipeError(f"Recipe {recipe.name}: {name} must be {kind_name(kinds[name])}, not {text!r}") from error
    if changes:
        changes["seen"] = f"{recipe.name} with {', '.join(sorted(changes))} changed: not measured"
    return dataclasses.replace(recipe, **changes)


def as_dict(recipe: RunRecipe) -> dict[str, Any]:
    """The fields as JSON gives them back (tuples as lists), for config.json.

    Of a file of weights the name alone: a checkpoint is shared, and the folders of a machine are nobody's business.
    """
    fields = typing.cast(dict[str, Any], json.loads(json.dumps(dataclasses.asdict(recipe))))
    return fields | {"weights": Path(fields["weights"]).name} if fields.get("weights") else fields


def defaults_of(kind: type[RunRecipe]) -> dict[str, Any]:
    """Of the fields of a kind of recipe that have one, as ``as_dict`` gives them."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    values = {name: f.default for name, f in fields.items() if f.default is not dataclasses.MISSING}
    values |= {name: f.default_factory() for name, f in fields.items() if f.default_factory is not dataclasses.MISSING}
    return typing.cast(dict[str, Any], json.loads(json.dumps(values)))
