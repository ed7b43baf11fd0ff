"""Folders of photos, searched recursively, and photos named outright; XMP sidecars beside them."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openplanet.photos.files import xmp
from openplanet.photos.files.images import SUFFIXES
from openplanet.photos.sources.source import (
    Beside,
    Candidate,
    Fingerprint,
    Listing,
    Rejection,
    Search,
    Span,
    file_fingerprint,
    identity,
    printable,
)

_RANDOM_NAME = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}|[0-9a-f]{24,}", re.I)
_HASH_FOLDERS = re.compile(r"(?<=.)(/[0-9a-f]{1,3})+$", re.I)
# Folders in which NAS boxes and archivers keep thumbnails and forks of the photos beside them.
SKIPPED_FOLDERS = frozenset({"@eaDir", "__MACOSX"})


@dataclass(frozen=True)
class AboutFolder:
    """What a folder's files tell: ``beside`` of its photos, by name; ``rank`` of all; ``title`` of the album."""

    beside: dict[str, list[Beside]] = field(default_factory=dict)
    rank: int = 0
    title: str | None = None


class Folder:
    """A folder with all below it, or a file, which is always a candidate.

    Folders are entered once, however many symbolic links or sources lead there; the dataset that is written is not
    entered. Hidden files and those without the suffix of a photo are counted and skipped.
    """

    of_files = True

    def takes(self, named: Path, search: Search) -> bool:
        return os.path.lexists(named)

    def find(self, named: Path, search: Search) -> Iterator[Candidate]:
        if not named.is_dir():
            folder = search.claim(named, found_in_folders=is_photo(named.name))
            if folder is not None:
                yield from self._in_folder(folder, folder, [named.name], search.listing(folder), search)
            return
        root = named.resolve()
        search.found.roots.append(root)
        for here, files in walked(root, search.entered, lambda error: _complain(search, root, error)):
            photos = _photos(files, search)
            real = os.path.realpath(here)
            photos = [name for name in photos if os.path.join(real, name) not in search.claimed]  # noqa: PTH118
            yield from self._in_folder(root, here, photos, Listing.of(files), search)

    def read(self, path: Path, span: Span | None) -> Path | bytes:
        return path  # opened where it lies: what is rejected by its metadata is never read whole

    def fingerprint(self, candidate: Candidate) -> Fingerprint:
        return file_fingerprint(candidate)

    def about(self, here: Path, photos: Sequence[str], files: Listing, search: Search) -> AboutFolder:
        """What ``files``, all of the folder ``here``, tell of its ``photos`` besides XMP."""
        return AboutFolder()

    def _in_folder(
        self, root: Path, here: Path, photos: Sequence[str], files: Listing, search: Search
    ) -> Iterator[Candidate]:
        label = search.labels.folder(root, here)
        sidecars = xmp.beside(photos, files.names) if files.extra else {}
        about = self.about(here, photos, files, search)
        album = _without_hashes(label, photos)
        if about.title is not None:
            album = f"{album.rpartition('/')[0]}/{printable(about.title)}".removeprefix("/")
        for name in photos:
            beside = [Beside("xmp", str(here / sidecars[name]))] if name in sidecars else []
            beside += about.beside.get(name, [])
            yield Candidate(
                self, here / name, f"{label}/{printable(name)}", album, None, tuple(beside), rank=about.rank
            )


def walked(
    root: Path, entered: set[tuple[int, int]], complain: Callable[[OSError], None] | None = None
) -> Iterator[tuple[Path, list[str]]]:
    """Each folder at and below ``root`` that is not in ``entered``, which grows, and the names of its files."""
    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=complain):
        here = Path(folder)
        if identity(here) in entered:
            subfolders.clear()
            continue
        entered.add(identity(here))
        subfolders[:] = sorted(
            (name for name in subfolders if not name.startswith(".") and name not in SKIPPED_FOLDERS),
            key=os.fsencode,
        )
        yield here, files


def is_photo(name: str) -> bool:
    """Whether a file of this name in a folder is a candidate."""
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES


def _photos(files: Sequence[str], search: Search) -> list[str]:
    photos, skipped = [], search.found.skipped
    for name in sorted(files, key=os.fsencode):
        if name.startswith("."):
            skipped["hidden"] += 1
        elif is_photo(name):
            photos.append(name)
        else:
            skipped[printable(Path(name).suffix.lower()) or "none"] += 1
    return photos


def _complain(search: Search, root: Path, error: OSError) -> None:
    label = search.labels.folder(root, Path(error.filename))
    search.found.rejected.append(Rejection(label, "unreadable folder", error.strerror or ""))


def _without_hashes(album: str, photos: Sequence[str]) -> str:
    """The library's folder, where programs spread its photos by the first digits of their random names: Apple Photos
    (originals/3/3F98E277-....jpeg), Immich (upload/USER/ab/cd/abcd....jpg)."""
    if not photos or not all(_RANDOM_NAME.match(name) for name in photos):
        return album
    return _HASH_FOLDERS.sub("", album)
