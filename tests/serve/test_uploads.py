"""Bodies: what is too large, too slow, too many or no form is refused; names are text."""

import socket

import pytest
from serving import Running, Served, photo

from openplanet.serve.limits import Limits
from openplanet.serve.uploads import plain_name

SMALL = Limits(photo_bytes=20_000, album_photos=3, album_bytes=100_000, body_seconds=0.3, body_rate=1e9)


@pytest.fixture(scope="module")
def small(running: Running) -> Served:
    with running(SMALL) as one:
        yield one


def form(*parts: tuple[str, bytes], boundary: str = "XX") -> tuple[bytes, dict[str, str]]:
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="photo"; filename="{name}"\r\n\r\n'.encode()
        + content + b"\r\n" for name, content in parts
    )  # fmt: skip
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def test_a_large_photo_is_refused_announced_or_not(small: Served) -> None:
    large = bytes(40_000)
    announced = small.post("/api/locate", large)
    assert announced.status == 413 and "40,000 bytes" in announced.json()["error"]
    for path in ("/api/locate", "/api/album"):
        body, headers = form(("a", large))
        assert small.post(path, iter([body[:15_000], body[15_000:]]), headers=headers, chunked=True).status == 413
    assert small.post("/api/locate", iter([large[:15_000]] * 3), chunked=True).status == 413


def test_one_photo_too_many_is_refused(small: Served) -> None:
    tiny = photo(size=(8, 8), form="PNG")
    for path, most in (("/api/locate", 1), ("/api/album", 3)):
        body, headers = form(*[("a.png", tiny)] * most)
        assert small.post(path, body, headers=headers).status == 200
        body, headers = form(*[("a.png", tiny)] * (most + 1))
        refused = small.post(path, body, headers=headers)
        assert refused.status == 413 and f"more than {most} photos" in refused.json()["error"]


@pytest.mark.parametrize(
    "body, kind, why",
    [
        (b"", "image/jpeg", "empty"),
        (b"no form", "multipart/form-data; boundary=XX", "not multipart"),
        (b"no form", "multipart/form-data", "without a boundary"),
        (form(("a", b"x"))[0][:-9], "multipart/form-data; boundary=XX", "ends early"),
        (form(("a", b"x"))[0].replace(b'; filename="a"', b""), "multipart/form-data; boundary=XX", "no photo"),
    ],
)
@pytest.mark.parametrize("path", ["/api/locate", "/api/album"])
def test_a_body_without_a_photo_is_refused(small: Served, body: bytes, kind: str, why: str, path: str) -> None:
    refused = small.post(path, body, headers={"Content-Type": kind})
    assert refused.status == 400 and why in refused.json()["error"]


def test_an_album_larger_than_what_may_be_held_is_read_as_there_is_room(running: Running) -> None:
    large = photo(size=(290, 290), form="PNG")  # 250 kB
    with running(Limits(held_bytes=1_000_000)) as one:
        body, headers = form(*[(f"{n}.png", large) for n in range(12)])
        answer = one.post("/api/album", body, headers=headers)
        assert answer.status == 200 and len(answer.data.splitlines()) == 13
        assert one.post("/api/locate", photo(size=(600, 600), form="PNG")).status == 503
        assert one.post("/api/locate", large).status == 200


@pytest.mark.parametrize("length", ["Content-Length: 5000", "Transfer-Encoding: chunked"])
def test_a_slow_body_is_given_up(small: Served, length: str) -> None:
    with socket.create_connection(("127.0.0.1", small.port), timeout=30) as slow:
        slow.sendall(f"POST /api/locate HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n".encode())
        assert slow.recv(100).startswith(b"HTTP/1.1 408")
    assert small.engine is not None and small.get("/healthz").json() == {"status": "ok", "requests": 0}


def test_names_are_text_of_some_length() -> None:
    assert plain_name("") == "photo"
    assert plain_name("C:\\a\\b.jpg") == "C:/a/b.jpg"
    assert plain_name("/etc/passwd") == "etc/passwd"
    assert plain_name("a\0\n\u202eb\ud800") == "a\\x00\\n\\u202eb\\ud800"
    assert len(plain_name("x" * 1000)) == 200
