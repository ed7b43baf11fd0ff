"""The sources that there are, and the search over those that the user named."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from openplanet.photos.sources.coordinates import Table
from openplanet.photos.sources.entry import Entry
from openplanet.photos.sources.folder import Folder
from openplanet.photos.sources.huggingface import HuggingFace
from openplanet.photos.sources.source import Candidate, Found, Search, Source
from openplanet.photos.sources.takeout import Takeout
from openplanet.photos.sources.tar import Tar

SOURCES: dict[str, Source] = {
    "folder": Folder(),
    "takeout": Takeout(),
    "tar": Tar(),
    "huggingface": HuggingFace(),
    "table": Table(),
}
"""The last one that takes what the user named is its source: what is added comes before what is there."""


def find(sources: Sequence[Path], out: Path | None = None) -> Found:
    """``search`` with all candidates in a list."""
    found = Found()
    found.candidates.extend(search(sources, found, out))
    return found


def search(
    sources: Sequence[Path],
    found: Found,
    out: Path | None = None,
    table: tuple[Path, Sequence[Entry]] | None = None,
) -> Iterator[Candidate]:
    """All candidates in ``sources``; without sources those that ``table`` names (its path, and its rows).

    The folder ``out`` is not entered. The order is that of the sources, then that of the names. What else there is to
    say goes into ``found``. Raises InputError where a source is missing.
    """
    named = list(sources) if sources or table is None else [table[0]]
    shared = Search(named, found, out, table, SOURCES)
    chosen = [(each, shared.source_of(each)) for each in named]  # a missing one fails before any is searched
    for each, source in chosen:
        yield from source.find(each, shared)


def source_of(named: Path) -> Source:
    """The source that takes ``named`` alone. Raises InputError where it is missing."""
    return Search([named], Found(), sources=SOURCES).source_of(named)
