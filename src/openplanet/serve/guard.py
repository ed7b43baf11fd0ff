"""Who may ask: the checks before any request is looked at, and the headers of every answer.

A page of a stranger that a user has open must not use the server behind the user's back: hence Host (against rebinding
of names) and Origin. Positions never reach the log: it has method, path and status, and no query.
"""

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openplanet.progress import plain, say
from openplanet.serve.limits import RefusedError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " connect-src 'self' data: blob:; worker-src 'self' blob:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
METHODS = "GET, POST, OPTIONS"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that is bound to ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def answer(refused: RefusedError) -> JSONResponse:
    """What a refused request gets."""
    headers = {} if refused.retry_after is None else {"retry-after": str(refused.retry_after)}
    if refused.status in (408, 413, 429, 503):
        headers["connection"] = "close"  # what is left of the body is not waited for
    return JSONResponse({"error": refused.why}, refused.status, headers)


class Guard:
    """ASGI middleware. ``origins``: further origins that may ask, such as "https://maps.example"."""

    def __init__(
        self, app: ASGIApp, host: str, token: str | None, origins: Sequence[str] = (), send_seconds: float = 60.0
    ) -> None:
        self._app, self._token, self._origins = app, token, frozenset(origins)
        names = {host, "localhost", *(urlsplit(origin).hostname or "" for origin in origins)}
        self._names, self._send_seconds = frozenset(name.lower() for name in names), send_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse, one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # a web socket is answered by uvicorn with 403
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        start, status = time.monotonic(), 0
        origin = headers.get("origin")
        allowed = origin if origin in self._origins else None

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *self._added(scope["path"], allowed)]
            try:
                await asyncio.wait_for(send(message), self._send_seconds)
            except TimeoutError:
                raise ClientDisconnect from None  # it takes nothing: that is as good as gone

        try:
            app = self._app
            if allowed and scope["method"] == "OPTIONS":
                app = _preflight
            else:
                self._check(scope, headers)
            await app(scope, receive, sent)
        except RefusedError as refused:
            if not status:
                await answer(refused)(scope, receive, sent)
        except ClientDisconnect:
            return
        finally:
            if scope["path"].startswith("/api/"):
                ms = 1000 * (time.monotonic() - start)
                say(f"{scope['method']} {plain(scope['path'])} {status or 'no answer'} {ms:.0f} ms")

    def _check(self, scope: Scope, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise RefusedError(421, "this server has another name: ask it by the address that it prints")
        origin, is_api = headers.get("origin"), scope["path"].startswith("/api/")
        strange = origin is not None and origin not in self._origins and _netloc(origin) != host.lower()
        elsewhere = origin is None and headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if strange or (elsewhere and is_api):
            raise RefusedError(403, "pages of another origin may not ask: start the server with --allow-origin")
        if self._token is not None and is_api:
            kind, _, given = headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token.encode()):
                raise RefusedError(401, "a token is needed: Authorization: Bearer TOKEN")

    def _is_ours(self, host: str) -> bool:
        """An address, or a name of ours: a name that a stranger has pointed here is neither."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        try:
            ipaddress.ip_address(name)
            return True
        except ValueError:
            return name in self._names

    def _added(self, path: str, allowed: str | None) -> list[tuple[bytes, bytes]]:
        added: dict[str, Any] = dict(HEADERS)
        added["cache-control"] = "no-store" if path.startswith("/api/") else "no-cache"
        if allowed is not None:
            added |= {"access-control-allow-origin": allowed, "access-control-expose-headers": "retry-after"}
            added["cross-origin-resource-policy"] = "cross-origin"
        if self._origins:
            added["vary"] = "Origin"
        return [(name.encode(), value.encode()) for name, value in added.items()]


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


async def _preflight(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [
        (b"access-control-allow-methods", METHODS.encode()),
        (b"access-control-allow-headers", b"authorization, content-type"),
        (b"access-control-max-age", b"600"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
