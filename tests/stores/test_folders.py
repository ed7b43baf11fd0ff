"""Folders and files that are written to an S3 server: whole or not at all, and nothing of others' is lost."""

import hashlib
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from s3_server import S3

from openplanet.cli import cli
from openplanet.errors import CheckpointError, DatasetError, InputError
from openplanet.evaluation.testsets.opening import open_set
from openplanet.models import hub
from openplanet.models.checkpoint_folder import ALBUM_FORMAT, RESUME
from openplanet.photos.dataset import MANIFEST, Dataset
from openplanet.photos.ingest.ingest import ingest, ingest_shard
from openplanet.runners.job import Share
from openplanet.storage import read_json, write_json
from openplanet.stores.location import RemotePath, listing, location
from openplanet.synthetic.planet import make
from openplanet.training.callbacks import STATE
from openplanet.training.out import output_folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planet")
    make(folder, 60, 0)
    return folder / "photos"


def _remote(url: str) -> RemotePath:
    place = location(url)
    assert isinstance(place, RemotePath)
    return place


def test_ingest_to_a_store(photos: Path, s3: S3, tmp_path: Path) -> None:
    out, some = _remote(f"s3://bucket/{tmp_path.name}/photos.ds"), sorted(photos.iterdir())[:2]
    ours = ingest(some, tmp_path / "local.ds", workers=1)

    s3.reset(lambda method, path, before: "denied" if method == "PUT" and MANIFEST in path else None)
    with pytest.raises(InputError, match=rf"{out}/{MANIFEST} cannot be written: permission denied"):
        ingest(some, out, workers=1)
    with pytest.raises(DatasetError, match=f"has no {MANIFEST}"):
        Dataset.open(out)
    s3.reset()
    write_json(out / "mine.json", {})  # somebody's, though in a folder of ours
    with pytest.raises(InputError, match=rf"{out} holds other files"):
        ingest(some, out, workers=1)
    (out / "mine.json").unlink()
    s3.reset()
    assert ingest(some, str(out), workers=1) == ours  # goes on here: nothing is read again
    assert s3.count("PUT .*photos-") == 0 and s3.count(f"PUT .*{MANIFEST}") == 1
    assert Dataset.open(out).table() == Dataset.open(tmp_path / "local.ds").table()
    assert listing(out).keys() == {path.name for path in (tmp_path / "local.ds").iterdir() if path.name[0] != "."}

    write_json(out / "mine.json", {})
    more = ingest([photos], out, workers=1)  # renewed: what it has read is taken over
    assert more == ingest([photos], tmp_path / "local.ds", workers=1)
    shards = {entry["file"] for entry in more["shards"]}
    assert {name for name in listing(out) if name.startswith("photos-")} == shards and (out / "mine.json").exists()
    assert not list((tmp_path / "home" / "cache" / "work").iterdir())


def test_a_folder_of_somebody_else_is_left_alone(photos: Path, s3: S3, tmp_path: Path) -> None:
    out = _remote(f"s3://bucket/{tmp_path.name}/thesis")
    write_json(out / "thesis.json", {})
    with pytest.raises(InputError, match=rf"{out} holds other files and no manifest.json"):
        ingest([photos], out, workers=1)
    write_json(out / MANIFEST, {"format": "a web app"})
    with pytest.raises(DatasetError, match=rf"{out} holds other files and is no dataset of ours"):
        ingest([photos], out, workers=1)
    assert listing(out).keys() == {"thesis.json", MANIFEST} and read_json(out / "thesis.json") == {}


def test_a_readme_alone_is_somebodys(photos: Path, s3: S3, tmp_path: Path) -> None:
    out = _remote(f"s3://bucket/{tmp_path.name}/notes")
    write_json(out / "README.md", {})
    with pytest.raises(InputError, match=rf"{out} holds other files"):
        ingest([photos], out, workers=1)


def test_an_upload_that_dies_midway_leaves_what_was_there(
    s3: S3, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place, file = _remote(f"s3://bucket/{tmp_path.name}/large"), tmp_path / "large"
    file.write_bytes(b"before")
    place.upload(file)
    with file.open("wb") as opened:
        opened.truncate(110 << 20)  # of parts of 50 MiB
    parts = r"partNumber=(2|3)"
    s3.reset(lambda method, path, before: "denied" if method == "PUT" and "partNumber=2" in path else None)
    with pytest.raises(InputError, match=rf"{place} cannot be written: permission denied"):
        place.upload(file)
    assert f"uploading {place}, 115 MB" in caplog.text
    assert s3.count(f"PUT .*{parts}") and s3.count("DELETE .*uploadId") == 1
    s3.reset()
    assert place.read_bytes() == b"before"


def test_that_it_cannot_be_written_is_known_before_any_work(photos: Path, s3: S3, tmp_path: Path) -> None:
    s3.reset(lambda method, path, before: "denied" if method in ("POST", "PUT") else None)
    out = f"s3://bucket/{tmp_path.name}/photos.ds"
    with pytest.raises(InputError, match=rf"{out}/manifest.json cannot be written: permission denied"):
        ingest([photos], out, workers=1)
    with pytest.raises(InputError, match=r"s3://nobucket/x.ds/manifest.json cannot be written: "):
        ingest([photos], "s3://nobucket/x.ds", workers=1)


def test_partitions_in_a_store(photos: Path, s3: S3, tmp_path: Path) -> None:
    made, cells = tmp_path / "photos.ds", f"s3://bucket/{tmp_path.name}/cells"
    ingest([photos], made, workers=1, split_by="none")
    rule = ["--max-photos", "10", "--min-photos", "2"]

    def run(*arguments: str) -> None:
        done = CliRunner().invoke(cli, ["partition", *arguments])
        if done.exception is not None:
            raise done.exception

    run(str(made), *rule, "--out", str(tmp_path / "cells.parquet"))
    asked = (str(made), *rule, "--out", f"{cells}.parquet", "--geojson", f"{cells}.json", "--report", f"{cells}.html")
    run(*asked)
    run(*asked)
    assert _remote(f"{cells}.parquet").read_bytes() == (tmp_path / "cells.parquet").read_bytes()
    assert listing(_remote(cells).parent).keys() == {"cells.parquet", "cells.json", "cells.html"}
    with pytest.raises(InputError, match=r"cells.json exists and is not a partition"):
        run(str(made), *rule, "--out", f"{cells}.json")
    run(f"{cells}.parquet", *rule, "--out", str(tmp_path / "of-positions.parquet"))  # a table of lat and lng


def test_what_is_local_only_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"s3://bucket/photos is a URL, and photos must be on this machine"):
        ingest(["s3://bucket/photos"], tmp_path / "x", workers=1)  # type: ignore[list-item]
    with pytest.raises(InputError, match="shards of an ingest share a local folder"):
        ingest_shard([tmp_path], "s3://bucket/x", Share(1, 2))
    for asked in ("locate s3://bucket/x", "ingest s3://bucket/x --out x", "demo --out s3://bucket/x"):
        done = CliRunner().invoke(cli, asked.split())
        assert done.exit_code == 2 and "is a URL, and a path on this machine is needed here" in done.output
    assert not os.path.lexists("s3:")


def test_addresses_that_are_no_places_pass(tmp_path: Path) -> None:
    """An origin, a Hub, a photo server: they are URLs too."""
    done = CliRunner().invoke(cli, ["push", str(tmp_path / "none"), "a/b", "--endpoint", "http://127.0.0.1:9"])
    assert "is no folder" in str(done.exception)


def test_a_dataset_to_play_with_or_compare_on_may_be_a_url(s3: S3) -> None:
    with pytest.raises(DatasetError, match=r"s3://bucket/none.ds: no dataset there"):
        open_set("s3://bucket/none.ds")


def test_of_a_checkpoint_the_cache_gets_what_answers_need(memory: str, tmp_path: Path) -> None:
    place = _remote(f"{memory}/albums")
    for name in ("model.safetensors", "image/model.safetensors", "engines/onnx-int8/engine.json", "resume/last.ckpt"):
        write_json(place / name, {"name": name})
    sums = {"model.safetensors": hashlib.sha256((place / "model.safetensors").read_bytes()).hexdigest()}
    write_json(place / "config.json", {"format": ALBUM_FORMAT, "sha256": sums})
    with pytest.raises(CheckpointError, match=rf"{place} is not a finished checkpoint"):
        hub.resolve(place)
    write_json(place / "image" / "config.json", {"sha256": {"model.safetensors": "another"}})
    with pytest.raises(InputError, match=rf"{place}/image/model.safetensors is damaged"):
        hub.resolve(str(place))
    write_json(place / "image" / "config.json", {"sha256": {}})
    copy = hub.resolve(place)
    assert copy.name == "albums" and hub.resolve(place) == copy
    assert (copy / "image" / "model.safetensors").read_bytes() == (place / "image" / "model.safetensors").read_bytes()
    assert (copy / "engines" / "onnx-int8" / "engine.json").is_file() and not (copy / "resume").exists()


def test_a_machine_with_an_older_state_does_not_roll_back_what_another_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out, state = _remote(f"memory://{tmp_path.name}/model"), f"{RESUME}/{STATE}"

    def works(machine: str, epochs: list[int]) -> str:
        """A training that uploads these epochs and dies; returns the state that it finds."""
        monkeypatch.setenv("OPENPLANET_HOME", str(tmp_path / machine))
        found = ""
        with pytest.raises(InputError, match="killed"), output_folder(out) as work:
            file = work.folder / state
            found = file.read_text() if file.exists() else ""
            for epoch in epochs:
                file.parent.mkdir(exist_ok=True)
                file.write_text(f"epoch {epoch}")
                work.upload()
            raise InputError("killed")
        return found

    assert works("a", [1, 2, 3]) == "" and works("a", []) == "epoch 3"
    assert works("b", [7, 8]) == "epoch 3"
    assert works("a", [9]) == "epoch 8" and "was written by another run since" in caplog.text
    assert (out / state).read_text() == "epoch 9"


def test_an_upload_that_was_not_recorded_is_known_by_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENPLANET_HOME", str(tmp_path))
    out = _remote(f"memory://{tmp_path.name}/model")
    with pytest.raises(InputError, match="killed"), output_folder(out) as work:
        file = work.folder / RESUME / STATE
        file.parent.mkdir()
        file.write_text("epoch 1")
        (work.folder / "mine").write_text("not uploaded")
        (out / RESUME / STATE).upload(file)  # and then the process died
        raise InputError("killed")
    with pytest.raises(InputError, match="killed"), output_folder(out) as work:
        assert (work.folder / "mine").exists()
        raise InputError("killed")
