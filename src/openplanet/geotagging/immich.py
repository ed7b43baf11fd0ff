"""Immich. Assets by ``POST /api/search/metadata``, places by ``PUT /api/assets``; key from IMMICH_API_KEY.

It cannot set names of places, nor take a position away: null is refused, and 0, 0, which some versions take for none,
is what undo leaves where there was none before.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from openplanet.errors import InputError
from openplanet.geotagging.server import Patience, Server, ServerError
from openplanet.geotagging.service import Asset, Where
from openplanet.photos.ingest.read import Reading
from openplanet.photos.sources.entry import position_problem
from openplanet.progress import warn

KEY = "IMMICH_API_KEY"
PAGE = 1000
LEAST = (1, 106, 0)  # before, routes were called otherwise (/api/asset)


class Immich:
    """The server at an address such as ``immich://photos.lan``; permissions: asset.read, asset.view, asset.update."""

    kind = "immich"

    def __init__(self, address: str, patience: Patience | None = None) -> None:
        self._server = Server(address, KEY, ("x-api-key", "{}"), patience)

    def check(self) -> str:
        told = self._server.json("GET", "/api/server/version")
        try:
            version = (int(told["major"]), int(told["minor"]), int(told["patch"]))
        except (TypeError, KeyError, ValueError) as error:
            raise InputError(f"{self._server.address} is no Immich, or of before 1.106") from error
        if version < LEAST:
            raise InputError(
                f"{self._server.address} is Immich {_dotted(version)}: {_dotted(LEAST)} or newer is needed"
            )
        warn("Immich keeps points alone: names without a point are not written; and it cannot take a position away: "
             "undo leaves 0, 0 where there was none")  # fmt: skip
        return f"Immich {_dotted(version)}"

    def assets(self) -> Iterator[Asset]:
        page: int | None = 1
        while page is not None:
            body = {"page": page, "size": PAGE, "type": "IMAGE", "withExif": True}
            told = self._server.json("POST", "/api/search/metadata", body)
            try:
                found = told["assets"]
                items, following = list(found["items"]), found.get("nextPage")
                yield from (_asset(each) for each in items if not each.get("isTrashed") and not each.get("isOffline"))
                after = None if following is None else int(following)
            except (TypeError, KeyError, ValueError, AttributeError) as error:
                raise ServerError(
                    f"{self._server.address}: a page of assets is not as documented ({error!r})"
                ) from error
            if after is not None and after <= page:
                raise ServerError(f"{self._server.address}: page {page} is followed by page {after}")
            page = after

    def picture(self, picture: str) -> bytes:
        return self._server.content("GET", f"/api/assets/{picture}/thumbnail", query={"size": "preview"})

    def where(self, asset: str) -> tuple[Where, str]:
        told = self._server.json("GET", f"/api/assets/{asset}")
        try:
            return _where(told), str(told.get("checksum") or "")
        except (TypeError, AttributeError, ValueError) as error:
            raise ServerError(f"{self._server.address}: an asset is not as documented ({error!r})") from error

    def source(self, by_hand: bool) -> str:
        return ""

    def put(self, assets: list[str], lat: float, lng: float, by_hand: bool) -> None:
        self._server.json("PUT", "/api/assets", {"ids": assets, "latitude": lat, "longitude": lng})

    def restore(self, asset: str, old: Where) -> None:
        lat, lng = (old.lat, old.lng) if old.known else (0.0, 0.0)
        self._server.json("PUT", "/api/assets", {"ids": [asset], "latitude": lat, "longitude": lng})


def _where(told: dict[str, Any]) -> Where:
    exif = told.get("exifInfo") or {}
    lat, lng = exif.get("latitude"), exif.get("longitude")
    return Where(None if lat is None else float(lat), None if lng is None else float(lng))


def _asset(told: dict[str, Any]) -> Asset:
    exif, where = told.get("exifInfo") or {}, _where(told)
    path = PurePosixPath(str(told.get("originalPath") or told["id"]))
    good = not position_problem(where.lat, where.lng)
    facts = Reading(
        b"", lat=where.lat if good else None, lng=where.lng if good else None, **_time(told, exif),
        make=exif.get("make"), model=exif.get("model"),
        width=int(exif.get("exifImageWidth") or 0), height=int(exif.get("exifImageHeight") or 0),
    )  # fmt: skip
    owner = str(told.get("ownerId") or "")
    name = str(told.get("originalFileName") or path.name)
    asset = str(told["id"])
    return Asset(asset, f"{asset}/{name}", where, facts, owner, "", str(told.get("checksum") or ""), asset)


def _time(told: dict[str, Any], exif: dict[str, Any]) -> dict[str, Any]:
    """UTC where the photo's zone is known; else what its clock showed."""
    utc, local = _moment(exif.get("dateTimeOriginal")), _moment(told.get("localDateTime"))
    if exif.get("timeZone") and utc is not None and local is not None:
        minutes = round((local - utc).total_seconds() / 60)
        return {"taken_at": utc, "taken_at_is_utc": True, "utc_offset_minutes": minutes, "utc_offset_from": "written"}
    return {"taken_at": local if utc is not None else None}


def _moment(text: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo is not None else time


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
