"""A server on loopback, in a thread of the tests' process: its client, and photos to send."""

import io
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import urllib3
from PIL import Image

from openplanet.serve.engine import Engine
from openplanet.serve.server import Server


def photo(seed: int = 0, size: tuple[int, int] = (120, 160), form: str = "JPEG", **more: Any) -> bytes:
    """A picture of noise, which every rule takes for a photo."""
    rng, out = np.random.default_rng(seed), io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).save(out, form, **more)
    return out.getvalue()


def dated(seed: int, second: int, at: tuple[float, float] | None = None) -> bytes:
    """A photo of one camera with a time and, where given, a position in whole degrees north and east."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Maker", "Model"
    exif.get_ifd(0x8769).update({0x9003: f"2024:05:01 12:00:{second:02}"})
    if at is not None:
        exif.get_ifd(0x8825).update({1: "N", 2: (at[0], 0.0, 0.0), 3: "E", 4: (at[1], 0.0, 0.0)})
    return photo(seed, exif=exif)


@dataclass
class Served:
    """A running server, and a client of it."""

    url: str
    port: int
    engine: Engine
    server: Server
    thread: threading.Thread
    client: urllib3.PoolManager

    def post(self, path: str, body: Any = None, **more: Any) -> urllib3.BaseHTTPResponse:
        return self.client.request("POST", self.url + path, body=body, **more)

    def get(self, path: str, **more: Any) -> urllib3.BaseHTTPResponse:
        return self.client.request("GET", self.url + path, **more)


Running = Callable[..., AbstractContextManager[Served]]
