"""Downloads: what is fetched, checked, kept; and what is said where it cannot be had."""

import dataclasses
import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from openplanet.cli import cli
from openplanet.earth.partition.adaptive import build
from openplanet.errors import CheckpointError, InputError
from openplanet.inference.locator import open_locator
from openplanet.models import hub
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.models.published import fetch
from openplanet.models.published.published import File, Published

CONTENT = {"a.bin": b"weights", "b.whl": b"a wheel"}


def convert(files: Mapping[str, Path]) -> Checkpoint:
    assert {name: path.read_bytes() for name, path in files.items()} == CONTENT
    lat, lng = np.repeat([48.86, 35.68], 9), np.repeat([2.35, 139.69], 9)
    partition, image = build([(lat, lng)], max_photos=9, min_photos=1), ImageConfig("test_resnet", 32)
    torch.manual_seed(0)
    return Checkpoint(ImageModel(image, len(partition)).eval(), partition, {"name": "toy"}, image, {})


def file(name: str, where: str) -> File:
    return File(name, where, len(CONTENT[name]), hashlib.sha256(CONTENT[name]).hexdigest())


TOY = Published(
    "toy", "A toy", "MIT", "nowhere", "photos", "perfect",
    (file("a.bin", "hf:o/n@0123/sub/a.bin"), file("b.whl", "pypi:b==1")), convert,
)  # fmt: skip


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """A Hub and an index that hold the files; what they are asked for."""
    asked: list[Any] = []

    def from_hub(repository: str, path: str, revision: str, local_dir: Path) -> str:
        asked.append((repository, path, revision))
        found = Path(local_dir) / path
        found.parent.mkdir(parents=True, exist_ok=True)
        found.write_bytes(CONTENT[found.name])
        return str(found)

    def pip(command: list[str], **_: Any) -> None:
        asked.append(command[-1])
        (Path(command[command.index("--dest") + 1]) / "b.whl").write_bytes(CONTENT["b.whl"])

    monkeypatch.setattr(fetch, "hf_hub_download", from_hub)
    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setenv("OPENPLANET_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(fetch.PUBLISHED, "toy", TOY)
    return asked


def test_a_model_is_fetched_once_and_then_known_by_its_name(network: list[Any], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="openplanet download geoclip"):
        hub.only_kept()
    out = fetch.download("toy")
    assert network == [("o/n", "sub/a.bin", "0123"), "b==1"]
    assert out == tmp_path / "home" / "models" / "toy" and "MIT" in (out / "LICENCE.txt").read_text()
    assert not (tmp_path / "home" / "downloads" / "toy").exists()
    assert fetch.download("toy") == out and len(network) == 2
    assert hub.is_kept("toy") and hub.only_kept() == out and len(open_locator("toy").partition) == 2
    shown = CliRunner().invoke(cli, ["download"]).output
    assert "toy  (in " in shown and "geoclip  (1.75 GB)" in shown and "SHA" not in shown


def test_with_several_one_has_to_be_named(network: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    fetch.download("toy")
    monkeypatch.setitem(fetch.PUBLISHED, "second", dataclasses.replace(TOY, name="second"))
    fetch.download("second")
    with pytest.raises(CheckpointError, match="--checkpoint second, or --checkpoint toy"):
        hub.only_kept()


def test_files_brought_from_elsewhere_are_not_downloaded(network: list[Any], tmp_path: Path) -> None:
    (tmp_path / "b.whl").write_bytes(CONTENT["b.whl"])
    fetch.download("toy", tmp_path)
    assert network == [("o/n", "sub/a.bin", "0123")]


def test_a_file_of_another_content_is_refused(network: list[Any], tmp_path: Path) -> None:
    (tmp_path / "b.whl").write_bytes(b"another")
    with pytest.raises(CheckpointError, match=r"b\.whl is not the file that was published"):
        fetch.download("toy", tmp_path)
    assert not hub.is_kept("toy")


def test_a_damaged_download_is_deleted(network: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(CONTENT, "a.bin", b"changed on the way")
    with pytest.raises(CheckpointError, match=r"hf:o/n@0123/sub/a\.bin is not the file.*deleted"):
        fetch.download("toy")
    assert not (tmp_path / "home" / "downloads" / "toy" / "a.bin").exists()


def test_without_a_network_it_says_what_to_carry(network: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any, **__: Any) -> str:
        raise OSError("no network")

    monkeypatch.setattr(fetch, "hf_hub_download", absent)
    with pytest.raises(CheckpointError, match=r"no network.*get hf:o/n@0123/sub/a\.bin.*--from FOLDER"):
        fetch.download("toy")


def test_a_name_that_nobody_knows_is_answered(network: list[Any]) -> None:
    with pytest.raises(InputError, match=r"no published model is called 'geoklip'.*geoclip"):
        fetch.download("geoklip")


def test_a_folder_goes_before_a_name(network: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch.download("toy")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy").mkdir()
    assert not hub.is_kept("toy") and hub.resolve("toy") == Path("toy")


def test_a_sum_that_was_never_known_here_is_the_hubs_at_the_pinned_revision(
    network: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    revision, right = "0123" * 10, hashlib.sha256(CONTENT["a.bin"]).hexdigest()
    unknown = File("a.bin", f"hf:o/n@{revision}/sub/a.bin", 7, "")
    monkeypatch.setitem(fetch.PUBLISHED, "toy", dataclasses.replace(TOY, files=(unknown, TOY.files[1])))
    listed = {"commit_hash": revision, "etag": "0" * 64}
    monkeypatch.setattr(fetch, "get_hf_file_metadata", lambda url: SimpleNamespace(**listed))
    with pytest.raises(CheckpointError, match=r"is not the file that was published"):
        fetch.download("toy")
    listed["commit_hash"] = "another"
    with pytest.raises(CheckpointError, match=r"the Hub lists no SHA-256"):
        fetch.download("toy")
    listed.update(commit_hash=revision, etag=right)
    assert fetch.download("toy") == tmp_path / "home" / "models" / "toy"


def test_of_a_file_brought_from_elsewhere_its_sum_is_told(
    network: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(
        fetch.PUBLISHED, "toy", dataclasses.replace(TOY, files=(File("a.bin", "hf:o/n@1/a.bin", 7, ""), TOY.files[1]))
    )
    (tmp_path / "a.bin").write_bytes(CONTENT["a.bin"])
    fetch.download("toy", tmp_path)
    assert hashlib.sha256(CONTENT["a.bin"]).hexdigest() in caplog.text
