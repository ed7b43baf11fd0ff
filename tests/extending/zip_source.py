"""A source from outside the package: the photos in a zip archive, read where they lie."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from openplanet.photos.files.images import SUFFIXES
from openplanet.photos.sources.source import Candidate, Fingerprint, Search, Span, file_fingerprint


class Zip:
    of_files = False

    def takes(self, named: Path, search: Search) -> bool:
        return named.suffix.lower() == ".zip" and named.is_file()

    def find(self, named: Path, search: Search) -> Iterator[Candidate]:
        with zipfile.ZipFile(named) as archive:
            for number, member in enumerate(archive.infolist()):
                if Path(member.filename).suffix.lower() in SUFFIXES:
                    album = f"{named.name}/{Path(member.filename).parent.as_posix()}"
                    yield Candidate(
                        self, named, f"{named.name}/{member.filename}", album, span=(number, member.file_size)
                    )

    def read(self, path: Path, span: Span | None) -> bytes:
        with zipfile.ZipFile(path) as archive:
            return archive.read(archive.infolist()[span[0] if span else 0])

    def fingerprint(self, candidate: Candidate) -> Fingerprint:
        return file_fingerprint(candidate)
