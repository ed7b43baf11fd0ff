import json
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from loopback import HASTY, PHOTO, Seen, send, serve
from photo_files import save

from openplanet.errors import InputError
from openplanet.photos.sources.collect import collect, commons
from openplanet.photos.sources.collect.fetch import Fetcher


class Wiki:
    """Answers as the API does (formatversion 2): places in a grid, info of each in two halves (continue)."""

    def __init__(self, places: list[tuple[float, float]], photo: bytes = PHOTO, toobig: float = 1e9) -> None:
        self.places, self.photo, self.toobig = places, photo, toobig
        self.asked: list[dict[str, str]] = []
        self.lagging = 0
        self.base = ""

    def __call__(self, handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        parts = urlsplit(handler.path)
        if parts.path != "/w/api.php":
            send(handler, self.photo)
            return
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.asked.append(query)
        if self.lagging:
            self.lagging -= 1
            error = {"code": "maxlag", "info": "Waiting for db1: 0.01 seconds lagged", "lag": 0.01}
            send(handler, json.dumps({"error": error}).encode(), Retry_After="5")
            return
        answer = self.search(query) if query.get("list") == "geosearch" else self.info(query)
        send(handler, json.dumps(answer).encode())

    def search(self, query: dict[str, str]) -> dict[str, Any]:
        north, west, south, east = map(float, query["gsbbox"].split("|"))
        if (north - south) * (east - west) > self.toobig:
            return {"error": {"code": "toobig", "info": "Bounding box is too big"}}
        inside = [
            {"pageid": at + 1, "ns": 6, "title": f"File:{at}.jpg", "lat": lat, "lon": lng, "dist": 1.0, "primary": True}
            for at, (lat, lng) in enumerate(self.places)
            if south <= lat <= north and west <= lng <= east
        ]
        return {"batchcomplete": True, "query": {"geosearch": inside[: int(query["gslimit"])]}}

    def info(self, query: dict[str, str]) -> dict[str, Any]:
        ids = [int(text) for text in query["pageids"].split("|")]
        assert len(ids) <= 50 and query["iiprop"] == "url|extmetadata|size|mime|sha1"
        half = len(ids) // 2
        first = "iistart" not in query
        pages: list[dict[str, Any]] = [{"pageid": page, "ns": 6} for page in ids]
        for at, page in enumerate(pages):
            if (at < half) != first:
                page["imageinfo"] = [self.one(page["pageid"])]
        more = {"continue": {"iistart": "2020-01-01T00:00:00Z", "continue": "||"}} if first else {}
        return {**more, "query": {"pages": pages}}

    def one(self, page: int) -> dict[str, Any]:
        told = {
            "DateTimeOriginal": {"value": "2019-06-01 10:11:12", "source": "commons-desc-page"},
            "Artist": {"value": '<a href="//x" title="User:Ada">Ada &amp; Bo</a>', "source": "commons-desc-page"},
            "LicenseShortName": {"value": "CC BY-SA 4.0", "source": "commons-desc-page", "hidden": ""},
            "LicenseUrl": {"value": "https://creativecommons.org/licenses/by-sa/4.0", "source": "commons-desc-page"},
        }
        if page == 2:
            told.pop("Artist")
        return {
            "size": 1, "width": 4000, "height": 3000, "sha1": f"{page:040x}",
            "mime": "audio/ogg" if page == 3 else "image/jpeg",
            "thumburl": f"{self.base}/thumb/{page}.jpg", "url": f"{self.base}/{page}.jpg",
            "descriptionurl": f"https://commons.wikimedia.org/wiki/File:{page}.jpg", "extmetadata": told,
        }  # fmt: skip


def rows(wiki: Wiki, bbox: commons.Box) -> list[dict[str, Any]]:
    with serve(wiki) as (base, _):
        wiki.base = base
        return list(commons.photos(Fetcher(HASTY), bbox, width=800, api=base + "/w/api.php"))


def test_rows_tell_author_licence_and_attribution() -> None:
    wiki = Wiki([(48.1, 2.1), (48.2, 2.2), (48.3, 2.3), (48.4, 2.4), (10.0, 10.0)])
    found = rows(wiki, (2, 48, 3, 49))
    assert [(row["lat"], row["lng"]) for row in found] == [(48.1, 2.1), (48.4, 2.4)]  # 2 has no author, 3 is a sound
    assert found[0]["owner"] == "Ada & Bo" and found[0]["taken_at"] == "2019-06-01 10:11:12"
    assert found[0]["licence"] == "CC BY-SA 4.0 https://creativecommons.org/licenses/by-sa/4.0"
    assert found[0]["attribution"] == "Ada & Bo, CC BY-SA 4.0, https://commons.wikimedia.org/wiki/File:1.jpg"
    assert found[0]["url"].endswith("/thumb/1.jpg")
    search, info = wiki.asked[0], wiki.asked[1]
    assert search["gsbbox"] == "49.000000|2.000000|48.000000|3.000000" and search["gsnamespace"] == "6"
    assert search["maxlag"] == "5" and info["iiurlwidth"] == "800"


def test_full_and_too_large_boxes_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commons, "GEOSEARCH_LIMIT", 10)
    grid = [(48 + y / 11 + 0.001, 2 + x / 11 + 0.001) for x in range(11) for y in range(11)]
    found = rows(Wiki(grid, toobig=0.5), (2, 48, 3, 49))
    assert len({row["url"] for row in found}) == 11 * 11 - 2


def test_a_crowd_at_one_point_ends(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(commons, "GEOSEARCH_LIMIT", 10)
    monkeypatch.setattr(commons, "SMALLEST", 0.1)
    assert len({row["url"] for row in rows(Wiki([(48.51, 2.51)] * 30), (2, 48, 3, 49))}) == 8
    assert "the rest there is left out" in caplog.text


def test_lag_is_waited_for_and_other_errors_are_told() -> None:
    wiki = Wiki([(48.1, 2.1)])
    wiki.lagging = 2
    assert len(rows(wiki, (2, 48, 3, 49))) == 1
    with pytest.raises(InputError, match="toobig"):
        raise commons.ApiError("toobig", "x")
    with serve(lambda handler, _: send(handler, b"<html>")) as (base, _), pytest.raises(InputError, match="JSON"):
        list(commons.photos(Fetcher(replace(HASTY, attempts=1)), (2, 48, 3, 49), api=base))


def test_boxes() -> None:
    halves = list(commons._start_boxes((178, -10, -178, -6)))
    assert halves == [(178, -10, 180, -6), (-180, -10, -178, -6)]
    for bad in ((2, 49, 3, 48), (0, 0, 0, 1), (-200, 0, 1, 1)):
        with pytest.raises(InputError, match="west,south,east,north"):
            list(commons._start_boxes(bad))


def test_without_a_contact_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENPLANET_CONTACT", raising=False)
    with serve(lambda handler, seen: None) as (base, seen):
        with pytest.raises(InputError, match="--contact"):
            collect.from_commons((2, 48, 3, 49), tmp_path / "got", api=base + "/w/api.php")
        assert not seen.paths and not (tmp_path / "got").exists()


def test_collected_photos_are_a_folder_with_a_table(tmp_path: Path) -> None:
    wiki = Wiki([(48.1, 2.1), (1, 1), (1, 1), (48.4, 2.4)], save(tmp_path / "a.jpg", 1).read_bytes())
    with serve(wiki) as (base, _):
        wiki.base = base
        counts = collect.from_commons((2, 48, 3, 49), tmp_path / "got", limit=1, api=base + "/w/api.php", manners=HASTY)
    assert counts == {"fetched": 1}
    text = (tmp_path / "got" / "photos.csv").read_text()
    assert "Ada & Bo" in text and "CC BY-SA 4.0" in text and "48.1,2.1" in text


PLACE = {"pageid": 1, "lat": 48.5, "lon": 2.5}
SEARCH = {"query": {"geosearch": [PLACE]}}
INFO = {"mime": "image/jpeg", "url": "http://h/a.jpg", "descriptionurl": "http://h/a", "sha1": "ab"}
TOLD = {"Artist": {"value": "Ada"}, "LicenseShortName": {"value": "CC0"}}


def ask(search: Any, info: Any) -> list[dict[str, Any]]:
    """The rows from an API that always answers so; bytes are sent as they are."""

    def answer(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        given = search if "geosearch" in handler.path else info
        send(handler, given if isinstance(given, bytes) else json.dumps(given).encode())

    with serve(answer) as (base, _):
        fetcher = Fetcher(replace(HASTY, max_bytes=1 << 22))
        return list(commons.photos(fetcher, (2, 48, 3, 49), api=base + "/api.php"))


def pages(**info: Any) -> dict[str, Any]:
    return {"query": {"pages": [{"pageid": 1, "imageinfo": [{**INFO, "extmetadata": TOLD, **info}]}]}}


@pytest.mark.parametrize(
    "search",
    [
        None, 1, "text", [], [1], True, {}, {"query": None}, {"query": []}, {"query": 1}, {"query": {"geosearch": {}}},
        {"query": {"geosearch": None}}, {"query": {"geosearch": "abc"}}, {"query": {"geosearch": [1]}},
        {"query": {"geosearch": [{}]}}, {"error": "text"}, {"error": [1]}, {"error": 5}, {"error": {"code": {"a": 1}}},
        *({"query": {"geosearch": [{**PLACE, **odd}]}} for odd in (
            {"pageid": {"a": 1}}, {"pageid": "1"}, {"pageid": True}, {"pageid": None}, {"lat": "48"}, {"lat": 91},
            {"lat": None}, {"lon": True}, {"lon": [2]}, {"lon": 10**400}, {"lat": float("nan")},
            {"lat": float("inf")},
        )),
        b"", b"<html>", b"\xff\xfe\x00", b"[" * 200_000, b'{"a":' * 50_000, b"9" * 10_000,
    ],
)  # fmt: skip
def test_any_other_shape_of_places_is_one_line(search: Any) -> None:
    with pytest.raises(InputError) as caught:
        ask(search, pages())
    assert len(str(caught.value)) < 1000 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "info",
    [
        None, [], "text", {"query": 5}, {"query": {"pages": {"1": {}}}}, {"query": {"pages": [1]}},
        {"query": {"pages": [{"pageid": 1, "imageinfo": {"0": 1}}]}}, {"continue": "more"}, {"continue": [1]},
        {"query": {"pages": [{"pageid": 1, "imageinfo": [7]}]}}, {"query": {"pages": [{"imageinfo": [INFO]}]}},
        {"query": {"pages": [{"pageid": [], "imageinfo": [INFO]}]}},
        pages(url=None), pages(url={"a": 1}), pages(thumburl=5), pages(extmetadata="text"), pages(extmetadata=[1]),
        pages(extmetadata={"Artist": "Ada"}), pages(sha1=5), pages(descriptionurl=[]),
        {"continue": {"iistart": "1", "continue": "||"}},
    ],
)  # fmt: skip
def test_any_other_shape_of_info_is_one_line_and_an_endless_one_ends(info: Any) -> None:
    with pytest.raises(InputError) as caught:
        ask(SEARCH, info)
    assert len(str(caught.value)) < 1000 and "\n" not in str(caught.value)


def test_odd_texts_do_no_harm() -> None:
    told = {**TOLD, "Artist": {"value": "Ada <" + "<" * 300_000}, "Attribution": {"value": "&#" + "9" * 5000 + ";"}}
    (row,) = ask(SEARCH, pages(extmetadata=told))
    assert row["owner"].startswith("Ada <") and len(row["owner"]) <= 500
    assert ask(SEARCH, pages(extmetadata=[])) == []  # PHP's empty object
    assert ask(SEARCH, pages(mime=["image/jpeg"])) == []


def test_an_api_that_divides_boxes_without_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(commons.ApiError, match="toobig"):
        ask({"error": {"code": "toobig", "info": "x"}}, pages())
    monkeypatch.setattr(commons, "GEOSEARCH_LIMIT", 1)
    monkeypatch.setattr(commons, "SMALLEST", 0.1)
    assert ask({"query": {"geosearch": [{**PLACE, "lat": -10.0}]}}, pages()) == []


@pytest.mark.parametrize("lag", ["nan", "soon", None, [], True, -5, 1e400])
def test_any_lag_is_waited_for_a_short_time(lag: Any) -> None:
    manners = replace(HASTY, longest_wait=0.001)
    answer = json.dumps({"error": {"code": "maxlag", "info": "x", "lag": lag}}).encode()
    with serve(lambda handler, _: send(handler, answer)) as (base, seen):
        with pytest.raises(commons.ApiError, match="maxlag"):
            list(commons.photos(Fetcher(manners), (2, 48, 3, 49), api=base))
        assert seen.paths.total() == commons.MAXLAG_TRIES


def test_an_api_cannot_send_us_to_a_private_address(tmp_path: Path) -> None:
    with serve(lambda handler, _: send(handler, PHOTO)) as (secret, seen):

        def answer(handler: BaseHTTPRequestHandler, _: Seen) -> None:
            given = SEARCH if "geosearch" in handler.path else pages(url=f"{secret}/a.jpg")
            send(handler, json.dumps(given).encode())

        with serve(answer) as (base, _), pytest.raises(InputError, match="none of the photos"):
            collect.from_commons((2, 48, 3, 49), tmp_path, api=base + "/api.php", manners=HASTY)
        assert not seen.paths
    assert "private address" in (tmp_path / "failed.csv").read_text()
