"""A located album as a page: the journey on a map, shaded by time, and below it the photos in their order."""

import base64
from pathlib import Path

import numpy as np

from openplanet.earth.mappage import MapEntry, write_map_page
from openplanet.earth.worldmap import WorldMap, bounds_of
from openplanet.errors import PhotoError
from openplanet.inference.located_album import AlbumPhoto, LocatedAlbum, offset_words
from openplanet.photos import images

WIDTH, THUMBNAIL, CANDIDATES = 1000, 160, 3
MOST_PICTURES = 500  # of a page: about 8 kB each


def write_album_map(path: Path, album: LocatedAlbum, title: str = "Album") -> None:
    """Write a self-contained page. Raises InputError where it cannot be written."""
    pictures = len(album.photos) <= MOST_PICTURES
    entries = [MapEntry(title="The journey", map=journey(album), note=_about(album))]
    write_map_page(path, title, entries + [_entry(photo, pictures) for photo in album.photos])


def journey(album: LocatedAlbum) -> WorldMap:
    """The route over the map; given positions have a ring."""
    placed = [photo for photo in album.photos if photo.position is not None]
    lat_N, lng_N = (np.array([photo.position[axis] for photo in placed if photo.position]) for axis in (0, 1))
    drawn = WorldMap(WIDTH, bounds_of(lat_N, lng_N, 0.2, least=0.2), title="Where the album was taken")
    given = [photo for photo in placed if photo.given is not None]
    if given:
        at = np.array([photo.given for photo in given])
        drawn.points(at[:, 0], at[:, 1], kind="truth", titles=["given"] * len(given), key="given position")
    if placed:
        titles = [f"{_when(photo)} {photo.place} ({photo.name})" for photo in placed]
        drawn.route(lat_N, lng_N, titles, _when(placed[0]) or "first photo", _when(placed[-1]) or "last photo")
    return drawn.cities()


def _about(album: LocatedAlbum) -> str:
    counts = {
        status: sum(photo.status == status for photo in album.photos) for status in ("located", "given", "failed")
    }
    said = [f"{len(album.photos)} photos: " + ", ".join(f"{n} {status}" for status, n in counts.items() if n)]
    said.append(f"placed together by {album.variant}")
    said += [f"{camera or 'no camera named'}: {offset_words(offset)}" for camera, offset in album.offsets.items()]
    said += album.clock_notes
    return "; ".join(said) + "."


def _entry(photo: AlbumPhoto, picture: bool) -> MapEntry:
    title = " · ".join(part for part in (_when(photo), photo.name) if part)
    if photo.position is None:
        return MapEntry(title=title, note=f"Not located: {photo.error}")
    note = ""
    candidates: list[tuple[int, str, float]] = []
    if photo.given is not None:
        note = f"Given: {photo.place} ({photo.given[0]:.4f}, {photo.given[1]:.4f})."
    elif photo.prediction is not None:
        candidates = [(c.rank, c.place.text, c.probability) for c in photo.prediction.top(CANDIDATES)]
        if photo.between is not None:
            note = f"Between given positions: {photo.place} ({photo.between[0]:.4f}, {photo.between[1]:.4f})."
        elif photo.alone is not None and photo.alone.best.cell_index != photo.prediction.best.cell_index:
            note = f"By itself: {photo.alone.best.place.text} ({100 * photo.alone.best.probability:.0f} %)."
    return MapEntry(title=title, thumbnail=_thumbnail(photo) if picture else None, candidates=candidates, note=note)


def _thumbnail(photo: AlbumPhoto) -> str | None:
    try:
        jpeg = images.encode_jpeg(images.load(photo.path, short_side=THUMBNAIL))
    except PhotoError:
        return None  # the given position stands, whether or not the picture can be shown
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _when(photo: AlbumPhoto) -> str:
    return "" if photo.taken_at is None else f"{photo.taken_at:%Y-%m-%d %H:%M}"
