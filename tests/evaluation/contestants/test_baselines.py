import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openplanet.earth.partition import adaptive as partitions
from openplanet.errors import InputError
from openplanet.evaluation.compare import compare
from openplanet.evaluation.contestants import baselines, neighbours
from openplanet.evaluation.evaluate import evaluate
from openplanet.evaluation.testsets.photoset import of_dataset


def jpeg(rgb: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rgb.astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def striped(angle: float, colour: tuple[int, int, int], seed: int = 0) -> bytes:
    """A photo of 160 x 120 with stripes of one direction and one tint, and some noise."""
    y, x = np.mgrid[:120, :160]
    wave = 0.5 + 0.5 * np.sin((x * np.cos(angle) + y * np.sin(angle)) / 4)
    noise = np.random.default_rng(seed).normal(0, 8, (120, 160, 3))
    return jpeg(np.clip(wave[..., None] * np.array(colour) + noise, 0, 255))


Blocks = list[np.ndarray]


def nearest_guesses(train: Blocks, lat: np.ndarray, lng: np.ndarray, asked: Blocks, k: int) -> tuple:
    """As ``retrieval.by_features`` puts the pieces together."""
    kept = baselines.readable(train)
    train_MF, asked_NF = baselines.standardised([block[kept] for block in train], asked)
    index_NS, _ = neighbours.nearest(train_MF, asked_NF)
    return baselines.different_places(index_NS, lat[kept], lng[kept], k)


def test_prior_is_the_fullest_cells_for_every_photo() -> None:
    lat = np.repeat([10.0, -40.0, 60.0], [5, 30, 11])
    lng = np.repeat([10.0, 20.0, 30.0], [5, 30, 11])
    cells = partitions.build([(lat, lng)], max_photos=30, min_photos=1)
    got_lat, got_lng = baselines.prior_guesses(cells, lat, lng, photos=4, k=5)
    assert got_lat.shape == got_lng.shape == (4, 5)
    np.testing.assert_allclose(got_lat, [[-40, 60, 10, np.nan, np.nan]] * 4, atol=1e-6)
    np.testing.assert_allclose(got_lng, [[20, 30, 10, np.nan, np.nan]] * 4, atol=1e-6)
    # the training photos decide, not the counts in the file; without any, the file does
    other, _ = baselines.prior_guesses(cells, lat[:5], lng[:5], photos=1, k=1)
    assert other[0, 0] == pytest.approx(10)
    no_train, _ = baselines.prior_guesses(cells, lat[:0], lng[:0], photos=1, k=1)
    assert no_train[0, 0] == pytest.approx(-40)


def test_prior_points_are_where_most_photos_are_near() -> None:
    """Two towns 30 km apart hold more together than the fullest cell far away, but only for those who look that far."""
    lat = np.repeat([10.0, 10.27, 60.0], [20, 21, 25])
    lng = np.repeat([10.0, 10.0, 30.0], [20, 21, 25])
    cells = partitions.build([(lat, lng)], max_photos=25, min_photos=1)
    told_C = baselines.prior_log_probs(cells, lat, lng)
    points_DNK2 = baselines.prior_points(cells, told_C, photos=3, k=5, distances_km=(1, 50))
    assert points_DNK2.shape == (2, 3, 5, 2)
    np.testing.assert_allclose(points_DNK2[0, :, 0], [[60, 30]] * 3, atol=1e-6)
    np.testing.assert_allclose(points_DNK2[1, :, 0], [[10.27, 10]] * 3, atol=1e-6)
    np.testing.assert_allclose(points_DNK2[1, :, 1], [[60, 30]] * 3, atol=1e-6)
    assert np.isnan(points_DNK2[1, :, 3:]).all()


def test_lab_of_known_colours() -> None:
    # values of the CIE formulas for sRGB's primaries, white and mid grey, as published (Lindbloom)
    rgb = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [119, 119, 119]])
    expected = [
        [100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86],
        [50.03, 0, 0],
    ]  # fmt: skip
    np.testing.assert_allclose(baselines.rgb_to_lab(rgb.astype(np.uint8)), expected, atol=0.05)


def test_histogram_counts_every_pixel_once_in_its_own_photo() -> None:
    rgb = np.zeros((2, 64, 64, 3), dtype=np.uint8)
    rgb[1, :32] = 255
    _, histogram, _, _ = baselines.feature_blocks(rgb)
    np.testing.assert_allclose(np.square(histogram).sum(axis=1), 1, rtol=1e-6)
    assert sorted(np.square(histogram[1])[histogram[1] > 0].tolist()) == pytest.approx([0.5, 0.5])
    assert (histogram[0] > 0).sum() == 1


@pytest.mark.parametrize("angle", [0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4])
def test_oriented_energy_peaks_at_the_stripes_direction(angle: float) -> None:
    y, x = np.mgrid[:64, :64]
    wave = 127 + 120 * np.sin((x * np.cos(angle) + y * np.sin(angle)) / 3)
    rgb = np.repeat(wave[None, ..., None], 3, axis=-1).astype(np.uint8)
    energy = baselines.feature_blocks(rgb)[2].reshape(3, 8, 16)  # scale, orientation, grid cell
    assert energy[0].sum(axis=1).argmax() == round(angle / np.pi * 8) % 8


def test_nearest_finds_the_look_alike_and_skips_its_own_spot() -> None:
    looks = [(0.0, (250, 60, 60)), (1.5, (60, 250, 60)), (0.8, (60, 60, 250)), (2.4, (200, 200, 60))]
    train = baselines.features(striped(*look, seed=s) for look in looks for s in range(3))
    lat = np.repeat([0.0, 10.0, 20.0, 30.0], 3) + np.tile([0, 0.001, 0.5], 4)  # two of three within 1 km
    asked = baselines.features([striped(*look, seed=9) for look in looks] + [b"no photo"])
    got_lat, got_lng = nearest_guesses(train, lat, np.zeros(12), asked, k=3)
    for row, place in enumerate([0.0, 10.0, 20.0, 30.0]):
        near = got_lat[row, :2]
        assert np.all(abs(near - place) <= 0.51)
        assert abs(near[0] - near[1]) > 0.4  # another place, not the twin 111 m away
        assert abs(got_lat[row, 2] - place) > 5
    assert np.isnan(got_lat[4]).all() and np.isnan(got_lng[4]).all()


def test_nearest_is_the_obvious_search() -> None:
    rng = np.random.default_rng(0)
    train = [rng.normal(size=(300, 4)).astype(np.float32), 50 * rng.normal(size=(300, 9)).astype(np.float32)]
    asked = [rng.normal(size=(270, 4)).astype(np.float32), 50 * rng.normal(size=(270, 9)).astype(np.float32)]
    train[0][7] = np.nan  # a training photo that cannot be read
    lat, lng = rng.uniform(-60, 60, 300), rng.uniform(-180, 180, 300)
    got_lat, _ = nearest_guesses(train, lat, lng, asked, k=1)
    for n in range(0, 270, 27):
        best, chosen = np.inf, -1
        for m in range(300):
            far = 0.0
            for t, a in zip(train, asked, strict=True):
                scale = np.nanstd(t, axis=0)
                far += float((((t[m] - a[n]) / scale) ** 2).mean())
            if far < best:
                best, chosen = far, m
        assert got_lat[n, 0] == lat[chosen]


def test_no_readable_training_photo_is_no_baseline(rows, write_dataset, predictor, tmp_path: Path) -> None:
    broken = [{**row, "image": rows[79]["image"]} if row["split"] == "train" else row for row in rows]
    dataset = write_dataset(tmp_path / "photos.ds", broken)
    found = evaluate(dataset, predictor)
    assert "nearest neighbour" not in [row.name for row in found.rows]
    assert any("No nearest neighbour" in note for note in found.notes)
    predictor.checkpoint.save(tmp_path / "model")
    for name in ("nearest", "embedding"):
        with pytest.raises(InputError, match=f"no training photo can be read: {name} has nothing to find"):
            compare([str(tmp_path / "model"), name], of_dataset(dataset, "test"), dataset)
