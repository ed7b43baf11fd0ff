"""The photo classifier: a timm backbone, an embedding, and a head over the cells of a partition.

Shapes: B photos in a batch, C cells, R rows of classes of the head, F features of the backbone, D embedding,
H W pixels.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import Field, ModelWrapValidatorHandler, model_validator
from pydantic.dataclasses import dataclass
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from openplanet import fields
from openplanet.errors import CheckpointError, RecipeError
from openplanet.fields import Mean, PartOfSide, Std
from openplanet.models.backbone import build_backbone, check_arguments
from openplanet.models.heads.head import ClassMap
from openplanet.models.heads.registry import HEADS
from openplanet.models.heads.softmax import softmax_layer
from openplanet.models.merged import Merged
from openplanet.photos.dataset import MAX_SIDE

MAX_IMAGE_SIZE = 1024  # px: the largest input of timm's models; more fills the memory at the first batch
MAX_WIDTH = 1 << 14  # of the embedding, likewise


MAX_HEAD_ARG = 1 << 24


def _relu(features: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(features, width), nn.ReLU())


def _clip_mlp(features: int, width: int) -> nn.Module:
    """GeoCLIP's: the projection of CLIP ViT-L/14, then two layers."""
    projected = nn.Linear(features, 768, bias=False)
    return nn.Sequential(projected, nn.Linear(768, 768), nn.ReLU(), nn.Linear(768, width))


EMBEDDINGS: dict[str, Callable[[int, int], nn.Module]] = {"relu": _relu, "clip_mlp": _clip_mlp}
"""Layers between the features of a backbone and the embedding, by name: from features to a width."""


@dataclass(frozen=True, config=fields.CONFIG)
class ImageConfig:
    """All that is needed to build the model again, apart from the number of cells and the weights."""

    backbone: Annotated[str, Field(min_length=1)]
    """Name of a timm model."""
    image_size: Annotated[int, Field(ge=1, le=MAX_IMAGE_SIZE)]
    """Side of the square input in pixels."""
    embedding_dim: Annotated[int, Field(ge=1, le=MAX_WIDTH)] | None = None
    """Width of the layers between backbone and head; None: the backbone's pooled features are the embedding."""
    embedding: Annotated[str, fields.one_of(lambda: EMBEDDINGS)] = "relu"
    """What those layers are: a name of ``EMBEDDINGS``."""
    aux_head: bool = False
    """Train a second softmax on earlier features (only backbones that have one, such as inception_v3)."""
    mean: Mean = (0.5, 0.5, 0.5)
    """Mean of red, green, blue that the input is normalised by, in 0..1."""
    std: Std = (0.5, 0.5, 0.5)
    """Standard deviation of red, green, blue, in 0..1."""
    centre_crop: PartOfSide = 1.0
    """Share of the short side that the central square has which the model sees."""
    decoded_side: Annotated[int, Field(ge=1, le=MAX_SIDE)] = 320
    """Short side in pixels at which the training dataset kept its photos; those of files are first brought to it, so
    that the model sees the same resampling."""
    backbone_args: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Further arguments of the timm model: those of ``backbone.ARGUMENTS`` (models/backbone.py), and no others."""
    feature_norm: bool = False
    """Standardise the backbone's features over the training photos (batch norm without weights) before the heads:
    features of different backbones then train with one learning rate (He et al. 2022, MAE, appendix A.1)."""
    head: Annotated[str, fields.one_of(lambda: HEADS)] = "softmax"
    """Name of a head of models/heads/registry.py."""
    head_args: dict[str, Annotated[int, Field(ge=1, le=MAX_HEAD_ARG)]] = dataclasses.field(default_factory=dict)
    """What this head alone knows: whole numbers."""

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, values: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        return fields.checked("The image model", cls.__dataclass_fields__, values, build)  # type: ignore[no-any-return]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ImageConfig":
        """The inverse of ``dataclasses.asdict``, also after a way through JSON (tuples become lists there).

        Raises CheckpointError where a field is missing, unknown, or of a value that it cannot have.
        """
        try:
            config = cls(**values)
            check_arguments(config.backbone_args)
        except RecipeError as error:
            raise CheckpointError(str(error)) from error
        return config


class ImageModel(nn.Module):
    """Backbone → embedding → head → ``num_cells`` cells; ``classes`` says how they lie in further partitions.

    Takes uint8 pixels 0..255, [B, 3, H, W] (any size that the backbone takes; it was trained at
    ``config.image_size``). Normalisation is inside. Weights start at random.
    Raises RecipeError for a backbone that timm does not have.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ImageConfig, num_cells: int, classes: ClassMap | None = None) -> None:
        super().__init__()
        self.config, self.num_cells = config, num_cells
        self.merged: Merged | None = None  # of a checkpoint made for sharing: cells that classes are summed into
        self.backbone = build_backbone(config.backbone, config.backbone_args, config.aux_head)
        features = int(getattr(self.backbone, "head_hidden_size", None) or self.backbone.num_features)  # type: ignore[arg-type]
        self.embedding_dim = config.embedding_dim or features
        self.feature_norm = nn.BatchNorm1d(features, affine=False) if config.feature_norm else nn.Identity()
        self.embedding: nn.Module = nn.Identity()
        if config.embedding_dim is not None:
            self.embedding = EMBEDDINGS[config.embedding](features, config.embedding_dim)
        try:
            self.head = HEADS[config.head](self.embedding_dim, classes or ClassMap.flat(num_cells), **config.head_args)
        except TypeError as error:
            raise RecipeError(f"Head {config.head} does not take {config.head_args}: {error}") from error
        if config.aux_head:
            aux: Any = self.backbone.AuxLogits
            # 0.001 is what the Inception family starts this layer with (timm's InceptionAux.fc.stddev)
            aux.fc = softmax_layer(aux.conv1.conv.out_channels, num_cells, std=0.001)
        # not persistent: they are part of the configuration and the partitions, not of the weights
        self.register_buffer("mean", torch.tensor(config.mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_load_state_dict_pre_hook(_of_earlier_versions)  # type: ignore[no-untyped-call]

    def check_input(self) -> None:
        """Raise RecipeError where the backbone takes no photos of ``config.image_size``: before photos are decoded."""
        size, training = self.config.image_size, self.training
        try:
            with torch.inference_mode():
                black_13HW = torch.zeros(1, 3, size, size, dtype=torch.uint8)
                self.eval().embed(black_13HW)
                if self.config.aux_head:
                    self.backbone(self.normalise(black_13HW))  # which takes no small ones
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            raise RecipeError(
                f"Backbone {self.config.backbone} cannot take photos of {size} px, with backbone_args"
                f" {self.config.backbone_args}: {' '.join(str(error).split())[:200]}"
            ) from error
        finally:
            self.train(training)

    def normalise(self, pixels_B3HW: Tensor) -> Tensor:
        """uint8 or float 0..255 → normalised float32, in the memory order that the backbone is fastest in."""
        scaled = (pixels_B3HW.float() - self.mean) / self.std
        return scaled.contiguous(memory_format=torch.channels_last)

    def features(self, pixels_B3HW: Tensor) -> Tensor:
        """[B, 3, H, W] pixels 0..255 → what the backbone sees, features_BF: what a frozen one is asked once."""
        x = self.normalise(pixels_B3HW)
        if self.config.aux_head:  # past the auxiliary classifier, which only training needs
            backbone: Any = self.backbone
            return backbone.forward_head(backbone.forward_postaux(backbone.forward_preaux(x)))  # type: ignore[no-any-return]
        return self.backbone(x)  # type: ignore[no-any-return]

    def embed(self, pixels_B3HW: Tensor) -> Tensor:
        """[B, 3, H, W] pixels 0..255 → embedding_BD, the layer before the head."""
        return self.embedding_of(self.features(pixels_B3HW))

    def embedding_of(self, features_BF: Tensor) -> Tensor:
        """The backbone's features → embedding_BD."""
        return self.embedding(self.feature_norm(features_BF))  # type: ignore[no-any-return]

    def classify(self, features_BF: Tensor) -> list[Tensor]:
        """Features → logits of each row of the head."""
        return self.head(self.embedding_of(features_BF))  # type: ignore[no-any-return]

    def combine(self, logits: list[Tensor]) -> Tensor:
        """What ``classify`` gives → scores [B, C] of the cells, whose softmax is the answer."""
        scores_BC = self.head.combine(logits)
        return scores_BC if self.merged is None else self.merged.log_probs(scores_BC)

    def forward(self, pixels_B3HW: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Scores over the cells [B, C].

        While training with several rows or an auxiliary softmax, the logits of each apart: of the R rows, then of
        the auxiliary softmax [B, C].
        """
        if not self.training:
            return self.combine(self.classify(self.features(pixels_B3HW)))
        aux: list[Tensor] = []
        if self.config.aux_head:
            features_BF, aux_BC = self.backbone(self.normalise(pixels_B3HW))
            aux = [aux_BC]
        else:
            features_BF = self.features(pixels_B3HW)
        outputs = (*self.classify(features_BF), *aux)
        return outputs[0] if len(outputs) == 1 else outputs

    def load_hub_backbone(self) -> None:
        """Start the backbone from timm's weights on the Hugging Face Hub (or its local cache).

        Raises CheckpointError where they cannot be had, RecipeError where they were trained with another mean
        or standard deviation than the configuration says.
        """
        name = self.config.backbone
        try:
            source = build_backbone(name, self.config.backbone_args, self.config.aux_head, pretrained=True)
        except (OSError, RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"Weights of timm's {name} cannot be had from the Hub ({' '.join(str(error).split())[:200]}). Without a"
                " network, download them elsewhere and give the file: --set weights=FILE.safetensors"
            ) from error
        wanted = source.pretrained_cfg
        for what in ("mean", "std"):
            if tuple(getattr(self.config, what)) != tuple(wanted[what]):  # type: ignore[index]
                text = ",".join(str(value) for value in wanted[what])  # type: ignore[index]
                raise RecipeError(
                    f"The weights of {name} were trained with another {what}: --set {what}={text}, or none"
                )
        state = {k: v for k, v in source.state_dict().items() if not k.startswith("AuxLogits.fc.")}
        self.backbone.load_state_dict(state, strict=False)  # the same model: only our AuxLogits.fc may be missing

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


def _of_earlier_versions(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Names of weights that checkpoints of before heads were modules of their own give to coarser levels."""
    for name in [name for name in state if name.startswith(f"{prefix}coarser.")]:
        state[f"{prefix}head.{name.removeprefix(prefix)}"] = state.pop(name)


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
