"""The files that pages consist of: scripts and styles of the maps, and our own."""

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""Not the system's table: a browser runs no script of another kind."""
OWN, MAPS = "openplanet.serve", "openplanet.maps"


@dataclass(frozen=True)
class StaticFile:
    """A file as it is sent."""

    content: bytes
    packed: bytes
    """By gzip: the map library is a quarter then."""
    kind: str
    etag: str
    """Changes with the content: browsers ask again, and are told that theirs still holds."""

    @classmethod
    def of(cls, name: str, content: bytes) -> "StaticFile":
        """Of a file with that name."""
        kind = KINDS.get(Path(name).suffix, "application/octet-stream")
        tag = hashlib.sha256(content).hexdigest()[:32]
        return cls(content, gzip.compress(content, mtime=0), kind, f'"{tag}"')


def static_files(packages: Sequence[str] = (MAPS, OWN)) -> Mapping[str, StaticFile]:
    """The files in the folders ``static`` of packages, by name; read once: no request opens a file."""
    found = [file for package in packages for file in (files(package) / "static").iterdir()]
    return {file.name: StaticFile.of(file.name, file.read_bytes()) for file in found}


def own_text(name: str) -> Markup:
    """A script or style of ours, to stand in a page that is one file."""
    return Markup((files(OWN) / "static" / name).read_text(encoding="utf-8"))
