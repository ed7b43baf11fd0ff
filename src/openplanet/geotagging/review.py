"""The page on which a run is reviewed: a file of it, or served on the loopback, where decisions are kept at once."""

import hmac
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from openplanet.errors import InputError, PhotoError
from openplanet.geotagging import decisions
from openplanet.geotagging.run import REVIEW, THUMBS, Photo, Run
from openplanet.maps.page import CSP, as_json, environment
from openplanet.photos.files import images
from openplanet.progress import track
from openplanet.storage import parse_json, write_text

THUMBNAIL = 160  # px, short side
MAX_BODY = 16 << 20
LOOPBACK = "127.0.0.1"


def write_page(run: Run) -> None:
    """Write review.html, which opens without a server; decisions are saved by it as a file for ``--decisions``."""
    write_text(run.folder / REVIEW, page(run, ""))


def page(run: Run, keep_at: str) -> str:
    """The page. ``keep_at``: where it sends decisions, below the address that it has itself; "": it saves a file."""
    rows = [
        asdict(row) | {"place": row.place, "thumb": run.photos[row.file].thumb, "planned": run.photos[row.file].planned,
                       "candidates": [asdict(each) for each in run.photos[row.file].candidates]}
        for row in run.rows
    ]  # fmt: skip
    data = {"run": run.about.run, "keepAt": keep_at, "generator": decisions.GENERATOR, "rows": rows}
    script = files("openplanet.geotagging").joinpath("review.js").read_text(encoding="utf-8")
    return environment("openplanet.geotagging").get_template("review.html.j2").render(
        title=run.folder.name, data=as_json(data), script=Markup(script),
        csp=Markup(CSP.replace("img-src data: blob:", "img-src data: blob: file: 'self'") + "; connect-src 'self'"),
    )  # fmt: skip


def make_thumbnails(run: Run) -> None:
    """Small pictures of the photos of a run over files, below it; a photo that cannot be read has none."""
    for number, (file, photo) in enumerate(track(list(run.photos.items()), "thumbnails")):
        try:
            data = images.encode_jpeg(images.load(Path(photo.path), short_side=THUMBNAIL))
        except PhotoError:
            continue
        name = f"{THUMBS}/{number:05d}.jpg"
        (run.folder / THUMBS).mkdir(exist_ok=True)
        (run.folder / name).write_bytes(data)
        run.photos[file] = Photo(**{**vars(photo), "thumb": name})


class _Handler(BaseHTTPRequestHandler):
    """Answers under one path that nobody else knows, to a browser that came to this very address."""

    server: "ReviewServer"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self._inside()
        if path is None:
            return
        run = self.server.run
        if path == "":
            with self.server.lock:
                text = page(run, "decisions")
            self._send(200, text.encode(), "text/html; charset=utf-8")
        elif path in {photo.thumb for photo in run.photos.values() if photo.thumb}:
            self._send(200, (run.folder / path).read_bytes(), "image/jpeg")
        else:
            self._send(404, b"not found", "text/plain")

    def do_POST(self) -> None:
        if self._inside() != "decisions":
            return
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Content-Type") != "application/json" or not length.isdigit() or int(length) > MAX_BODY:
            self._send(400, b"JSON is asked for", "text/plain")
            return
        try:
            told = parse_json(self.rfile.read(int(length)))
            with self.server.lock:
                count = decisions.take(self.server.run, told if isinstance(told, dict) else {})
                self.server.run.save_rows()
        except (ValueError, InputError) as error:
            self._send(400, json.dumps({"error": str(error)}).encode(), "application/json")
            return
        self._send(200, json.dumps({"kept": count}).encode(), "application/json")

    def _inside(self) -> str | None:
        """The path below the secret; None, and refused, for anybody else."""
        prefix = f"/{self.server.secret}/"
        hosts = {f"{name}:{self.server.server_port}" for name in (LOOPBACK, "localhost")}
        known = hmac.compare_digest(self.path[: len(prefix)].encode("utf-8", "replace"), prefix.encode())
        if self.headers.get("Host") in hosts and known:
            return self.path[len(prefix) :]
        self._send(403, b"open the address that openplanet printed", "text/plain")
        return None

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"),
                            ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer")):  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class ReviewServer(ThreadingHTTPServer):
    """Serves the review of one run on the loopback; ``url`` holds the secret that lets a browser in."""

    daemon_threads = True

    def __init__(self, run: Run, port: int = 0) -> None:
        """Raises InputError where the port is taken."""
        self.run, self.secret, self.lock = run, secrets.token_urlsafe(16), threading.Lock()
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            raise InputError(f"port {port} of {LOOPBACK} cannot be used: {error.strerror}") from error

    @property
    def url(self) -> str:
        """The address to open."""
        return f"http://{LOOPBACK}:{self.server_port}/{self.secret}/"


@contextmanager
def serving(run: Run, port: int = 0) -> Iterator[str]:
    """Serve in the background while it lasts; yields the address."""
    server = ReviewServer(run, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        server.server_close()
