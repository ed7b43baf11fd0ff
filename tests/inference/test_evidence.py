"""What speaks for an answer: found where it is, and not where it is not."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dataset_files
from openplanet.earth.partition.adaptive import build
from openplanet.errors import InputError
from openplanet.inference.evidence import GRID, Evidence, with_evidence
from openplanet.inference.prediction import Prediction
from openplanet.inference.predictor import Predictor
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.models.preprocess import Pixels
from openplanet.photos.dataset import Dataset

CITIES = [(48.86, 2.35), (35.68, 139.69)]


@pytest.fixture
def predictor() -> Predictor:
    lat, lng = np.repeat([c[0] for c in CITIES], 9), np.repeat([c[1] for c in CITIES], 9)
    partition = build([(lat, lng)], max_photos=9, min_photos=1)
    config = ImageConfig("test_resnet", 28, decoded_side=28)
    torch.manual_seed(0)
    model = ImageModel(config, len(partition)).eval()
    return Red(Checkpoint(model, partition, {"name": "red"}, config, {}))


class Red(Predictor):
    """Answers by one corner of the photo."""

    def look(self, pixels_B3HW: Pixels) -> list[tuple[Prediction, torch.Tensor]]:
        embedded = [embedding_D for _, embedding_D in super().look(pixels_B3HW)]
        return list(zip(self._predict(pixels_B3HW), embedded, strict=True))

    def _predict(self, pixels_B3HW: Pixels) -> list[Prediction]:
        scores_BC = _scores(torch.from_numpy(pixels_B3HW), int(self.partition.assign(*CITIES[0])[0]))
        return [Prediction(self.partition, row.numpy()) for row in scores_BC]


def _scores(pixels_B3HW: torch.Tensor, paris: int) -> torch.Tensor:
    """The brightest red of one corner says Paris; all else is nothing to it."""
    red_B = pixels_B3HW[:, 0, :4, :4].float().amax(dim=(1, 2)) / 255
    scores_B2 = torch.zeros(len(red_B), 2)
    scores_B2[:, paris] = 8 * red_B - 4
    return scores_B2


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    array = np.zeros((28, 28, 3), np.uint8)
    array[:4, :4, 0] = 255
    Image.fromarray(array).save(tmp_path / "corner.png")
    return tmp_path / "corner.png"


@pytest.fixture
def reference(tmp_path: Path, photo: Path) -> Dataset:
    rows = []
    for number, data in enumerate([photo.read_bytes(), b"no photo"]):
        rows.append({
            "photo_id": hashlib.sha256(data).hexdigest(), "image": {"bytes": data, "path": f"{number}.png"},
            "lat": 48.9,
            "lng": 2.3, "taken_at_is_utc": False, "width": 28, "height": 28, "dhash": number, "split": "train",
            "source": f"{number}.png", "attribution": "A. Nother", "licence": "CC0",
        })  # fmt: skip
    return dataset_files.write_dataset(tmp_path / "photos.ds", rows)


def test_the_answer_hangs_on_the_corner_that_is_red(predictor: Predictor, photo: Path, reference: Dataset) -> None:
    (located,) = with_evidence(predictor.locate_many([photo]), predictor, 25.0, reference)
    evidence = located.evidence
    assert isinstance(evidence, Evidence) and located.prediction is not None
    assert evidence.drop_GG.shape == (GRID, GRID)
    assert np.unravel_index(evidence.drop_GG.argmax(), (GRID, GRID)) == (0, 0)
    before = float(located.prediction.best_point().probability)
    assert before > 0.9 and evidence.drop_GG[0, 0] > 0.5
    assert np.abs(evidence.drop_GG).sum() < evidence.drop_GG[0, 0] + 1e-4  # and on nothing else
    assert evidence.prior == pytest.approx(0.5)
    (alike,) = evidence.alike
    assert alike.cosine == pytest.approx(1, abs=1e-4) and alike.attribution == "A. Nother" and 4 < alike.km < 8


def test_without_a_reference_and_of_what_failed(predictor: Predictor, photo: Path, tmp_path: Path) -> None:
    first, failed = with_evidence(predictor.locate_many([photo, tmp_path / "none.png"]), predictor, 25.0)
    assert first.evidence is not None and first.evidence.alike == ()
    assert failed.evidence is None and failed.error


def test_other_systems_have_none(predictor: Predictor) -> None:
    class Other:
        partition, coarser, provenance = predictor.partition, (), {"model": "other"}

        def locate_many(self, photos: object) -> object:
            return iter(())

    with pytest.raises(InputError, match="single photos"):
        list(with_evidence(iter(()), Other(), 25.0))  # type: ignore[arg-type]
