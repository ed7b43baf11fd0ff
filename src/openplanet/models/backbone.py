"""The timm network below the heads, built from nothing but a registered name and arguments of a fixed list.

``config.json`` of a stranger's checkpoint names them. timm's factory takes paths, downloads and pickles by the same
door (``checkpoint_path``, ``pretrained_cfg``, ``hf-hub:...``): so a name is a plain one of timm's registry, and an
argument passes by name, type and range, or is refused before timm sees it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import timm
import torch
from torch import nn

from openplanet.errors import RecipeError

NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")
"""Architecture, and tag of its weights: no path, no scheme, no Hub repository."""
MOST_PARAMETERS = 20_000_000_000
"""timm's largest model has 18 billion; more is a slip, or meant to fill the memory."""
MOST_STAGES = 8
Rule = tuple[Callable[[Any], bool], str]


def _is_number(value: Any, low: float, high: float) -> bool:
    return type(value) in (int, float) and low <= value <= high


def _is_count(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _number(low: float, high: float) -> Rule:
    return lambda value: _is_number(value, low, high), f"a number from {low:g} to {high:g}"


def _count(low: int, high: int) -> Rule:
    return lambda value: _is_count(value, low, high), f"a whole number from {low} to {high}"


def _counts(low: int, high: int) -> Rule:
    def fits(value: Any) -> bool:
        several = value if isinstance(value, list | tuple) else [value]
        return 0 < len(several) <= MOST_STAGES and all(_is_count(each, low, high) for each in several)

    return fits, f"a whole number from {low} to {high}, or a list of at most {MOST_STAGES} of them"


def _choice(*values: str) -> Rule:
    return lambda value: isinstance(value, str) and value in values, f"one of {', '.join(values)}"


_FLAG: Rule = (lambda value: isinstance(value, bool), "true or false")
_SHARE = _number(0, 0.99)
ARGUMENTS: dict[str, Rule] = {
    **dict.fromkeys(("drop_rate", "drop_path_rate", "attn_drop_rate", "proj_drop_rate", "pos_drop_rate"), _SHARE),
    **dict.fromkeys(("patch_drop_rate", "drop_block_rate"), _SHARE),
    **dict.fromkeys(("layers", "depths", "depth"), _counts(1, 128)),
    **dict.fromkeys(("channels", "dims", "embed_dim", "embed_dims"), _counts(1, 8192)),
    "num_heads": _counts(1, 128),
    "img_size": _counts(1, 1024),
    **dict.fromkeys(("patch_size", "window_size"), _counts(1, 64)),
    **dict.fromkeys(("stem_width", "base_width", "cardinality"), _count(1, 512)),
    "reg_tokens": _count(0, 64),
    "output_stride": (lambda value: value in (8, 16, 32) and type(value) is int, "8, 16 or 32"),
    "mlp_ratio": _number(0.1, 16),
    **dict.fromkeys(("init_values", "ls_init_value"), _number(0, 10)),
    **dict.fromkeys(("dynamic_img_size", "dynamic_img_pad", "strict_img_size", "qkv_bias", "class_token"), _FLAG),
    **dict.fromkeys(("avg_down", "no_embed_class", "transform_input"), _FLAG),
    "global_pool": _choice("avg", "max", "avgmax", "catavgmax", "token", "map"),
    "pad_type": _choice("", "same", "valid"),
    "act_layer": _choice("relu", "relu6", "leaky_relu", "silu", "swish", "gelu", "gelu_tanh", "mish", "hard_swish"),
    "stem_type": _choice("", "deep", "deep_tiered"),
}
"""Arguments of timm's models that a recipe or a checkpoint may give. None of them names a file, an address or code."""


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Raise RecipeError, naming the argument, where one is not of ``ARGUMENTS`` or its value out of range."""
    for name, value in arguments.items():
        if name not in ARGUMENTS:
            known = ", ".join(sorted(ARGUMENTS))
            raise RecipeError(f"backbone_args: {str(name)[:80]!r} is not allowed; allowed are {known}")
        fits, what = ARGUMENTS[name]
        if not fits(value):
            raise RecipeError(f"backbone_args: {name} must be {what}, not {repr(value)[:80]}")


def check_name(backbone: str) -> None:
    """Raise RecipeError where ``backbone`` is not the plain name of a model in timm's registry."""
    if NAME.fullmatch(backbone) and backbone.split(".")[0] in timm.list_models():
        return
    start = re.sub(r"[^A-Za-z0-9].*", "", backbone)[:40]
    near = timm.list_models(f"*{start}*")[:5] if start else []
    raise RecipeError(f"timm has no backbone {backbone[:80]!r}" + (f"; near: {', '.join(near)}" if near else ""))


def build_backbone(
    backbone: str, arguments: Mapping[str, Any], aux_head: bool = False, pretrained: bool = False
) -> nn.Module:
    """The timm model ``backbone`` without its classifier, on the default device, with random weights.

    ``pretrained``: with timm's own weights from the Hub (or its cache); only training asks for them.
    Raises RecipeError for a name or argument that is not allowed, or that the model does not take; what the
    download raises goes through.
    """
    check_name(backbone)
    check_arguments(arguments)
    options: dict[str, Any] = dict(arguments) | ({"aux_logits": True} if aux_head else {})
    try:
        model: nn.Module = timm.create_model(backbone, pretrained=pretrained, num_classes=1, **options)
        # not num_classes=0 at once: Inception would initialise an auxiliary layer of no element, with a warning
        model.reset_classifier(0)  # type: ignore[operator]
    except Exception as error:  # models raise whatever befalls them at arguments that they do not expect
        if pretrained and isinstance(error, OSError | RuntimeError | ValueError):
            raise  # of the download
        raise RecipeError(
            f"Backbone {backbone} does not take these arguments: {' '.join(str(error).split())[:300]}"
        ) from error
    return model


def check_size(make: Callable[[], nn.Module], limit: int = MOST_PARAMETERS) -> None:
    """Raise RecipeError where the model that ``make`` makes has more than ``limit`` parameters and buffers.

    It is made on the meta device, where tensors have a shape and no memory.
    """
    try:
        with torch.device("meta"):
            model = make()
    except NotImplementedError:
        return  # a few of timm's models read values while they are built, which the meta device has not
    size = sum(tensor.numel() for tensor in (*model.parameters(), *model.buffers()))
    if size > limit:
        raise RecipeError(f"the model would have {size:,} parameters, and at most {limit:,} are expected here")


@dataclass(frozen=True)
class Preprocessing:
    """What a backbone was trained to be given: the side of the square input in pixels, mean and standard deviation of
    red, green, blue in 0..1, and the share of the short side that the central square has."""

    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    centre_crop: float


def own_preprocessing(backbone: str) -> Preprocessing:
    """What timm's configuration of ``backbone`` and its weights says. Raises RecipeError where timm has none."""
    check_name(backbone)
    config = timm.get_pretrained_cfg(backbone)
    if config is None:
        raise RecipeError(f"timm does not say how {backbone} is given photos: set image_size, mean, std, centre_crop")
    mean, std = (tuple(map(float, each)) for each in (config.mean, config.std))
    return Preprocessing(int(config.input_size[-1]), mean, std, float(config.crop_pct))  # type: ignore[arg-type]
