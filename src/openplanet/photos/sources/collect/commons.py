"""Wikimedia Commons: geotagged photos inside a box, with author and licence, through the MediaWiki API.

Modules ``list=geosearch`` (extension GeoData) and ``prop=imageinfo``; etiquette as the API asks for it: a user
agent with an address, ``maxlag``, Retry-After, one request at a time.
"""

import html
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from openplanet.errors import InputError
from openplanet.photos.sources.collect.fetch import Fetcher
from openplanet.progress import warn
from openplanet.storage import parse_json

API = "https://commons.wikimedia.org/w/api.php"
GEOSEARCH_LIMIT = 500  # of the API; a fuller box is divided
PAGES_AT_ONCE = 50  # of the API, for those who are no bots
SMALLEST = 1e-4  # degrees, some ten metres: a box that is not divided any further
LARGEST = 5.0  # degrees of a box asked for at once; the API refuses larger ones ("toobig") by its own measure
MAXLAG_TRIES, FILE_NAMESPACE = 8, "6"
_PHOTO_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/tiff"})
_TAG = re.compile(r"<[^<>]*>")
MAX_TEXT = 20_000  # characters of a field of a page that are looked at
CONTINUES = 2 * PAGES_AT_ONCE  # answers to one question: each page comes once or twice
TOO_SMALL = 0.01  # degrees, a kilometre: the API finds no such box too big
EDGE = 1e-4  # degrees that a place may lie outside the box asked for, by rounding
T = TypeVar("T")
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
        listed = _is(list, _is(dict, _ask(fetcher, query, api).get("query"), api).get("geosearch"), api)
        places = [place for place in (_place(each, api) for each in listed) if _inside(place, box)]
        full = len(places) >= GEOSEARCH_LIMIT
    except ApiError as error:
        if error.code != "toobig" or max(east - west, north - south) < TOO_SMALL:
            raise
        places, full = [], True
    if full and max(east - west, north - south) > SMALLEST:
        x, y = (west + east) / 2, (south + north) / 2
        for part in ((west, south, x, y), (x, south, east, y), (west, y, x, north), (x, y, east, north)):
            yield from _search(fetcher, part, api)
        return
    if full:
        warn(f"over {GEOSEARCH_LIMIT} photos at {south:.5f}, {west:.5f}; the rest there is left out")
    if places:
        yield places


def _is(kind: type[T], value: object, api: str) -> T:
    """``value``, which the API documents as a ``kind``. Raises InputError where it is another; PHP writes {} as []."""
    if kind is dict and value == []:
        return kind()
    if not isinstance(value, kind) or isinstance(value, bool):
        shown = repr(value)[:60]
        raise InputError(f"{api} answers in another form than MediaWiki's: {shown} where a {kind.__name__} belongs")
    return value


def _place(value: object, api: str) -> dict[str, Any]:
    place = _is(dict, value, api)
    _is(int, place.get("pageid"), api)
    for name, most in (("lat", 90), ("lon", 180)):
        degrees = place.get(name)
        if isinstance(degrees, bool) or not isinstance(degrees, int | float) or not -most <= degrees <= most:
            raise InputError(f"{api} answers in another form than MediaWiki's: {name} {str(degrees)[:60]!r}")
    return place


def _inside(place: Mapping[str, Any], box: Box) -> bool:
    """An API that lists places of elsewhere would have its boxes divided without end."""
    west, south, east, north = box
    lat, lng = float(place["lat"]), float(place["lon"])
    return south - EDGE <= lat <= north + EDGE and west - EDGE <= lng <= east + EDGE


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
    for _ in range(CONTINUES):
        answer = _ask(fetcher, {**query, **more}, api)
        for page in _is(list, _is(dict, answer.get("query", {}), api).get("pages", []), api):
            found = _is(list, _is(dict, page, api).get("imageinfo", []), api)
            if found:
                infos[_is(int, page.get("pageid"), api)] = _is(dict, found[0], api)
        more = {str(key): str(value) for key, value in _is(dict, answer.get("continue", {}), api).items()}
        if not more:
            break
    else:
        raise InputError(f"{api} does not end its answer: it says {CONTINUES} times that there is more")
    for place in places:
        row = _row(place, infos.get(place["pageid"], {}), api)
        if row is not None:
            yield row


def _row(place: Mapping[str, Any], info: Mapping[str, Any], api: str) -> dict[str, Any] | None:
    told = {}
    for key, value in _is(dict, info.get("extmetadata", {}), api).items():
        told[key] = _plain(_is(dict, value, api).get("value"))
    licence, author = told.get("LicenseShortName", ""), told.get("Artist", "")
    if str(info.get("mime")) not in _PHOTO_TYPES or not licence or not author:
        return None
    url = _is(str, info.get("thumburl") or info.get("url"), api)
    page = _is(str, info.get("descriptionurl", ""), api)
    licence_url = told.get("LicenseUrl", "")
    return {
        "url": url,
        "lat": place["lat"],
        "lng": place["lon"],
        "taken_at": _time(told.get("DateTimeOriginal", "")),
        "owner": author,
        "licence": f"{licence} {licence_url}".strip(),
        "attribution": f"{told.get('Attribution') or author}, {licence}, {page}".rstrip(", "),
        "sha1": _is(str, info.get("sha1", ""), api),
        "page": page,
    }


def _plain(value: object) -> str:
    """Text of the page's HTML, on one line."""
    text = _TAG.sub(" ", str(value or "")[:MAX_TEXT])
    with suppress(ValueError):  # the number of a sign that has thousands of digits
        text = html.unescape(text)
    return " ".join(text.split())[:500]


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
        if not isinstance(answer, dict):
            raise InputError(f"{api} answers in another form than MediaWiki's: {repr(answer)[:60]} and no object")
        problem = _is(dict, answer.get("error") or {}, api)
        if not problem:
            return answer
        if problem.get("code") not in ("maxlag", "ratelimited") or attempt + 1 == MAXLAG_TRIES:
            break
        lag = problem.get("lag")
        seconds = lag if isinstance(lag, int | float) and lag > 0 else 0  # "nan" is no lag
        time.sleep(min(max(seconds, fetcher.manners.backoff * 5), fetcher.manners.longest_wait))
    raise ApiError(str(problem.get("code"))[:100], str(problem.get("info"))[:500])
