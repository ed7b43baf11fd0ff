"""All album variants in one table: the same photos for all, failures counted, anchors left out of what is measured."""

import dataclasses
import json
import re

import numpy as np
import pytest

from openplanet.earth.partition import adaptive as partitions
from openplanet.errors import InputError
from openplanet.evaluation.albums import ALBUM_LIMIT, INTERPOLATED, ONE_PHOTO, PHOTO_LIMIT, evaluate_albums
from openplanet.evaluation.contestants.album_asking import AlbumSet, first_guesses, single
from openplanet.evaluation.contestants.bayes import limit_of
from openplanet.evaluation.evaluate import evaluate
from openplanet.evaluation.measures.row import Measure
from openplanet.evaluation.report.album_figure import before_and_after
from openplanet.evaluation.report.album_section import albums_of, section
from openplanet.evaluation.report.album_tables import AMBIGUOUS, best, ways
from openplanet.evaluation.testsets.photoset import of_dataset
from openplanet.inference.predictor import Predictor
from openplanet.models.album.base import AlbumConfig
from openplanet.models.album.checkpoint import AlbumCheckpoint
from openplanet.models.album.embedded import embedded_albums
from openplanet.models.album.registry import build
from openplanet.models.calibration import Calibration
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest.ingest import ingest
from openplanet.synthetic.planet import make


@pytest.fixture(scope="module")
def found(dataset, predictor):
    return evaluate_albums(dataset, predictor.checkpoint, "test", extra_distances=(100,), anchor_shares=(0.0, 0.5))


def by_name(found):
    return {each.name: each for each in found.rows}


def test_one_photo_is_what_evaluate_says_of_the_model(dataset, predictor, found):
    expected = evaluate(dataset, predictor, "test", extra_distances=(100,))
    one = by_name(found)[ONE_PHOTO]
    assert one.shares == pytest.approx(expected.model.shares)
    points = by_name(found)[f"{ONE_PHOTO}, best point"]
    assert points.shares == pytest.approx(expected.row("model, best point").shares)
    assert found.distances_km == expected.distances_km


def test_photos_that_fail_are_wrong_for_all_variants(found):
    assert len(found.truth.lat) == 20
    for each in found.rows:
        assert each.hits.shape == (20, 6)
        assert not each.hits[-1].any()
    assert any("1 photos could not be read" in note for note in found.notes)


def test_the_average_gives_all_photos_of_an_album_one_answer(dataset, predictor, found):
    hits = by_name(found)["average"].hits[:, 3]  # within 200 km: cities are farther from each other
    album_N = np.array(of_dataset(dataset, "test").truth.album)
    for album in np.unique(album_N):
        assert len(np.unique(hits[(album_N == album) & (np.arange(20) < 18)])) == 1


def test_anchors_are_not_measured_and_help(found):
    by = {(each.anchors, part.name): part for each in found.breakdowns for part in each.parts}
    assert by[0.0, ONE_PHOTO].photos == 20
    rest = by[0.5, ONE_PHOTO].photos
    assert rest == 20 - sum(round(0.5 * n) for n in (4, 4, 4, 4, 3))
    assert {part.photos for (share, _), part in by.items() if share == 0.5} == {rest}
    assert (0.0, INTERPOLATED) not in by
    # albums of this set lie in one city each: what anchors say settles them, but for the photo in the wild and the bad
    assert by[0.5, "travel"].within[3] >= (rest - 2) / rest
    assert by[0.5, INTERPOLATED].within[3] >= (rest - 2) / rest


def test_tables_and_json(found):
    text = found.to_text()
    for name in (ONE_PHOTO, "average", "geometric mean", "travel", "50 % are anchors"):
        assert name in text
    assert f"no anchors: all {len(found.truth.lat)}" in text
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [row["name"] for row in values["rows"]] == [each.name for each in ways(found)]
    assert values["best"] in by_name(found)
    assert "<td>travel</td>" in section(found).figure
    assert found.to_markdown().count("| travel |") >= 3 and found.to_latex().count("\ntravel &") >= 3
    assert re.search(r"^albums: first guess, % within.*travel,1 km,", found.to_csv().replace('"', ""), re.MULTILINE)


def test_single_photos_and_strange_models_are_refused(dataset, predictor):
    with pytest.raises(InputError, match="needs a dataset"):
        albums_of(of_dataset(dataset, "test"), predictor)
    with pytest.raises(InputError, match="needs --checkpoint"):
        albums_of(dataset, None)


def test_strict_asks_what_an_album_checkpoint_was_trained_on(rows, write_dataset, predictor, tmp_path):
    dataset = write_dataset(tmp_path / "photos.ds", rows)
    dataset.manifest["fingerprint"] = "of this one"
    model = build(AlbumConfig("lstm", width=8), predictor.partition, predictor.model.embedding_dim).eval()
    for name in ("of this one", "of another"):
        about = {"manifest": {"fingerprint": name}, "dataset": f"{name}.ds"}
        AlbumCheckpoint(model, predictor.checkpoint, {"name": "none"}, {}, about).save(tmp_path / name)
    same = evaluate_albums(dataset, predictor.checkpoint, "test", [tmp_path / "of this one"], strict=True)
    assert not any("not sure" in note for note in same.notes)
    told = evaluate_albums(dataset, predictor.checkpoint, "test", [tmp_path / "of another"])
    assert any("of another: the checkpoint was trained on of another.ds" in note for note in told.notes)
    with pytest.raises(InputError, match=r"may leak into training.*of another\.ds"):
        evaluate_albums(dataset, predictor.checkpoint, "test", [tmp_path / "of another"], strict=True)


@pytest.fixture(scope="module")
def planet(tmp_path_factory):
    """A synthetic planet of few photos, and a network with random weights."""
    folder = tmp_path_factory.mktemp("planet")
    make(folder / "world", 120, seed=1, workers=1, sites=70)
    ingest([folder / "world" / "photos"], folder / "dataset", workers=1)
    dataset = Dataset.open(folder / "dataset")
    cells = partitions.build(dataset.coordinates("train"), 8, 1)
    config = ImageConfig("test_resnet", image_size=32)
    return folder, dataset, Checkpoint(ImageModel(config, len(cells)).eval(), cells, {"name": "none"}, config, {})


def test_limits_and_ambiguous_photos_of_the_planet(planet):
    folder, dataset, checkpoint = planet
    found = evaluate_albums(dataset, checkpoint, "train", world=folder / "world")
    truth = of_dataset(dataset, "train").truth
    expected = limit_of(folder / "world", truth.photo_id)
    assert by_name(found)[PHOTO_LIMIT].shares == Measure(truth, found.distances_km, found.groups).row(expected).shares
    assert by_name(found)[ALBUM_LIMIT].shares[1] > by_name(found)[PHOTO_LIMIT].shares[1]
    photos = {each.title: each.parts[0].photos for each in found.breakdowns}
    assert 0.1 < photos[AMBIGUOUS] / len(truth.lat) < 0.4
    assert photos["first photo"] == photos["last photo"] > 0
    thirds = sum(photos[f"{name} third"] for name in ("first", "middle", "last"))
    assert 0 < thirds <= len(truth.lat)
    assert best(found).name != ALBUM_LIMIT


def test_no_share_of_the_limit_without_times_for_a_way_that_reads_times(planet):
    folder, dataset, checkpoint = planet
    found = evaluate_albums(dataset, checkpoint, "train", world=folder / "world")
    assert [row.name for row in ways(found) if row.answers.reads_times] == ["travel"]
    shares = [line.name for line in found.blocks()[0].lines if line.name.endswith(f"/ {ALBUM_LIMIT}")]
    assert shares == [f"{best(found, with_times=False).name} / {ALBUM_LIMIT}"]
    assert "without times" in ALBUM_LIMIT and not shares[0].startswith("travel")


def test_the_album_that_gained_most_is_drawn_before_and_after(planet):
    folder, dataset, checkpoint = planet
    found = evaluate_albums(dataset, checkpoint, "train", world=folder / "world")
    drawn = before_and_after(found, dataset)
    assert drawn.figure.count('<div class="op-globe">') == 2
    assert "One by one: median error" in drawn.figure
    assert f"Together, by {best(found).name}: median error" in drawn.figure
    assert "picked for that" in drawn.text
    sizes = np.bincount(found.groups.group_N)
    photos = int(drawn.text.split("(")[1].split()[0])
    assert photos in sizes[sizes >= 5]
    assert drawn.figure.count('"truth"') >= 2 * photos


def test_albums_are_given_the_photo_s_probabilities_at_the_checkpoint_s_temperature(dataset, predictor):
    """One photo's distribution is the Predictor's, entropy and all, also where a temperature was fitted."""
    warm = dataclasses.replace(predictor.checkpoint, calibration=Calibration(temperature=3.0))
    albums = AlbumSet(
        of_dataset(dataset, "test").truth, tuple(embedded_albums(dataset, "test", warm)), warm, (25.0, 750.0)
    )
    alone = first_guesses(albums, single)
    known = np.flatnonzero(~np.isnan(alone.entropy_N))
    row = dataset.table(["image", "photo_id"], split="test", located=True).to_pylist()
    image = {each["photo_id"]: each["image"]["bytes"] for each in row}
    for n in known[:3]:
        log_probs = Predictor(warm).locate(image[albums.truth.photo_id[n]]).log_probs.astype(np.float64)
        assert alone.entropy_N[n] == pytest.approx(-(np.exp(log_probs) * log_probs).sum(), rel=1e-3)
