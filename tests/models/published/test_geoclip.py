"""GeoCLIP's files become a checkpoint: each tensor at its place, places encoded as its paper says.

Parity with the package itself is measured by benchmarks/geoclip_parity.py.
"""

import io
import math
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from published_files import CITIES, SMALL, by_transformers_names, encoder, wheel
from safetensors.torch import save_file

from openplanet.earth.geo import distance_km
from openplanet.errors import CheckpointError
from openplanet.inference.locator import open_locator
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.published import gallery_model, geoclip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A wheel and a tower of the same shapes as the real ones, but for a smaller tower and gallery."""
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(3)
    state = timm.create_model(SMALL, num_classes=0).state_dict()
    projection = {"visual_projection.weight": torch.randn(768, 768) / 28}
    save_file(by_transformers_names(state) | projection, folder / geoclip.TOWER)
    mlp = torch.nn.Sequential(torch.nn.Linear(768, 768), torch.nn.ReLU(), torch.nn.Linear(768, 512))
    tensors = {"location_encoder": encoder(), "image_encoder_mlp": mlp.state_dict(), "logit_scale": torch.tensor(3.7)}
    wheel(folder / geoclip.WHEEL, tensors)
    return {geoclip.WHEEL: folder / geoclip.WHEEL, geoclip.TOWER: folder / geoclip.TOWER}


@pytest.fixture(scope="module")
def converted(files: dict[str, Path]) -> Checkpoint:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery_model, "BACKBONE", SMALL)
        return geoclip.convert(files)


def test_the_tower_is_timms(converted: Checkpoint) -> None:
    torch.manual_seed(3)
    expected = timm.create_model(SMALL, num_classes=0).eval()
    x = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(converted.model.backbone(x), expected(x))
    assert (
        converted.image.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073)) and converted.image.image_size == 224
    )


def test_places_are_encoded_as_the_paper_says() -> None:
    weights, (lat, lng) = encoder(), (35.68, 139.69)
    theta = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(lat)))
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    slope = 3 * (9 * a4 * theta**8 + 7 * a3 * theta**6 + 3 * a2 * theta**2 + a1)
    x = 2 * math.sqrt(3) * math.radians(lng) * math.cos(theta) / slope
    y = a4 * theta**9 + a3 * theta**7 + a2 * theta**3 + a1 * theta
    at = torch.tensor([x, y], dtype=torch.float64) * 66.50336 / 180
    total = torch.zeros(512, dtype=torch.float64)
    for capsule in range(2):  # the third tells the rounding of float32
        part = {name.split(".", 1)[1]: v.double() for name, v in weights.items() if name.startswith(f"LocEnc{capsule}")}
        turns = 2 * math.pi * part["capsule.0.b"] @ at
        h = torch.cat([torch.cos(turns), torch.sin(turns)])
        for layer in ("capsule.1", "capsule.3", "capsule.5"):
            h = torch.relu(part[f"{layer}.weight"] @ h + part[f"{layer}.bias"])
        total += part["head.0.weight"] @ h + part["head.0.bias"]
    silent = {name: torch.zeros_like(v) if name.startswith("LocEnc2.head") else v for name, v in weights.items()}
    (got,) = geoclip.encode_places(silent, np.array([lat]), np.array([lng]))
    torch.testing.assert_close(got.double(), total / total.norm(), atol=2e-4, rtol=0)


def test_a_place_in_place_of_a_photo_is_found_again(converted: Checkpoint) -> None:
    lat, lng = np.array(CITIES).T
    with torch.inference_mode():
        embedding = geoclip.encode_places(encoder(), lat, lng)
        scores = converted.model.combine(converted.model.head(embedding))
    cell = scores.argmax(dim=1).numpy()
    far = distance_km(lat, lng, converted.partition.centroid_lat[cell], converted.partition.centroid_lng[cell])
    assert (far < 25).all()
    assert converted.partition.count.sum() == 40 * 5 + 15 and len(converted.coarser) == 2


def test_the_checkpoint_locates_photos(converted: Checkpoint, tmp_path: Path) -> None:
    converted.save(tmp_path / "geoclip")
    locator = open_locator(tmp_path / "geoclip")
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).save(data, "PNG")
    good, bad = locator.locate_many([data.getvalue(), b"no photo"])
    assert good.prediction is not None and bad.error
    assert np.isfinite(good.prediction.log_probs).all()  # nothing is impossible
    assert locator.provenance["recipe"] == "geoclip"


def test_other_files_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "wheel").write_bytes(b"no zip")
    with pytest.raises(CheckpointError, match="not those of version"):
        geoclip.convert(files | {geoclip.WHEEL: tmp_path / "wheel"})
    save_file({"vision_model.strange": torch.zeros(1)}, tmp_path / "tower")
    with pytest.raises(CheckpointError, match="not those of version"):
        geoclip.convert(files | {geoclip.TOWER: tmp_path / "tower"})
