"""Training, checkpoints and answers from and to an S3 server, against the same on the local disk."""

import pickle
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import made
import pytest
import torch
from click.testing import CliRunner
from s3_server import S3

from openplanet.cli import cli
from openplanet.earth.partition.adaptive import Partition, build
from openplanet.errors import CheckpointError, InputError, TrainingError
from openplanet.inference import located_parts
from openplanet.inference.locator import open_locator
from openplanet.models import features
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageModel
from openplanet.photos.dataset import Dataset
from openplanet.storage import read_json
from openplanet.stores.folders import Staged
from openplanet.stores.location import RemotePath, listing, location
from openplanet.training import loop
from openplanet.training.distributed import Ranks
from openplanet.training.fit import fit
from openplanet.training.out import output_folder, upload_epoch
from openplanet.training.photos import data, stream
from openplanet.training.recipe.recipe import Recipe

RECIPE = Recipe(
    name="tiny", description="for tests", seen="nothing", max_photos=12, min_photos=3, backbone="test_resnet",
    image_size=32, optimizer="adamw", learning_rate=3e-3, schedule="cosine", warmup=0, epochs=2, batch_size=16,
    crop=0.2, jitter=0.1, shuffle_buffer=40, workers=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return Dataset.open(made.write(tmp_path_factory.mktemp("made") / "photos.ds"))


@pytest.fixture
def there(local: Dataset, s3: S3, tmp_path: Path) -> Dataset:
    url = f"s3://bucket/{tmp_path.name}/photos.ds"
    made.uploaded(Path(str(local.path)), url)
    s3.reset()
    return Dataset.open(url)


@pytest.fixture
def _streaming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "CACHE_BYTES", 0)


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """Sums come in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class KilledError(Exception):
    """In place of a process's end."""


def _batches(dataset: Dataset, cells: Partition, workers: int) -> list[dict[str, object]]:
    photos = data.load_split(dataset, "train", cells, 32, True, 40)
    assert isinstance(photos, stream.StreamedPhotos)
    photos = pickle.loads(pickle.dumps(photos))  # as workers get it where they are spawned
    return list(data.loader(photos, 16, replace(RECIPE, workers=workers), shuffle=True, ranks=Ranks()))


@pytest.mark.usefixtures("_streaming")
@pytest.mark.slow
def test_workers_open_their_own_connections_and_give_the_batches_of_a_local_dataset(
    local: Dataset, there: Dataset, s3: S3
) -> None:
    cells = build(local.coordinates("train"), 12, 3)
    there.count()  # this process has connections when the workers start
    ours, theirs = _batches(local, cells, 0), _batches(there, cells, 2)
    assert len(ours) == len(theirs) > 3
    for one, other in zip(ours, theirs, strict=True):
        assert one["photo_id"] == other["photo_id"] and torch.equal(one["pixels"], other["pixels"])  # type: ignore[arg-type]
    assert s3.count(r"GET .*photos-") > 2


def _weights(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return checkpoint.model.state_dict()


@pytest.mark.usefixtures("_streaming", "_one_thread")
@pytest.mark.slow
def test_a_training_that_dies_goes_on_from_the_store_and_ends_with_the_bits_of_a_local_one(
    local: Dataset, there: Dataset, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(RECIPE, workers=0)
    cells = build(local.coordinates("train"), 12, 3)
    ours = fit(local, recipe, tmp_path / "local", partition=cells)
    out = location(f"s3://bucket/{tmp_path.name}/model")

    def killed(work: Staged) -> None:
        work.upload()
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(loop, "upload_epoch", killed)
        fit(there, recipe, out, partition=cells)
    shutil.rmtree(tmp_path / "home")  # another machine
    made.forget()

    def unwritable(method: str, path: str, before: int) -> str | None:
        return "denied" if method == "PUT" and path.endswith("model/config.json") else None

    s3.reset(unwritable)
    with pytest.raises(InputError, match=r"model/config.json cannot be written: permission denied"):
        fit(there, recipe, out, partition=cells, resume=True)
    with pytest.raises(CheckpointError, match=rf"{out} is not a finished checkpoint"):
        Checkpoint.load(out)
    s3.reset()
    theirs = fit(there, recipe, out, partition=cells, resume=True)
    assert theirs.accuracy == ours.accuracy
    loaded = Checkpoint.load(str(out))
    for checkpoint in (theirs, loaded):
        for name, value in _weights(ours).items():
            assert torch.equal(value, _weights(checkpoint)[name]), name
    assert not (out / "resume").exists() and not list((tmp_path / "home" / "cache" / "work").iterdir())
    with pytest.raises(TrainingError, match=rf"{out} already holds a finished checkpoint"):
        fit(there, recipe, out, partition=cells)


@pytest.mark.slow
def test_a_checkpoint_and_answers_in_a_store(
    local: Dataset, there: Dataset, s3: S3, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = build(local.coordinates("train"), 12, 3)
    fit(local, replace(RECIPE, epochs=1, workers=0), tmp_path / "model", partition=cells)
    url = str(made.uploaded(tmp_path / "model", f"s3://bucket/{tmp_path.name}/model"))
    scores = f"s3://bucket/{tmp_path.name}/scores"

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, arguments)

    ours = run(
        "evaluate",
        str(local.path),
        "--no-neighbours",
        "--checkpoint",
        str(tmp_path / "model"),
        "--json",
        str(tmp_path / "x.json"),
    )
    asked = [
        "evaluate",
        str(there.path),
        "--no-neighbours",
        "--checkpoint",
        url,
        "--json",
        f"{scores}.json",
        "--report",
        f"{scores}.html",
    ]
    theirs = run(*asked)
    assert theirs.exit_code == 0, theirs.output
    assert theirs.stdout == ours.stdout
    assert read_json(location(f"{scores}.json")) == read_json(tmp_path / "x.json")
    assert {"scores.html", "scores.csv", "scores.md", "scores.tex"} <= listing(location(url).parent).keys()
    location(f"{scores}.md").upload(tmp_path / "x.json")  # type: ignore[union-attr]
    refused = run(*asked)
    assert isinstance(refused.exception, InputError) and "scores.md exists and is not" in str(refused.exception)

    s3.reset()
    made.forget()
    assert open_locator(url).provenance == open_locator(tmp_path / "model").provenance
    assert s3.count("GET .*model.safetensors") == 0  # the cache has it
    (location(url) / "model.safetensors").upload(tmp_path / "x.json")  # type: ignore[union-attr]
    with pytest.raises(InputError, match=rf"{url}/model.safetensors is damaged: its SHA-256"):
        open_locator(url)
    s3.reset(lambda method, path, before: "denied")
    with pytest.raises(InputError, match=rf"^{url}/config.json cannot be read: permission denied"):
        open_locator(url)


@pytest.mark.slow
def test_the_features_of_a_dataset_in_a_store_lie_beside_it(local: Dataset, there: Dataset, s3: S3) -> None:
    model = ImageModel(RECIPE.image_config(40), 5).eval()
    ours = features.of_backbone(local, "train", model, Path(str(local.path)).with_name("features"))
    s3.reset()
    theirs = features.of_backbone(there, "train", model)
    assert torch.equal(ours.features_NF, theirs.features_NF) and s3.count("PUT .*photos.ds.embeddings/.*train-") > 2
    made.forget()
    s3.reset()
    again = features.of_backbone(there, "train", model)
    assert torch.equal(again.features_NF, theirs.features_NF)
    assert s3.count("PUT") == 0 and s3.count("list-type.*embeddings") == 1


@pytest.mark.slow
def test_locate_in_parts_in_a_store(local: Dataset, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(located_parts, "PHOTOS", 2)
    cells = build(local.coordinates("train"), 12, 3)
    model = ImageModel(RECIPE.image_config(40), len(cells)).eval()
    Checkpoint(model, cells, {"name": "tiny"}, model.config, {}).save(tmp_path / "model")
    url = str(made.uploaded(tmp_path / "model", f"s3://bucket/{tmp_path.name}/model"))
    parts = f"s3://bucket/{tmp_path.name}/answers"
    for number, image in enumerate(local.table(["image"])["image"].to_pylist()[:5]):
        (tmp_path / f"{number}.jpg").write_bytes(image["bytes"])
    photos = [str(tmp_path / f"{number}.jpg") for number in range(5)]

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli, ["locate", *photos, "--json", "--checkpoint", url, *arguments])
        if done.exception is not None:
            raise done.exception
        return done.stdout

    run("--parts", parts, "--shard", "1/2")
    s3.reset()
    answered = run("--parts", parts)
    assert s3.count("PUT .*/part-") == 1 and s3.count("list-type=2.*answers") == 2  # what is done; what to put together
    assert answered == run()


def test_several_processes_need_a_local_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ranks, "from_environment", classmethod(lambda cls: Ranks(0, 2, 2)))
    with (
        pytest.raises(TrainingError, match=r"s3://bucket/model: several processes need a local folder"),
        output_folder(location("s3://bucket/model")),
    ):
        pass


def test_an_upload_that_fails_between_epochs_does_not_stop_the_training(
    memory: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: RemotePath, file: Path) -> None:
        raise InputError(f"{self} cannot be written: the store is overloaded; try again later")

    out = location(f"{memory}/model")
    with output_folder(out) as work:
        (work.folder / "training.csv").write_text("epoch")
        with monkeypatch.context() as patch:
            patch.setattr(RemotePath, "upload", fails)
            upload_epoch(work)
        assert "model/training.csv cannot be written: the store is overloaded" in caplog.text
        assert not (out / "training.csv").exists()
        upload_epoch(work)
        assert (out / "training.csv").exists() and not (out / "config.json").exists()
