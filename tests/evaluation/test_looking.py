"""An evaluation whose photos are looked at in parts: the bytes of one that looks at them itself."""

import os
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from openplanet.cli import cli
from openplanet.evaluation import looking
from openplanet.inference.predictor import Predictor
from openplanet.models import features
from openplanet.models.embed_job import EmbedJob
from openplanet.photos.dataset import Dataset
from openplanet.runners.job import Work


@dataclass(frozen=True)
class Deadly(EmbedJob):
    """Its worker is killed once, by a part that is not the first."""

    mark: Path = Path()

    def open(self) -> Work:
        work = super().open()

        def deadly(part: int) -> None:
            if part and not self.mark.exists():
                self.mark.touch()
                os.kill(os.getpid(), 9)
            work(part)

        return deadly


def test_by_ray_with_a_killed_worker_and_in_shards_the_figures_are_the_same(
    dataset: Dataset, predictor: Predictor, tmp_path: Path, request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch, cluster: None,
) -> None:  # fmt: skip
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    torch.set_num_threads(1)
    predictor.checkpoint.save(tmp_path / "model")

    def asked(name: str, *more: str) -> Result:
        place = tmp_path / name
        if not place.exists():
            shutil.copytree(dataset.path, place / "photos.ds")
        command = ["evaluate", str(place / "photos.ds"), "--checkpoint", str(tmp_path / "model"), *more]
        return CliRunner().invoke(cli, command, catch_exceptions=False)

    asked("here", "--json", str(tmp_path / "here.json"))
    seen = {file.name for file in (tmp_path / "here").rglob("*.safetensors")}
    assert "shard 2/2 is done" in asked("parts", "--shard", "2/2", "--json", str(tmp_path / "parts.json")).stdout
    assert not (tmp_path / "parts.json").exists()
    monkeypatch.setattr(looking, "EmbedJob", partial(Deadly, mark=tmp_path / "killed"))
    with monkeypatch.context() as patch:
        patch.setattr(features, "_look", lambda *_: pytest.fail("a photo is looked at here"))
        asked("parts", "--runner", "ray", "--json", str(tmp_path / "parts.json"))
    assert (tmp_path / "killed").exists()
    assert {file.name for file in (tmp_path / "parts").rglob("*.safetensors")} == seen
    assert (tmp_path / "parts.json").read_bytes() == (tmp_path / "here.json").read_bytes()


@pytest.mark.parametrize("more", [["--shard", "1/2"], ["--runner", "ray"]])
def test_what_cannot_be_looked_at_in_parts(more: list[str], dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "guesses.csv").write_text("photo,lat,lng\n")
    done = CliRunner().invoke(
        cli, ["evaluate", str(dataset.path), "--predictions", str(tmp_path / "guesses.csv"), *more]
    )
    assert done.exit_code == 1 and "image --checkpoint that PyTorch runs" in str(done.exception)
