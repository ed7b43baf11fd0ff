"""Who may ask, and what every answer says to browsers."""

import gzip
import logging
import re
from pathlib import Path

import pytest
from serving import Running, Served, dated, photo

from openplanet.serve.guard import is_loopback
from openplanet.serve.static_files import static_files

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    "host, status",
    [("localhost:1", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("evil.example", 421), ("", 421), ("[", 421)],
)
def test_a_name_that_a_stranger_has_pointed_here_is_not_answered(served: Served, host: str, status: int) -> None:
    assert served.get("/healthz", headers={"Host": host}).status == status


def test_pages_of_others_may_not_ask_unless_allowed(served: Served, running: Running) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert served.post("/api/locate", photo(), headers=headers).status == 403
    own = served.post("/api/locate", photo(), headers={"Origin": served.url})
    assert own.status == 200 and "access-control-allow-origin" not in own.headers
    with running(origins=["https://maps.example"]) as friendly:
        asked = {"Origin": "https://maps.example"}
        allowed = friendly.post("/api/locate", photo(), headers=asked)
        assert allowed.status == 200 and allowed.headers["access-control-allow-origin"] == "https://maps.example"
        before = friendly.client.request("OPTIONS", friendly.url + "/api/locate", headers=asked)
        assert before.status == 204 and "authorization" in before.headers["access-control-allow-headers"]
        assert friendly.get("/api/models", headers={"Origin": "https://other.example"}).status == 403


def test_with_a_token_nothing_is_told_without_it(running: Running) -> None:
    with running(token=TOKEN) as one:
        for wrong in ({}, {"Authorization": TOKEN}, {"Authorization": f"Bearer {TOKEN}x"}):
            for refused in (one.get("/api/models", headers=wrong), one.post("/api/locate", photo(), headers=wrong)):
                assert refused.status == 401 and set(refused.json()) == {"error"}
        assert one.post("/api/locate", photo(), headers={"Authorization": f"Bearer {TOKEN}"}).status == 200
        assert one.get("/").status == one.get("/healthz").status == 200  # which tell nothing


def test_every_answer_forbids_scripts_of_others(served: Served) -> None:
    for path in ("/", "/docs", "/static/app.js", "/healthz", "/api/models", "/no/such", "/api/locate"):
        headers = served.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert served.get("/api/models").headers["cache-control"] == "no-store"


def test_pages_ask_nothing_of_others_and_have_no_inline_script() -> None:
    for name, file in static_files(["openplanet.serve"]).items():
        text = file.content.decode()
        assert not re.search(r"""(src|href)=["']?(https?:)?//|@import|fetch\(["']https?:""", text), name
        if name.endswith(".html"):
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|javascript:|\sstyle=", text), name
        assert "innerHTML" not in text and "insertAdjacentHTML" not in text and "document.write" not in text, name


def test_the_log_has_neither_names_nor_positions(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    located = dated(1, 2, (47, 8))
    with caplog.at_level(logging.DEBUG):
        served.post("/api/locate?name=secret.jpg&thumbnail=true", located)
        served.post("/api/locate?name=secret.jpg", b"no photo")
    lines = [record.getMessage() for record in caplog.records if record.name == "openplanet"]
    assert [line.rsplit(" ", 2)[0] for line in lines] == ["POST /api/locate 200", "POST /api/locate 422"]
    others = [each.getMessage() for each in caplog.records if not each.name.startswith("urllib3")]
    assert not [line for line in others if "secret" in line or "47.0" in line]


def test_loopback_is_told_from_addresses_that_others_reach() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.0.2.1", "example.org", "")))


def test_a_static_file_is_sent_packed_and_only_where_it_has_changed(served: Served) -> None:
    plain = served.get("/static/app.js", headers={"Accept-Encoding": "identity"})
    packed = served.get("/static/app.js", headers={"Accept-Encoding": "gzip"}, decode_content=False)
    assert packed.headers["content-encoding"] == "gzip" and gzip.decompress(packed.data) == plain.data
    assert plain.headers["content-type"].startswith("text/javascript")
    known = served.get("/static/app.js", headers={"If-None-Match": plain.headers["etag"]})
    assert (known.status, known.data) == (304, b"") and "content-security-policy" in known.headers


def test_a_name_that_is_no_static_file_finds_none(served: Served, tmp_path: Path) -> None:
    for name in ("..%2f..%2fapp.py", "%2e%2e/app.py", "none.js", "/etc/passwd"):
        assert served.get(f"/static/{name}").status == 404
