"""G3's file becomes a checkpoint: its own coordinates, projections and scale, and GeoCLIP's gallery."""

import math
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from published_files import CITIES, SMALL, by_transformers_names, encoder, wheel
from torch.nn import functional

from openplanet.errors import CheckpointError
from openplanet.inference.locator import open_locator
from openplanet.models.published import g3, gallery_model, geoclip


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """A state of the module that G3's code builds, but for a smaller image tower and no text tower."""
    torch.manual_seed(5)
    tower = timm.create_model(SMALL, num_classes=0).state_dict()
    found = by_transformers_names(tower) | {"vision_projection.weight": torch.randn(768, 768) / 28}
    found |= {f"location_encoder.{name}": value for name, value in encoder().items()}
    for module, (first, last) in {
        "vision_projection_else_1": (768, 768), "vision_projection_else_2": (768, 768),
        "location_projection_else": (512, 768),
    }.items():  # fmt: skip
        layers = torch.nn.Sequential(torch.nn.Linear(first, first), torch.nn.ReLU(), torch.nn.Linear(first, last))
        found |= {f"{module}.{name}": value for name, value in layers.state_dict().items()}
    return found | {f"logit_scale{number}": torch.tensor(3.0 + number / 10) for number in (1, 2, 3)}


@pytest.fixture(scope="module")
def files(state: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("g3")
    torch.save(state, folder / g3.WEIGHTS)
    wheel(folder / geoclip.WHEEL, {})
    return {name: folder / name for name in (g3.WEIGHTS, geoclip.WHEEL)}


def place(state: dict[str, torch.Tensor], lat: float, lng: float) -> torch.Tensor:
    """One place as G3's code encodes it: northing before easting, as shares of half the Equator."""
    north = math.log(math.tan(math.pi / 4 + math.radians(lat) / 2)) / math.pi
    at, total = torch.tensor([north, lng / 180]), torch.zeros(512)
    for capsule in range(2):
        turns = 2 * math.pi * state[f"location_encoder.LocEnc{capsule}.capsule.0.b"] @ at
        h = torch.cat([torch.cos(turns), torch.sin(turns)])
        for layer in ("capsule.1", "capsule.3", "capsule.5", "head.0"):
            name = f"location_encoder.LocEnc{capsule}.{layer}"
            h = functional.linear(h, state[f"{name}.weight"], state[f"{name}.bias"])
            h = h if layer == "head.0" else torch.relu(h)
        total += h
    h = torch.relu(functional.linear(total, *(state[f"location_projection_else.0.{x}"] for x in ("weight", "bias"))))
    h = functional.linear(h, *(state[f"location_projection_else.2.{x}"] for x in ("weight", "bias")))
    return h / h.norm()


def test_places_are_encoded_as_its_code_does(state: dict[str, torch.Tensor]) -> None:
    # without the finest capsule, which tells the rounding of float32
    silent = {name: torch.zeros_like(v) if "LocEnc2.head" in name else v for name, v in state.items()}
    got = g3.encode_places(silent, *np.array(CITIES).T)
    torch.testing.assert_close(got, torch.stack([place(state, *city) for city in CITIES]), atol=5e-4, rtol=0)


def test_the_checkpoint_compares_photos_with_the_gallery(
    files: dict[str, Path], state: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_model, "BACKBONE", SMALL)
    model = g3.convert(files).model
    torch.manual_seed(5)
    tower = timm.create_model(SMALL, num_classes=0).eval()
    pixels = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        x = functional.linear(tower(pixels), state["vision_projection.weight"])
        layers = [state[f"vision_projection_else_2.{n}.{what}"] for n in (0, 2) for what in ("weight", "bias")]
        x = functional.linear(torch.relu(functional.linear(x, *layers[:2])), *layers[2:])
        logits = math.exp(3.2) * functional.normalize(x, dim=1) @ model.head.place_PD.float().T
        got = model.head(model.embedding_of(model.backbone(pixels)))[0]
    torch.testing.assert_close(got, logits)
    g3.convert(files).save(tmp_path / "g3")
    assert open_locator(tmp_path / "g3").provenance["recipe"] == "g3"


def test_other_files_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="G3's files are not those"):
        g3.convert(files | {g3.WEIGHTS: tmp_path / "w"})
