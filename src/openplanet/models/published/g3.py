"""G3 (Jia et al. 2024, NeurIPS 37, arXiv 2405.14702; Apache-2.0) as a checkpoint with a gallery head.

Its first stage aligns photos with places, as GeoCLIP does: CLIP's image tower and two layers on one side, capsules over
Mercator coordinates and two layers on the other. The stages that ask a language model are not here, so that the answer
is the likeness of photo and place alone. G3 has no gallery of its own (it compares candidates of other stages); we take
GeoCLIP's, which is drawn from the same training photos.

Shapes: P places, D embedding.
"""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from openplanet.errors import CheckpointError
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.published import gallery_model, geoclip
from openplanet.models.published.gallery_model import Floats
from openplanet.models.published.published import File, Published

WEIGHTS = "g3.pth"
HALF_TURN = 20037508.3427892  # metres: half the Equator, as G3 divides its coordinates
RADIUS = 6378137.0  # metres, of Web Mercator (EPSG:3857)


def convert(files: Mapping[str, Path]) -> Checkpoint:
    """The checkpoint of the published weights. Raises CheckpointError where a file is not what it should be."""
    try:
        with zipfile.ZipFile(files[geoclip.WHEEL]) as wheel:
            lat_N, lng_N = geoclip.read_gallery(wheel)
        state = torch.load(files[WEIGHTS], map_location="cpu", weights_only=True, mmap=True)  # tensors, and no code
        projection = state.pop("vision_projection.weight")
        clip = gallery_model.tower(state | {"visual_projection.weight": projection})
        scale = state["logit_scale2"]
        head, partitions = gallery_model.gallery(lat_N, lng_N, lambda *places: encode_places(state, *places), scale)
        return gallery_model.checkpoint(G3, head, partitions, clip, _part(state, "vision_projection_else_2."))
    except (OSError, zipfile.BadZipFile, pickle.UnpicklingError, KeyError, RuntimeError, ValueError) as error:
        detail = " ".join(str(error).split())[:300]
        raise CheckpointError(f"G3's files are not those that were published ({detail})") from error


def encode_places(state: Mapping[str, Tensor], lat_P: Floats, lng_P: Floats) -> Tensor:
    """Embeddings [P, D] of unit length, float32, of places in degrees, by the tensors of ``g3.pth``."""
    layers = _part(state, "location_projection_else.")

    def last(place_PF: Tensor) -> Tensor:
        hidden_PF = functional.relu(functional.linear(place_PF, layers["0.weight"], layers["0.bias"]))
        return functional.linear(hidden_PF, layers["2.weight"], layers["2.bias"])

    return gallery_model.encode(_part(state, "location_encoder."), _mercator(lat_P, lng_P), last)


def _mercator(lat_P: Floats, lng_P: Floats) -> Tensor:
    """Northing and easting as shares of a half turn, [P, 2]. Rounded to float32 where G3 rounds: its finest capsule
    tells the difference."""
    lat, lng = (np.radians(np.float32(each).astype(np.float64)) for each in (lat_P, lng_P))
    north_east = RADIUS * np.stack([np.log(np.tan(np.pi / 4 + lat / 2)), lng], axis=1)
    return torch.from_numpy(north_east).float() / HALF_TURN


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors of one module of it, by their names there."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


G3 = Published(
    name="g3",
    description="G3, first stage: CLIP ViT-L/14 compared with 100,000 places of the whole Earth",
    licence="Apache-2.0 (G3: Pengyue Jia and others); MIT (CLIP: OpenAI; gallery: Vicente Vivanco Cepeda)",
    source="arXiv 2405.14702; github.com/Applied-Machine-Learning-Lab/G3",
    trained_on="MP16-Pro (photos of MP-16 with texts of their places), by G3's authors",
    accuracy="not published for this stage alone; with a language model, Im2GPS3k: 16.7 / 40.9 / 55.6 / 71.2 / 84.7 %"
    " within 1 / 25 / 200 / 750 / 2500 km",
    files=(
        geoclip.WHEEL_FILE,
        File(
            WEIGHTS,
            f"hf:Jia-py/G3-checkpoint@12d886fc2a1e59b3b52821acee193084420409cc/{WEIGHTS}",
            1_760_000_000,  # from its layers: we never had it
            "",
        ),
    ),
    convert=convert,
)
