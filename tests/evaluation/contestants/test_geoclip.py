"""GeoCLIP's interface with random weights in place of CLIP and of its encoders: same shapes, no hub."""

import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from openplanet.errors import InputError
from openplanet.evaluation.evaluate import evaluate
from openplanet.inference import geoclip
from openplanet.inference.geoclip import GeoClip
from openplanet.inference.locator import open_locator


class ImageEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(768, 768), nn.ReLU(), nn.Linear(768, 512))

    def preprocess_image(self, image: Image.Image) -> torch.Tensor:
        small = np.asarray(image.resize((16, 16)), np.float32) / 255
        return torch.from_numpy(small).permute(2, 0, 1)[None]

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.mlp(pixels.flatten(1))


class LocationEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.layer = nn.Sequential(nn.Linear(2, 512), nn.Tanh(), nn.Linear(512, 512))

    def forward(self, gps: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.layer(gps / 90)


class Model(nn.Module):
    """The attributes of geoclip.GeoCLIP 1.3 that are used."""

    def __init__(self, gallery: int = 5000) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        places = np.stack([rng.uniform(-60, 70, gallery), rng.uniform(-180, 180, gallery)], axis=1)
        self.register_buffer("gps_gallery", torch.tensor(places, dtype=torch.float32))
        self.logit_scale = nn.Parameter(torch.tensor(2.66))
        self.image_encoder, self.location_encoder = ImageEncoder(), LocationEncoder()


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return Model()


def photo(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (shade, 80, 120)).save(file, "JPEG")
    return file.getvalue()


def test_gallery_is_encoded_once(model: Model, predictor) -> None:
    locator = GeoClip(model, predictor.partition)
    before = model.location_encoder.calls
    answers = list(locator.locate_many([photo(10 * i) for i in range(20)]))
    assert len(answers) == 20 and model.location_encoder.calls == before


def test_cells_hold_the_softmax_of_their_places(model: Model, predictor) -> None:
    partition = predictor.partition
    got = GeoClip(model, partition).locate(photo(90)).probabilities
    with torch.inference_mode():
        pixels = model.image_encoder.preprocess_image(Image.open(io.BytesIO(photo(90))))
        image = nn.functional.normalize(model.image_encoder(pixels), dim=1)
        places = nn.functional.normalize(model.location_encoder(model.gps_gallery), dim=1)
        p = torch.softmax(model.logit_scale.exp() * image @ places.T, dim=1)[0].double().numpy()
    gallery = model.gps_gallery.double().numpy()
    expected = np.zeros(len(partition))
    for place, mass in zip(gallery, p, strict=True):
        cell = int(partition.assign(place[0], place[1])[0])
        if cell < 0:
            x = geoclip.to_xyz(partition.centroid_lat, partition.centroid_lng) @ geoclip.to_xyz(*place)
            cell = int(x.argmax())
        expected[cell] += mass
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_it_is_evaluated_like_any_locator(model: Model, predictor, dataset) -> None:
    found = evaluate(dataset, GeoClip(model, predictor.partition))
    assert "embedding, density" not in [row.name for row in found.rows]
    assert found.model.failed == 1 and found.model.distribution is not None


def test_absent_package_says_what_to_install(predictor, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor.partition.save(tmp_path / "cells.parquet")
    monkeypatch.setitem(sys.modules, "geoclip", None)
    with pytest.raises(InputError, match=r"openplanet\[geoclip\]"):
        open_locator(f"geoclip:{tmp_path / 'cells.parquet'}")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the package's own imports
def test_the_real_package_with_random_clip_weights(dataset, predictor) -> None:
    """CLIP of the published shapes (428 million random weights, no hub), the package's own encoder of places."""
    package = pytest.importorskip("geoclip", reason="geoclip is not installed: pip install 'openplanet[geoclip]'")
    torch.manual_seed(0)
    model = package.GeoCLIP(clip_pretrained=False).eval()
    model.gps_gallery = model.gps_gallery[::400].clone()  # all 100,000 places take minutes
    calls = []
    model.location_encoder.register_forward_hook(lambda *_: calls.append(1))
    locator = GeoClip(model, predictor.partition)
    encoded = len(calls)
    (answer, nothing) = locator.locate_many([photo(90), b"no photo"])
    assert encoded == 1 and len(calls) == 1 and nothing.prediction is None
    with torch.inference_mode():
        pixels = model.image_encoder.preprocess_image(Image.open(io.BytesIO(photo(90))))
        p_G = model(pixels, model.gps_gallery).softmax(dim=-1)[0].double().numpy()
    cell_G = geoclip._cells(predictor.partition, model.gps_gallery.double().numpy())
    expected = np.bincount(cell_G, weights=p_G, minlength=len(predictor.partition))
    np.testing.assert_allclose(answer.prediction.probabilities, expected, atol=1e-4)
