"""Small libraries of real JPEG files, and what they are compared by."""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from openplanet.geotagging.exiftool import MISSING, found
from photos.photo_files import save

START = datetime(2024, 5, 1, 10)
PARIS, NEAR_PARIS = (48.86, 2.35), (48.87, 2.36)
needs_exiftool = pytest.mark.skipif(found() is None, reason=MISSING)
SIDECAR = (
    "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
    "<rdf:Description rdf:about='' xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmp:Rating='4'"
    " xmlns:mine='http://example.org/mine/' mine:Word='kept' {}/></rdf:RDF></x:xmpmeta>"
)


def photo(path: Path, minutes: float | None = None, at: tuple[float, float] | None = None, **more: object) -> Path:
    """A photo, ``minutes`` after START, with a position where ``at`` is one."""
    time = None if minutes is None else f"{START + timedelta(minutes=minutes):%Y:%m:%d %H:%M:%S}"
    lat, lng = at or (None, 0.0)
    return save(path, abs(hash(path.name)) % 10_000, lat, lng, time, size=(200, 150), **more)


def trip(folder: Path) -> Path:
    """Two given positions ten minutes apart, one photo between them, one an hour later, one two days later."""
    photo(folder / "a.jpg", 0, PARIS)
    photo(folder / "b.jpg", 5)
    photo(folder / "c.jpg", 10, NEAR_PARIS)
    photo(folder / "d.jpg", 70)
    photo(folder / "e.jpg", 2 * 24 * 60)
    return folder


def tree(folder: Path) -> dict[str, tuple[str, int]]:
    """SHA-256 and time of modification of every file below ``folder``."""
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
