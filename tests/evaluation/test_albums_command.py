"""``evaluate --albums`` as it is typed: trained variants, anchors, and what is refused; and how travel is set."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from openplanet.cli import cli
from openplanet.errors import InputError
from openplanet.evaluation.albums import INTERPOLATED, OR_BETWEEN, evaluate_albums, load_trained
from openplanet.evaluation.answers import Answers
from openplanet.evaluation.contestants import travel_choice
from openplanet.evaluation.contestants.album_asking import AlbumSet
from openplanet.evaluation.testsets.photoset import of_dataset
from openplanet.models.album.base import AlbumConfig
from openplanet.models.album.checkpoint import AlbumCheckpoint
from openplanet.models.album.embedded import embedded_albums
from openplanet.models.album.registry import build
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageModel


def save(image, folder, variant="lstm"):
    model = build(AlbumConfig(variant, width=8), image.partition, image.model.embedding_dim)
    AlbumCheckpoint(model.eval(), image, {"name": variant}, {}).save(folder)
    return folder


def evaluate(*arguments):
    return CliRunner().invoke(cli, ["evaluate", *map(str, arguments)])


def test_all_variants_in_one_table(dataset, predictor, tmp_path):
    predictor.checkpoint.save(tmp_path / "model")
    trained = [save(predictor.checkpoint, tmp_path / name) for name in ("first", "second")]
    options = [part for folder in trained for part in ("--album-checkpoint", folder)]
    options += ["--albums", "--no-neighbours", "--anchors", "0,50", "--distances", "100"]
    done = evaluate(dataset.path, "--checkpoint", tmp_path / "model", "--json", tmp_path / "scores.json", *options)
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "scores.json").read_text())
    assert not [row["name"] for row in found["rows"] if "neighbour" in row["name"] or "nearest" in row["name"]]
    names = ["one photo", "average", "geometric mean", "travel", "lstm", "second"]
    assert [row["name"] for row in found["albums"]["rows"]] == names
    assert found["albums"]["distances_km"] == [1, 25, 100, 200, 750, 2500]
    assert found["albums"]["photo_ids"] == found["photo_ids"]
    assert set(found["albums"]["rows"][0]) >= set(found["rows"][0])  # one shape, and what albums have besides
    half = {row["name"]: row["within"] for row in found["albums"]["anchors"] if row["anchors"] == 0.5}
    assert list(half) == [*names, INTERPOLATED, *(name + OR_BETWEEN for name in names)]
    # all photos of this set's albums lie within 100 km of each other: anchors place them all the same
    assert half["lstm" + OR_BETWEEN] == half["one photo" + OR_BETWEEN] == half[INTERPOLATED]
    assert [row["name"] for row in found["albums"]["anchors"] if row["anchors"] == 0] == names
    assert "second" in done.output
    assert "No nearest neighbour: left out, as asked (--no-neighbours)." in done.output


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--anchors", "10"], "go with --albums"), (["--album-checkpoint", "x"], "go with --albums"),
     (["--albums", "--anchors", "100"], "percentages below 100"), (["--albums", "--anchors", "ten"], "percentages")],
)  # fmt: skip
def test_what_makes_no_sense_is_told_before_the_work(dataset, options, message):
    done = evaluate(dataset.path, "--checkpoint", "nowhere", *options)
    assert done.exit_code == 2
    assert message in done.output


def test_a_wrong_album_checkpoint_is_told_before_the_model_looks_at_photos(dataset, predictor, tmp_path):
    predictor.checkpoint.save(tmp_path / "model")
    done = evaluate(
        dataset.path, "--checkpoint", tmp_path / "model", "--albums", "--album-checkpoint", tmp_path / "model"
    )
    assert isinstance(done.exception, InputError)
    assert "openplanet-album-checkpoint is asked for" in str(done.exception)
    assert "within" not in done.output  # no table, and no minutes spent on one


def test_an_album_checkpoint_is_not_measured_on_single_photos(dataset, predictor, tmp_path):
    folder = save(predictor.checkpoint, tmp_path / "lstm")
    done = evaluate(dataset.path, "--checkpoint", folder)
    assert isinstance(done.exception, InputError)
    assert "the checkpoint is one of albums" in str(done.exception)
    done = evaluate(dataset.path, "--checkpoint", folder, "--albums")
    assert isinstance(done.exception, InputError)
    assert "--albums needs --checkpoint with a folder of `openplanet train`" in str(done.exception)


def test_no_album_checkpoint_takes_the_row_of_another(dataset, predictor, tmp_path):
    ours = predictor.checkpoint
    twice = [save(ours, tmp_path / seed / "lstm") for seed in ("one", "two")]
    with pytest.raises(InputError, match=r"lstm: another row of the table is called lstm: rename the folder"):
        load_trained(twice, ours)
    assert list(load_trained([twice[0], twice[0]], ours)) == ["lstm"]
    assert list(load_trained([twice[0], save(ours, tmp_path / "wide")], ours)) == ["lstm", "wide"]
    with pytest.raises(InputError, match="called travel"):
        load_trained([save(ours, tmp_path / "travel", "travel")], ours)


def test_an_album_checkpoint_of_another_image_model_is_refused(dataset, predictor, tmp_path):
    ours = predictor.checkpoint
    torch.manual_seed(1)
    other = Checkpoint(ImageModel(ours.image, len(ours.partition)).eval(), ours.partition, {}, ours.image, {})
    folder = save(other, tmp_path / "strange")
    with pytest.raises(InputError, match=r"strange was trained on the embeddings of another image model"):
        evaluate_albums(dataset, ours, "test", album_checkpoints=[folder])
    same = save(dataclasses.replace(ours, training={"note": "saved again"}), tmp_path / "same")
    found = evaluate_albums(dataset, ours, "test", album_checkpoints=[same])
    assert found.rows[-1].name == "lstm, best point"


@pytest.fixture
def val(dataset, predictor):
    """The test photos in the place of val."""
    albums = tuple(embedded_albums(dataset, "test", predictor.checkpoint))
    return AlbumSet(of_dataset(dataset, "test").truth, albums, predictor.checkpoint, (25.0, 2500.0))


def test_travel_is_set_to_what_places_most_val_photos(val, monkeypatch):
    tried = []

    def ask(albums, model):
        tried.append((model.exponent, model.transitions.jump))
        assert all(len(album) > 1 for album in albums.albums)
        assert model.movement.steps_S == chosen_steps
        right_N = np.arange(len(val.truth.lat)) < (9 if tried[-1] == (0.7, 0.1) else 5)
        lat_N = np.where(right_N, val.truth.lat, val.truth.lat - np.sign(val.truth.lat) * 60)
        return Answers("travel", "", lat_N[:, None], val.truth.lng[:, None])

    few = dataclasses.replace(val, albums=val.albums[:1])
    model, how = travel_choice.learnt(val.albums, few)
    chosen_steps = model.movement.steps_S
    assert (model.exponent, model.transitions.jump) == (travel_choice.EXPONENT, travel_choice.JUMP)
    assert "by default: the val split has too few albums" in how
    monkeypatch.setattr(travel_choice, "first_guesses", ask)
    monkeypatch.setattr(travel_choice, "LEAST_PHOTOS", 5)
    model, how = travel_choice.learnt(val.albums, val)
    assert len(tried) == len(set(tried)) == len(travel_choice.EXPONENTS) * len(travel_choice.JUMPS)
    assert (model.exponent, model.transitions.jump) == (0.7, 0.1)
    assert f"exponent 0.7 and jump 0.1 chosen on {sum(len(a) > 1 for a in val.albums)} val albums" in how
    # divided by is what the image model says in general, not the shares of the training photos
    assert float((model.general_C - 1 / len(model.general_C)).abs().max()) > 0
    assert float(model.general_C.sum()) == pytest.approx(1.0)
