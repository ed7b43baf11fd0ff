"""PhotoPrism. Photos by ``GET /api/v1/photos``, places by ``PUT /api/v1/photos/{uid}``; key from
PHOTOPRISM_TOKEN (an app password).

Its sources of places have ranks (manual 64, xmp 32, meta 16, estimate 2): ours are estimates, so that whatever is true
outranks them; a point that a person chose is manual. Its own estimates are no evidence, and are placed anew.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from openplanet.errors import InputError
from openplanet.geotagging.server import Patience, Server, ServerError
from openplanet.geotagging.service import Asset, Where
from openplanet.photos.ingest.read import Reading
from openplanet.photos.sources.entry import position_problem

KEY = "PHOTOPRISM_TOKEN"
PAGE = 500
ESTIMATE, MANUAL = "estimate", "manual"
PICTURES = ("image", "raw", "live", "animated", "vector")


class PhotoPrism:
    """The server at an address such as ``photoprism://photos.lan``."""

    kind = "photoprism"

    def __init__(self, address: str, patience: Patience | None = None) -> None:
        self._server = Server(address, KEY, ("Authorization", "Bearer {}"), patience)
        self._preview = "public"

    def check(self) -> str:
        told = self._server.json("GET", "/api/v1/config")
        version = told.get("version") if isinstance(told, dict) else None
        if not version:
            raise InputError(f"{self._server.address} is no PhotoPrism that tells its version")
        self._preview = str(told.get("previewToken") or self._preview)
        return f"PhotoPrism {version}"

    def assets(self) -> Iterator[Asset]:
        for known in ("false", "true"):
            offset = 0
            while True:
                query = {"q": f"geo:{known} primary:true", "count": PAGE, "offset": offset, "order": "oldest"}
                data = self._server.json("GET", "/api/v1/photos", query=query)
                if data is None or data == []:
                    break
                try:
                    yield from (_asset(each) for each in data if each.get("Type", "image") in PICTURES)
                    offset += len(data)
                except (TypeError, KeyError, ValueError, AttributeError) as error:
                    raise ServerError(f"{self._server.address}: a photo is not as documented ({error!r})") from error

    def picture(self, picture: str) -> bytes:
        return self._server.content("GET", f"/api/v1/t/{picture}/{self._preview}/fit_720")

    def where(self, asset: str) -> tuple[Where, str]:
        told = self._server.json("GET", f"/api/v1/photos/{asset}")
        try:
            files = told.get("Files") or [told]
            primary = next((each for each in files if each.get("Primary")), files[0])
            return _where(told), str(primary.get("Hash") or "")
        except (TypeError, AttributeError, ValueError) as error:
            raise ServerError(f"{self._server.address}: a photo is not as documented ({error!r})") from error

    def source(self, by_hand: bool) -> str:
        return MANUAL if by_hand else ESTIMATE

    def put(self, assets: list[str], lat: float, lng: float, by_hand: bool) -> None:
        for asset in assets:
            self.restore(asset, Where(lat, lng, self.source(by_hand)))

    def restore(self, asset: str, old: Where) -> None:
        body = {"Lat": old.lat or 0.0, "Lng": old.lng or 0.0, "PlaceSrc": old.source}
        self._server.json("PUT", f"/api/v1/photos/{asset}", body)


def _where(told: dict[str, Any]) -> Where:
    return Where(float(told.get("Lat") or 0.0), float(told.get("Lng") or 0.0), str(told.get("PlaceSrc") or ""))


def _asset(told: dict[str, Any]) -> Asset:
    where, uid = _where(told), str(told["UID"])
    guessed = where.source == ESTIMATE
    good = not guessed and not position_problem(where.lat, where.lng)
    facts = Reading(
        b"", lat=where.lat if good else None, lng=where.lng if good else None, **_time(told),
        make=_camera(told, "CameraMake"), model=_camera(told, "CameraModel"),
        width=int(told.get("Width") or 0), height=int(told.get("Height") or 0),
    )  # fmt: skip
    name = f"{uid}/{told.get('OriginalName') or told.get('FileName') or uid}"
    picture = str(told.get("Hash") or "")
    return Asset(uid, name, where, facts, "", str(told.get("Path") or ""), picture, picture, guessed)


def _camera(told: dict[str, Any], name: str) -> str | None:
    text = str(told.get(name) or "")
    return None if text.lower() in ("", "unknown") else text


def _time(told: dict[str, Any]) -> dict[str, Any]:
    """UTC where its zone is known; else what the clock showed. What PhotoPrism estimated is no time."""
    if told.get("TakenSrc") in (None, "", "estimate", "auto"):
        return {}
    utc, local = (_moment(told.get(name)) for name in ("TakenAt", "TakenAtLocal"))
    if told.get("TimeZone") not in (None, "", "Local") and utc is not None and local is not None:
        minutes = round((local - utc).total_seconds() / 60)
        return {"taken_at": utc, "taken_at_is_utc": True, "utc_offset_minutes": minutes, "utc_offset_from": "written"}
    return {"taken_at": local}


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).replace(tzinfo=None)
    except ValueError:
        return None
