"""Stand-ins for Immich and PhotoPrism on the loopback: the shapes that their documentation gives, and bad manners."""

import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from photos.photo_files import picture

KEY = "0123-secret"


class StandIn:
    """``assets`` by id. ``trouble``: called before each answer with (method, path, how often that was asked); what it
    returns is done instead: a status, "half", "slow", "rubbish"; None answers."""

    def __init__(self) -> None:
        self.assets: dict[str, dict[str, Any]] = {}
        self.trouble: Callable[[str, str, int], int | str | None] = lambda *_: None
        self.asked: Counter[tuple[str, str]] = Counter()
        self.bodies: list[Any] = []
        self.keys: set[str] = set()
        self.url = ""

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """(status, JSON or bytes)."""
        raise NotImplementedError


class ImmichStandIn(StandIn):
    """Pages of two assets; a place needs both coordinates; keeps 0, 0 where ``keeps_zero``, else takes it for none."""

    keeps_zero = True

    def __init__(self) -> None:
        super().__init__()
        self.version = {"major": 2, "minor": 3, "patch": 1}

    def add(self, asset: str, minute: int, at: tuple[float, float] | None = None, **more: Any) -> None:
        """A photo of an owner, ``minute`` past ten."""
        lat, lng = at or (None, None)
        exif = {"latitude": lat, "longitude": lng, "make": "Canon", "model": "R5", "timeZone": "UTC+2",
                "dateTimeOriginal": f"2024-05-01T08:{minute:02d}:00.000Z",
                "exifImageWidth": 4000, "exifImageHeight": 3000}  # fmt: skip
        self.assets[asset] = {
            "id": asset, "ownerId": "ada", "originalFileName": f"{asset}.jpg", "type": "IMAGE",
            "originalPath": f"upload/{asset}.jpg", "checksum": f"sum-{asset}", "isTrashed": False, "isOffline": False,
            "localDateTime": f"2024-05-01T10:{minute:02d}:00.000Z", "exifInfo": exif,
        } | more  # fmt: skip

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if path == "/api/server/version":
            return 200, self.version
        if (method, path) == ("POST", "/api/search/metadata"):
            assert body["withExif"] is True and body["type"] == "IMAGE"
            start = 2 * (body["page"] - 1)
            items = list(self.assets.values())
            following = str(body["page"] + 1) if start + 2 < len(items) else None
            return 200, {"albums": {}, "assets": {"items": items[start : start + 2], "nextPage": following}}
        if path.endswith("/thumbnail"):
            return (200, _jpeg(path)) if query == {"size": "preview"} else (400, {})
        if (method, path) == ("PUT", "/api/assets"):
            lat, lng = body.get("latitude"), body.get("longitude")
            if lat is None or lng is None:
                return 400, {"message": ["latitude must be a number"]}
            if (lat, lng) == (0, 0) and not self.keeps_zero:
                lat = lng = None
            for asset in body["ids"]:
                self.assets[asset]["exifInfo"] |= {"latitude": lat, "longitude": lng}
            return 204, b""
        asset = self.assets.get(path.removeprefix("/api/assets/"))
        return (200, asset) if asset is not None else (400, {"message": "Not found or no asset.read access"})


class PhotoPrismStandIn(StandIn):
    """``forces``: the source that this version gives every place that it is sent; "" takes the one sent."""

    forces = ""

    def add(self, uid: str, minute: int, at: tuple[float, float] | None = None, source: str = "", **more: Any) -> None:
        """A photo of one folder, ``minute`` past ten."""
        lat, lng = at or (0.0, 0.0)
        self.assets[uid] = {
            "UID": uid, "Type": "image", "Path": "2024/05", "FileName": f"2024/05/{uid}.jpg", "Hash": f"hash{uid}",
            "TakenAt": f"2024-05-01T08:{minute:02d}:00Z", "TakenAtLocal": f"2024-05-01T10:{minute:02d}:00Z",
            "TakenSrc": "meta", "TimeZone": "Europe/Paris", "Lat": lat, "Lng": lng, "PlaceSrc": source,
            "CameraMake": "Canon", "CameraModel": "R5", "Width": 4000, "Height": 3000,
        } | more  # fmt: skip

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if path == "/api/v1/config":
            return 200, {"version": "260601-abc", "previewToken": "seen"}
        if path == "/api/v1/photos":
            known = "geo:true" in query["q"]
            assert "primary:true" in query["q"]  # else a photo comes once for each of its files
            found = [each for each in self.assets.values() if (each["Lat"] != 0) == known]
            start = int(query["offset"])
            return 200, found[start : start + 2]
        if path.startswith("/api/v1/t/"):
            return (200, _jpeg(path)) if path.endswith("/seen/fit_720") else (403, {})
        photo = self.assets.get(path.removeprefix("/api/v1/photos/"))
        if photo is None:
            return 404, {"error": "Not found"}
        if method == "PUT":
            photo |= body | ({"PlaceSrc": self.forces} if self.forces and body["Lat"] else {})
        return 200, photo | {"Files": [{"Hash": photo["Hash"], "Primary": True}]}


def _jpeg(path: str) -> bytes:
    data = io.BytesIO()
    picture(len(path), (200, 150)).save(data, "JPEG")
    return data.getvalue()


@contextmanager
def serving(stand_in: StandIn) -> Iterator[str]:
    """Serve it; yields HOST:PORT."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _all(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            key = self.headers.get("x-api-key") or self.headers.get("Authorization", "").removeprefix("Bearer ")
            stand_in.keys.add(key)
            stand_in.asked[self.command, parts.path] += 1
            if self.command != "GET":
                stand_in.bodies.append(body)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            trouble = stand_in.trouble(self.command, parts.path, stand_in.asked[self.command, parts.path])
            if key != KEY:
                trouble = 401
            if isinstance(trouble, int):
                status, told = trouble, {"message": "no"}
            else:
                status, told = stand_in.answer(self.command, parts.path, query, body)
            data = told if isinstance(told, bytes) else json.dumps(told).encode()
            data = b"<html>" if trouble == "rubbish" else data
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Retry-After", "0")
            if status == 302:
                self.send_header("Location", "http://example.org/")
            self.end_headers()
            if trouble == "slow":
                time.sleep(1)
            with suppress(OSError):
                self.wfile.write(data[: len(data) // 2] if trouble == "half" else data)
            self.close_connection = trouble is not None

        do_GET = do_POST = do_PUT = _all

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
