import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openplanet.errors import InputError
from openplanet.evaluation.compare import compare
from openplanet.evaluation.evaluate import evaluate
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
    assert "better is really better than base: within 25 km, within 200 km" in text
    assert "No difference is shown: base and alike." in text and "200 photos drawn together" in text
    assert "Nothing in this table" not in text
    table = text.split("\n\n")[1].splitlines()
    assert table[2].startswith("base less better") and table[2].count("*") == 6 and table[3].count("*") == 0
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.means[0][1] == pytest.approx(base.mean())


def test_baselines_and_checkpoints_are_contestants(dataset, predictor, tmp_path: Path) -> None:
    predictor.checkpoint.save(tmp_path / "untrained")
    photoset = of_dataset(dataset, "test")
    asked = ["nearest", "random", "prior", "density", "embedding", str(tmp_path / "untrained")]
    found = compare(asked, photoset, dataset)
    assert found.names == ("nearest", "random", "prior", "density", "embedding", "untrained")
    within_25 = dict(zip(found.names, (means[1] for means in found.means), strict=True))
    assert within_25["nearest"] == pytest.approx(18 / 20) and within_25["nearest"] > within_25["untrained"]
    assert found.unanswered == (1, 0, 0, 1, 1, 1)  # chance and the prior look at no photo
    same = {row.name: row for row in evaluate(dataset, predictor).rows}
    for name, row in (("prior", "prior"), ("density", "k nearest, density"), ("embedding", "embedding, density")):
        assert within_25[name] == same[row].summary.within_top1[1]
    text = found.to_text()
    assert "5 albums" in text and "Nothing in this table could be shown to be real" in text  # too few to tell
    assert "Leakage guard: albums: 20 of 20 test photos" in text
    with pytest.raises(InputError, match="albums"):
        compare(["random", "nearest"], photoset, dataset, strict=True)


def test_guesses_alone_need_no_picture(photoset: PhotoSet, tmp_path: Path, dataset) -> None:
    a, b = (write(tmp_path / f"{name}.csv", photoset, np.arange(200) % 3 > 0) for name in "ab")
    files = replace(photoset, of_files=True, images=lambda: pytest.fail("no picture is to be read"))
    found = compare([a, b], files, dataset)
    assert any("pictures were not compared" in note for note in found.notes)
    assert found.to_text().count("No difference is shown: a and b.") == 1


@pytest.mark.parametrize(
    ("contestants", "words"),
    [
        (["random"], "needs two"),
        (["random", "nearest"], "--train"),
        (["nobody", "random"], "nobody is no contestant"),
        (["random", "prior"], "--train"),
    ],
)
def test_what_cannot_be_compared_is_named(contestants: list[str], words: str, photoset: PhotoSet) -> None:
    with pytest.raises(InputError, match=words):
        compare(contestants, photoset, None)


def test_the_prior_needs_cells(dataset) -> None:
    with pytest.raises(InputError, match="name a checkpoint too"):
        compare(["prior", "random"], of_dataset(dataset, "test"), dataset)
