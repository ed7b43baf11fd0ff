"""Wikimedia Commons: geotagged photos inside a box, with author and licence, through the MediaWiki API.

Modules ``list=geosearch`` (extension GeoData) and ``prop=imageinfo``; etiquette as the API asks for it: a user
agent with an address, ``maxlag``, Retry-After, one request at a time.
"""

import html
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from openplanet.errors import InputError
from openplanet.photos.sources.collect.fetch import Fetcher
from openplanet.progress import say
from openplanet.storage import parse_json

API = "https://commons.wikimedia.org/w/api.php"
GEOSEARCH_LIMIT = 500  # of the API; a fuller box is divided
PAGES_AT_ONCE = 50  # of the API, for those who are no bots
SMALLEST = 1e-4  # degrees, some ten metres: a box that is not divided any further
LARGEST = 5.0  # degrees of a box asked for at once; the API refuses larger ones ("toobig") by its own measure
MAXLAG_TRIES, FILE_NAMESPACE = 8, "6"
_PHOTO_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/tiff"})
_TAG = re.compile(r"<[^>]*>")
Box = tuple[float, float, float, float]


class ApiError(InputError):
    """The API answered with an error; ``code`` is its own word."""

    def __init__(self, code: str, info: str) -> None:
        super().__init__(f"Wikimedia Commons answers {code}: {info}")
        self.code = code


def photos(fetcher: Fetcher, bbox: Box, width: int = 1024, api: str = API) -> Iterator[dict[str, Any]]:
    """Yield a row for each photo in ``bbox`` (west, south, east, north; west > east crosses the antimeridian).

    Keys: url (of a copy ``width`` pixels wide, the original where that is smaller), lat, lng (of the camera),
    taken_at, owner (author), licence, attribution, sha1 (of the original), page. Photos whose licence or
    author the page does not tell are left out. Raises InputError for a box that is none, or an API that fails.
    """
    for box in _start_boxes(bbox):
        for places in _search(fetcher, box, api):
            for start in range(0, len(places), PAGES_AT_ONCE):
                chunk = places[start : start + PAGES_AT_ONCE]
                yield from _describe(fetcher, chunk, width, api)


def _start_boxes(bbox: Box) -> Iterator[Box]:
    west, south, east, north = bbox
    if not (-90 <= south < north <= 90 and -180 <= west <= 180 and -180 <= east <= 180 and west != east):
        raise InputError(f"bbox {west},{south},{east},{north}: give west,south,east,north in degrees")
    halves = [(west, east)] if west < east else [(west, 180.0), (-180.0, east)]
    for left, right in halves:
        columns, rows = max(1, -int(-(right - left) // LARGEST)), max(1, -int(-(north - south) // LARGEST))
        for x in range(columns):
            for y in range(rows):
                yield (
                    left + (right - left) * x / columns, south + (north - south) * y / rows,
                    left + (right - left) * (x + 1) / columns, south + (north - south) * (y + 1) / rows,
                )  # fmt: skip


def _search(fetcher: Fetcher, box: Box, api: str) -> Iterator[list[dict[str, Any]]]:
    """Places found in ``box``; one that is full, or too big for the API, is cut in four.

    A photo on the edge of two boxes comes twice; whoever fetches knows its URL.
    """
    west, south, east, north = box
    query = {
        "list": "geosearch",
        "gsbbox": f"{north:.6f}|{west:.6f}|{south:.6f}|{east:.6f}",
        "gslimit": str(GEOSEARCH_LIMIT),
        "gsnamespace": FILE_NAMESPACE,
        "gsprimary": "primary",  # the camera's place, not that of what it shows
    }
    try:
        places = _ask(fetcher, query, api)["query"]["geosearch"]
        full = len(places) >= GEOSEARCH_LIMIT
    except ApiError as error:
        if error.code != "toobig":
            raise
        places, full = [], True
    if full and max(east - west, north - south) > SMALLEST:
        x, y = (west + east) / 2, (south + north) / 2
        for part in ((west, south, x, y), (x, south, east, y), (west, y, x, north), (x, y, east, north)):
            yield from _search(fetcher, part, api)
        return
    if full:
        say(f"Warning: over {GEOSEARCH_LIMIT} photos at {south:.5f}, {west:.5f}; the rest there is left out")
    if places:
        yield places


def _describe(fetcher: Fetcher, places: list[dict[str, Any]], width: int, api: str) -> Iterator[dict[str, Any]]:
    query = {
        "prop": "imageinfo",
        "pageids": "|".join(str(place["pageid"]) for place in places),
        "iiprop": "url|extmetadata|size|mime|sha1",
        "iiurlwidth": str(width),
        "iiextmetadatafilter": "DateTimeOriginal|Artist|LicenseShortName|LicenseUrl|Attribution",
    }
    infos: dict[int, Mapping[str, Any]] = {}
    more: Mapping[str, str] = {}
    while True:
        answer = _ask(fetcher, {**query, **more}, api)
        for page in answer.get("query", {}).get("pages", []):
            if page.get("imageinfo"):
                infos[page["pageid"]] = page["imageinfo"][0]
        more = answer.get("continue", {})
        if not more:
            break
    for place in places:
        row = _row(place, infos.get(place["pageid"], {}))
        if row is not None:
            yield row


def _row(place: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, Any] | None:
    told = {key: _plain(value.get("value")) for key, value in info.get("extmetadata", {}).items()}
    licence, author = told.get("LicenseShortName", ""), told.get("Artist", "")
    if info.get("mime") not in _PHOTO_TYPES or not licence or not author:
        return None
    url = info.get("thumburl") or info.get("url")
    page = info.get("descriptionurl", "")
    licence_url = told.get("LicenseUrl", "")
    return {
        "url": url,
        "lat": place["lat"],
        "lng": place["lon"],
        "taken_at": _time(told.get("DateTimeOriginal", "")),
        "owner": author,
        "licence": f"{licence} {licence_url}".strip(),
        "attribution": f"{told.get('Attribution') or author}, {licence}, {page}".rstrip(", "),
        "sha1": info.get("sha1", ""),
        "page": page,
    }


def _plain(value: object) -> str:
    """Text of the page's HTML, on one line."""
    return " ".join(html.unescape(_TAG.sub(" ", str(value or ""))).split())[:500]


def _time(text: str) -> str:
    match = re.match(r"\d{4}[-:]\d\d[-:]\d\d[ T]\d\d:\d\d(:\d\d)?", text)
    return match[0] if match else ""


def _ask(fetcher: Fetcher, query: Mapping[str, str], api: str) -> dict[str, Any]:
    """One call of the API; waits where its servers lag. Raises ApiError, and FetchError for the network."""
    fields = {"action": "query", "format": "json", "formatversion": "2", "maxlag": "5", **query}
    for attempt in range(MAXLAG_TRIES):
        raw = fetcher.read(api, fields)
        try:
            answer = parse_json(raw)
        except ValueError as error:
            raise InputError(f"{api} answers something else than JSON: {error}") from error
        problem: dict[str, Any] = {"code": "bad answer", "info": "no object"}
        if isinstance(answer, dict):
            problem = answer.get("error") or {}
        if not problem:
            return answer  # type: ignore[no-any-return]
        if problem.get("code") not in ("maxlag", "ratelimited") or attempt + 1 == MAXLAG_TRIES:
            break
        pause = max(float(problem.get("lag") or 0), fetcher.manners.backoff * 5)
        time.sleep(min(pause, fetcher.manners.longest_wait))
    raise ApiError(str(problem.get("code")), str(problem.get("info")))
