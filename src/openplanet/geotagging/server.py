"""Talking to a photo server: JSON over HTTP with a key from the environment, patient, bounded, and never elsewhere.

The key goes to the host that was named and to no other: redirects are refused. Over plain HTTP only to this machine, or
where the scheme says so (``immich+http://HOST``).
"""

import ipaddress
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import HTTPError

from openplanet.errors import InputError, OpenPlaNetError
from openplanet.storage import parse_json

MAX_BYTES = 64 << 20
RETRIED = frozenset((408, 425, 429, 500, 502, 503, 504))


class ServerError(OpenPlaNetError):
    """The server does not do what it was asked for; ``status``: of its answer, 0 without one."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Patience:
    """Seconds to connect, to wait for bytes, for the whole of one answer; tries; longest wait that a server may ask."""

    connect: float = 10.0
    read: float = 30.0
    whole: float = 120.0
    attempts: int = 4
    backoff: float = 1.0
    longest_wait: float = 60.0


def base_url(address: str) -> str:
    """``immich://HOST``, ``immich+http://HOST:2283`` or ``photoprism://HOST/path`` as a URL. Raises InputError."""
    parts = urlsplit(address)
    if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
        raise InputError(
            f"{address.partition('@')[2] or address}: give a host and no more, such as immich://photos.lan"
        )
    plain = parts.scheme.endswith("+http") or _is_here(parts.hostname)
    return f"{'http' if plain else 'https'}://{parts.netloc}{parts.path.rstrip('/')}"


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Server:
    """A server. ``key_name``: the environment variable that holds the key; ``header``: its header, with {} for it.

    Raises InputError where the key is missing.
    """

    def __init__(self, address: str, key_name: str, header: tuple[str, str], patience: Patience | None = None) -> None:
        key = os.environ.get(key_name, "").strip()
        if not key or not key.isprintable():
            raise InputError(f"the key of {address} is missing: put it into the environment variable {key_name}")
        self.address, self.url = address, base_url(address)
        self._key_name, self._patience = key_name, patience or Patience()
        self._headers = {header[0]: header[1].format(key), "Accept": "application/json"}
        timeout = Timeout(connect=self._patience.connect, read=self._patience.read)
        self._pool = PoolManager(retries=False, timeout=timeout)

    def json(self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> Any:
        """The JSON answer; None for an empty one. Raises ServerError."""
        data = self.content(method, path, body, query)
        try:
            return parse_json(data) if data.strip() else None
        except ValueError as error:
            raise ServerError(f"{self.address}: the answer to {path} is no JSON ({error})") from error

    def content(self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> bytes:
        """The whole answer. Tries again what may pass: an overloaded server, a cut connection. Raises ServerError."""
        return self.answer(method, path, body, query)[0]

    def answer(
        self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None
    ) -> tuple[bytes, Mapping[str, str]]:
        """The answer with its headers."""
        failed = ServerError(f"{self.address} does not answer")
        for attempt in range(self._patience.attempts):
            wait = self._patience.backoff * 2**attempt
            try:
                response = self._ask(method, path, body, query)
                with response:
                    data = self._whole(response)
                if 200 <= response.status < 300:
                    return data, response.headers
                failed = self._refusal(response.status, path, data)
                if response.status not in RETRIED:
                    raise failed
                wait = max(wait, _seconds(response.headers.get("Retry-After")))
            except (HTTPError, OSError) as error:
                failed = ServerError(f"{self.address}: {path}: {_words(error)}")
            if attempt + 1 < self._patience.attempts:
                time.sleep(min(wait, self._patience.longest_wait))
        raise failed

    def _ask(self, method: str, path: str, body: Any, query: Mapping[str, Any] | None) -> BaseHTTPResponse:
        url = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers | ({} if data is None else {"Content-Type": "application/json"})
        return self._pool.request(
            method, url, body=data, headers=headers, preload_content=False, redirect=False,
        )  # fmt: skip

    def _whole(self, response: BaseHTTPResponse) -> bytes:
        """All bytes, within the time and the size that an answer may have."""
        until, data = time.monotonic() + self._patience.whole, bytearray()
        for piece in response.stream(1 << 16):
            data += piece
            if len(data) > MAX_BYTES:
                raise ServerError(f"{self.address} sends more than {MAX_BYTES >> 20} MB")
            if time.monotonic() > until:
                raise ServerError(f"{self.address} sends too slowly")
        return bytes(data)

    def _refusal(self, status: int, path: str, data: bytes) -> ServerError:
        if status in (401, 403):
            return ServerError(f"{self.address} refuses the key in {self._key_name} for {path} ({status})", status)
        if 300 <= status < 400:
            return ServerError(f"{self.address} sends us elsewhere ({status}): give the address it has itself", status)
        return ServerError(f"{self.address}: {path}: {status} {_said(data)}".rstrip(), status)


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.strip().isdigit() else 0.0


def _said(data: bytes) -> str:
    try:
        told = parse_json(data)
    except ValueError:
        return ""
    message = told.get("message") or told.get("error") if isinstance(told, dict) else ""
    return str(message)[:200]


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
