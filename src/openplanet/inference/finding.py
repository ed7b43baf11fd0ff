"""Which photos `locate` takes, and what outputs call them."""

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from openplanet.errors import InputError, PhotoError
from openplanet.inference.located import Located
from openplanet.photos.files import exif, flags, images
from openplanet.photos.files.images import SUFFIXES
from openplanet.photos.sources import registry
from openplanet.photos.sources.source import Candidate, printable
from openplanet.progress import say

FLAG_SIDE = 320  # pixels: as small as ingest keeps photos, for which the rules were made


class Names:
    """What outputs call photos: a path as the user gave it, an absolute one from the folder on that holds all that
    was named, so that no output carries a path of the machine."""

    def __init__(self, named: Iterable[Path]) -> None:
        folders = {os.path.normpath(path.parent) for path in named if path.is_absolute()}
        self.root = Path(os.path.commonpath(folders)) if folders else None

    def of(self, photo: Path | str) -> str:
        """The name, printable and always UTF-8."""
        path = Path(photo)
        if self.root is not None and path.is_absolute():
            path = path.relative_to(self.root) if path.is_relative_to(self.root) else Path(path.name)
        return printable(path)

    def within(self, text: str, photo: Path | str) -> str:
        """``text`` that speaks of ``photo`` (an error) with its name for its path."""
        return printable(text.replace(str(photo), self.of(photo)))


class Paths(Sequence[Path]):
    """Very many paths in one piece of memory: its bytes, and 8 more for each."""

    def __init__(self, paths: Iterable[bytes]) -> None:
        self._bytes, self._ends = bytearray(), array("Q", [0])
        for path in paths:
            self._bytes += path
            self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int | slice) -> Any:
        """A path, or a tuple of some."""
        if isinstance(index, slice):
            return tuple(map(self.__getitem__, range(*index.indices(len(self)))))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        return Path(os.fsdecode(bytes(self._bytes[self._ends[index] : self._ends[index + 1]])))

    @classmethod
    def listed(cls, file: BinaryIO, name: str) -> "Paths":
        """Of a list with a path on each line. Raises InputError where there is none."""
        found = cls(line for each in file if (line := each.rstrip(b"\r\n")))
        if not len(found):
            raise InputError(f"{name} lists no photo: it has to have a path on each line")
        return found


def no_photograph(photo: Path | bytes) -> str:
    """Why a picture shows no place ("screenshot: ..."), by the rules by which ingest flags; "" for a photograph, and
    for a file that cannot be read, which says so elsewhere."""
    try:
        metadata = exif.read(photo)
        image = images.load(photo, FLAG_SIDE, metadata)
    except PhotoError:
        return ""
    return flag_of(image, metadata)


def flag_of(image: Image.Image, metadata: exif.Metadata) -> str:
    """``no_photograph`` of a picture that is decoded already, to a short side of FLAG_SIDE or more."""
    flag, reason = flags.judge(image, metadata.width, metadata.height, metadata.from_camera)
    return "" if flag is None else f"{flag}: {reason}"


def photographs(stream: Iterable[Located]) -> Iterator[Located]:
    """The same answers; where a picture is no photograph of a place that is said, and its prediction withdrawn."""
    for located in stream:
        shown = located.prediction is not None and located.by_anchors is None
        flag = no_photograph(located.photo) if shown and isinstance(located.photo, Path) else ""
        yield replace(located, prediction=None, flag=flag) if flag else located


def find_photos(paths: Sequence[Path]) -> list[Candidate]:
    """Files as given, and of folders all photos below them, as ingest finds them; each by the path as given.

    Says which folders hold none, and which could not be entered. Raises InputError for a path that is not there,
    or is a tar or a data set, and where no photo was found at all.
    """
    for path in paths:
        if not registry.source_of(path).of_files:
            raise InputError(f"{printable(path)}: give photos or folders of photos; unpack it first")
    found = registry.find(paths)
    photos = _as_given(found.candidates, paths)
    left_out = [f"{each.file}: {each.reason} {each.detail}".strip() for each in found.rejected]
    for path in paths:
        if path.is_dir() and not any(photo.path.is_relative_to(path) for photo in photos):
            left_out.append(f"{printable(path)}: no photo found there")
    if not photos:
        skipped = ", ".join(f"{count} {suffix}" for suffix, count in sorted(found.skipped.items()))
        raise InputError(
            "; ".join(left_out)
            + (f" (files passed over: {skipped})" if skipped else "")
            + f"; files that end in {' '.join(sorted(SUFFIXES))} are looked for"
        )
    for line in left_out:
        say(line)
    return photos


def _as_given(photos: Sequence[Candidate], paths: Sequence[Path]) -> list[Candidate]:
    """``photos``, whose folders were resolved, below the ``paths`` that led to them."""
    given: dict[Path, Path] = {}
    for path in paths:
        folder = path if path.is_dir() else path.parent
        given.setdefault(folder.resolve(), folder)
    shown = []
    for photo in photos:
        root = next((folder for folder in photo.path.parents if folder in given), None)
        shown.append(photo if root is None else replace(photo, path=given[root] / photo.path.relative_to(root)))
    return shown
