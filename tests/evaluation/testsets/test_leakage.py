"""Each guard with an error planted for it, and on a clean set."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from openplanet.errors import InputError
from openplanet.evaluation.answers import Truth
from openplanet.evaluation.testsets import leakage
from openplanet.evaluation.testsets.leakage import Leak
from openplanet.evaluation.testsets.photoset import PhotoSet, of_dataset
from openplanet.photos.files import images


def picture(seed: int, side: int = 160) -> Image.Image:
    """Large soft shapes, different for each seed: what a hash can tell apart."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (7, 9, 3), dtype=np.uint8))
    return coarse.resize((side * 4 // 3, side), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def row(base: dict, number: int, split: str, data: bytes, **changes: object) -> dict:
    found = dict(base)
    found.update(
        photo_id=hashlib.sha256(data).hexdigest(),
        image={"bytes": data, "path": f"{number}.jpg"},
        dhash=images.dhash(images.load(data)),
        lat=10.0 + number,
        lng=20.0,
        owner_id=f"owner {number}",
        album_id=f"album {number}",
        split=split,
    )
    return {**found, **changes}


@pytest.fixture
def make(tmp_path: Path, write_dataset, rows: list[dict]):
    """A clean dataset of 6 training and 3 test photos, with changes for single rows."""

    def _make(**changes: dict):
        found = [row(rows[0], i, "train" if i < 6 else "test", jpeg(picture(i))) for i in range(9)]
        for number, change in changes.items():
            found[int(number[1:])].update(change)
        return write_dataset(tmp_path / "dataset", found)

    return _make


def found(dataset) -> dict[str, Leak]:
    photoset = of_dataset(dataset, "test")
    train = dataset.table(["lat", "lng"], split="train")
    leaks = leakage.check(photoset, dataset)
    gallery = leakage.check_gallery(photoset, train["lat"].to_numpy(), train["lng"].to_numpy())
    return {leak.guard: leak for leak in (*leaks, gallery)}


def test_clean_set_has_no_finding(make) -> None:
    leaks = found(make())
    assert list(leaks) == ["the same file", "owners", "albums", "near-duplicates", "gallery"]
    assert all(leak.photos == 0 and leak.of == 3 for leak in leaks.values())
    leakage.refuse(leaks.values())


def planted(guard: str) -> dict[str, dict]:
    data = jpeg(picture(2))
    smaller = jpeg(ImageEnhance.Brightness(picture(2).resize((128, 96))).enhance(1.2), quality=70)
    return {
        "the same file": {"r7": {"photo_id": hashlib.sha256(data).hexdigest()}},
        "owners": {"r7": {"owner_id": "owner 2"}},
        "albums": {"r7": {"album_id": "album 2"}},
        "near-duplicates": {
            "r7": {"image": {"bytes": smaller, "path": "7.jpg"}, "dhash": images.dhash(images.load(smaller))}
        },
        "gallery": {"r7": {"lat": 12.0, "lng": 20.0}},
    }[guard]


@pytest.mark.parametrize("guard", ["the same file", "owners", "albums", "near-duplicates", "gallery"])
def test_planted_error_is_found_by_its_guard_alone(guard: str, make) -> None:
    leaks = found(make(**planted(guard)))
    assert {name: leak.photos for name, leak in leaks.items() if leak.photos} == {guard: 1}
    assert leaks[guard].examples and guard in leaks[guard].text
    with pytest.raises(InputError, match=guard):
        leakage.refuse(leaks.values())


def test_files_of_a_test_set_are_known_by_what_is_in_them(make) -> None:
    dataset = make()
    copy, other = jpeg(picture(3)), jpeg(picture(50))
    truth = Truth(("one.jpg", "two.jpg", "gone.jpg"), ("", "", ""), np.zeros(3) + 60, np.zeros(3))
    photoset = PhotoSet("strangers", truth, lambda: iter([copy, other, b""]), of_files=True)
    leaks = {leak.guard: leak.photos for leak in leakage.check(photoset, dataset)}
    assert leaks["the same file"] == 1 and leaks["near-duplicates"] == 1


def test_unknown_owners_share_nothing(make) -> None:
    dataset = make(r0={"owner_id": None}, r7={"owner_id": None})
    assert found(dataset)["owners"].photos == 0


def test_strict_refuses_where_nobody_can_say(make) -> None:
    dataset = make()
    assert leakage.blind_spots(dataset, True, True, []) == ()
    for blind, words in (
        (leakage.blind_spots(None, True, True, []), "no training dataset"),
        (leakage.blind_spots(dataset, False, True, []), "train split"),
        (leakage.blind_spots(dataset, True, False, []), "pictures were not compared"),
        (leakage.blind_spots(dataset, True, True, [None]), "what the model was trained on is not known"),
    ):
        with pytest.raises(InputError, match=words):
            leakage.refuse((), blind)


def test_a_checkpoint_trained_on_another_dataset_is_told(make) -> None:
    dataset = make()
    dataset.manifest["fingerprint"] = "aa" * 32

    def trained_on(fingerprint: str) -> list[dict]:
        return [{"dataset": "other.ds", "manifest": {"fingerprint": fingerprint}}]

    assert leakage.blind_spots(dataset, True, True, trained_on("aa" * 32)) == ()
    (told,) = leakage.blind_spots(dataset, True, True, trained_on("bb" * 32))
    assert "other.ds" in told and "bbbbbbbb" in told and "aaaaaaaa" in told
