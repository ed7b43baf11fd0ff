"""A web server on the loopback that misbehaves as it is told."""

import socketserver
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO

from openplanet.photos.sources.collect.fetch import Manners

PHOTO = b"\xff\xd8\xff\xe0" + bytes(100)  # as a JPEG begins
ADDRESS = "ada@example.org"
HASTY = Manners(4, attempts=3, max_bytes=100_000, connect=2, read=10.0, deadline=60.0, backoff=0.01, contact=ADDRESS)
Answer = Callable[[BaseHTTPRequestHandler], None]


class Seen:
    """What the server saw: requests by path, agents, and the most that were ``busy`` at once."""

    def __init__(self) -> None:
        self.paths: Counter[str] = Counter()
        self.agents: set[str] = set()
        self.now = self.most = 0
        self.lock = threading.Lock()
        self.stop = threading.Event()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """One more at work; to be left before the answer is sent, as the client may ask again as soon as it has it."""
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        yield
        with self.lock:
            self.now -= 1


@contextmanager
def serve(answer: Callable[[BaseHTTPRequestHandler, Seen], None]) -> Iterator[tuple[str, Seen]]:
    """Yield (base URL, what it saw); ``answer`` handles each GET."""
    seen = Seen()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with seen.lock:
                seen.paths[self.path] += 1
                seen.agents.add(self.headers.get("User-Agent", ""))
            with suppress(OSError):  # the client has gone
                answer(self, seen)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        seen.stop.set()
        server.shutdown()
        server.server_close()


class Raw:
    """What a raw server saw: how many connections, and whether there was one."""

    def __init__(self) -> None:
        self.connections = 0
        self.begun, self.stop = threading.Event(), threading.Event()


@contextmanager
def serve_raw(answer: Callable[[BinaryIO, Callable[[float], bool]], None]) -> Iterator[tuple[str, Raw]]:
    """Yield (base URL, what it saw); ``answer`` writes any bytes, and asks (seconds to wait) whether to stop."""
    seen = Raw()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.request.recv(1 << 16)
            seen.connections += 1
            seen.begun.set()
            with suppress(OSError):  # the client has gone
                answer(self.wfile, seen.stop.wait)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        seen.stop.set()
        server.shutdown()
        server.server_close()


def send(
    handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, length: int | None = None, **headers: str
) -> None:
    """A plain answer; ``length``: what Content-Length says of it."""
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.send_header("Connection", "close")
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)
