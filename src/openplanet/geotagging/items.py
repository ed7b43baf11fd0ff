"""The photos of a library, whatever it is, as the plan takes them; and those of folders."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openplanet.errors import PhotoError
from openplanet.geotagging.library import find, sidecars, task_of
from openplanet.geotagging.replacing import state_of
from openplanet.inference.album_photos import AlbumPhoto
from openplanet.inference.finding import find_photos, no_photograph
from openplanet.photos.files import exif
from openplanet.photos.files.xmp import GEOTAG
from openplanet.photos.ingest.read import Reading, read_facts
from openplanet.photos.ingest.serials import code
from openplanet.photos.sources.source import Candidate
from openplanet.progress import track

EARLIER = "an earlier run placed it (--overwrite-own renews that)"


@dataclass(frozen=True)
class Item:
    """A photo of a library. ``read``: what it says of itself. ``group``: its folder and owner, within which photos
    place each other. ``left_out``: why it is not to be placed. ``state``: what must not change until it is written.
    ``id``: of an asset on a server; ``thumb``: its picture, below the run."""

    file: str
    read: AlbumPhoto
    group: str
    owner: str = ""
    left_out: str = ""
    ours: bool = False
    state: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    thumb: str = ""

    @property
    def facts(self) -> Reading:
        """What is known of it."""
        return self.read.facts or Reading(b"")

    @property
    def located(self) -> bool:
        """Whether it knows its place."""
        return self.read.known is not None


def read_library(paths: Sequence[Path], out: Path, overwrite_own: bool) -> list[Item]:
    """The photos of folders. Raises InputError where there is none."""
    find_photos(paths)  # says what is wrong with what was named
    items = []
    for candidate in track(find(paths, out), "reading", unit="photo"):
        try:
            read = AlbumPhoto(candidate.path, read_facts(task_of(candidate)), None)
        except (PhotoError, OSError) as error:
            items.append(Item(candidate.name, AlbumPhoto(candidate.path, None, str(error)), candidate.album))
            continue
        owner = (candidate.told.owner if candidate.told else None) or ""
        item = Item(candidate.name, read, f"{candidate.album}\0{owner}", owner)
        items.append(item if item.located else _unplaced(item, candidate, overwrite_own))
    return items


def camera_of(facts: Reading) -> str:
    """Make, model and a code for the serial number; "" where none is named."""
    return " ".join(part for part in (facts.make, facts.model, code(facts.serial or "")) if part)


def _unplaced(item: Item, candidate: Candidate, overwrite_own: bool) -> Item:
    """With what must not change, and why it is not to be placed, if so."""
    path, beside = candidate.path, sidecars(candidate)
    state = {"sha256": state_of(path), "sidecars": {str(each): state_of(each) for each in beside}}
    ours = GEOTAG.encode() in b"".join(_packets(path, beside))
    left_out = EARLIER if ours and not overwrite_own else no_photograph(path)
    return Item(item.file, item.read, item.group, item.owner, left_out, ours, state)


def _packets(photo: Path, beside: Iterable[Path]) -> list[bytes]:
    packets = [*exif.read(photo).xmp]
    for each in beside:
        packets.append(each.read_bytes())
    return packets
