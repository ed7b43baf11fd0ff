"""Load, patience, and an orderly end."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3
from click.testing import CliRunner
from serving import Running, Served, photo
from test_uploads import form

from openplanet.cli import cli
from openplanet.errors import InputError
from openplanet.serve import server
from openplanet.serve.limits import Limits


@contextmanager
def held(one: Served) -> Iterator[threading.Event]:
    """The model answers nothing until the event is set, at the latest at the end."""
    go, look = threading.Event(), one.engine._look

    def wait(pixels: list) -> list:  # type: ignore[type-arg]
        go.wait(60)
        return look(pixels)

    one.engine.model._answer = wait
    try:
        yield go
    finally:
        go.set()


def until(condition: object) -> None:
    for _ in range(3000):
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen in 30 s")


def test_one_request_too_many_is_refused_at_once_and_those_taken_are_answered(running: Running) -> None:
    with running(Limits(requests=3)) as one, held(one) as go, ThreadPoolExecutor(3) as pool:
        taken = [pool.submit(one.post, "/api/locate", photo(n)) for n in range(3)]
        until(lambda: one.get("/healthz").json()["requests"] == 3)
        for _ in range(5):
            refused = one.post("/api/locate", photo(9))
            assert refused.status == 503 and int(refused.headers["retry-after"]) >= 1
        go.set()
        assert [each.result().status for each in taken] == [200] * 3
        assert one.post("/api/locate", photo(9)).status == 200


def test_a_client_over_its_rate_is_refused(running: Running) -> None:
    with running(Limits(per_minute=1)) as one:
        statuses = [one.post("/api/locate", photo()) for _ in range(3)]
        assert [each.status for each in statuses] == [200, 200, 429]
        assert 1 <= int(statuses[2].headers["retry-after"]) <= 60


def test_an_answer_that_takes_too_long_is_given_up(running: Running) -> None:
    with running(Limits(answer_seconds=0.2)) as one, held(one):
        assert one.post("/api/locate", photo()).status == 503


def test_a_stop_answers_what_was_taken(running: Running) -> None:
    with running() as one, held(one) as go, ThreadPoolExecutor(1) as pool:
        taken = pool.submit(one.post, "/api/locate", photo())
        until(lambda: one.get("/healthz").json()["requests"] == 1)
        one.server.should_exit = True

        def closed() -> bool:
            try:
                socket.create_connection(("127.0.0.1", one.port), timeout=5).close()
            except OSError:
                return True
            return False

        until(closed)
        assert not taken.done()
        go.set()
        assert taken.result().status == 200
        one.thread.join(30)
        assert not one.thread.is_alive()


@pytest.mark.parametrize("sent", ["", "GET / HTTP/1.1|Host: local", "GET /healthz HTTP/1.1|Host: localhost||GE"])
def test_a_connection_without_a_whole_request_is_closed(
    running: Running, monkeypatch: pytest.MonkeyPatch, sent: str
) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.2)
    with running() as one, socket.create_connection(("127.0.0.1", one.port), timeout=30) as slow:
        slow.sendall(sent.replace("|", "\r\n").encode())
        while slow.recv(10_000):  # until the server closes it
            pass


@pytest.mark.parametrize("whole", [False, True])
def test_an_album_whose_sender_goes_is_given_up(running: Running, whole: bool) -> None:
    body, headers = form(*[(f"{n}.jpg", photo(n)) for n in range(4)])
    head = f"POST /api/album HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: {headers['Content-Type']}\r\n\r\n"
    with running() as one, held(one) as go:
        with socket.create_connection(("127.0.0.1", one.port), timeout=30) as gone:
            gone.sendall(head.encode() + (body if whole else body[:20_000]))
            until(lambda: one.engine.model.batches or one.get("/healthz").json()["requests"] == 1)
        go.set()
        until(lambda: one.get("/healthz").json()["requests"] == 0)
        assert one.post("/api/locate", photo()).status == 200


def test_a_port_that_is_taken_is_told() -> None:
    with server.listen("127.0.0.1", 0) as bound:
        bound.listen()
        with pytest.raises(InputError, match="cannot listen at 127"):
            server.listen("127.0.0.1", bound.getsockname()[1])


@pytest.mark.slow
def test_the_command_serves_until_a_signal(checkpoint: Path) -> None:
    command = [sys.executable, "-m", "openplanet", "serve", "--checkpoint", str(checkpoint), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        answer = urllib3.request(
            "POST", f"{address}api/locate", body=photo(), retries=urllib3.Retry(20, backoff_factor=0.1)
        )
        assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.mark.parametrize("token, why", [(None, "give it a token"), ("short", "16 or more"), ("ü" * 20, "printable")])
def test_others_are_let_in_with_a_token_alone(monkeypatch: pytest.MonkeyPatch, token: str | None, why: str) -> None:
    monkeypatch.delenv("OPENPLANET_TOKEN", raising=False)
    if token is not None:
        monkeypatch.setenv("OPENPLANET_TOKEN", token)
    found = CliRunner().invoke(cli, ["serve", "--checkpoint", "model", "--host", "0.0.0.0"])
    assert isinstance(found.exception, InputError) and why in str(found.exception)
