"""The files that pages consist of: scripts and styles of the maps, and our own."""

from collections.abc import Mapping, Sequence
from importlib.resources import files

from markupsafe import Markup

OWN, MAPS = "openplanet.serve", "openplanet.maps"


def static_files(packages: Sequence[str] = (MAPS, OWN)) -> Mapping[str, bytes]:
    """The files in the folders ``static`` of packages, by name; read once: no request opens a file."""
    return {file.name: file.read_bytes() for package in packages for file in (files(package) / "static").iterdir()}


def own_text(name: str) -> Markup:
    """A script or style of ours, to stand in a page that is one file."""
    return Markup((files(OWN) / "static" / name).read_text(encoding="utf-8"))
