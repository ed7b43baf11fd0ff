from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from flag_pictures import DRAWN
from photo_files import picture, save
from PIL import Image

from openplanet.photos.dataset import Dataset
from openplanet.photos.files import flags, images
from openplanet.photos.ingest.ingest import ingest


def reduced(image: Image.Image) -> Image.Image:
    factor = min(1.0, 320 / min(image.size))
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


@pytest.mark.parametrize("kind", DRAWN)
def test_most_that_is_drawn_is_flagged(kind: str) -> None:
    drawn = [DRAWN[kind](np.random.default_rng(seed)) for seed in range(12)]
    found = Counter(flags.judge(reduced(image), *image.size, False)[0] for image in drawn)
    assert sum(found[flag] for flag in DRAWN) >= 9, found


@pytest.mark.parametrize("kind", DRAWN)
def test_a_camera_is_believed(kind: str) -> None:
    image = DRAWN[kind](np.random.default_rng(1))
    assert flags.judge(reduced(image), *image.size, True) == (None, None)


def test_tiny_and_blank() -> None:
    assert flags.judge(picture(1), 90, 200, True)[0] == "tiny"
    assert flags.judge(Image.new("RGB", (300, 300), "#101012"), 3000, 3000, True)[0] == "blank"
    assert flags.judge(picture(1, (300, 225)), 640, 480, False) == (None, None)


def test_real_photos_are_hardly_ever_flagged(real_photos: Path) -> None:
    files = sorted(path for path in (real_photos / "files").rglob("*") if path.suffix.lower() in images.SUFFIXES)
    files = files[:: max(1, len(files) // 60)][:60]
    loaded = [images.load(file) for file in files]
    found = [flags.judge(reduced(image), *image.size, False) for image in loaded]
    assert sum(flag is not None for flag, _ in found) <= 2, [each for each in found if each[0]]


def test_flags_are_columns_and_drop_nothing(tmp_path: Path) -> None:
    root = tmp_path / "p"
    save(root / "photo.jpg", 1, lat=1.0, size=(400, 300))
    root.joinpath("x").mkdir()
    DRAWN["clip art"](np.random.default_rng(3)).save(root / "x" / "art.png")
    picture(5, (400, 300)).save(root / "x" / "Screenshot_2020.png")
    manifest = ingest([root], tmp_path / "out", keep_unlocated=True, workers=1)
    rows = {
        row["source"]: row
        for row in Dataset.open(tmp_path / "out").table(["source", "flag", "flag_reason"]).to_pylist()
    }
    assert rows["p/photo.jpg"]["flag"] is None and rows["p/x/art.png"]["flag"] == "clip art"
    assert "no camera" in rows["p/x/art.png"]["flag_reason"]
    assert rows["p/x/Screenshot_2020.png"]["flag_reason"] == "its name says so, no camera"
    assert manifest["counts"]["flagged"] == {"clip art": 1, "screenshot": 1}
