"""An S3 server on loopback (moto's), behind a proxy that misbehaves as it is told and counts what passes."""

import http.client
import logging
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

Fault = Callable[[str, str, int], str | None]
"""From method, path, and number of such requests before it, to what goes wrong ("cut", "denied")."""

ERRORS = {"slow down": (503, "SlowDown"), "denied": (403, "AccessDenied"), "die": (500, "InternalError")}


@dataclass
class S3:
    """The server's address, and what was asked of it since ``reset``."""

    endpoint: str
    fault: Fault | None = None
    requests: Counter[str] = field(default_factory=Counter)
    """By method and path."""
    sent: int = 0
    """Bytes of the bodies of answers."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self, fault: Fault | None = None) -> None:
        self.fault, self.sent = fault, 0
        self.requests.clear()

    def count(self, pattern: str = "") -> int:
        """Requests whose "METHOD /path" holds the pattern."""
        return sum(count for name, count in self.requests.items() if re.search(pattern, name))


def _handler(s3: S3, behind: tuple[str, int]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            try:
                body = self._body()
            except ConnectionError:  # given up by the client
                self.close_connection = True
                return
            name = f"{self.command} {self.path}"
            with s3.lock:
                before = s3.requests[name]
                s3.requests[name] += 1
            wrong = s3.fault(self.command, self.path, before) if s3.fault is not None else None
            if wrong in ERRORS:
                status, code = ERRORS[wrong]
                text = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
                self._answer(status, {"Content-Type": "application/xml"}, b"" if self.command == "HEAD" else text)
                return
            connection = http.client.HTTPConnection(*behind, timeout=30)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            with s3.lock:
                s3.sent += len(content)
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in ("transfer-encoding", "connection")}
            self._answer(answer.status, kept, content, cut=wrong == "cut")

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            del self.headers["Transfer-Encoding"]
            return b"".join(parts)

        def _answer(self, status: int, headers: dict[str, str], content: bytes, cut: bool = False) -> None:
            self.send_response_only(status)
            for key, value in headers.items():
                if key.lower() != "content-length" or self.command == "HEAD":
                    self.send_header(key, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(content)))
            elif "content-length" not in {key.lower() for key in headers}:
                self.send_header("Content-Length", "0")
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(content[: len(content) // 2] if cut else content)
            self.close_connection = cut

        def log_message(self, *_: object) -> None: ...

    return Handler


@contextmanager
def s3_server() -> Iterator[S3]:
    """One S3 server with a bucket named "bucket"; the environment says where it is."""
    moto = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        s3 = S3("")
        proxy = ThreadingHTTPServer(("127.0.0.1", 0), _handler(s3, server.get_host_and_port()))
        proxy.daemon_threads = True
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        s3.endpoint = f"http://127.0.0.1:{proxy.server_address[1]}"
        patch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("bucket")
        try:
            yield s3
        finally:
            s3fs.S3FileSystem.clear_instance_cache()
            proxy.shutdown()
            proxy.server_close()
            thread.join(10)
            server.stop()
