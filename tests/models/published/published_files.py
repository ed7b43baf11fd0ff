"""Files of the shapes of published models, with small towers and galleries and weights at random."""

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

SMALL = "vit_base_patch32_clip_quickgelu_224"
CITIES = [(48.86, 2.35), (35.68, 139.69), (-33.87, 151.21), (40.71, -74.01), (6.52, 3.38)]


def encoder() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for number, sigma in enumerate((1, 16, 256)):
        name = f"LocEnc{number}."
        weights[f"{name}capsule.0.b"] = sigma * torch.randn(256, 2, generator=generator)
        for layer, (wide, narrow) in {
            "capsule.1": (1024, 512), "capsule.3": (1024, 1024), "capsule.5": (1024, 1024), "head.0": (512, 1024),
        }.items():  # fmt: skip
            weights[f"{name}{layer}.weight"] = torch.randn(wide, narrow, generator=generator) / math.sqrt(narrow)
            weights[f"{name}{layer}.bias"] = 0.01 * torch.randn(wide, generator=generator)
    return weights


def by_transformers_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """timm's tower as the Hub's file has it, with a tensor of the text tower that is of no use."""
    found = {
        "vision_model.embeddings.class_embedding": state["cls_token"].flatten(),
        "vision_model.embeddings.position_embedding.weight": state["pos_embed"][0],
        "vision_model.embeddings.patch_embedding.weight": state["patch_embed.proj.weight"],
        "text_model.final_layer_norm.weight": torch.zeros(3),
    }
    renamed = {"norm_pre": "pre_layrnorm", "norm": "post_layernorm"}
    for name, value in state.items():
        start, _, what = name.rpartition(".")
        if start in renamed:
            found[f"vision_model.{renamed[start]}.{what}"] = value
        elif name.startswith("blocks."):
            _, block, part = start.split(".", 2)
            prefix = f"vision_model.encoder.layers.{block}."
            if part == "attn.qkv":
                for letter, third in zip("qkv", value.chunk(3), strict=True):
                    found[f"{prefix}self_attn.{letter}_proj.{what}"] = third
            else:
                theirs = {"norm1": "layer_norm1", "norm2": "layer_norm2", "attn.proj": "self_attn.out_proj"}
                found[f"{prefix}{theirs.get(part, part)}.{what}"] = value
    return {name: value.contiguous() for name, value in found.items()}


def wheel(path: Path, tensors: Mapping[str, Any]) -> None:
    """GeoCLIP's package: a gallery about CITIES, and the weights in ``tensors``."""
    rng = np.random.default_rng(0)
    rows = ["LAT,LON", *(f"{lat + rng.normal(0, 0.3)},{lng + rng.normal(0, 0.3)}" for lat, lng in CITIES * 40)]
    rows += [f"{lat},{lng}" for lat, lng in CITIES for _ in range(3)]  # three times each
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("geoclip/model/gps_gallery/coordinates_100K.csv", "\n".join(rows))
        for name, value in tensors.items():
            data = io.BytesIO()
            torch.save(value, data)
            archive.writestr(f"geoclip/model/weights/{name}_weights.pth", data.getvalue())
