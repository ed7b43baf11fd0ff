"""A dataset on a Hugging Face Hub, by a stand-in on loopback for as much of its HTTP as reading asks for."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import made
import pytest

from openplanet.errors import DatasetError
from openplanet.photos.dataset import Dataset
from openplanet.stores import ranges

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class StandIn(BaseHTTPRequestHandler):
    """The repository me/world, whose folder photos.ds is ``folder``."""

    folder: Path
    sent = 0
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        file = self.folder / path.rsplit("/", 1)[-1]
        if "/tree/" in path and path.endswith("photos.ds"):
            self._json([self._about(each) for each in sorted(self.folder.iterdir())])
        elif path.startswith("/datasets/me/world/resolve/") and file.is_file():
            self._bytes(file.read_bytes())
        elif path in ("/api/datasets/me/world", "/api/datasets/me/world/revision/main"):
            self._json({"id": "me/world", "sha": COMMIT, "private": False, "tags": [], "siblings": []})
        else:
            self._json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})

    def _about(self, file: Path) -> dict[str, object]:
        content = file.read_bytes()
        return {
            "type": "file",
            "path": f"photos.ds/{file.name}",
            "size": len(content),
            "oid": hashlib.sha1(content).hexdigest(),
        }

    def _json(self, value: object, status: int = 200, more: dict[str, str] | None = None) -> None:
        content = json.dumps(value).encode()
        self.send_response_only(status)
        for key, text in {"Content-Type": "application/json", **(more or {}), "Content-Length": len(content)}.items():
            self.send_header(key, str(text))
        self.end_headers()
        self.wfile.write(content)

    def _bytes(self, content: bytes) -> None:
        total, asked = len(content), self.headers.get("Range")
        if asked:
            start, _, end = asked.removeprefix("bytes=").partition("-")
            content = content[int(start) : int(end or total) + 1]
        type(self).sent += len(content)
        self.send_response_only(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{int(start) + len(content) - 1}/{total}")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[StandIn]]:
    core = pytest.importorskip("huggingface_hub.hf_file_system")
    monkeypatch.setenv("OPENPLANET_HOME", str(tmp_path / "home"))
    StandIn.folder, StandIn.sent = made.write(tmp_path / "photos.ds"), 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"  # HF_ENDPOINT is read when the client is imported
    monkeypatch.setattr(core.constants, "ENDPOINT", endpoint)
    template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(core.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(core.constants, "HF_HUB_OFFLINE", False)
    core.HfFileSystem.clear_instance_cache()
    yield StandIn
    core.HfFileSystem.clear_instance_cache()
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_a_dataset_on_a_hub_is_read_by_ranges(hub: type[StandIn], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "JOINED", 1 << 14)
    monkeypatch.setattr(ranges, "TAIL", 1 << 14)
    there, ours = Dataset.open("hf://datasets/me/world/photos.ds"), Dataset.open(hub.folder)
    assert there.table(["lat", "lng"]) == ours.table(["lat", "lng"])
    assert hub.sent < 0.8 * sum(shard.stat().st_size for shard in ours.shards)
    assert there.table() == ours.table()
    with pytest.raises(DatasetError, match=r"hf://datasets/me/other/x: no dataset there"):
        Dataset.open("hf://datasets/me/other/x")
