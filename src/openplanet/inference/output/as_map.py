"""Answers as a self-contained page: of single photos a map each, of an album its journey and below it the photos."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from openplanet.errors import InputError, PhotoError
from openplanet.inference.located import Located, LocatedAlbum
from openplanet.inference.output.about import About
from openplanet.inference.output.as_text import PLACES, km_words, offset_words
from openplanet.inference.output.prediction_map import prediction_map
from openplanet.inference.place_tree import Node
from openplanet.maps.page import MapEntry, write_map_page
from openplanet.maps.world_map import WorldMap, bounds_of
from openplanet.photos.files import images
from openplanet.photos.files.images import SUFFIXES

MAX_MAPS = 200  # sections with a map: each is about 100 kB
MOST_PICTURES = 500  # of an album's page: about 8 kB each
THUMBNAIL, SMALL = 240, 160  # px, short side: beside a map, in an album
ALBUM_CANDIDATES = 3
MOST_PLACES = 8
JOURNEY_WIDTH = 1000
BY_ANCHORS = {
    "between": "Between given positions",
    "near": "Near a given position in time",
    "track": "On the track",
}


class MapPage:
    """Gathers the sections of a page while the answers go by, and writes it at the end."""

    def __init__(self, path: Path, about: About, photos: int) -> None:
        """Raises InputError where ``path`` is a photo's, or ``photos`` are more maps than a browser would draw well."""
        if path.suffix.lower() in SUFFIXES:
            raise InputError(f"{path} has the name of a photo, which is never overwritten: give one that ends in .html")
        if about.album is None and photos > MAX_MAPS:
            raise InputError(
                f"{path} would hold {photos} maps, more than {MAX_MAPS}: locate fewer photos, or use --geojson"
            )
        self.path, self.about, self.entries = path, about, list[MapEntry]()
        self._pictures = photos <= MOST_PICTURES

    def watch(self, stream: Iterable[Located]) -> Iterator[Located]:
        """The same stream; what goes by becomes a section."""
        for located in stream:
            self.entries.append(self._single(located) if self.about.album is None else self._in_album(located))
            yield located

    def save(self, title: str) -> None:
        """Write the page; raises InputError where it cannot be written."""
        album = self.about.album
        first = [] if album is None else [MapEntry("The journey", _journey(album, self.about), note=_words(album))]
        write_map_page(self.path, title, [*first, *self.entries])

    def _single(self, located: Located) -> MapEntry:
        title = self.about.name(located)
        if located.flag:
            note = f"Not a photograph of a place: {located.flag}."
            return MapEntry(title=title, thumbnail=_thumbnail(located, THUMBNAIL), note=note)
        if located.prediction is None:
            return MapEntry(title=title, note=f"Not located: {self.about.error(located)}")
        best = located.prediction.best_point(self.about.options.within_km)
        radii = ", ".join(f"{float(share):.0%} within {km_words(km)}" for share, km in best.radius_km.items())
        return MapEntry(
            title=f"{title}: {self.about.place(located)}",
            map=prediction_map(located.prediction, within_km=self.about.options.within_km),
            thumbnail=_thumbnail(located, THUMBNAIL),
            candidates=_places(located.prediction.places()),
            note=f"Best point {best.lat:.4f}, {best.lng:.4f}: {radii}{'' if best.calibrated else ' (not calibrated)'}.",
        )

    def _in_album(self, located: Located) -> MapEntry:
        title = " · ".join(part for part in (_when(located), self.about.name(located)) if part)
        if located.flag:
            return MapEntry(title=title, note=f"Not a photograph of a place: {located.flag}.")
        at = self.about.position(located)
        if at is None:
            return MapEntry(title=title, note=f"Not located: {self.about.error(located)}")
        lat, lng = at
        note, candidates, alone = "", list[tuple[int, str, float]](), located.alone
        if located.prediction is not None:
            candidates = _places(located.prediction.places())[:ALBUM_CANDIDATES]
        if located.source == "given":
            note = f"Given: {located.place} ({lat:.4f}, {lng:.4f})."
        elif located.anchored is not None:
            within = km_words(located.anchored.radius_km)
            note = f"{BY_ANCHORS[located.anchored.kind]}: {located.place} ({lat:.4f}, {lng:.4f}; 95% within {within})."
        elif alone and located.prediction and alone.best.cell_index != located.prediction.best.cell_index:
            note = f"By itself: {alone.best.place.text} ({100 * alone.best.probability:.0f} %)."
        thumbnail = _thumbnail(located, SMALL) if self._pictures else None
        return MapEntry(title=title, thumbnail=thumbnail, candidates=candidates, note=note)


def _places(countries: Iterable[Node]) -> list[tuple[int, str, float]]:
    """The finest places of a tree as candidates, the likeliest first; what is left of a country is one too."""
    found: list[Node] = []

    def walk(node: Node) -> None:
        left = node.probability - sum(each.probability for each in node.inside)
        if left >= PLACES or not node.inside:
            found.append(replace(node, probability=left if node.inside else node.probability))
        for each in node.inside:
            walk(each)

    for country in countries:
        walk(country)
    found.sort(key=lambda node: -node.probability)
    return [(rank, node.place.text, node.probability) for rank, node in enumerate(found[:MOST_PLACES], 1)]


def _journey(album: LocatedAlbum, about: About) -> WorldMap:
    """The route over the map; given positions have a ring."""
    placed_at = [(photo, at) for photo in album.photos if (at := about.position(photo)) is not None]
    placed = [photo for photo, _ in placed_at]
    lat_N, lng_N = (np.array([at[axis] for _, at in placed_at]) for axis in (0, 1))
    drawn = WorldMap(JOURNEY_WIDTH, bounds_of(lat_N, lng_N, 0.2, least=0.2), title="Where the album was taken")
    given = [photo for photo in placed if photo.given is not None]
    if given:
        given_N2 = np.array([photo.given for photo in given])
        drawn.points(given_N2[:, 0], given_N2[:, 1], kind="truth", titles=["given"] * len(given), key="given position")
    if placed:
        titles = [f"{_when(photo)} {about.place(photo)} ({about.name(photo)})" for photo in placed]
        drawn.route(lat_N, lng_N, titles, _when(placed[0]) or "first photo", _when(placed[-1]) or "last photo")
    return drawn.cities()


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


def _when(located: Located) -> str:
    return "" if located.taken_at is None else f"{located.taken_at:%Y-%m-%d %H:%M}"
