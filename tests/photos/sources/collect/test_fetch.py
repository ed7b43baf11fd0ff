import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import BinaryIO

import pytest
from loopback import ADDRESS, HASTY, PHOTO, Seen, send, serve, serve_raw

from openplanet.errors import InputError
from openplanet.photos.sources.collect import connecting
from openplanet.photos.sources.collect.fetch import Fetcher, FetchError, contact_of, fetch_all, user_agent
from openplanet.photos.sources.collect.requesting import _seconds

CLOCK = replace(HASTY, read=30.0, deadline=0.5)


def misbehave(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
    path, count = handler.path, seen.paths[handler.path]
    if path == "/good":
        send(handler, PHOTO)
    elif path == "/fails_twice":
        send(handler, PHOTO, 200 if count == 3 else 503)
    elif path == "/waits":
        send(handler, PHOTO, 200 if count == 2 else 429, Retry_After="0.2")
    elif path == "/short":
        send(handler, PHOTO, length=500)
    elif path == "/short_once":
        send(handler, PHOTO, length=500 if count == 1 else None)
    elif path == "/promises_much":
        send(handler, b"x", length=10**12)
    elif path == "/endless":
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(PHOTO)
        while not seen.stop.is_set():
            handler.wfile.write(bytes(1 << 14))
    elif path == "/dribbles":
        handler.send_response(200)
        handler.end_headers()
        while not seen.stop.wait(0.1):
            handler.wfile.write(b"x")
    elif path == "/stalls":
        seen.stop.wait(5)
    elif path == "/loops":
        send(handler, b"", 302, Location="/loops")
    elif path == "/moved":
        send(handler, b"", 301, Location="/good")
    elif path == "/empty":
        send(handler, b"")
    elif path.startswith("/slow"):
        with seen.busy():
            time.sleep(0.05)
        send(handler, PHOTO)
    else:
        send(handler, b"", 404)


@pytest.mark.parametrize(
    ("path", "requests"), [("/good", 1), ("/fails_twice", 3), ("/waits", 2), ("/short_once", 2), ("/moved", 1)]
)
def test_patience_brings_the_photo(tmp_path: Path, path: str, requests: int) -> None:
    with serve(misbehave) as (base, seen):
        Fetcher(HASTY).download(base + path, tmp_path / "a.jpg")
        assert (tmp_path / "a.jpg").read_bytes() == PHOTO
        assert seen.paths[path] == requests
        assert all(agent.startswith("openplanet/") and f" ({ADDRESS}) urllib3/" in agent for agent in seen.agents)


def test_the_contact_is_given_or_of_the_environment_and_never_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENPLANET_CONTACT", raising=False)
    assert contact_of(None) is None and "(" not in user_agent(None)
    monkeypatch.setenv("OPENPLANET_CONTACT", "https://example.org/me")
    assert contact_of(None) == "https://example.org/me" and contact_of(" ada@example.org ") == ADDRESS
    for bad in ("nobody", "a@b.c\r\nX: y", "ada @example.org"):
        with pytest.raises(InputError, match="neither an e-mail address nor a page"):
            contact_of(bad)


@pytest.mark.parametrize(
    ("path", "reason", "requests"),
    [
        ("/missing", "status 404", 1),
        ("/short", "cut short", 3),
        ("/promises_much", "too large", 1),
        ("/endless", "too large", 1),
        ("/dribbles", "too slow", 1),
        ("/stalls", "timed out", 3),
        ("/empty", "empty", 3),
    ],
)
def test_what_cannot_be_had_has_a_reason_and_leaves_nothing(
    tmp_path: Path, path: str, reason: str, requests: int
) -> None:
    with serve(misbehave) as (base, seen):
        manners = {"/dribbles": CLOCK, "/stalls": replace(HASTY, read=0.3)}.get(path, HASTY)
        with pytest.raises(FetchError) as caught:
            Fetcher(manners).download(base + path, tmp_path / "a.jpg")
        assert caught.value.reason == reason and seen.paths[path] == requests
        assert list(tmp_path.iterdir()) == []


def test_redirects_end_and_other_schemes_are_refused(tmp_path: Path) -> None:
    with serve(misbehave) as (base, seen):
        with pytest.raises(FetchError):
            Fetcher(HASTY).download(base + "/loops", tmp_path / "a.jpg")
        assert seen.paths["/loops"] <= 20
    for url in ("file:///etc/passwd", "ftp://host/a.jpg", "nothing", "http://"):
        with pytest.raises(FetchError) as caught:
            Fetcher(HASTY).read(url)
        assert caught.value.reason == "bad url"
    with pytest.raises(FetchError, match="nobody"):
        Fetcher(HASTY).read("http://127.0.0.1:9/nobody")


def test_each_host_is_asked_for_few_at_once_and_done_is_done(tmp_path: Path) -> None:
    with serve(misbehave) as (base, seen):
        jobs = [(f"{base}/slow{n}", tmp_path / f"{n}.jpg") for n in range(12)]
        (tmp_path / "3.jpg").write_bytes(PHOTO + b"here already")
        (tmp_path / "4.jpg").write_bytes(b"<html>of an earlier version")
        patient = replace(HASTY, read=30.0, deadline=60.0)  # who gives up asks again while the first is still at work
        ended = list(fetch_all(iter([*jobs, (base + "/missing", tmp_path / "x.jpg")]), Fetcher(patient)))
        assert len(ended) == 13 and [str(error) for *_, error in ended if error] == [f"{base}/missing: status 404"]
        assert 0 < seen.most <= HASTY.per_host and seen.paths["/slow3"] == 0
        assert (tmp_path / "3.jpg").read_bytes() == PHOTO + b"here already" and (
            tmp_path / "4.jpg"
        ).read_bytes() == PHOTO


Raw = Callable[[BinaryIO, Callable[[float], bool]], None]
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\n" + PHOTO[:100] + b"\r\n"


def drip(start: bytes, piece: bytes) -> Raw:
    """Sends ``start``, then ``piece`` again and again: each one is in time, all of them never end."""

    def answer(out: BinaryIO, stopped: Callable[[float], bool]) -> None:
        out.write(start)
        while not stopped(0.05):
            out.write(piece)

    return answer


DRIPS = {
    "status line": drip(b"HTTP/1.1 200 ", b"O"),
    "header": drip(HEAD + b"X-A: ", b"a"),
    "100 continue": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunk line": drip(CHUNKED + b"5;", b"a"),
    "trailers": drip(CHUNKED + b"0\r\n", b"X-A: b\r\n"),
    "body": drip(HEAD + b"Content-Length: 90000\r\n\r\n" + PHOTO, b"x"),
    "body without length": drip(HEAD + b"\r\n" + PHOTO, b"x"),
    "silent": drip(b"", b""),
}


@pytest.mark.parametrize("kind", DRIPS)
def test_the_deadline_is_of_the_clock_whatever_is_dripped(tmp_path: Path, kind: str) -> None:
    with serve_raw(DRIPS[kind]) as (base, seen):
        with pytest.raises(FetchError) as caught:
            Fetcher(CLOCK).download(base + "/a.jpg", tmp_path / "a.jpg")
        assert caught.value.reason == "too slow" and seen.connections <= 1 and list(tmp_path.iterdir()) == []


def test_the_deadline_holds_in_a_tls_handshake_a_queue_of_connections_and_a_resolver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_raw(DRIPS["silent"]) as (base, _), pytest.raises(FetchError) as caught:
        Fetcher(CLOCK).read(base.replace("http:", "https:"))
    assert caught.value.reason == "too slow"
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:  # accepts nothing
        address = full.getsockname()
        with socket.create_connection(address), pytest.raises(FetchError) as caught:
            Fetcher(CLOCK).read(f"http://127.0.0.1:{address[1]}/")
    assert caught.value.reason == "too slow"
    released = threading.Event()
    monkeypatch.setattr(connecting.socket, "getaddrinfo", lambda *_, **__: released.wait(60) and [])
    with pytest.raises(FetchError) as caught:
        Fetcher(CLOCK).read("http://slow.example/")
    released.set()
    assert caught.value.reason == "too slow"


def test_the_deadline_counts_redirects_together() -> None:
    def wander(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        seen.stop.wait(0.3)
        send(handler, b"", 302, Location=f"/{len(seen.paths)}")

    with serve(wander) as (base, _), pytest.raises(FetchError) as caught:
        Fetcher(CLOCK).read(base)
    assert caught.value.reason == "too slow"


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C is heard: a shell has what it runs in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_closing_ends_all_at_once_and_leaves_nothing(tmp_path: Path, ctrl_c: None) -> None:
    with serve_raw(DRIPS["body"]) as (base, seen):
        jobs = [(f"{base}/{n}.jpg", tmp_path / f"{n}.jpg") for n in range(8)]
        ended = fetch_all(iter(jobs), Fetcher(replace(HASTY, read=600.0, deadline=600.0, per_host=4)))
        over = threading.Event()
        waiting = threading.Thread(target=_interrupt, args=(seen.begun, over), daemon=True)
        waiting.start()
        with pytest.raises(KeyboardInterrupt), closing(ended):
            next(ended)
        over.set()
    assert list(tmp_path.iterdir()) == []  # that it is reached shows that no deadline was waited for


def _interrupt(begun: threading.Event, over: threading.Event) -> None:
    """Press Ctrl-C, again where one is lost: Python swallows what is raised within a finaliser."""
    begun.wait(60)
    while not over.is_set():
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        over.wait(10)


def test_who_waits_for_a_host_keeps_no_worker(tmp_path: Path) -> None:
    """Sixteen photos of a host that asks for an hour's patience stand before one of another, for four workers."""

    def patience(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        send(handler, PHOTO, 200 if handler.path == "/good" else 503, Retry_After="3600")

    with serve(patience) as (base, seen):
        jobs = [(f"{base}/busy{n}", tmp_path / f"{n}.jpg") for n in range(16)]
        jobs.append((base.replace("127.0.0.1", "localhost") + "/good", tmp_path / "good.jpg"))
        with closing(fetch_all(iter(jobs), Fetcher(replace(HASTY, longest_wait=3600.0)))) as ended:
            _, path, error = next(ended)
        assert path.name == "good.jpg" and error is None and max(seen.paths.values()) == 1


def test_retry_after_tells_seconds_or_a_date() -> None:
    assert _seconds("7") == 7 and _seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    for odd in (None, "", "nan", "inf", "-5", "soon", "9" * 5000, "\u00b2"):
        assert _seconds(odd) in (None, 0)


BAD_URLS = [
    "http://[::1", "http://[::1]x/", "http://h:99999/a.jpg", "http://h:x/", "http://h:-1/", "http://a b/", "http://",
    "http:///a.jpg", "http://" + "a" * 70 + ".org/", "http://a..b/", "http://\ud800/", "http://h/\ud800.jpg",
    "http://h/a\0b.jpg", "http://h/a\nb.jpg", "http://\u2100/", "nothing", "//h/a.jpg", "javascript:x",
    "file:///etc/passwd", "ftp://h/a.jpg", "data:image/jpeg;base64,AAAA", "http://h%00/",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS)
def test_what_is_no_url_is_one_bad_url(tmp_path: Path, url: str) -> None:
    with serve(misbehave) as (base, _):
        jobs = [(url, tmp_path / "bad.jpg"), (base + "/good", tmp_path / "good.jpg")]
        ended = {path.name: error for _, path, error in fetch_all(iter(jobs), Fetcher(HASTY))}
    bad = ended["bad.jpg"]
    assert ended["good.jpg"] is None and bad is not None and bad.reason == "bad url"


def test_a_redirect_to_what_is_no_url_costs_that_photo_only(tmp_path: Path) -> None:
    targets = ["http://[::1", "file:///etc/passwd", "gopher://127.0.0.1/", "http://h:99999/", "data:,x", "//"]

    def astray(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        send(handler, b"", 302, Location=targets[int(handler.path[1:])])

    with serve(astray) as (base, _):
        jobs = [(f"{base}/{n}", tmp_path / f"{n}.jpg") for n in range(len(targets))]
        assert all(error for *_, error in fetch_all(iter(jobs), Fetcher(replace(HASTY, attempts=1))))


def test_one_host_is_one_whatever_its_spelling() -> None:
    same = ["http://Ex.org/", "http://u:p@ex.org:80/", "http://ex.org./", "https://EX.ORG:443/", "http://ex.org:8080/"]
    assert {connecting.site_of(url).host for url in same} == {"ex.org"}
    loopback = ["http://127.1/", "http://2130706433/", "http://0x7f.0.0.1/", "http://[::ffff:127.0.0.1]/"]
    assert {connecting.site_of(url).host for url in loopback} == {"127.0.0.1"}
    assert connecting.site_of("http://b\u00fccher.de/").host == connecting.site_of("http://xn--bcher-kva.de/").host


def test_redirects_and_user_names_count_for_the_host_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "is_public", lambda address: True)  # the loopback plays the Internet
    patient = replace(HASTY, workers=8, read=60.0, deadline=60.0)
    with serve(misbehave) as (target, seen):

        def elsewhere(handler: BaseHTTPRequestHandler, _: Seen) -> None:
            send(handler, b"", 302, Location=f"{target}/slow{handler.path[1:]}")

        port = target.rpartition(":")[2]
        with serve(elsewhere) as (base, _):
            redirecting = base.replace("127.0.0.1", "localhost")
            urls = [f"{redirecting}/{n}" for n in range(12)]
            urls += [f"http://u{n}:p@127.0.0.1:{port}/slow_as_user{n}" for n in range(12)]
            jobs = [(url, tmp_path / f"{n}.jpg") for n, url in enumerate(urls)]
            assert [error for *_, error in fetch_all(iter(jobs), Fetcher(patient)) if error] == []
        assert 0 < seen.most <= patient.per_host


def test_addresses_that_are_not_public_are_asked_only_where_the_list_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(misbehave) as (secret, seen):

        def lure(handler: BaseHTTPRequestHandler, _: Seen) -> None:
            send(handler, b"", 302, Location=f"{secret}/good")

        fetcher = Fetcher(HASTY)
        with serve(lure) as (base, _), pytest.raises(FetchError) as caught:
            fetcher.download(base + "/a", tmp_path / "a.jpg")
        assert caught.value.reason == "private address" and "127.0.0.1" in str(caught.value)
        port = int(secret.rpartition(":")[2])
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        with monkeypatch.context() as patched:
            patched.setattr(connecting.socket, "getaddrinfo", lambda *_, **__: found)
            with pytest.raises(FetchError) as caught:
                fetcher.download(f"http://photos.example:{port}/good", tmp_path / "a.jpg")
        assert caught.value.reason == "private address" and not seen.paths
        with pytest.raises(FetchError, match="not public"):  # a list of Commons' names only the API
            fetcher.download(secret + "/good", tmp_path / "a.jpg", named="https://commons.wikimedia.org/w/api.php")
        assert not seen.paths
        fetcher.download(f"http://localhost:{port}/good", tmp_path / "a.jpg")
        assert seen.paths["/good"] == 1


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("10.1.2.3", False),
        ("172.16.0.1", False), ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False),
        ("0.0.0.0", False), ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False), ("::", False),
        ("fe80::1%eth0", False), ("fd00::1", False), ("::ffff:10.0.0.1", False), ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False), ("::ffff:93.184.216.34", True),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert connecting.is_public(address) is public


HTML = b"<!DOCTYPE html><html><body>Please log in" + bytes(100)


@pytest.mark.parametrize(
    ("body", "kind", "taken"),
    [
        (HTML, "text/html", False), (HTML, "image/jpeg", False), (b"{}", "image/jpeg", False),
        (b"GIF89a" + bytes(90), "image/gif", False), (b"<svg xmlns=", "image/svg+xml", False),
        (PHOTO, "text/html", True), (b"\x89PNG\r\n\x1a\n" + bytes(90), "application/octet-stream", True),
        (b"RIFF\0\0\0\0WEBPVP8 ", "text/plain", True), (b"II*\0" + bytes(90), "x", True),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "x", True), (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", "x", True),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "image/heic", False),
    ],
)  # fmt: skip
def test_a_photo_is_known_by_its_bytes(tmp_path: Path, body: bytes, kind: str, taken: bool) -> None:
    with serve(lambda handler, _: send(handler, body, Content_Type=kind)) as (base, _):
        if taken:
            Fetcher(HASTY).download(base + "/a", tmp_path / "a.jpg")
            assert (tmp_path / "a.jpg").read_bytes() == body
        else:
            with pytest.raises(FetchError) as caught:
                Fetcher(HASTY).download(base + "/a", tmp_path / "a.jpg")
            assert caught.value.reason == "not a photo" and list(tmp_path.iterdir()) == []
