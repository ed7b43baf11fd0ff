"""What models share that compare a photo with a gallery of places: GeoCLIP, and those that follow it.

An image tower of CLIP (Radford et al. 2021) and a few layers embed the photo; capsules of random Fourier features
embed each place (Vivanco Cepeda, Nayak, Shah 2023, arXiv 2309.16020, section 3.2). The places are encoded once, when
the model is converted; the encoder is not needed afterwards.

Shapes: N rows of a gallery, P distinct places, D embedding.
"""

import math
import re
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from openplanet.earth.partition.adaptive import Partition, Thresholds, build_many
from openplanet.models.backbone import own_preprocessing
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.heads.gallery import Gallery
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.models.published.published import Published

Floats = NDArray[np.float64]
Encoder = Callable[[Floats, Floats], Tensor]
"""Embeddings [P, D] of unit length, float32, of places by latitude and longitude (degrees)."""

BACKBONE = "vit_large_patch14_clip_quickgelu_224"  # OpenAI trained CLIP with the quick approximation of GELU
LEVELS = (Thresholds(5000, 1, 13), Thresholds(500, 1, 13), Thresholds(1, 1, 13))
"""Cells by the places of the gallery, none of which is dropped: a place a cell, but for those in one of level 13, about
a square km. With 12 a cell, a town alone in the gallery shares one with places 100 km off (notes/LOG.md)."""
DECODED_SIDE = 448  # twice what CLIP looks at: the resampling below that is ours, as for every checkpoint
AT_ONCE = 4096  # places
CAPSULES = 3


def checkpoint(
    about: Published,
    head: Gallery,
    partitions: list[Partition],
    clip: dict[str, Tensor],
    layers: Mapping[str, Tensor],
) -> Checkpoint:
    """The checkpoint of a head and its partitions (``gallery``), CLIP's tower (``tower``; taken apart), and the two
    layers between them ("0.weight" and so on, as a Sequential with a ReLU names them)."""
    *coarser, cells = partitions
    own = own_preprocessing(BACKBONE)
    config = ImageConfig(
        BACKBONE, own.image_size, head.place_PD.shape[1], "clip_mlp", mean=own.mean, std=own.std,
        decoded_side=DECODED_SIDE, head="gallery", head_args={"places": len(head.cell_P)},
    )  # fmt: skip
    model = ImageModel(config, len(cells), Gallery.class_map(coarser, cells))
    projection = {"0.weight": clip.pop("head.weight")}
    model.embedding.load_state_dict(projection | {f"{int(name[0]) + 1}{name[1:]}": v for name, v in layers.items()})
    model.backbone.load_state_dict(clip)
    model.head.load_state_dict(head.state_dict())
    recipe = {"name": about.name, "description": about.description}
    training = {"dataset": about.trained_on, "source": about.source, "licence": about.licence}
    return Checkpoint(model.eval(), cells, recipe, config, {}, training, coarser=tuple(coarser))


def gallery(lat_N: Floats, lng_N: Floats, encode: Encoder, log_scale: Tensor) -> tuple[Gallery, list[Partition]]:
    """The head of a gallery's coordinates (degrees, with repeats), and its partitions, coarse to fine."""
    places_P2, times_P = np.unique(np.stack([lat_N, lng_N], axis=1), axis=0, return_counts=True)
    partitions = build_many([(lat_N, lng_N)], LEVELS, nested=True)
    *coarser, cells = partitions
    lat, lng = places_P2.T
    cell_P = cells.assign(lat, lng)
    if (cell_P < 0).any():
        raise ValueError(f"{int((cell_P < 0).sum())} places of the gallery lie in no cell")
    place_PD = encode(lat, lng)
    head = Gallery(place_PD.shape[1], Gallery.class_map(coarser, cells), len(places_P2))
    with torch.no_grad():
        head.place_PD.copy_(place_PD)
        head.log_weight_P.copy_(torch.from_numpy(np.log(times_P)))
        head.cell_P.copy_(torch.from_numpy(cell_P))
        head.log_scale.copy_(log_scale.reshape(()))
    return head, partitions


def encode(
    weights: Mapping[str, Tensor], projected_P2: Tensor, last: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Embeddings [P, D] of unit length, float32, of projected coordinates in about -1..1.

    Three capsules, fine to coarse: sines and cosines of random frequencies (their matrices are in the weights) and four
    layers; the sum of the three, through ``last`` where there is more.
    """
    parts = []
    with torch.inference_mode():
        for some_P2 in torch.split(projected_P2, AT_ONCE):
            total = torch.stack([_capsule(weights, f"LocEnc{n}.", some_P2) for n in range(CAPSULES)]).sum(dim=0)
            parts.append(functional.normalize(total if last is None else last(total), dim=1))
    return torch.cat(parts)


def _capsule(weights: Mapping[str, Tensor], prefix: str, xy_P2: Tensor) -> Tensor:
    turns = 2 * math.pi * xy_P2 @ weights[f"{prefix}capsule.0.b"].T
    x = torch.cat([turns.cos(), turns.sin()], dim=1)
    for layer in ("capsule.1", "capsule.3", "capsule.5"):
        x = functional.relu(functional.linear(x, weights[f"{prefix}{layer}.weight"], weights[f"{prefix}{layer}.bias"]))
    return functional.linear(x, weights[f"{prefix}head.0.weight"], weights[f"{prefix}head.0.bias"])


BLOCK = re.compile(r"vision_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
PARTS = {"layer_norm1": "norm1", "layer_norm2": "norm2", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
PARTS["self_attn.out_proj"] = "attn.proj"


def tower(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """CLIP's image tower by timm's names, of tensors by those of ``transformers``; ``head.weight`` is its projection.

    Raises KeyError or ValueError for a tower of another shape.
    """
    found = {name: value.float() for name, value in tensors.items() if is_visual(name)}
    embeddings = "vision_model.embeddings."
    timm = {
        "cls_token": found.pop(f"{embeddings}class_embedding").reshape(1, 1, -1),
        "pos_embed": found.pop(f"{embeddings}position_embedding.weight")[None],
        "patch_embed.proj.weight": found.pop(f"{embeddings}patch_embedding.weight"),
        "head.weight": found.pop("visual_projection.weight"),
    }
    found.pop(f"{embeddings}position_ids", None)
    for ours, theirs in (("norm_pre", "pre_layrnorm"), ("norm", "post_layernorm")):
        timm |= {f"{ours}.{what}": found.pop(f"vision_model.{theirs}.{what}") for what in ("weight", "bias")}
    attention: dict[str, dict[str, Tensor]] = {}
    for name, value in found.items():
        matched = BLOCK.fullmatch(name)
        if matched is None:
            raise ValueError(f"CLIP's tower has a tensor {name!r}")
        block, part, what = matched.groups()
        if part in PARTS:
            timm[f"blocks.{block}.{PARTS[part]}.{what}"] = value
        else:
            attention.setdefault(f"blocks.{block}.attn.qkv.{what}", {})[part] = value
    for name, parts in attention.items():
        timm[name] = torch.cat([parts[f"self_attn.{each}_proj"] for each in "qkv"])
    return timm


def is_visual(name: str) -> bool:
    """Whether a tensor of CLIP belongs to its image tower."""
    return name.startswith("vision_model.") or name == "visual_projection.weight"
