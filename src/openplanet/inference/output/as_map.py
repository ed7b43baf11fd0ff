"""Answers as a self-contained page: of single photos a map each, of an album its journey and below it the photos."""

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from openplanet.errors import InputError, PhotoError
from openplanet.inference.located import Located, LocatedAlbum
from openplanet.inference.output.about import About
from openplanet.inference.output.as_json import record
from openplanet.inference.output.as_text import km_words, offset_words
from openplanet.inference.output.prediction_map import MOST_CELLS, prediction_map
from openplanet.maps import description
from openplanet.maps.description import Description
from openplanet.maps.page import answer, write_map_page
from openplanet.photos.files import images
from openplanet.photos.files.images import SUFFIXES
from openplanet.stores.location import Location

MAX_MAPS = 500  # sections with a map: each has its picture, about 12 kB
MOST_PICTURES = 500  # of an album's page: about 8 kB each
CELLS_OF_A_PAGE = 60_000  # 17 bytes each: a page of many photos stays near 2 MB without its pictures
FEWEST_CELLS = 120
THUMBNAIL, SMALL = 240, 160  # px, short side: beside a map, in an album
BY_ANCHORS = {
    "between": "Between given positions",
    "near": "Near a given position in time",
    "track": "On the track",
}


class MapPage:
    """Gathers the sections of a page while the answers go by, and writes it at the end."""

    def __init__(self, path: Location, about: About, photos: int) -> None:
        """Raises InputError where ``path`` is a photo's, or ``photos`` are more maps than a browser would draw well."""
        if path.suffix.lower() in SUFFIXES:
            raise InputError(f"{path} has the name of a photo, which is never overwritten: give one that ends in .html")
        if about.album is None and photos > MAX_MAPS:
            raise InputError(
                f"{path} would hold {photos} maps, more than {MAX_MAPS}: locate fewer photos, or use --geojson"
            )
        self.path, self.about, self.entries = path, about, list[dict[str, Any]]()
        self._pictures = photos <= MOST_PICTURES
        self._cells = min(MOST_CELLS, max(FEWEST_CELLS, CELLS_OF_A_PAGE // max(photos, 1)))

    def watch(self, stream: Iterable[Located]) -> Iterator[Located]:
        """The same stream; what goes by becomes a section."""
        for located in stream:
            self.entries.append(self._single(located) if self.about.album is None else self._in_album(located))
            yield located

    def save(self, title: str) -> None:
        """Write the page; raises InputError where it cannot be written."""
        album = self.about.album
        first = []
        if album is not None:
            first = [answer("The journey", None, map=journey(album, self.about), note=_words(album))]
        write_map_page(self.path, title, [*first, *self.entries])

    def _single(self, located: Located) -> dict[str, Any]:
        drawn = None
        if located.prediction is not None and self.about.shows_points:
            alike = located.evidence.alike if located.evidence is not None else ()
            drawn = prediction_map(located.prediction, None, self.about.options.within_km, self._cells, alike)
        return answer(
            self.about.name(located),
            record(located, self.about),
            map=drawn,
            thumbnail=_thumbnail(located, THUMBNAIL),
        )

    def _in_album(self, located: Located) -> dict[str, Any]:
        title = " · ".join(part for part in (when(located), self.about.name(located)) if part)
        note, alone = "", located.alone
        if located.anchored is not None:
            within = km_words(located.anchored.radius_km)
            note = f"{BY_ANCHORS[located.anchored.kind]}: {self.about.place(located)}, 95 % within {within}."
        elif located.by_anchors is not None:
            note = f"{self.about.place(located)}."
        elif alone and located.prediction and alone.best.cell_index != located.prediction.best.cell_index:
            note = f"By itself: {alone.best.place.text} ({100 * alone.best.probability:.0f} %)."
        thumbnail = _thumbnail(located, SMALL) if self._pictures else None
        return answer(title, record(located, self.about), thumbnail=thumbnail, note=note)


def journey(album: LocatedAlbum, about: About) -> Description:
    """The description of an album's map: its route in order of capture, given positions marked."""
    stops = []
    for photo in album.photos:
        at = about.position(photo)
        if at is None:
            continue
        stop = description.point(
            *at, title=f"{about.place(photo)} ({about.name(photo)})", given=photo.given is not None
        )
        if time := when(photo):
            stop["time"] = time
        if photo.alone is not None and photo.by_anchors is None:
            best = photo.alone.best_point(about.options.within_km)
            stop["alone"] = description.point(best.lat, best.lng)
        stops.append(stop)
    found: Description = {"label": "Where the album was taken", "route": stops}
    if stops:
        found["labels"] = description.labels([stop["lat"] for stop in stops], [stop["lng"] for stop in stops])
    return found


def _words(album: LocatedAlbum) -> str:
    statuses = [photo.status for photo in album.photos]
    counts = [f"{statuses.count(each)} {each}" for each in ("located", "given", "failed") if each in statuses]
    said = [f"{len(album.photos)} photos: {', '.join(counts)}", f"placed together by {album.variant}"]
    said += [f"{camera or 'no camera named'}: {offset_words(offset)}" for camera, offset in album.offsets.items()]
    return "; ".join([*said, *album.clock_notes]) + "."


def _thumbnail(located: Located, side: int) -> str | None:
    try:
        jpeg = images.encode_jpeg(images.load(Path(str(located.photo)), short_side=side))
    except PhotoError:
        return None  # a given position stands, whether or not the picture can be shown
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def when(located: Located) -> str:
    """When it was taken, to the minute; empty where that is not known."""
    return "" if located.taken_at is None else f"{located.taken_at:%Y-%m-%d %H:%M}"
