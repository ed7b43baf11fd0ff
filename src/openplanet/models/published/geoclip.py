"""GeoCLIP 1.3 (Vivanco Cepeda, Nayak, Shah 2023, arXiv 2309.16020; MIT) as a checkpoint with a gallery head.

Its package holds what it learned: two layers above CLIP's image tower, an encoder of places, a scale, and a gallery of
100,000 coordinates, some of them several times, for photos are many there. CLIP's tower (Radford et al. 2021, MIT)
comes from OpenAI's repository.

Shapes: N rows of the gallery, P places, D embedding.
"""

import csv
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from openplanet.earth.geo import check_coordinates
from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import CheckpointError, InputError
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.heads.gallery import Gallery
from openplanet.models.published import gallery_model
from openplanet.models.published.gallery_model import Floats
from openplanet.models.published.published import File, Published

WHEEL, TOWER = "geoclip-1.3.0-py3-none-any.whl", "model.safetensors"

EQUAL_EARTH = (1.340264, -0.081106, 0.000893, 0.003796)  # Šavrič, Patterson, Jenny 2019, Equal Earth projection
SCALE = 66.50336


def convert(files: Mapping[str, Path]) -> Checkpoint:
    """The checkpoint of the published weights. Raises CheckpointError where a file is not what it should be."""
    try:
        with zipfile.ZipFile(files[WHEEL]) as wheel:
            weights = {name: _weights(wheel, name) for name in ("image_encoder_mlp", "location_encoder", "logit_scale")}
            lat_N, lng_N = read_gallery(wheel)
        with safe_open(files[TOWER], framework="pt") as file:
            names = [name for name in file.keys() if gallery_model.is_visual(name)]  # noqa: SIM118 (no dict)
            clip = gallery_model.tower({name: file.get_tensor(name) for name in names})
        head, partitions = gallery(weights, lat_N, lng_N)
        return gallery_model.checkpoint(GEOCLIP, head, partitions, clip, weights["image_encoder_mlp"])
    except (OSError, zipfile.BadZipFile, SafetensorError, KeyError, RuntimeError, ValueError) as error:
        detail = " ".join(str(error).split())[:300]
        raise CheckpointError(f"GeoCLIP's files are not those of version 1.3.0 ({detail})") from error


def gallery(weights: Mapping[str, dict[str, Tensor]], lat_N: Floats, lng_N: Floats) -> tuple[Gallery, list[Partition]]:
    """The head of a gallery's coordinates (degrees, with repeats), and its partitions, coarse to fine."""
    (scale,) = weights["logit_scale"].values()
    encoder = weights["location_encoder"]
    return gallery_model.gallery(lat_N, lng_N, lambda lat, lng: encode_places(encoder, lat, lng), scale)


def encode_places(weights: Mapping[str, Tensor], lat_P: Floats, lng_P: Floats) -> Tensor:
    """Embeddings [P, D] of unit length, float32, of places in degrees."""
    return gallery_model.encode(weights, _equal_earth(torch.from_numpy(np.stack([lat_P, lng_P], axis=1)).float()))


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


def read_gallery(wheel: zipfile.ZipFile) -> tuple[Floats, Floats]:
    """Latitude and longitude (degrees) of the rows of the gallery, [N]; a place where photos are many has several."""
    text = wheel.read("geoclip/model/gps_gallery/coordinates_100K.csv").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    lat_N, lng_N = (np.array([float(row[name]) for row in rows]) for name in ("LAT", "LON"))
    try:
        check_coordinates(lat_N, lng_N, "coordinates_100K.csv")
    except InputError as error:
        raise ValueError(str(error)) from error
    return lat_N, lng_N


WHEEL_FILE = File(
    WHEEL,
    "pypi:geoclip==1.3.0",
    40_292_198,
    "08a93791166a279d52b95c466a952c75f17f654cc61bdf6ab20355325b564dec",
)
GEOCLIP = Published(
    name="geoclip",
    description="GeoCLIP: CLIP ViT-L/14 compared with 100,000 places of the whole Earth",
    licence="MIT (GeoCLIP: Vicente Vivanco Cepeda; CLIP: OpenAI)",
    source="arXiv 2309.16020; github.com/VicenteVivan/geo-clip",
    trained_on="MP-16 (4.7 million Flickr photos of the MediaEval 2016 placing task), by GeoCLIP's authors",
    accuracy="Im2GPS3k: 14.1 / 34.5 / 50.7 / 69.7 / 83.8 % within 1 / 25 / 200 / 750 / 2500 km",
    files=(
        WHEEL_FILE,
        File(
            TOWER,
            f"hf:openai/clip-vit-large-patch14@32bd64288804d66eefd0ccbe215aa642df71cc41/{TOWER}",
            1_710_540_580,
            "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
        ),
    ),
    convert=convert,
)
