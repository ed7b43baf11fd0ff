import io
import time

import numpy as np
import pytest
from photo_files import picture
from PIL import Image, ImageEnhance

from openplanet.photos.files import images
from openplanet.photos.ingest import duplicates


def told(pictures: list[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
    dhash = np.array([images.dhash(image) for image in pictures], np.uint64)
    return dhash, np.stack([np.frombuffer(duplicates.thumbnail(image), np.uint8) for image in pictures])


def encoded(image: Image.Image, quality: int) -> Image.Image:
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=quality)
    return Image.open(jpeg)


CHANGES = {
    "half the size, worse quality": lambda image: encoded(image.resize((image.width // 2, image.height // 2)), 50),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "two percent off every edge": lambda image: image.crop((6, 5, 314, 235)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found_and_others_are_not(change: str) -> None:
    originals = [picture(seed, (320, 240)) for seed in range(30)]
    copies = [CHANGES[change](image) for image in originals]
    found = duplicates.near_duplicates(*told(originals[:20]), *told(copies))
    assert found.tolist() == [*range(20), *[-1] * 10]


def test_the_same_layout_is_not_the_same_photo() -> None:
    # Bright in the middle, dark at the sides, the same hash: the grey values tell the two apart.
    grey = np.zeros((2, 16, 16), np.uint8)
    grey[0, :, 6:10], grey[1, 10:, 6:10] = 255, 40
    dhash = np.full(2, 0x0F0F0F0F0F0F0F0F, np.uint64)
    flat = grey.reshape(2, 256)
    assert duplicates.near_duplicates(dhash[:1], flat[:1], dhash[1:], flat[1:]).tolist() == [-1]
    assert duplicates.near_duplicates(dhash[:1], flat[:1], dhash[:1], flat[:1]).tolist() == [0]


def test_blank_pictures_match_nothing() -> None:
    blanks = [Image.new("RGB", (64, 48), colour) for colour in ("white", "black", "#223344")]
    rng = np.random.default_rng(0)
    blanks.append(Image.fromarray(rng.integers(126, 129, (48, 64, 3), dtype=np.uint8)))
    assert duplicates.near_duplicates(*told(blanks), *told(blanks)).tolist() == [-1] * 4


def test_agrees_with_comparing_every_pair() -> None:
    rng = np.random.default_rng(3)
    base = rng.integers(0, 256, (8, 256)).astype(np.float64)
    dhash_8 = rng.integers(0, 2**63, 8, np.uint64)
    which = rng.integers(0, 8, 500)
    noise = rng.normal(0, 1, (500, 256)) * rng.uniform(0, 40, (500, 1))
    grey = np.clip(base[which] + noise, 0, 255).astype(np.uint8)
    flips = np.array(
        [sum(1 << int(bit) for bit in rng.choice(64, rng.integers(0, 14), replace=False)) for _ in which],
        object,
    )
    dhash = np.array([int(dhash_8[w]) ^ flip for w, flip in zip(which, flips, strict=True)], np.uint64)
    found = duplicates.near_duplicates(dhash[:100], grey[:100], dhash[100:], grey[100:])
    correlation = np.corrcoef(grey.astype(np.float64))[100:, :100]
    near = np.array([[(int(a) ^ int(b)).bit_count() for b in dhash[:100]] for a in dhash[100:]]) <= 10
    score = np.where(near & (correlation >= 0.93), correlation, -1.0)
    expected = np.where(score.max(axis=1) > 0, score.argmax(axis=1), -1)
    assert (expected >= 0).any() and (expected < 0).any()
    assert found.tolist() == expected.tolist()


def test_nothing_to_compare_with() -> None:
    empty, grey = np.zeros(0, np.uint64), np.zeros((0, 256), np.uint8)
    one, one_grey = told([picture(1)])
    assert duplicates.near_duplicates(empty, grey, one, one_grey).tolist() == [-1]
    assert duplicates.near_duplicates(one, one_grey, empty, grey).tolist() == []


def test_40_000_photos_take_seconds() -> None:
    rng = np.random.default_rng(0)
    dhash, grey = rng.integers(0, 2**64 - 1, 40_000, np.uint64), rng.integers(0, 256, (40_000, 256), np.uint8)
    start = time.process_time()
    duplicates.near_duplicates(dhash[:4_000], grey[:4_000], dhash[4_000:], grey[4_000:])
    assert time.process_time() - start < 20  # about 0.3 s on an idle core
