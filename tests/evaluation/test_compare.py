import json
from pathlib import Path

import numpy as np
import pytest

from openplanet.errors import InputError
from openplanet.evaluation.compare import compare
from openplanet.evaluation.photoset import PhotoSet, of_dataset
from openplanet.evaluation.rows import Truth


@pytest.fixture(scope="module")
def photoset() -> PhotoSet:
    rng = np.random.default_rng(0)
    ids = tuple(f"p{i}" for i in range(200))
    truth = Truth(ids, ids, rng.uniform(-50, 50, 200), rng.uniform(-170, 170, 200))
    return PhotoSet("positions", truth, lambda: iter([b""] * 200))


def write(path: Path, photoset: PhotoSet, right: np.ndarray) -> str:
    """Predictions right to 3 km where ``right``, else at the south pole."""
    lat = np.where(right, photoset.truth.lat + 0.02, -90.0)
    rows = zip(photoset.truth.photo_id, lat.tolist(), photoset.truth.lng.tolist(), strict=True)
    path.write_text("\n".join(["photo,lat,lng", *(f"{p},{a},{b}" for p, a, b in rows)]))
    return str(path)


def test_real_and_not_real_are_told_apart(photoset: PhotoSet, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    base = rng.random(200) < 0.4
    a = write(tmp_path / "base.csv", photoset, base)
    b = write(tmp_path / "better.csv", photoset, base | (rng.random(200) < 0.4))
    swapped = base.copy()
    swapped[:4] = ~swapped[:4]
    c = write(tmp_path / "alike.csv", photoset, swapped)
    found = compare([a, b, c], photoset, None)
    assert found.names == ("base", "better", "alike")
    verdicts = {(x, y): {each.measure: each for each in differences} for x, y, differences in found.differences}
    assert verdicts["base", "better"]["within 25 km"].real
    assert verdicts["base", "better"]["within 25 km"].difference < 0
    assert not verdicts["base", "alike"]["within 25 km"].real
    assert not verdicts["base", "better"]["within 1 km"].real  # nobody is: nothing to tell apart
    text = found.to_text()
    assert "real: better is better" in text and "not real" in text and "200 photos drawn together" in text
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.means[0][1] == pytest.approx(base.mean())


def test_baselines_and_checkpoints_are_contestants(dataset, predictor, tmp_path: Path) -> None:
    predictor.checkpoint.save(tmp_path / "untrained")
    found = compare(["nearest", "random", str(tmp_path / "untrained")], of_dataset(dataset, "test"), dataset)
    assert found.names == ("nearest", "random", "untrained")
    within_25 = [means[1] for means in found.means]
    assert within_25[0] == pytest.approx(18 / 20) and within_25[0] > max(within_25[1:])


@pytest.mark.parametrize(
    ("contestants", "words"),
    [
        (["random"], "needs two"),
        (["random", "nearest"], "--train"),
        (["nobody", "random"], "nobody is no contestant"),
    ],
)
def test_what_cannot_be_compared_is_named(contestants: list[str], words: str, photoset: PhotoSet) -> None:
    with pytest.raises(InputError, match=words):
        compare(contestants, photoset, None)
