"""Running the application: one process, one event loop, an orderly end.

uvicorn with two things of ours: a connection that sends no whole request within a time is closed, and a signal to stop
ends the process in order, with status 0, after what was taken is answered.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from openplanet.errors import InputError

HEADER_SECONDS = 15.0  # for the head of a request; what is left of a refused body is cut off likewise
CONNECTIONS = 512  # open at once; more are answered 503 by uvicorn itself
STOP_SECONDS = 60  # for answers that are under way when a stop is asked for


class _Patient(H11Protocol):
    """Waits for a request for a time, not for ever."""

    _late: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False  # its lines have queries, and with them names of photos

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unwatch()

    def _watch(self) -> None:
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy:
            self._unwatch()
        elif self._late is None:
            self._late = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _unwatch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._late = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's, which a signal ends in order: with the status of success, and not by the signal's own way."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM ask for an end; a second one does not wait."""
        try:
            before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread, which alone hears signals
            before = {}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound; port 0 for any that is free. Raises InputError where it cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host.strip("[]"), port))
    except (OSError, OverflowError) as error:
        bound.close()
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot listen at {host}, port {port} ({why}): choose another with --port or --host"
        ) from None
    return bound


def server(app: ASGIApp) -> Server:
    """A server of the application; ``run(sockets=[...])`` serves until a signal, or until ``should_exit`` is set."""
    options: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False, "proxy_headers": False}
    return Server(
        uvicorn.Config(
            app, http=_Patient, ws="none", lifespan="on", limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=STOP_SECONDS, **options,
        )
    )  # fmt: skip
