"""GeoCLIP 1.3 (Vivanco Cepeda, Nayak, Shah 2023, arXiv 2309.16020; MIT) as a checkpoint with a gallery head.

Its package holds what it learned: two layers above CLIP's image tower, an encoder of places, a scale, and a gallery of
100,000 coordinates, some of them several times, for photos are many there. CLIP's tower (Radford et al. 2021, MIT)
comes from OpenAI's repository. The places are encoded once, here; the encoder is not needed afterwards.

Shapes: P places, D embedding.
"""

import csv
import io
import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional

from openplanet.earth.geo import check_coordinates
from openplanet.earth.partition.adaptive import Partition, Thresholds, build_many
from openplanet.errors import CheckpointError, InputError
from openplanet.models.backbone import own_preprocessing
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.heads.gallery import Gallery
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.models.published.published import File, Published

Floats = NDArray[np.float64]

WHEEL, TOWER = "geoclip-1.3.0-py3-none-any.whl", "model.safetensors"
BACKBONE = "vit_large_patch14_clip_quickgelu_224"  # CLIP was trained with the quick approximation of GELU
WIDTH = 512  # of the embedding
LEVELS = (Thresholds(5000, 1, 13), Thresholds(500, 1, 13), Thresholds(1, 1, 13))
"""Cells by the places of the gallery, none of which is dropped: a place a cell, but for those in one of level 13, about
a square km. With 12 a cell, a town alone in the gallery shares one with places 100 km off (notes/LOG.md)."""
DECODED_SIDE = 448  # twice what CLIP looks at: the resampling below that is ours, as for every checkpoint
AT_ONCE = 4096  # places

CAPSULES = 3
EQUAL_EARTH = (1.340264, -0.081106, 0.000893, 0.003796)  # Šavrič, Patterson, Jenny 2019, Equal Earth projection
SCALE = 66.50336


def convert(files: Mapping[str, Path]) -> Checkpoint:
    """The checkpoint of the published weights. Raises CheckpointError where a file is not what it should be."""
    try:
        with zipfile.ZipFile(files[WHEEL]) as wheel:
            weights = {name: _weights(wheel, name) for name in ("image_encoder_mlp", "location_encoder", "logit_scale")}
            lat_N, lng_N = _gallery(wheel)
        tower = _tower(files[TOWER])
        return _checkpoint(weights, lat_N, lng_N, tower)
    except (OSError, zipfile.BadZipFile, SafetensorError, KeyError, RuntimeError, ValueError) as error:
        detail = " ".join(str(error).split())[:300]
        raise CheckpointError(f"GeoCLIP's files are not those of version 1.3.0 ({detail})") from error


def _checkpoint(
    weights: Mapping[str, dict[str, Tensor]], lat_N: Floats, lng_N: Floats, tower: dict[str, Tensor]
) -> Checkpoint:
    head, (*coarser, cells) = gallery(weights, lat_N, lng_N)
    own = own_preprocessing(BACKBONE)
    config = ImageConfig(
        BACKBONE, own.image_size, WIDTH, "clip_mlp", mean=own.mean, std=own.std, decoded_side=DECODED_SIDE,
        head="gallery", head_args={"places": len(head.cell_P)},
    )  # fmt: skip
    model = ImageModel(config, len(cells), Gallery.class_map(coarser, cells))
    projection = {"0.weight": tower.pop("head.weight")}
    mlp = {f"{int(name[0]) + 1}{name[1:]}": value for name, value in weights["image_encoder_mlp"].items()}
    model.embedding.load_state_dict(projection | mlp)
    model.backbone.load_state_dict(tower)
    model.head.load_state_dict(head.state_dict())
    recipe = {"name": "geoclip", "description": GEOCLIP.description}
    training = {
        "dataset": "MP-16 (4.7 million Flickr photos of the MediaEval 2016 placing task), by GeoCLIP's authors",
        "source": GEOCLIP.source,
        "licence": GEOCLIP.licence,
    }
    return Checkpoint(model.eval(), cells, recipe, config, {}, training, coarser=tuple(coarser))


def gallery(weights: Mapping[str, dict[str, Tensor]], lat_N: Floats, lng_N: Floats) -> tuple[Gallery, list[Partition]]:
    """The head of a gallery's coordinates (degrees, with repeats), and its partitions, coarse to fine."""
    places_P2, times_P = np.unique(np.stack([lat_N, lng_N], axis=1), axis=0, return_counts=True)
    partitions = build_many([(lat_N, lng_N)], LEVELS, nested=True)
    *coarser, cells = partitions
    lat, lng = places_P2.T
    cell_P = cells.assign(lat, lng)
    if (cell_P < 0).any():
        raise ValueError(f"{int((cell_P < 0).sum())} places of the gallery lie in no cell")
    head = Gallery(WIDTH, Gallery.class_map(coarser, cells), len(places_P2))
    (scale,) = weights["logit_scale"].values()
    with torch.no_grad():
        head.place_PD.copy_(encode_places(weights["location_encoder"], lat, lng))
        head.log_weight_P.copy_(torch.from_numpy(np.log(times_P)))
        head.cell_P.copy_(torch.from_numpy(cell_P))
        head.log_scale.copy_(scale.reshape(()))
    return head, partitions


def encode_places(weights: Mapping[str, Tensor], lat_P: Floats, lng_P: Floats) -> Tensor:
    """Embeddings [P, D] of unit length, float32, of places in degrees.

    Equal Earth coordinates, then three capsules, fine to coarse: sines and cosines of random frequencies (their
    matrices are in the weights) and four layers; the sum of the three (GeoCLIP, section 3.2).
    """
    xy_P2 = _equal_earth(torch.from_numpy(np.stack([lat_P, lng_P], axis=1)).float())
    parts = []
    with torch.inference_mode():
        for some_P2 in torch.split(xy_P2, AT_ONCE):
            total = torch.stack([_capsule(weights, f"LocEnc{n}.", some_P2) for n in range(CAPSULES)]).sum(dim=0)
            parts.append(functional.normalize(total, dim=1))
    return torch.cat(parts)


def _capsule(weights: Mapping[str, Tensor], prefix: str, xy_P2: Tensor) -> Tensor:
    turns = 2 * math.pi * xy_P2 @ weights[f"{prefix}capsule.0.b"].T
    x = torch.cat([turns.cos(), turns.sin()], dim=1)
    for layer in ("capsule.1", "capsule.3", "capsule.5"):
        x = functional.relu(functional.linear(x, weights[f"{prefix}{layer}.weight"], weights[f"{prefix}{layer}.bias"]))
    return functional.linear(x, weights[f"{prefix}head.0.weight"], weights[f"{prefix}head.0.bias"])


def _equal_earth(lat_lng_P2: Tensor) -> Tensor:
    """In float32, as the encoder was trained: its finest capsule tells the rounding of a coordinate."""
    lat_P, lng_P = torch.deg2rad(lat_lng_P2).T
    a1, a2, a3, a4 = EQUAL_EARTH
    root = torch.tensor(3.0).sqrt()
    theta = torch.asin(root / 2 * torch.sin(lat_P))
    slope = 3 * (9 * a4 * theta**8 + 7 * a3 * theta**6 + 3 * a2 * theta**2 + a1)
    x = 2 * root * lng_P * torch.cos(theta) / slope
    y = a4 * theta**9 + a3 * theta**7 + a2 * theta**3 + a1 * theta
    return torch.stack([x, y], dim=1) * SCALE / 180


def _weights(wheel: zipfile.ZipFile, name: str) -> dict[str, Tensor]:
    data = io.BytesIO(wheel.read(f"geoclip/model/weights/{name}_weights.pth"))
    found = torch.load(data, map_location="cpu", weights_only=True)  # tensors, and no code
    return found if isinstance(found, dict) else {"": found}


def _gallery(wheel: zipfile.ZipFile) -> tuple[Floats, Floats]:
    text = wheel.read("geoclip/model/gps_gallery/coordinates_100K.csv").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    lat_N, lng_N = (np.array([float(row[name]) for row in rows]) for name in ("LAT", "LON"))
    try:
        check_coordinates(lat_N, lng_N, "coordinates_100K.csv")
    except InputError as error:
        raise ValueError(str(error)) from error
    return lat_N, lng_N


BLOCK = re.compile(r"vision_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
PARTS = {"layer_norm1": "norm1", "layer_norm2": "norm2", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
PARTS["self_attn.out_proj"] = "attn.proj"


def _tower(path: Path) -> dict[str, Tensor]:
    """CLIP's image tower by timm's names; ``head.weight`` is its projection."""
    with safe_open(path, framework="pt") as file:
        found = {name: file.get_tensor(name).float() for name in file.keys() if _is_visual(name)}  # noqa: SIM118 (no dict)
    embeddings = "vision_model.embeddings."
    tower = {
        "cls_token": found.pop(f"{embeddings}class_embedding").reshape(1, 1, -1),
        "pos_embed": found.pop(f"{embeddings}position_embedding.weight")[None],
        "patch_embed.proj.weight": found.pop(f"{embeddings}patch_embedding.weight"),
        "head.weight": found.pop("visual_projection.weight"),
    }
    found.pop(f"{embeddings}position_ids", None)
    for ours, theirs in (("norm_pre", "pre_layrnorm"), ("norm", "post_layernorm")):
        tower |= {f"{ours}.{what}": found.pop(f"vision_model.{theirs}.{what}") for what in ("weight", "bias")}
    attention: dict[str, dict[str, Tensor]] = {}
    for name, value in found.items():
        matched = BLOCK.fullmatch(name)
        if matched is None:
            raise ValueError(f"CLIP's tower has a tensor {name!r}")
        block, part, what = matched.groups()
        if part in PARTS:
            tower[f"blocks.{block}.{PARTS[part]}.{what}"] = value
        else:
            attention.setdefault(f"blocks.{block}.attn.qkv.{what}", {})[part] = value
    for name, parts in attention.items():
        tower[name] = torch.cat([parts[f"self_attn.{each}_proj"] for each in "qkv"])
    return tower


def _is_visual(name: str) -> bool:
    return name.startswith("vision_model.") or name == "visual_projection.weight"


GEOCLIP = Published(
    name="geoclip",
    description="GeoCLIP: CLIP ViT-L/14 compared with 100,000 places of the whole Earth",
    licence="MIT (GeoCLIP: Vicente Vivanco Cepeda; CLIP: OpenAI)",
    source="arXiv 2309.16020; github.com/VicenteVivan/geo-clip",
    accuracy="Im2GPS3k: 14.1 / 34.5 / 50.7 / 69.7 / 83.8 % within 1 / 25 / 200 / 750 / 2500 km",
    files=(
        File(
            WHEEL,
            "pypi:geoclip==1.3.0",
            40_292_198,
            "08a93791166a279d52b95c466a952c75f17f654cc61bdf6ab20355325b564dec",
        ),
        File(
            TOWER,
            f"hf:openai/clip-vit-large-patch14@32bd64288804d66eefd0ccbe215aa642df71cc41/{TOWER}",
            1_710_540_580,
            "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
        ),
    ),
    convert=convert,
)
