import dataclasses
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from openplanet import Predictor
from openplanet.earth.partition import adaptive as partitions
from openplanet.errors import CheckpointError, PhotoError
from openplanet.inference.finding import photographs
from openplanet.models.calibration import Calibration
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    cells = partitions.build([(rng.uniform(-60, 60, 200), rng.uniform(-180, 180, 200))], 20, 2)
    config = ImageConfig("test_resnet", image_size=32)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("predictor") / "checkpoint"
    Checkpoint(ImageModel(config, len(cells)), cells, {"name": "none"}, config, {}).save(folder)
    return folder


@pytest.fixture(scope="module")
def predictor(checkpoint: Path) -> Predictor:
    return Predictor.load(checkpoint, device="cpu")


def photo(seed: int, size: tuple[int, int] = (60, 80)) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in range(7):
        photo(seed).save(tmp_path / f"{seed}.png")
    (tmp_path / "3.png").write_bytes(b"no photo at all")
    return tmp_path


def test_path_bytes_and_image_give_the_same(predictor: Predictor, folder: Path) -> None:
    path = folder / "1.png"
    expected = predictor.locate(path).log_probs
    for same in (str(path), path.read_bytes(), Image.open(path)):
        np.testing.assert_array_equal(predictor.locate(same).log_probs, expected)
    assert np.exp(expected.astype(float)).sum() == pytest.approx(1, abs=1e-6)


def test_its_probabilities_are_at_the_checkpoints_temperature(predictor: Predictor, folder: Path) -> None:
    cooled = dataclasses.replace(predictor.checkpoint, calibration=Calibration(2.5))
    cooled.save(folder / "cooled")
    plain, calm = (each.locate(folder / "1.png").log_probs for each in (predictor, Predictor.load(folder / "cooled")))
    slow = plain.astype(float) / 2.5
    np.testing.assert_allclose(calm, slow - np.log(np.exp(slow).sum()), atol=1e-5)


def test_different_photos_give_different_answers(predictor: Predictor, folder: Path) -> None:
    assert not np.array_equal(
        predictor.locate(folder / "1.png").log_probs, predictor.locate(folder / "2.png").log_probs
    )


def test_image_is_turned_upright_by_its_exif(predictor: Predictor) -> None:
    upright = photo(5)
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[0x0112] = 6
    file = io.BytesIO()
    turned.save(file, "PNG", exif=turned.getexif())
    expected = predictor.locate(upright).log_probs
    np.testing.assert_array_equal(predictor.locate(file.getvalue()).log_probs, expected)
    np.testing.assert_array_equal(predictor.locate(Image.open(file)).log_probs, expected)


def test_a_bad_photo_never_stops_the_rest(predictor: Predictor, folder: Path) -> None:
    paths = [*sorted(folder.glob("*.png")), folder / "missing.jpg"]
    located = list(predictor.locate_many(paths, batch_size=3))
    assert [each.photo for each in located] == paths
    assert [each.photo.name for each in located if each.prediction is None] == ["3.png", "missing.jpg"]
    for each in located:
        assert (each.prediction is None) == (each.error is not None)
        if each.error is not None:
            assert str(each.photo) in each.error
        else:
            alone = predictor.locate(each.photo)
            np.testing.assert_allclose(each.prediction.log_probs, alone.log_probs, atol=1e-4)


def test_only_bad_photos_and_none_at_all(predictor: Predictor, folder: Path) -> None:
    assert [each.prediction for each in predictor.locate_many([folder / "3.png"] * 5, batch_size=2)] == [None] * 5
    assert list(predictor.locate_many([])) == []


def test_reads_ahead_by_one_more_batch_only(predictor: Predictor, folder: Path) -> None:
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield folder / "1.png"

    next(predictor.locate_many(endless(), batch_size=4))
    assert len(taken) == 8


def test_bad_photo_alone_is_an_error_that_names_it(predictor: Predictor, folder: Path) -> None:
    with pytest.raises(PhotoError, match=r"3\.png"):
        predictor.locate(folder / "3.png")


def test_loading_what_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing"):
        Predictor.load(tmp_path / "nothing")


def test_saved_and_loaded_twice_says_the_same(checkpoint: Path, predictor: Predictor) -> None:
    again = Predictor.load(checkpoint, device="cpu")
    np.testing.assert_array_equal(again.locate(photo(1)).log_probs, predictor.locate(photo(1)).log_probs)


def test_no_gradient_and_evaluation_mode(predictor: Predictor) -> None:
    assert not predictor.model.training
    assert not predictor.log_probs(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).requires_grad
    assert not any(p.requires_grad for p in predictor.model.parameters())


def test_threads_may_share_a_predictor(predictor: Predictor) -> None:
    photos = [photo(seed) for seed in range(8)]
    expected = [predictor.locate(each).log_probs for each in photos]
    with ThreadPoolExecutor(4) as pool:
        for got, want in zip(pool.map(lambda p: predictor.locate(p).log_probs, photos), expected, strict=True):
            np.testing.assert_allclose(got, want, atol=1e-5)


def test_pictures_of_no_place_are_found_by_the_same_look(predictor: Predictor, folder: Path) -> None:
    Image.new("RGB", (400, 400), (7, 7, 7)).save(folder / "blank.png")
    photo(9, (400, 500)).save(folder / "noise.png")
    paths = [*sorted(folder.glob("*.png")), folder / "missing.jpg"]
    expected = list(photographs(predictor.locate_many(paths)))
    found = list(predictor.locate_many(paths, all_pictures=False))
    assert [(each.photo, each.flag, each.error, each.status) for each in found] == [
        (each.photo, each.flag, each.error, each.status) for each in expected
    ]
    assert [each.photo.name for each in found if each.status == "no place"][:1] == ["0.png"]
    assert next(each for each in found if each.photo.name == "blank.png").flag.startswith("blank")
    for got, want in zip(found, expected, strict=True):
        if want.prediction is not None and got.prediction is not None:
            np.testing.assert_allclose(got.prediction.log_probs, want.prediction.log_probs, atol=1e-4)
    assert not any(each.flag for each in predictor.locate_many(paths))


def test_earth_and_photos_do_not_load_torch() -> None:
    code = (
        "import sys, openplanet, openplanet.earth.partition.adaptive, openplanet.maps.page\n"
        "import openplanet.photos.files.images, openplanet.synthetic.planet\n"
        "assert openplanet.__version__ and 'torch' not in sys.modules\n"
        "assert 'Prediction' in dir(openplanet)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
