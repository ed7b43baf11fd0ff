import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from openplanet.earth import geo
from openplanet.earth.partition.best_point import PointFinder
from openplanet.errors import DatasetError, InputError
from openplanet.evaluation import evaluate as evaluating
from openplanet.evaluation.albums import evaluate_albums
from openplanet.evaluation.answers import Answers
from openplanet.evaluation.evaluate import evaluate
from openplanet.evaluation.measures import metrics
from openplanet.evaluation.report.charts import share_curve
from openplanet.evaluation.report.page import write_report
from openplanet.evaluation.result import Result
from openplanet.evaluation.testsets import nearness
from openplanet.evaluation.testsets.photoset import of_dataset, read_images
from openplanet.inference.predictor import Predictor
from openplanet.models.image_model import ImageModel
from openplanet.photos.dataset import Dataset

ROWS = [
    "random",
    "prior",
    "prior, best point",
    "nearest neighbour",
    "k nearest, density",
    "k nearest, density, best point",
    "embedding, nearest",
    "embedding, density",
    "embedding, density, best point",
    "model",
    "model, best point",
    "model, cell centre",
    "right cell",
    "model, over 1 km from train (18 photos)",
]


@pytest.fixture(scope="module")
def evaluation(dataset: Dataset, predictor: Predictor) -> Result:
    return evaluate(dataset, predictor, "test", extra_distances=(5, 100))


def test_every_located_photo_is_counted(evaluation: Result) -> None:
    assert [row.name for row in evaluation.rows] == ROWS
    assert [row.photos for row in evaluation.rows] == [20] * (len(ROWS) - 1) + [18]
    assert evaluation.outside == 1
    # chance and the prior look at no photo
    assert [row.failed for row in evaluation.rows] == [0, 0, 0, *[1] * 10, 1]
    assert evaluation.distances_km == (1, 5, 25, 100, 200, 750, 2500)


def test_model_row_is_what_the_predictor_says(evaluation: Result, predictor: Predictor, rows: list[dict]) -> None:
    test_rows = [row for row in rows if row["split"] == "test" and row["lat"] is not None]
    hits = 0
    for n, row in enumerate(test_rows[:-1]):
        top = predictor.locate(row["image"]["bytes"]).top(5)
        assert evaluation.truth.photo_id[n] == row["photo_id"]
        km = metrics.distances(
            np.array([[c.lat for c in top]]),
            np.array([[c.lng for c in top]]),
            np.array([row["lat"]]),
            np.array([row["lng"]]),
        )
        hits += km[0, 0] <= 750
    assert evaluation.model.shares[5] == pytest.approx(hits / 20)


def test_no_photo_goes_through_the_network_twice(
    tmp_path: Path, write_dataset, predictor: Predictor, rows: list[dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, seen, features = write_dataset(tmp_path / "new", rows), [], ImageModel.features

    def counted(model: ImageModel, pixels_B3HW: torch.Tensor) -> torch.Tensor:
        seen.append(len(pixels_B3HW))
        return features(model, pixels_B3HW)

    monkeypatch.setattr(ImageModel, "features", counted)
    result = evaluate(asked, predictor, "test")
    write_report(tmp_path / "report.html", result, predictor, asked, drawn=4)
    assert sum(seen) == 60 + 19 and result.model.failed == 1  # of 20 test photos one cannot be decoded
    evaluate_albums(asked, predictor.checkpoint, "test")
    assert sum(seen) == 60 + 19 + 1  # a test photo without a position is part of its album


def test_the_centre_of_the_cell_stands_beside_the_mean_of_its_photos(
    evaluation: Result, dataset: Dataset, predictor: Predictor
) -> None:
    centres = evaluation.row("model, cell centre")
    assert centres is not None and "PlaNet" in centres.answers.what
    located = predictor.locate_many(of_dataset(dataset, "test").images())
    cells = [int(np.argmax(each.prediction.log_probs)) for each in located if each.prediction is not None]
    assert centres.answers.lat[:-1, 0] == pytest.approx(predictor.partition.lat[cells])
    assert centres.answers.lng[:-1, 0] == pytest.approx(predictor.partition.lng[cells])
    assert np.isnan(centres.answers.lat[-1]).all()  # the photo that cannot be read


def test_one_headline_at_one_distance_in_every_format(evaluation: Result) -> None:
    (said,) = evaluation.verdicts
    assert said.startswith("Within 25 km, of 20 photos of the test split: model ")
    for name in ("model", "model, best point", "prior, best point"):
        row = evaluation.row(name)
        assert row is not None and f"{100 * row.shares[2]:.1f} %" in said
    assert "the prior's best point" in said
    for text in (evaluation.to_text(), evaluation.to_markdown(), evaluation.to_latex()):
        assert said in text
    assert evaluation.to_dict()["headline"] == [said]


def test_what_the_cells_cap(evaluation: Result, predictor: Predictor) -> None:
    capped = evaluation.row("right cell")
    assert capped is not None and capped.shares[0] < 0.9
    said = f"with the right cell always named, {100 * capped.shares[0]:.1f} % within 1 km"
    assert any(said in note for note in evaluation.notes) and said in evaluation.to_text()
    cells, truth, cap = predictor.partition, evaluation.truth, evaluation.row("right cell")
    cell_N = cells.assign(truth.lat, truth.lng)
    km_N = geo.distance_km(cells.centroid_lat[cell_N], cells.centroid_lng[cell_N], truth.lat, truth.lng)
    expected = [float(((km_N <= km) & (cell_N >= 0)).mean()) for km in evaluation.distances_km]
    assert cap is not None and cap.shares == pytest.approx(expected) and cap.failed == 1


def test_how_near_the_training_photos_are(evaluation: Result, dataset: Dataset) -> None:
    truth, trained = evaluation.truth, of_dataset(dataset, "train").truth
    km_NM = geo.distance_km(truth.lat[:, None], truth.lng[:, None], trained.lat, trained.lng)
    far_N = np.flatnonzero(km_NM.min(axis=1) > 1)
    found = evaluation.to_dict()["near_training_photos"]
    assert [each["km"] for each in found["within_km"]] == [0.05, 0.2, 1.0]
    assert found["within_km"][2]["share"] == pytest.approx(1 - len(far_N) / 20)
    assert found["by_training_photographers"] is None and "photographers are not known" in evaluation.to_text()
    row = evaluation.rows[-1]
    assert row.photos == len(far_N) and row.name.startswith("model, over 1 km")
    assert row.shares == pytest.approx(evaluation.model.hits[far_N].mean(axis=0))


def test_photographers_that_also_train_are_counted(tmp_path: Path, write_dataset, rows: list[dict]) -> None:
    named = [row | {"owner_id": f"owner {n % 3 if row['split'] == 'train' else n % 4}"} for n, row in enumerate(rows)]
    dataset = write_dataset(tmp_path / "named", named)
    (text,) = nearness.notes(of_dataset(dataset, "test").truth, dataset)
    assert text.startswith("3 of 4 photographers also took training photos; 75.0 % of the photos are by them.")
    assert nearness.notes(of_dataset(dataset, "test").truth, None) == ()


def test_one_nearest_neighbour_on_the_embedding(evaluation: Result, dataset: Dataset, predictor: Predictor) -> None:
    """Angles between embeddings, computed photo by photo."""
    train = of_dataset(dataset, "train")
    embedded = [list(predictor.embed_many(of_dataset(dataset, split).images())) for split in ("train", "test")]
    unit = [[row.numpy() / np.linalg.norm(row.numpy()) for row in rows if row is not None] for rows in embedded]
    best = [int(np.argmax(np.stack(unit[0]) @ row)) for row in unit[1]]
    found = evaluation.row("embedding, nearest")
    assert found is not None and found.answers.lat[:-1, 0] == pytest.approx(train.truth.lat[best])


def test_nearest_neighbour_sees_the_colours_that_tell_the_cities(evaluation: Result) -> None:
    nearest = evaluation.row("nearest neighbour")
    assert nearest is not None
    assert nearest.shares[2] == pytest.approx(18 / 20)  # all but the broken and the far one


def test_baselines_learn_from_the_train_split_only(
    tmp_path: Path, write_dataset, predictor: Predictor, rows: list[dict], evaluation: Result
) -> None:
    moved = [dict(row) for row in rows]
    for row in moved:
        if row["split"] == "test":
            row.update(lat=10.0, lng=10.0)  # other truth, same photos: no guess may change
    other = evaluate(write_dataset(tmp_path / "moved", moved[:-1]), predictor, "test")
    for before, after in zip(evaluation.rows[:-2], other.rows, strict=False):  # the last two know the truth
        np.testing.assert_array_equal(before.answers.lat, after.answers.lat)


def test_same_evaluation_twice(evaluation: Result, dataset: Dataset, predictor: Predictor) -> None:
    again = evaluate(dataset, predictor, "test", extra_distances=(5, 100))
    assert again.to_dict() == evaluation.to_dict()


def test_dict_is_json_without_nan(evaluation: Result) -> None:
    got = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert got["photos"] == 20 and got["failed"] == 1 and got["outside_partition"] == 1
    model = got["rows"][ROWS.index("model")]
    assert model["name"] == "model"
    assert [entry["km"] for entry in model["within_km"]] == [1, 5, 25, 100, 200, 750, 2500]
    assert all(0 <= entry["top1"] <= entry["top5"] <= 1 for entry in model["within_km"])
    assert got["model_share_of_bayes_limit"] is None
    assert got["country_method"]


def test_anyone_can_recompute_the_figures(evaluation: Result) -> None:
    found = json.loads(json.dumps(evaluation.to_dict()))
    truth = np.array(found["truth"])
    rows = {row["name"]: row for row in found["rows"] if row["photos"] == len(truth)}
    for row in (rows["model"], rows["model, best point"]):
        for index, at in enumerate(row["within_km"]):
            guesses = row["guesses"] if row["best_of"] else row["guesses"][index]
            km = [
                np.inf if guess is None else float(geo.distance_km(*guess, *place))
                for guess, place in zip(guesses, truth, strict=True)
            ]
            assert np.mean(np.array(km) <= at["km"]) == pytest.approx(at["top1"])
    assert found["photo_ids"] == list(evaluation.truth.photo_id)


def test_all_splits_are_measured_together(dataset: Dataset, predictor: Predictor) -> None:
    found = evaluate(dataset, predictor, "all")
    counts = [dataset.count(split, located=True) for split in ("train", "val", "test", "none")]
    assert found.model.photos == sum(counts[:3]) and found.where == "all splits"
    assert not [row.name for row in found.rows if "nearest" in row.name]  # they would find the photos themselves
    apart = evaluate(dataset, predictor, "test").to_dict()
    whole = found.to_dict()
    place = {name: n for n, name in enumerate(whole["photo_ids"])}
    model = {row["name"]: row["guesses"] for row in whole["rows"]}["model"]
    mine = {row["name"]: row["guesses"] for row in apart["rows"]}["model"]
    assert [model[place[name]] for name in apart["photo_ids"]] == mine


def test_text_is_aligned_and_says_what_was_counted(evaluation: Result) -> None:
    text = evaluation.to_text()
    table = text.split("\n\n")[0].splitlines()
    assert len({len(line) for line in table}) == 1  # every line ends in the same column
    assert "country %" in table[0] and table[-1].startswith("model")
    assert "20 photos" in text and "1 could not be read" in text and "outside all" in text
    markdown = evaluation.to_markdown()
    assert markdown.count("| model, best point |") == 3
    assert markdown.count("| model |") == 5  # first guess, best of five, intervals, probabilities, their intervals


def test_every_row_has_the_intervals_of_the_slow_way(
    evaluation: Result, dataset: Dataset, predictor: Predictor
) -> None:
    """Albums are drawn again a thousand times, photo by photo; best points are asked for anew."""
    truth, answers = evaluation.truth, list(predictor.locate_many(of_dataset(dataset, "test").images()))
    finder = PointFinder(predictor.partition)
    albums = sorted(set(truth.album))
    drawn = np.random.default_rng(0).integers(5, size=(1000, 5))
    rows_R = [np.concatenate([[n for n in range(20) if truth.album[n] == albums[a]] for a in each]) for each in drawn]

    def slow(values: np.ndarray) -> tuple[float, float]:
        means = np.sort([values[rows.astype(int)].mean() for rows in rows_R])
        return means[25], means[974]

    found = {row.name: {name: each.interval for name, each in row.figures.items()} for row in evaluation.rows}
    assert evaluation.groups.count == 5
    for km in evaluation.distances_km:
        hit_N = np.zeros(20)
        for n, answer in enumerate(answers):
            if answer.prediction is not None:
                lat, lng, _ = finder.best_within(answer.prediction.probabilities, km)
                hit_N[n] = geo.distance_km(lat[0], lng[0], truth.lat[n], truth.lng[n]) <= km
        assert found["model, best point"][f"within {km:g} km"] == pytest.approx(slow(hit_N))
    for name in ("model", "nearest neighbour"):
        row = evaluation.row(name)
        right = metrics.same_place(row.answers.lat[:, 0], row.answers.lng[:, 0], truth.lat, truth.lng)
        for measure, right_N in zip(("country", "region", "city"), right, strict=True):
            assert found[name][measure] == pytest.approx(slow(right_N))
    assert found["model, best point"]["city"] == found["model"]["city"]  # of its likeliest cell
    low, high = found["nearest neighbour"]["region"]
    assert low < evaluation.row("nearest neighbour").value("region") <= high
    cell_N = predictor.partition.assign(truth.lat, truth.lng)
    sure, right, lost = np.zeros(20), np.zeros(20), np.full(20, np.nan)
    for n, answer in enumerate(answers):
        if answer.prediction is not None:
            p_C = answer.prediction.probabilities
            sure[n], right[n] = p_C.max(), p_C.argmax() == cell_N[n]
            lost[n] = -np.log(p_C[cell_N[n]]) if cell_N[n] >= 0 else np.nan
    bins = np.minimum((sure * 15).astype(int), 14)
    errors = []
    for rows in rows_R:
        gaps = [abs((right - sure)[rows[bins[rows] == k]].sum()) for k in range(15)]
        errors.append(sum(gaps) / len(rows))
    assert found["model"]["ECE"] == pytest.approx((sorted(errors)[25], sorted(errors)[974]), rel=1e-4)
    means = sorted(np.nanmean(lost[rows]) for rows in rows_R)  # photos in no cell, or unreadable, do not count
    assert found["model"]["NLL"] == pytest.approx((means[25], means[974]), rel=1e-4)
    assert "NLL" not in found["nearest neighbour"] and "ECE" not in found["model, best point"]
    lines = evaluation.to_text().split("first guess, 95 % interval")[1].splitlines()[1:]
    assert [line.split("  ")[0] for line in lines[1 : 1 + len(ROWS)]] == ROWS


def test_split_without_positions_is_refused(dataset: Dataset, predictor: Predictor) -> None:
    with pytest.raises(DatasetError, match="val split"):
        evaluate(dataset, predictor, "val")


def test_train_split_is_not_compared_with_itself(dataset: Dataset, predictor: Predictor) -> None:
    found = evaluate(dataset, predictor, "train")
    assert [row.name for row in found.rows] == ["prior", "prior, best point", *ROWS[-5:-1]]
    assert found.leaks == ()
    assert any("No nearest neighbour" in note for note in found.notes)
    assert math.isfinite(found.model.value("median km"))


def test_bayes_limit_stands_beside_the_model(
    dataset: Dataset, predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, truth = [], of_dataset(dataset, "test").truth

    def limit_of(folder, photo_ids, distances, what):
        """Right at none of 1 km, and of every second photo at other distances; names the country of the truth."""
        asked.append((folder, tuple(photo_ids)))
        at_N2 = np.stack([truth.lat, truth.lng], axis=1)
        points = np.broadcast_to(at_N2[:, None], (len(distances), len(at_N2), 5, 2)).copy()
        points[0] = points[1:, ::2] = np.nan
        return Answers("Bayes limit", what, at_N2[:, :1], at_N2[:, 1:], points, country_N2=at_N2, is_limit=True)

    monkeypatch.setattr(evaluating, "limit_of", limit_of)
    (tmp_path / "world.parquet").touch()
    found = evaluate(dataset, predictor, "test", world=tmp_path)
    assert evaluate(dataset, predictor, "test", world=tmp_path / "world.parquet").to_dict() == found.to_dict()
    assert asked == [(folder, truth.photo_id) for folder in (tmp_path, tmp_path / "world.parquet")]
    assert found.rows[-1].name == "Bayes limit"
    assert found.share_of_limit is not None
    expected = [None, *[share / 0.5 for share in found.model.shares[1:]]]
    assert list(found.share_of_limit) == expected
    limits = found.to_dict()["model_share_of_bayes_limit"]
    assert limits[0] == {"km": 1.0, "share": None} and limits[3]["km"] == 750.0
    line = next(line for line in found.to_text().splitlines() if line.startswith("model / Bayes limit"))
    assert line.split()[4:] == ["–", *[f"{100 * share:.1f}" for share in expected[1:]]]
    intervals = found.to_dict()["rows"][-1]
    assert intervals["within_km"][0]["top1_interval_95"] == [0.0, 0.0]  # none of its points was right
    assert intervals["interval_95"]["country_accuracy"] is None  # answered by itself
    rings = [line for line in share_curve(found).axes[0].lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in rings] == [5] * 5  # one a distance, of the limit and all best points


def test_folder_that_is_no_planet_is_named(dataset: Dataset, predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path / "nowhere")):
        evaluate(dataset, predictor, "test", world=tmp_path / "nowhere")


def test_a_world_and_guesses_that_are_none_are_told_before_the_model_is_asked(
    dataset: Dataset, predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "locate_many", lambda *_: pytest.fail("the model was asked"))
    with pytest.raises(InputError, match=r"no finished synthetic planet.*openplanet synthetic"):
        evaluate(dataset, predictor, "test", world=tmp_path)
    with pytest.raises(InputError, match="gone"):
        evaluate(dataset, predictor, "test", predictions=[tmp_path / "gone.csv"])


def test_a_missing_picture_counts_as_one_that_cannot_be_read(rows: list[dict], write_dataset, tmp_path: Path) -> None:
    split, located = rows[-1]["split"], rows[-1] | {"lat": 1.0, "lng": 2.0}
    missing = [located | {"photo_id": "aa" * 32, "image": None}]
    missing += [located | {"photo_id": "bb" * 32, "image": {"bytes": None, "path": "x.jpg"}}]
    assert list(read_images(write_dataset(tmp_path / "ds", missing), split)) == [b"", b""]
