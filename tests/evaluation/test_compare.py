import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from openplanet.earth import geo
from openplanet.earth.partition import adaptive as partitions
from openplanet.errors import InputError
from openplanet.evaluation.albums import evaluate_albums
from openplanet.evaluation.answers import Truth
from openplanet.evaluation.compare import compare
from openplanet.evaluation.contestants import contestants
from openplanet.evaluation.evaluate import evaluate
from openplanet.evaluation.report.album_tables import ways
from openplanet.evaluation.testsets.photoset import PhotoSet, of_dataset
from openplanet.inference.located import Located
from openplanet.inference.prediction import Prediction
from openplanet.models.album.base import AlbumConfig
from openplanet.models.album.checkpoint import AlbumCheckpoint
from openplanet.models.album.registry import build


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
    assert tuple(row.name for row in found.rows) == ("base", "better", "alike")
    verdicts = {(x, y): {each.measure: each for each in differences} for x, y, differences in found.differences}
    assert verdicts["base", "better"]["within 25 km"].real
    assert verdicts["base", "better"]["within 25 km"].difference < 0
    assert not verdicts["base", "alike"]["within 25 km"].real
    assert not verdicts["base", "better"]["within 1 km"].real  # nobody is: nothing to tell apart
    text = found.to_text()
    assert "better is really better than base: within 25 km, within 200 km" in text
    assert "No difference is shown: base and alike." in text and "200 photos drawn together" in text
    assert "Nothing in this table" not in text
    for block, stars in ((2, 4), (3, 5)):  # 25 to 2500 km; GeoScore, country, region, city, median
        table = text.split("\n\n")[block].splitlines()
        assert table[2].startswith("base less better") and table[2].count("*") == stars and table[3].count("*") == 0
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.rows[0].figures["within 25 km"].value == pytest.approx(base.mean())
    truth = photoset.truth
    south = geo.distance_km(-90.0, truth.lng, truth.lat, truth.lng)
    off = np.where(base, geo.distance_km(truth.lat + 0.02, truth.lng, truth.lat, truth.lng), south)
    assert found.rows[0].figures["median km"].value == pytest.approx(np.median(off))
    assert "NLL" not in found.to_dict()["measures"] and "NLL" not in text  # nobody gives probabilities


def test_baselines_and_checkpoints_are_contestants(dataset, predictor, tmp_path: Path) -> None:
    predictor.checkpoint.save(tmp_path / "untrained")
    photoset = of_dataset(dataset, "test")
    asked = ["nearest", "random", "prior", "density", "embedding", str(tmp_path / "untrained")]
    found = compare(asked, photoset, dataset)
    assert tuple(row.name for row in found.rows) == ("nearest", "random", "prior", "density", "embedding", "untrained")
    within_25 = {row.name: row.value("within 25 km") for row in found.rows}
    assert within_25["nearest"] == pytest.approx(18 / 20) and within_25["nearest"] > within_25["untrained"]
    assert [row.failed for row in found.rows] == [1, 0, 0, 1, 1, 1]  # chance and the prior look at no photo
    same = {row.name: row for row in evaluate(dataset, predictor).rows}
    for name, row in (("prior", "prior"), ("density", "k nearest, density"), ("embedding", "embedding, density")):
        assert within_25[name] == same[row].shares[1]
    text = found.to_text()
    assert "5 albums" in text and "Nothing in this table could be shown to be real" in text  # too few to tell
    assert "Leakage guard: albums: 20 of 20 test photos" in text
    assert "1 photos were taken outside all" in text and "cells of prior, untrained;" in text
    assert "one centre crop" in text and "nearest GeoNames city" in text
    with pytest.raises(InputError, match="albums"):
        compare(["random", "nearest"], photoset, dataset, strict=True)


def test_a_place_of_the_set_in_the_gallery_is_told_and_refused(rows, write_dataset, tmp_path: Path) -> None:
    """One training photo stands where a test photo does: a leak for those who answer with a gallery's places."""
    apart = [{**row, "album_id": f"{row['split']} {row['album_id']}", "dhash": 0} for row in rows]
    for row in apart:
        row["image"] = rows[0]["image"] if row["split"] == "train" else row["image"]
    apart[5].update(lat=apart[61]["lat"], lng=apart[61]["lng"])
    dataset = write_dataset(tmp_path / "planted", apart)
    photoset = of_dataset(dataset, "test")
    a, b = (write(tmp_path / f"{name}.csv", photoset, np.arange(20) % 3 > 0) for name in "ab")
    found = compare(["nearest", a], photoset, dataset)
    assert any("gallery: 1 of 20 test photos stand in the gallery" in note for note in found.notes)
    assert not any("gallery" in note for note in compare([a, b], photoset, dataset).notes)
    with pytest.raises(InputError, match="leaks into training: gallery: 1 of 20"):
        compare(["nearest", a], photoset, dataset, strict=True)
    compare([a, b], photoset, dataset, strict=True)


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


def test_what_is_wrong_is_told_before_a_photo_is_looked_at(dataset, models: Path, tmp_path: Path) -> None:
    photoset = of_dataset(dataset, "test")
    unseen = replace(photoset, images=lambda: pytest.fail("a photo was looked at"))
    (tmp_path / "sub").mkdir()
    same = [write(folder / "same.csv", photoset, np.arange(20) > 3) for folder in (tmp_path, tmp_path / "sub")]
    played = tmp_path / "rounds.csv"
    played.write_text(f"photo,lat,lng,player\n{photoset.truth.photo_id[0]},1,1,ann\n")
    single = str(models / "single")
    for contestants_, train, words in (
        ([single, *same], dataset, "two contestants are called same"),
        ([single, str(played)], dataset, "holds rounds of a game"),
        ([single, "travel"], None, "travel is fitted on training photos"),
        (["embedding", "random"], dataset, "embedding needs a model"),
        ([single, single], dataset, "two contestants are called single"),
    ):
        with pytest.raises(InputError, match=words):
            compare(contestants_, unseen, train)


def test_the_prior_needs_cells(dataset) -> None:
    with pytest.raises(InputError, match="name a checkpoint too"):
        compare(["prior", "random"], of_dataset(dataset, "test"), dataset)


def figures(found, name: str) -> dict:
    return found.row(name).figures


def differences(found, a: str, b: str) -> dict:
    return next({each.measure: each for each in row} for x, y, row in found.differences if (x, y) == (a, b))


@pytest.fixture(scope="module")
def sure_of_the_truth(dataset, predictor):
    """The photos of the test split, of which a model is sure whose answers are given here: the true cell gets p."""

    class Knows:
        def __init__(self, p_N: np.ndarray) -> None:
            self.partition, self.coarser, self.p_N = predictor.partition, (), p_N
            self.truth = of_dataset(dataset, "test").truth

        def locate_many(self, photos):
            cell_N = np.maximum(self.partition.assign(self.truth.lat, self.truth.lng), 0)
            for photo, cell, p in zip(photos, cell_N.tolist(), self.p_N.tolist(), strict=True):
                p_C = np.full(len(self.partition), (1 - p) / (len(self.partition) - 1))
                p_C[cell] = p
                yield Located(photo, Prediction(self.partition, np.log(p_C)), None)

    return Knows


def test_likelihood_and_calibration_are_compared_over_the_same_cells(
    dataset, predictor, sure_of_the_truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two models that name the same places, one of them much surer; and one whose cells are others."""
    alone = replace(of_dataset(dataset, "test"), truth=replace(of_dataset(dataset, "test").truth, album=(), owner=()))
    p = {"sure": np.full(20, 0.99), "unsure": np.full(20, 0.6)}
    made = {name: sure_of_the_truth(each) for name, each in p.items()}
    other = sure_of_the_truth(p["sure"])
    other.partition = partitions.build(dataset.coordinates("train"), max_photos=30, min_photos=2)
    made["other"] = other
    for name in made:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(contestants, "open_locator", lambda folder, engine: made[Path(folder).name])
    found = compare([str(tmp_path / name) for name in made], alone, None)
    inside = predictor.partition.assign(alone.truth.lat, alone.truth.lng) >= 0
    assert inside.sum() == 19  # one was taken in no cell: not in NLL, wrong in ECE
    for name in p:
        assert figures(found, name)["NLL"].value == pytest.approx(-np.log(p[name][0]), rel=1e-3)
        assert figures(found, name)["ECE"].value == pytest.approx(abs(19 / 20 - p[name][0]), rel=1e-3)
    apart = differences(found, "sure", "unsure")
    assert apart["NLL"].real and apart["NLL"].difference == pytest.approx(np.log(0.6 / 0.99), rel=1e-3)
    assert apart["ECE"].p < 0.01 and apart["ECE"].difference < 0
    assert not apart["within 25 km"].real and apart["median km"].differ == 0
    assert "sure is really better than unsure: NLL." in found.to_text()
    assert not {"NLL", "ECE"} & set(differences(found, "sure", "other"))
    line = next(each for each in found.to_text().splitlines() if each.startswith("sure less other") and "–" in each)
    assert line.split()[-2:] == ["–", "–"]


@pytest.mark.parametrize("name", ["embedding", "travel", "average"])
def test_what_needs_embeddings_is_refused_before_a_model_looks_at_photos(
    dataset, sure_of_the_truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    strange = sure_of_the_truth(np.full(20, 0.5))
    strange.locate_many = lambda _: pytest.fail("a photo was looked at")
    monkeypatch.setattr(contestants, "open_locator", lambda _, engine: strange)
    with pytest.raises(InputError, match=f"{name} needs the embeddings of a checkpoint of ours: name one before"):
        compare([str(tmp_path), name], of_dataset(dataset, "test"), dataset)


def test_a_probability_of_zero_for_the_truth_is_no_likelihood(
    dataset, sure_of_the_truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {name: sure_of_the_truth(np.full(20, p)) for name, p in (("never", 1e-300), ("half", 0.5))}
    made["never"].p_N[3] = 0.0
    monkeypatch.setattr(contestants, "open_locator", lambda folder, engine: made[Path(folder).name])
    for name in made:
        (tmp_path / name).mkdir()
    with np.errstate(divide="ignore"):
        found = compare([str(tmp_path / name) for name in made], of_dataset(dataset, "test"), None)
    assert "NLL" not in figures(found, "never") and "ECE" in figures(found, "never")
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_prior_has_a_likelihood_too(dataset, predictor, tmp_path: Path) -> None:
    predictor.checkpoint.save(tmp_path / "untrained")
    found = compare(["prior", str(tmp_path / "untrained")], of_dataset(dataset, "test"), dataset)
    rows = {row.name: row for row in evaluate(dataset, predictor).rows}
    for name, row in (("prior", "prior"), ("untrained", "model")):
        level = rows[row].distribution.levels[0]
        assert figures(found, name)["NLL"].value == pytest.approx(level.nll, rel=1e-6)
        assert figures(found, name)["ECE"].value == pytest.approx(level.ece, abs=1e-6)
    assert differences(found, "prior", "untrained")["NLL"].differ == 5


ALBUM_MODELS = ("average", "geometric_mean", "travel")


@pytest.fixture(scope="module")
def models(dataset, predictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image checkpoint, and an album model that reads its embeddings."""
    folder = tmp_path_factory.mktemp("models")
    predictor.checkpoint.save(folder / "single")
    torch.manual_seed(0)
    model = build(AlbumConfig("lstm", width=8), predictor.partition, predictor.model.embedding_dim).eval()
    about = {"manifest": {"fingerprint": "of another dataset"}, "dataset": "other.ds"}
    AlbumCheckpoint(model, predictor.checkpoint, {"name": "none"}, {}, about).save(folder / "together")
    return folder


def test_album_models_are_contestants(dataset, predictor, models: Path) -> None:
    """Each photo is measured as ``evaluate --albums`` measures it; the photo alone as its checkpoint is."""
    photoset = of_dataset(dataset, "test")
    found = compare([str(models / "together"), *ALBUM_MODELS, str(models / "single")], photoset, dataset)
    assert tuple(row.name for row in found.rows) == ("together", *ALBUM_MODELS, "single")
    expected = evaluate_albums(dataset, predictor.checkpoint, "test", [models / "together"])
    names = {"lstm": "together", "one photo": "single", "geometric mean": "geometric_mean"}
    assert len(ways(expected)) == 5
    for variant in ways(expected):
        mine = figures(found, names.get(variant.name, variant.name))
        shares = [mine[f"within {km:g} km"].value for km in expected.distances_km]
        assert shares == pytest.approx(variant.shares)
    assert {row.failed for row in found.rows} == {1}  # the photo that cannot be read is wrong for albums too
    assert "NLL" in differences(found, "together", "single") and "NLL" in differences(found, "average", "travel")
    text = found.to_text()
    assert "together: an album model (lstm), given whole albums." in text
    assert "| together less average |" in found.to_markdown() and "together less average &" in found.to_latex()
    assert "together less average,25 km," in found.to_csv().replace('"', "")
    assert "travel: over what" in text and "movement from" in text
    assert "not sure: the checkpoint was trained on other.ds" not in text  # this dataset has no fingerprint


def test_an_average_by_hand(dataset, predictor, models: Path) -> None:
    """The mean probability of an album's photos, for each of them; NLL and guesses follow."""
    photoset = of_dataset(dataset, "test")
    found = compare(["average", str(models / "single")], photoset, dataset)
    truth, answers = photoset.truth, list(predictor.locate_many(photoset.images()))
    partition = predictor.partition
    lost, right = [], []
    for row, answer in enumerate(answers):
        if answer.prediction is None:
            right.append(False)
            continue
        album = [n for n, name in enumerate(truth.album) if name == truth.album[row] and answers[n].prediction]
        mean_C = np.mean([answers[n].prediction.probabilities for n in album], axis=0)
        cell = int(partition.assign(truth.lat[row : row + 1], truth.lng[row : row + 1])[0])
        best = int(mean_C.argmax())
        right.append(best == cell)
        if cell >= 0:
            lost.append(-np.log(mean_C[cell]))
    mine = figures(found, "average")
    assert mine["NLL"].value == pytest.approx(np.mean(lost), rel=1e-4) and len(lost) == 18


def test_albums_are_asked_for_where_there_are_some(dataset, rows, write_dataset, models: Path, tmp_path: Path) -> None:
    files = replace(of_dataset(dataset, "test"), dataset=None, split="", name="Im2GPS")
    with pytest.raises(InputError, match="together places photos by their albums, and Im2GPS is a set of single"):
        compare([str(models / "together"), "random"], files, dataset)
    apart = write_dataset(tmp_path / "apart", [{**row, "album_id": None} for row in rows])
    with pytest.raises(InputError, match="travel places photos by their albums, and no two photos of the test split"):
        compare(["travel", str(models / "single")], of_dataset(apart, "test"), apart)
    with pytest.raises(InputError, match="average needs a model's cells or embedding: name a checkpoint too"):
        compare(["average", "random"], of_dataset(dataset, "test"), dataset)


def test_strict_looks_at_what_an_album_model_was_trained_on(rows, write_dataset, models: Path, tmp_path: Path) -> None:
    apart = [{**row, "album_id": f"{row['split']} {row['album_id']}"} for row in rows]
    for row in apart:
        row["image"] = rows[0]["image"] if row["split"] == "train" else row["image"]
        row["dhash"] = 0
    dataset = write_dataset(tmp_path / "clean", apart)
    dataset.manifest["fingerprint"] = "of this one"
    with pytest.raises(InputError, match=r"trained on other\.ds"):
        compare([str(models / "together"), "random"], of_dataset(dataset, "test"), dataset, strict=True)
