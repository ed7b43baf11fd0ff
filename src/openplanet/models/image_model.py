"""The photo classifier: a timm backbone, an embedding, and a softmax over the cells of a partition.

Shapes: B photos in a batch, C cells, D embedding, H W pixels.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from openplanet.errors import CheckpointError, RecipeError


@dataclass(frozen=True)
class ImageConfig:
    """All that is needed to build the model again, apart from the number of cells and the weights."""

    backbone: str
    """Name of a timm model."""
    image_size: int
    """Side of the square input in pixels."""
    embedding_dim: int | None = None
    """Width of a layer between backbone and softmax; None: the backbone's pooled features are the embedding."""
    aux_head: bool = False
    """Train a second softmax on earlier features (only backbones that have one, such as inception_v3)."""
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Mean of red, green, blue that the input is normalised by, in 0..1."""
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Standard deviation of red, green, blue, in 0..1."""
    backbone_args: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Further arguments of timm.create_model."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ImageConfig":
        """The inverse of ``dataclasses.asdict``, also after a way through JSON (tuples become lists there).

        Raises CheckpointError where a field is missing or unknown.
        """
        try:
            return cls(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"The image model's configuration is incomplete or of another version: {error}"
            ) from error


def _backbone(config: ImageConfig) -> nn.Module:
    arguments = dict(config.backbone_args)
    if config.aux_head:
        arguments["aux_logits"] = True
    if config.backbone.split(".")[0] not in timm.list_models():
        near = timm.list_models(f"*{config.backbone.split('_')[0]}*")[:5]
        raise RecipeError(f"timm has no backbone {config.backbone!r}" + (f"; near: {', '.join(near)}" if near else ""))
    try:
        backbone: nn.Module = timm.create_model(config.backbone, pretrained=False, num_classes=1, **arguments)
    except TypeError as error:
        raise RecipeError(f"Backbone {config.backbone} does not take these arguments: {error}") from error
    # not num_classes=0 at once: Inception would initialise an auxiliary layer of no element, with a warning
    backbone.reset_classifier(0)  # type: ignore[operator]
    return backbone


class ImageModel(nn.Module):
    """Backbone → embedding → softmax over ``num_cells`` cells.

    Takes uint8 pixels 0..255, [B, 3, H, W] (any size that the backbone takes; it was trained at
    ``config.image_size``). Normalisation is inside. Weights start at random.
    Raises RecipeError for a backbone that timm does not have.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ImageConfig, num_cells: int) -> None:
        super().__init__()
        self.config, self.num_cells = config, num_cells
        self.backbone = _backbone(config)
        features = int(getattr(self.backbone, "head_hidden_size", None) or self.backbone.num_features)  # type: ignore[arg-type]
        self.embedding_dim = config.embedding_dim or features
        self.embedding: nn.Module = nn.Identity()
        if config.embedding_dim is not None:
            self.embedding = nn.Sequential(nn.Linear(features, config.embedding_dim), nn.ReLU())
        self.head = _softmax_layer(self.embedding_dim, num_cells, std=0.01)
        if config.aux_head:
            aux: Any = self.backbone.AuxLogits
            # 0.001 is what the Inception family starts this layer with (timm's InceptionAux.fc.stddev)
            aux.fc = _softmax_layer(aux.conv1.conv.out_channels, num_cells, std=0.001)
        # not persistent: they are part of the configuration, not of the weights
        self.register_buffer("mean", torch.tensor(config.mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(1, 3, 1, 1) * 255, persistent=False)

    def normalise(self, pixels_B3HW: Tensor) -> Tensor:
        """uint8 or float 0..255 → normalised float32, in the memory order that the backbone is fastest in."""
        scaled = (pixels_B3HW.float() - self.mean) / self.std
        return scaled.contiguous(memory_format=torch.channels_last)

    def embed(self, pixels_B3HW: Tensor) -> Tensor:
        """[B, 3, H, W] pixels 0..255 → embedding_BD, the layer before the softmax."""
        x = self.normalise(pixels_B3HW)
        if self.config.aux_head:  # past the auxiliary classifier, which only training needs
            backbone: Any = self.backbone
            features = backbone.forward_head(backbone.forward_postaux(backbone.forward_preaux(x)))
        else:
            features = self.backbone(x)
        return self.embedding(features)  # type: ignore[no-any-return]

    def forward(self, pixels_B3HW: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits over the cells, logits_BC; while training with an auxiliary head (logits_BC, aux_logits_BC)."""
        if self.training and self.config.aux_head:
            features, aux_BC = self.backbone(self.normalise(pixels_B3HW))
            return self.head(self.embedding(features)), aux_BC
        return self.head(self.embed(pixels_B3HW))  # type: ignore[no-any-return]

    def load_backbone(self, path: Path) -> None:
        """Start the backbone from a local safetensors file of a timm model of the same name.

        Its classifier, if it has one, is left aside (ours predicts cells); every other key must match.
        Raises CheckpointError naming the file and the keys that are missing, unexpected or of another shape.
        """
        try:
            state = load_file(path)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"Weights {path} cannot be read as safetensors: {error}") from error
        classifier = self.backbone.pretrained_cfg.get("classifier")  # type: ignore[union-attr, operator]
        names = [classifier] if isinstance(classifier, str) else list(classifier or ())
        if self.config.aux_head:
            names.append("AuxLogits.fc")
        ours = {k: v for k, v in self.backbone.state_dict().items() if not k.startswith("AuxLogits.fc.")}
        theirs = {k: v for k, v in state.items() if not any(k.startswith(f"{name}.") for name in names)}
        problems = _differences(ours, theirs)
        if problems:
            raise CheckpointError(
                f"Weights {path} do not fit backbone {self.config.backbone}: {'; '.join(problems)}."
                " Use the file of the same timm model, and the backbone_args that it was made with."
            )
        self.backbone.load_state_dict(theirs, strict=False)  # the comparison above was the strict one


def _softmax_layer(features: int, num_cells: int, std: float) -> nn.Linear:
    layer = nn.Linear(features, num_cells)
    nn.init.trunc_normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)
    return layer


def _differences(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> list[str]:
    """What keeps ``theirs`` from being loaded as ``ours``, one phrase for each kind."""

    def listed(names: list[str]) -> str:
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

    # batch norm's step counters are no weights; PyTorch's own strict loading forgives their absence too
    missing = sorted(k for k in ours.keys() - theirs.keys() if not k.endswith("num_batches_tracked"))
    unexpected = sorted(theirs.keys() - ours.keys())
    shapes = sorted(k for k in ours.keys() & theirs.keys() if ours[k].shape != theirs[k].shape)
    found = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    return [f"{what}: {listed(names)}" for what, names in found.items() if names]


def count_parameters(config: ImageConfig, num_cells: int) -> int:
    """Number of trained parameters with ``num_cells`` cells; nothing is allocated (meta device)."""
    with torch.device("meta"):
        return sum(p.numel() for p in ImageModel(config, num_cells).parameters())
