"""What is seen of photos: kept, found again, and never mistaken for something else."""

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import dataset_files
from openplanet.earth.partition import adaptive
from openplanet.inference.predictor import Predictor
from openplanet.models import features
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.photos.dataset import Dataset

KEY = {"what": "numbers", "version": 1}
IDS = [f"{number:064x}" for number in range(10)]


class Look:
    """Sees a number as itself and 1, and keeps count; no picture cannot be read."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, encoded: Sequence[bytes]) -> list[torch.Tensor | None]:
        self.asked += encoded
        return [torch.tensor([float(data), 1.0]) if data else None for data in encoded]


@pytest.fixture
def ten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Ten photos in row groups of four; the last two have no picture; one has no position."""
    monkeypatch.setattr("openplanet.photos.dataset.ROW_GROUP_ROWS", 4)
    rows = [
        {
            "photo_id": name, "image": {"bytes": str(n).encode() if n < 8 else b"", "path": f"{n}.jpg"},
            "lat": None if n == 3 else 1.0, "lng": None if n == 3 else 2.0, "taken_at_is_utc": False, "width": 1,
            "height": 1, "dhash": n, "source": f"{n}.jpg", "split": "train",
        }
        for n, name in enumerate(IDS)
    ]  # fmt: skip
    return dataset_files.write_dataset(tmp_path / "photos.ds", rows)


def files(ten: Dataset) -> list[Path]:
    return sorted(features.place_of(ten, KEY)[0].glob("*.safetensors"))


def test_photos_are_looked_at_once(ten: Dataset) -> None:
    first, second = Look(), Look()
    got = features.of_photos(ten, "train", first, KEY)
    again = features.of_photos(ten, "train", second, KEY)
    assert got.photo_ids == again.photo_ids == IDS[:8] and got.failed == again.failed == IDS[8:]
    assert got.features_NF[:, 0].tolist() == list(range(8)) and torch.equal(got.features_NF, again.features_NF)
    assert len(first.asked) == 10 and second.asked == []
    assert ten.path not in [file.parents[1] for file in files(ten)] and files(ten)[0].parents[1].name.endswith("ings")


def test_only_those_are_looked_at_that_are_wanted_and_not_known(ten: Dataset) -> None:
    look = Look()
    some = features.of_photos(ten, "train", look, KEY, photo_ids=[IDS[5], IDS[2], IDS[9]])
    assert some.photo_ids == [IDS[2], IDS[5]] and some.failed == [IDS[9]] and len(look.asked) == 3
    everything = features.of_photos(ten, "train", look, KEY)
    assert everything.photo_ids == IDS[:8] and len(look.asked) == 10
    fewer = features.of_photos(ten, "train", look, KEY, photo_ids=IDS[:2])
    assert fewer.photo_ids == IDS[:2] and len(look.asked) == 10
    rows = everything.rows([IDS[7], IDS[9], IDS[0]])
    assert rows[[0, 2], 0].tolist() == [7, 0] and bool(torch.from_numpy(rows[1]).isnan().all())


DAMAGE = {
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-9]),
    "one bit": lambda file: file.write_bytes(file.read_bytes()[:-1] + bytes([file.read_bytes()[-1] ^ 4])),
    "a row less": lambda file: save_file(
        (part := load_file(file)) | {"features": part["features"][1:].contiguous()}, file
    ),
    "another column": lambda file: save_file(load_file(file) | {"more": torch.zeros(1)}, file),
    "gone": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_looked_at_again(ten: Dataset, damage: str) -> None:
    whole, count = features.of_photos(ten, "train", Look(), KEY), len(files(ten))
    DAMAGE[damage](files(ten)[0])
    look, again = Look(), Look()
    assert torch.equal(features.of_photos(ten, "train", look, KEY).features_NF, whole.features_NF)
    features.of_photos(ten, "train", again, KEY)
    assert look.asked == [b"0", b"1", b"2", b"3"] and again.asked == [] and len(files(ten)) == count == 3


def test_a_folder_that_cannot_be_written_costs_only_time(ten: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    features.default_folder(ten).write_text("")
    assert len(features.of_photos(ten, "train", Look(), KEY).photo_ids) == 8
    assert "not kept" in caplog.text


def test_photos_larger_than_the_models_are_first_brought_to_its_side(tmp_path: Path) -> None:
    stripes = Image.fromarray(np.tile(np.array([[0, 255]], np.uint8), (96, 48)))
    file = io.BytesIO()
    stripes.convert("RGB").save(file, "PNG")
    row = {
        "photo_id": IDS[0], "image": {"bytes": file.getvalue(), "path": "0.png"}, "lat": 1.0, "lng": 2.0,
        "taken_at_is_utc": False, "width": 96, "height": 96, "dhash": 0, "source": "0.png", "split": "test",
    }  # fmt: skip
    large = dataset_files.write_dataset(tmp_path / "large.ds", [row])
    config = ImageConfig("test_resnet", 32, decoded_side=40)
    cells = adaptive.build([(np.array([1.0, 50.0]), np.array([2.0, 80.0]))], max_photos=1, min_photos=1)
    predictor = Predictor(Checkpoint(ImageModel(config, len(cells)), cells, {}, config, {}))
    located = predictor.locate(file.getvalue())
    seen = features.of_backbone(large, "test", predictor.model)
    (by_features,) = predictor.locate_features(seen.features_NF)
    np.testing.assert_allclose(by_features.log_probs, located.log_probs, atol=1e-6)


def test_the_key_is_of_dataset_and_of_all_that_a_backbone_is(ten: Dataset) -> None:
    torch.manual_seed(0)
    model = ImageModel(ImageConfig("test_resnet", 32), 3)

    def name(dataset: Dataset, of: ImageModel) -> str:
        return features.place_of(dataset, features.backbone_key(of))[0].name

    first = name(ten, model)
    torch.nn.init.ones_(model.head.weight)  # a head is no part of it
    assert name(ten, model) == first
    names = {first, name(dataclasses.replace(ten, manifest={**ten.manifest, "x": 1}), model)}
    for config in (ImageConfig("test_resnet", 48), ImageConfig("test_resnet", 32, mean=(0.4, 0.5, 0.5))):
        torch.manual_seed(0)
        names.add(name(ten, ImageModel(config, 3)))
    next(model.backbone.parameters()).data += 1e-3
    assert len(names | {name(ten, model)}) == 5
