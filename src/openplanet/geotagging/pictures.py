"""The photos of a server as items: their pictures are fetched into the run, those of photos with a position only where
the model needs them."""

from dataclasses import replace
from pathlib import Path

from openplanet.errors import PhotoError
from openplanet.geotagging.items import Item
from openplanet.geotagging.run import THUMBS
from openplanet.geotagging.server import ServerError
from openplanet.geotagging.service import Asset, Service
from openplanet.inference.album_photos import AlbumPhoto
from openplanet.inference.finding import FLAG_SIDE
from openplanet.photos.files import flags, images
from openplanet.progress import track
from openplanet.storage import atomic_path

GUESSED = "the server guessed its place (--overwrite-own places it anew)"


class Pictures:
    """Assets and their pictures, which are kept below the run. ``overwrite_own``: places guesses of the server anew."""

    def __init__(self, service: Service, out: Path, overwrite_own: bool) -> None:
        self._service, self._out, self._anew = service, out, overwrite_own
        self._assets: dict[str, Asset] = {}

    def items(self) -> list[Item]:
        """All photos of the server; with pictures, and why they are left out, those without a position."""
        for asset in track(self._service.assets(), "reading"):
            self._assets.setdefault(asset.name, asset)
        located = [_item(asset, self._path(asset)) for asset in self._assets.values() if asset.facts.lat is not None]
        wanted = [asset for asset in self._assets.values() if asset.facts.lat is None]
        return located + [self._wanted(asset) for asset in track(wanted, "fetching pictures")]

    def fetch(self, item: Item) -> Item:
        """The item with its picture on the disk; with the reason where the server does not give it."""
        asset = self._assets[item.file]
        path = self._path(asset)
        if item.read.error is not None or path.exists():
            return item
        try:
            data = self._service.picture(asset.picture)
        except ServerError as error:
            return replace(item, read=replace(item.read, error=str(error)))
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
        return item

    def _wanted(self, asset: Asset) -> Item:
        item = _item(asset, self._path(asset))
        if asset.guessed and not self._anew:
            return replace(item, left_out=GUESSED)
        item = self.fetch(item)
        if item.read.error is None:
            item = replace(
                item, left_out=_no_photograph(asset, item.read.path), thumb=f"{THUMBS}/{item.read.path.name}"
            )
        return item

    def _path(self, asset: Asset) -> Path:
        safe = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in asset.id)
        return self._out / THUMBS / f"{safe}.jpg"


def _item(asset: Asset, path: Path) -> Item:
    state = {"where": asset.where.to_dict(), "version": asset.version}
    group = f"{asset.folder}\0{asset.owner}"
    return Item(asset.name, AlbumPhoto(path, asset.facts, None), group, asset.owner, state=state, id=asset.id)


def _no_photograph(asset: Asset, picture: Path) -> str:
    """By the rules of ingest: sizes and cameras are those that the server tells, pixels those of its picture."""
    try:
        image = images.load(picture, FLAG_SIDE)
    except PhotoError:
        return ""
    facts = asset.facts
    size = (facts.width, facts.height) if facts.width and facts.height else image.size
    flag, reason = flags.judge(image, *size, bool(facts.make or facts.model))
    return "" if flag is None else f"{flag}: {reason}"
