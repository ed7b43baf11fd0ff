import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from loopback import ADDRESS, HASTY, Seen, send, serve

from openplanet.errors import InputError
from openplanet.photos.sources.collect.fetch import Fetcher, FetchError, contact_of, fetch_all, user_agent


def misbehave(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
    path, count = handler.path, seen.paths[handler.path]
    if path == "/good":
        send(handler, b"photo")
    elif path == "/fails_twice":
        send(handler, b"photo", 200 if count == 3 else 503)
    elif path == "/waits":
        send(handler, b"photo", 200 if count == 2 else 429, Retry_After="0.2")
    elif path == "/short":
        send(handler, b"photo", length=500)
    elif path == "/short_once":
        send(handler, b"photo", length=500 if count == 1 else None)
    elif path == "/promises_much":
        send(handler, b"x", length=10**12)
    elif path == "/endless":
        handler.send_response(200)
        handler.end_headers()
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
        send(handler, b"photo")
    else:
        send(handler, b"", 404)


@pytest.mark.parametrize(
    ("path", "requests"), [("/good", 1), ("/fails_twice", 3), ("/waits", 2), ("/short_once", 2), ("/moved", 1)]
)
def test_patience_brings_the_photo(tmp_path: Path, path: str, requests: int) -> None:
    with serve(misbehave) as (base, seen):
        Fetcher(HASTY).download(base + path, tmp_path / "a.jpg")
        assert (tmp_path / "a.jpg").read_bytes() == b"photo"
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
        with pytest.raises(FetchError) as caught:
            Fetcher(HASTY).download(base + path, tmp_path / "a.jpg")
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
        (tmp_path / "3.jpg").write_bytes(b"here already")
        patient = replace(HASTY, read=30.0, deadline=60.0)  # who gives up asks again while the first is still at work
        ended = list(fetch_all(iter([*jobs, (base + "/missing", tmp_path / "x.jpg")]), Fetcher(patient)))
        assert len(ended) == 13 and [str(error) for *_, error in ended if error] == [f"{base}/missing: status 404"]
        assert 0 < seen.most <= HASTY.per_host and seen.paths["/slow3"] == 0
        assert (tmp_path / "3.jpg").read_bytes() == b"here already"
