"""A recipe: everything that training needs, as one frozen and typed object."""

import dataclasses
import difflib
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from openplanet.errors import RecipeError
from openplanet.models.image_model import ImageConfig
from openplanet.training.fieldtext import kind_name, parse


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A named, complete training configuration.

    There is deliberately no vertical flip, and horizontal flips are off unless asked for: the side that people
    drive on and the script of signs are cues of place, and mirroring destroys them.
    Raises RecipeError where a value is out of its range.
    """

    name: str
    """What it is called on the command line."""
    description: str
    """What it is, in one line."""
    seen: str
    """What it was seen to give and to cost, and on what; or that nobody has measured it yet."""

    max_photos: int
    """A cell holding more training photos is split (the paper's t1), where no partition is given."""
    min_photos: int
    """A cell holding fewer is dropped, and its photos with it (the paper's t2)."""
    levels: tuple[tuple[int, int], ...] = ()
    """Coarser partitions above that one, as (max_photos, min_photos) from coarse to fine: one more head each, and
    the product along the hierarchy as the answer. Empty: one partition, the paper's."""
    overlay: tuple[tuple[int, int], ...] = ()
    """Heads over so many partitions of spheres turned at random (the first is not), as (max_photos, min_photos) of
    each, in place of one over the cells of max_photos and min_photos; their overlay tells those apart (CPlaNet)."""

    backbone: str
    """Name of a timm model."""
    backbone_args: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Further arguments of timm.create_model."""
    image_size: int
    """Side of the square input in pixels."""
    embedding_dim: int | None = None
    """Width of a layer between backbone and softmax; None: none."""
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Mean of red, green, blue that the input is normalised by (must fit ``weights``)."""
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Standard deviation of red, green, blue that the input is normalised by (must fit ``weights``)."""
    weights: str | None = None
    """None: random; "hub": timm's own from the Hugging Face Hub; else a local safetensors file of the backbone,
    which must fit it key by key."""
    frozen: bool = False
    """Leave the backbone as its weights are: its features are computed once and kept, and only what follows is
    trained. Nothing is augmented then."""
    feature_norm: bool = False
    """Standardise the backbone's features before what follows (see ImageConfig)."""
    head: Literal["softmax", "embeddings"] = "softmax"
    """A softmax matrix (the paper's), or the cosine with learned embeddings of the cells (after GeoSURGE)."""
    aux_head: bool = False
    """Train an auxiliary softmax on earlier features too (inception_v3 has the place for one)."""
    aux_weight: float = 0.4
    """Weight of its loss. 0.4 is what TF-slim's train_image_classifier.py gives the Inception family."""

    optimizer: Literal["adagrad", "adamw"]
    """AdaGrad is the paper's."""
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
    class_balance: float | None = None
    """Weigh photos by their cell's effective number of photos with this beta (0.99, 0.999 ...); None: all alike."""
    ema_decay: float | None = None
    """Validate and keep an exponential moving average of the weights with this decay a step; None: none."""

    crop: float = 0.0
    """Random crops keep between 1 - crop and 1 of the side; 0: always the whole square."""
    jitter: float = 0.0
    """Brightness, contrast and saturation change at random by up to this share; hue never (sky, soil)."""
    flip: bool = False
    """Mirror photos at random. Off: driving side and writing are cues of place."""
    random_ops: int = 0
    """So many random changes of each photo besides (training/random_ops.py says which, and which never)."""
    random_strength: float = 0.5
    """How strong they are at most, 0 to 1."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: autocast of the matrix products; weights stay float32."""
    seed: int = 0
    """Of weights, order and augmentation; the same seed on the same machine gives the same weights."""
    shuffle_buffer: int = 16384
    """Photos that do not fit in memory are shuffled among so many at a time (in each process)."""
    workers: int = 0
    """Processes that decode photos when they do not fit in memory."""
    save_every: int = 1000
    """Steps after which the state is saved within an epoch, so that a kill costs no more than these."""
    compile: bool = False
    """torch.compile the model: faster on a GPU after minutes of compiling."""
    tensorboard: bool = False
    """Write curves for TensorBoard beside training.csv (needs the package tensorboard)."""

    def __post_init__(self) -> None:
        at_least = {"max_photos": 1, "min_photos": 1, "image_size": 8, "epochs": 1, "batch_size": 1}
        at_least |= {"weight_decay": 0, "warmup": 0, "aux_weight": 0, "jitter": 0, "workers": 0, "crop": 0}
        at_least |= {"accumulate": 1, "shuffle_buffer": 1, "save_every": 1, "random_ops": 0, "random_strength": 0}
        for name, low in (at_least | {"label_smoothing": 0}).items():
            self._check(getattr(self, name) >= low, name, f"at least {low}")
        for name in ("learning_rate", "gradient_clip", "smoothing_km", "embedding_dim", "patience"):
            self._check(getattr(self, name) is None or getattr(self, name) > 0, name, "more than 0")
        for name in ("crop", "jitter", "label_smoothing"):
            self._check(getattr(self, name) < 1, name, "less than 1")
        for name in ("ema_decay", "class_balance"):
            self._check(getattr(self, name) is None or 0 < getattr(self, name) < 1, name, "between 0 and 1")
        self._check(self.random_strength <= 1, "random_strength", "at most 1")
        counts = [count for pair in self.levels for count in pair]
        self._check(all(count >= 1 for count in counts), "levels", "of at least 1 photo each")
        splits = [pair[0] for pair in self.levels] + [self.max_photos]
        self._check(splits == sorted(set(splits), reverse=True), "levels", "from coarse to fine, above max_photos")
        self._check_overlay()
        self._check(not (self.frozen and self.aux_head), "aux_head", "false where the backbone is frozen")
        self._check(all(s > 0 for s in self.std), "std", "more than 0")
        self._check(self.warmup <= self.epochs, "warmup", "no longer than all epochs")

    def _check_overlay(self) -> None:
        if not self.overlay:
            return
        self._check(len(self.overlay) > 1, "overlay", "of at least 2 partitions")
        self._check(all(count >= 1 for pair in self.overlay for count in pair), "overlay", "of at least 1 photo each")
        self._check(not self.levels, "levels", "empty where partitions are overlaid")
        self._check(self.head == "softmax", "head", "softmax where partitions are overlaid")
        self._check(not self.aux_head, "aux_head", "false where partitions are overlaid")

    def _check(self, right: bool, name: str, rule: str) -> None:
        if not right:
            raise RecipeError(f"Recipe {self.name}: {name} must be {rule}, not {getattr(self, name)!r}")

    def image_config(self) -> ImageConfig:
        """The part of it that the model is built from."""
        names = [f.name for f in dataclasses.fields(ImageConfig)]
        return ImageConfig(**{name: getattr(self, name) for name in names})


NOT_THE_RUN = ("workers", "save_every", "compile", "tensorboard")
"""Fields that change how training runs and not what it gives: they may differ when it is resumed."""

FIXED = ("name", "seen")  # they say which recipe it is and what that one gave: a changed one is not it


def override(recipe: Recipe, values: Mapping[str, str]) -> Recipe:
    """The recipe with some fields replaced, given as text (``--set epochs=3``).

    "none" stands for None; tuples are comma-separated (pairs: 500/50,100/10); dicts are JSON.
    Raises RecipeError, with a suggestion, for a name that is no field, and for text that is not of its type.
    """
    kinds = typing.get_type_hints(Recipe)
    allowed = [name for name in kinds if name not in FIXED]
    changes: dict[str, Any] = {}
    for name, text in values.items():
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(allowed)}"
            raise RecipeError(f"Recipe {recipe.name} has no setting {name!r}; {hint}")
        try:
            changes[name] = parse(text.strip(), kinds[name])
        except ValueError as error:
            raise RecipeError(f"Recipe {recipe.name}: {name} must be {kind_name(kinds[name])}, not {text!r}") from error
    if changes:
        changes["seen"] = f"{recipe.name} with {', '.join(sorted(changes))} changed: not measured"
    return dataclasses.replace(recipe, **changes)


def as_dict(recipe: Recipe) -> dict[str, Any]:
    """The fields as JSON gives them back (tuples as lists), for config.json."""
    return typing.cast(dict[str, Any], json.loads(json.dumps(dataclasses.asdict(recipe))))


def _defaults() -> dict[str, Any]:
    fields = {f.name: f for f in dataclasses.fields(Recipe)}
    values = {name: f.default for name, f in fields.items() if f.default is not dataclasses.MISSING}
    values |= {name: f.default_factory() for name, f in fields.items() if f.default_factory is not dataclasses.MISSING}
    return typing.cast(dict[str, Any], json.loads(json.dumps(values)))


DEFAULTS = _defaults()
"""Of the fields that have one, as ``as_dict`` gives them."""


def weights_path(recipe: Recipe) -> Path | None:
    """The file of the backbone's initial weights; None for random ones and for the Hub's."""
    return Path(recipe.weights).expanduser() if recipe.weights and recipe.weights != "hub" else None
