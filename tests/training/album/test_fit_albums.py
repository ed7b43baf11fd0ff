"""Training of album models: they learn from the album, stand alone when saved, and go on when stopped."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import album_dataset
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from openplanet import album_recipes
from openplanet.cli import cli
from openplanet.errors import CheckpointError, RecipeError, TrainingError
from openplanet.models.album.average import Average
from openplanet.models.album.base import AlbumConfig, Albums
from openplanet.models.album.checkpoint import AlbumCheckpoint
from openplanet.models.album.embedded import batch, embedded_albums
from openplanet.models.album.travel import Travel
from openplanet.models.checkpoint import Checkpoint
from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest.split import too_few
from openplanet.training.album import fit_albums as fitting
from openplanet.training.album.calibrate import calibrate_albums
from openplanet.training.album.data import AlbumRows, Swaps, draw_anchors, stretch
from openplanet.training.album.fit_albums import fit_albums
from openplanet.training.album.module import AlbumTraining
from openplanet.training.album.recipe import AlbumRecipe
from openplanet.training.recipe.base import override

TINY = {"width": "16", "epochs": "12", "batch_size": "4", "learning_rate": "0.02", "smoothing_km": "none"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return album_dataset.write(tmp_path_factory.mktemp("albums") / "photos.ds")


@pytest.fixture(scope="module")
def image(dataset: Dataset) -> Checkpoint:
    return album_dataset.image_checkpoint(dataset)


def _recipe(name: str, **changes: str) -> AlbumRecipe:
    return override(album_recipes.get(name), {**TINY, **changes})


def _answers(checkpoint: AlbumCheckpoint, dataset: Dataset) -> torch.Tensor:
    albums = embedded_albums(dataset, "val", checkpoint.image)
    with torch.no_grad():
        return checkpoint.model.eval()(batch(albums, checkpoint.image.model, checkpoint.partition))


@pytest.fixture(scope="module")
def trained(dataset: Dataset, image: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    out = tmp_path_factory.mktemp("out") / "blstm"
    return out, fit_albums(dataset, image, _recipe("blstm"), out)


def test_grey_photos_are_placed_by_their_album(trained: tuple[Path, AlbumCheckpoint]) -> None:
    accuracy = trained[1].accuracy
    assert accuracy["photos"] == 24  # those without a position are not asked for
    assert accuracy["within_25_km"] >= 0.9  # half of them are grey: each alone gives two thirds at most


def test_the_plain_lstm_does_not_know_its_first_photos(dataset: Dataset, image: Checkpoint, tmp_path: Path) -> None:
    made = fit_albums(dataset, image, _recipe("lstm"), tmp_path / "out")
    best_BT = _answers(made, dataset).argmax(dim=2)
    right_BT = best_BT == torch.tensor([album.cells(made.partition)[0] for album in _val(dataset, image)])[:, None]
    assert right_BT[:, 1:].float().mean() >= 0.9 and right_BT[:, 0].float().mean() < 0.7


class TooSure(Average):
    """The mean, eight times as sure as it has reason to be."""

    def forward(self, albums: Albums) -> torch.Tensor:
        return torch.log_softmax(8 * super().forward(albums), dim=2)


def test_answers_are_as_sure_as_val_albums_allow(image: Checkpoint, tmp_path: Path) -> None:
    val = [album for n in range(3) for album in _val(album_dataset.write(tmp_path / f"{n}.ds", 2, 9), image)]
    model = TooSure(image.partition, image.model.embedding_dim, AlbumConfig("average"))
    model.calibration = calibrate_albums(model, image, val)
    alone, anchored = model.calibration.alone, model.calibration.anchored
    assert alone.photos >= 90 and alone.temperature > 2 and alone.regions.fitted
    assert 0 < anchored.photos < alone.photos  # a quarter are given
    one = batch(val[:2], image.model, image.partition, [val[0].located, np.zeros(len(val[1]), dtype=bool)])
    for told, calibration, row in zip(model.answer(one), (anchored, alone), model(one), strict=True):
        torch.testing.assert_close(told, torch.log_softmax(row / calibration.temperature, dim=1))
    AlbumCheckpoint(model, image, {}, {}).save(tmp_path / "out")
    assert AlbumCheckpoint.load(tmp_path / "out").model.calibration == model.calibration


def test_the_image_model_comes_back_to_its_device(
    dataset: Dataset, image: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be one device here: what counts is that the last move is to where the model was."""
    moves: list[Any] = []
    model = type(image.model)
    monkeypatch.setattr(model, "to", lambda self, *to, **named: (moves.append(to), torch.nn.Module.to(self, *to))[1])
    monkeypatch.setattr(model, "cpu", lambda self: (moves.append("cpu"), self)[1])
    before = image.model.mean.device
    fit_albums(dataset, image, _recipe("blstm", epochs="1"), tmp_path / "albums")
    assert moves[-1] == (before,) and "cpu" not in moves


def _val(dataset: Dataset, image: Checkpoint) -> list[Any]:
    return embedded_albums(dataset, "val", image)


def test_a_checkpoint_stands_alone(trained: tuple[Path, AlbumCheckpoint], dataset: Dataset) -> None:
    folder, made = trained
    again = AlbumCheckpoint.load(folder)
    assert torch.equal(_answers(again, dataset), _answers(made, dataset))
    assert again.config == made.config and again.recipe == made.recipe and again.accuracy == made.accuracy
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "`blstm`" in card and "18 training albums with 90 photos, 72 of them" in card
    Checkpoint.load(folder / "image")
    with pytest.raises(CheckpointError, match=r"openplanet-checkpoint is asked for.*image model in .*image"):
        Checkpoint.load(folder)
    with pytest.raises(CheckpointError, match="openplanet-album-checkpoint is asked for"):
        AlbumCheckpoint.load(folder / "image")


@pytest.mark.parametrize("name", ["model.safetensors", "image/config.json", "image/model.safetensors"])
def test_damage_is_told(trained: tuple[Path, AlbumCheckpoint], tmp_path: Path, name: str) -> None:
    copy = tmp_path / "copy"
    trained[1].save(copy)
    data = bytearray((copy / name).read_bytes())
    data[-20] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(CheckpointError, match="is damaged or of another checkpoint"):
        AlbumCheckpoint.load(copy)
    (copy / "config.json").unlink()
    with pytest.raises(CheckpointError, match="not a finished checkpoint"):
        AlbumCheckpoint.load(copy)


def test_an_unknown_variant_in_a_checkpoint_is_told(trained: tuple[Path, AlbumCheckpoint], tmp_path: Path) -> None:
    trained[1].save(tmp_path / "copy")
    file = tmp_path / "copy" / "config.json"
    config = json.loads(file.read_text())
    config["album"]["variant"] = "crystal ball"
    file.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"another version.*crystal ball"):
        AlbumCheckpoint.load(tmp_path / "copy")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "changes",
    [
        {"width": 10**9}, {"width": "8"}, {"layers": 10**6}, {"layers": True}, {"dropout": 2}, {"residual": "yes"},
        {"options": {"window": 10**12}}, {"options": {"checkpoint_path": "x"}}, {"options": [1]},
        {"variant": ["blstm"]}, {"variant": "lstm", "options": {"delay": 10**9}}, {"width": 8192, "layers": 32},
    ],
    ids=str,
)  # fmt: skip
def test_a_strangers_album_model_is_refused_before_it_is_built(
    trained: tuple[Path, AlbumCheckpoint], tmp_path: Path, changes: dict[str, Any]
) -> None:
    trained[1].save(tmp_path / "copy")
    file = tmp_path / "copy" / "config.json"
    config = json.loads(file.read_text())
    config["album"] |= changes
    file.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"config\.json"):
        AlbumCheckpoint.load(tmp_path / "copy")


def test_stopped_it_goes_on_to_the_same_weights(
    dataset: Dataset, image: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = _recipe("lstm", epochs="3", dropout="0.3", noise="0.1", shorten="0.5", save_every="2", ema_decay="0.9")
    whole = fit_albums(dataset, image, recipe, tmp_path / "whole")
    step, steps = AlbumTraining.training_step, iter(range(100))

    def stopping(self: AlbumTraining, rows: Any, batch_index: int) -> torch.Tensor:
        if next(steps) == 8:  # in the second of three epochs of 5 batches, after the state was saved
            raise KeyboardInterrupt
        return step(self, rows, batch_index)

    monkeypatch.setattr(AlbumTraining, "training_step", stopping)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        fit_albums(dataset, image, recipe, tmp_path / "stopped")
    with pytest.raises(RecipeError, match="started with another width"):
        fit_albums(dataset, image, dataclasses.replace(recipe, width=8), tmp_path / "stopped", resume=True)
    with pytest.raises(TrainingError, match="holds a training that was stopped"):
        fit_albums(dataset, image, recipe, tmp_path / "stopped")
    resumed = fit_albums(dataset, image, recipe, tmp_path / "stopped", resume=True)
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name], value, msg=name)
    assert resumed.accuracy == whole.accuracy
    assert fit_albums(dataset, image, recipe, tmp_path / "stopped", resume=True).accuracy == whole.accuracy


def test_a_variant_without_training_is_a_checkpoint_too(dataset: Dataset, image: Checkpoint, tmp_path: Path) -> None:
    made = fit_albums(dataset, image, _recipe("average"), tmp_path / "out")
    again = AlbumCheckpoint.load(tmp_path / "out")
    assert made.accuracy["photos"] == 24 and again.accuracy == made.accuracy
    assert torch.equal(_answers(again, dataset), _answers(made, dataset))


def test_the_transformer_adds_to_what_the_image_model_says(dataset: Dataset, image: Checkpoint, tmp_path: Path) -> None:
    made = fit_albums(dataset, image, _recipe("transformer", learning_rate="0.01"), tmp_path / "out")
    assert made.config.residual and made.accuracy["within_25_km"] >= 0.9


def test_albums_without_positions_cannot_train(image: Checkpoint, tmp_path: Path) -> None:
    nothing = album_dataset.write(tmp_path / "photos.ds", train=0)
    with pytest.raises(TrainingError, match="no photo of its train split has a position"):
        fit_albums(nothing, image, _recipe("lstm"), tmp_path / "out")


def test_long_albums_come_in_stretches(dataset: Dataset, image: Checkpoint) -> None:
    album, rng = _val(dataset, image)[0], np.random.default_rng(0)
    assert AlbumRows([album, album.part([0])], 2)[[0, 1, 2, 3]]["row"].tolist() == [0, 0, 0, 1]
    recipe = _recipe("lstm", crop="2")
    runs = {tuple(stretch(album, recipe, rng).photo_ids) for _ in range(50)}
    assert runs == {tuple(album.photo_ids[first : first + 2]) for first in range(album_dataset.LENGTH - 1)}
    lengths = {len(stretch(album, _recipe("lstm", shorten="1"), rng)) for _ in range(100)}
    assert lengths == {1, 2, 3, 4, 5}
    assert stretch(album, _recipe("lstm"), rng) is album


def test_photos_are_swapped_within_their_cells(dataset: Dataset, image: Checkpoint) -> None:
    albums, rng = _val(dataset, image), np.random.default_rng(0)
    swaps = Swaps(albums, image.partition)
    made = [swaps.swapped(albums[0], 1.0, rng) for _ in range(20)]
    colours = torch.cat([album.embedding_TD[:-1] for album in (albums[0], albums[3])])  # of one place, both
    for album in made:
        assert (
            album.photo_ids == albums[0].photo_ids
            and (album.cells(image.partition) == made[0].cells(image.partition)).all()
        )
        assert torch.equal(album.embedding_TD[-1], albums[0].embedding_TD[-1])  # without a position
        assert all((row == colours).all(dim=1).any() for row in album.embedding_TD[:-1])
    assert len({album.embedding_TD.sum().item() for album in made}) > 10
    assert swaps.swapped(albums[0], 0.0, rng) is albums[0]


def test_anchors_are_drawn_among_the_located(dataset: Dataset, image: Checkpoint) -> None:
    album, rng = _val(dataset, image)[0], np.random.default_rng(0)
    drawn = np.array([draw_anchors(album, _recipe("lstm", anchors="1"), rng) for _ in range(400)])
    assert not drawn[:, -1].any() and 0.2 < drawn[:, :-1].mean() < 0.3
    assert not draw_anchors(album, _recipe("lstm", anchors="0"), rng).any()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("variant", "ltsm", "one of average"), ("dropout", "1", "less than 1"), ("anchors", "2", "at most 1"),
     ("crop", "0", "at least 1"), ("epochs", "0", "at least 1"), ("options", "3", "a JSON object")],
)  # fmt: skip
def test_impossible_settings_are_told(name: str, value: str, message: str) -> None:
    with pytest.raises(RecipeError, match=f"{name} must be {message}"):
        _recipe("lstm", **{name: value})


def test_a_choice_that_rests_on_few_photos_says_so(
    dataset: Dataset, image: Checkpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fit_albums(dataset, image, _recipe("average"), tmp_path / "out")
    assert f"val has {too_few(*dataset.held_out())}" in caplog.text


def test_a_model_without_training_is_measured_where_the_image_model_is(
    dataset: Dataset, image: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[str] = []
    monkeypatch.setattr(Average, "to", lambda model, device: moved.append(str(device)) or model)
    monkeypatch.setattr(fitting, "measure", lambda *_: moved.append("measured") or {})
    fit_albums(dataset, image, _recipe("average"), tmp_path / "out")
    assert moved == [str(image.model.mean.device), "measured"]


def test_the_command_loads_the_image_model_on_the_best_device(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(folder: Path, device: torch.device) -> Checkpoint:
        raise CheckpointError(f"{folder.name} on {device}")

    monkeypatch.setattr(Checkpoint, "load", load)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    command = ["train-albums", str(dataset.path), "--checkpoint", "model", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, [*command, "--recipe", "average"])
    assert str(result.exception) == "model on cuda"


def test_the_command(dataset: Dataset, image: Checkpoint, tmp_path: Path) -> None:
    model, out = str(tmp_path / "model"), str(tmp_path / "out")
    image.save(Path(model))
    command = ["train-albums", str(dataset.path), "--checkpoint", model, "--out", out]
    result = CliRunner().invoke(cli, [*command, "--recipe", "lstm_repeated", "--set", "epochs=1"])
    assert result.exit_code == 0, result.output
    assert "lstm_repeated; on the val split:" in result.output
    assert AlbumCheckpoint.load(out).config.variant == "lstm_repeated"


def test_the_options_of_the_command(dataset: Dataset, image: Checkpoint, tmp_path: Path) -> None:
    model, out, cache = (str(tmp_path / name) for name in ("model", "out", "cache"))
    image.save(Path(model))
    command = ["train-albums", str(dataset.path), "--checkpoint", model, "--out", out, "--recipe"]
    travel = CliRunner().invoke(cli, [*command, "travel", "--cache", cache, "--set", 'options={"exponent": 0.6}'])
    assert travel.exit_code == 0, travel.output
    made = AlbumCheckpoint.load(out)
    assert made.config.options == {"exponent": 0.6}
    assert isinstance(made.model, Travel)
    assert sum(made.model.movement.steps_S) == 18 * 3  # of the four located photos of each album
    assert float((made.model.general_C - 1 / 3).abs().max()) > 1e-6
    assert list(Path(cache).rglob("*.safetensors"))
    unknown = CliRunner().invoke(cli, [*command, "ltsm"])
    assert unknown.exit_code != 0 and isinstance(unknown.exception, RecipeError)
    assert "did you mean lstm?" in str(unknown.exception)
