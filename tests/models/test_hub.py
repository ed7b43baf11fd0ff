"""Pushed to, and loaded from, a stand-in for the Hub on this machine: as much of its HTTP as the client asks for."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from openplanet.cli import cli
from openplanet.earth.partition.adaptive import build
from openplanet.errors import CheckpointError
from openplanet.models import hub
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class StandIn(BaseHTTPRequestHandler):
    """One repository in memory, all files sent inline."""

    files: dict[str, bytes]
    asked: list[str]

    def log_message(self, format: str, *values: Any) -> None:
        """Say nothing."""

    def _send(self, body: bytes | dict[str, Any] | list[Any], status: int = 200, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(f"POST {self.path}")
        if "/preupload/" in self.path:
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            self._send({"files": files})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            self._send(
                {"commitUrl": "https://huggingface.co/me/world/commit/" + COMMIT, "commitOid": COMMIT, "success": True}
            )
        else:
            self._send(
                {"url": f"http://{self.headers['Host']}/me/world", "name": "me/world", "errors": [], "warnings": []}
            )

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        name = self.path.split("?")[0]
        if "/resolve/" in name and (file := name.split("/resolve/")[1].split("/", 1)[1]) in self.files:
            data = self.files[file]
            self._send(data, ETag=f'"{hashlib.sha256(data).hexdigest()}"', X_Repo_Commit=COMMIT)
        elif name.startswith("/api/models/me/world") and self.files:
            tree = [{"type": "file", "path": f, "size": len(d), "oid": "0" * 40} for f, d in self.files.items()]
            info = {"id": "me/world", "sha": COMMIT, "siblings": [{"rfilename": f} for f in self.files], "tags": []}
            self._send(tree if "/tree/" in name else info)
        else:
            self._send({"error": "not here"}, 404, X_Error_Code="RepoNotFound", X_Error_Message="no such repository")

    do_HEAD = do_GET


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    StandIn.files, StandIn.asked = {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_pushed_and_loaded_back(endpoint: str, tmp_path: Path) -> None:
    image = ImageConfig("test_resnet", 32)
    rng = np.random.default_rng(0)
    partition = build([(rng.uniform(-60, 60, 200), rng.uniform(-180, 180, 200))], 40, 2)
    model = ImageModel(image, len(partition)).eval()
    Checkpoint(model, partition, {"name": "tiny"}, image, {}).save(tmp_path / "mine")
    (tmp_path / "mine" / "training.csv").write_text("epoch\n")
    assert hub.push(tmp_path / "mine", "me/world", endpoint) == "hf:me/world"
    assert set(StandIn.files) == {"config.json", "model.safetensors", "partition.parquet", "README.md"}
    folder = hub.resolve("hf:me/world", endpoint)
    x = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(Checkpoint.load(folder).model(x), model(x))


def test_what_is_not_there_is_said(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="hf:me/nothing cannot be loaded"):
        hub.resolve("hf:me/nothing", endpoint)
    with pytest.raises(CheckpointError, match="not a finished checkpoint"):
        hub.push(tmp_path, "me/world", endpoint)
    assert hub.resolve(tmp_path) == tmp_path


def test_the_command_pushes_merged_cells(endpoint: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lat, lng = 48.1 + rng.normal(0, 1e-4, 300), 11.5 + rng.normal(0, 1e-4, 300)
    partition = build([(np.append(lat, rng.uniform(-60, 60, 90)), np.append(lng, rng.uniform(-180, 180, 90)))], 40, 2)
    model = ImageModel(ImageConfig("test_resnet", 32), len(partition)).eval()
    Checkpoint(model, partition, {"name": "tiny"}, model.config, {}).save(tmp_path / "mine")
    arguments = ["push", str(tmp_path / "mine"), "me/world", "--endpoint", endpoint]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0 and "hf:me/world" in done.stdout, done.output
    assert "before: privacy: the smallest" in done.stderr and "pushed: privacy: the smallest" in done.stderr
    pushed = Checkpoint.load(hub.resolve("hf:me/world", endpoint)).partition
    assert pushed.area_km2.min() >= 25 > partition.area_km2.min() and len(Checkpoint.load(tmp_path / "mine").partition)
    assert CliRunner().invoke(cli, [*arguments, "--min-cell-km2", "0"]).exit_code == 0
    assert StandIn.files["partition.parquet"] == (tmp_path / "mine" / "partition.parquet").read_bytes()
