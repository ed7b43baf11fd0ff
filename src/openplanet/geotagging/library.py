"""A library of files: its photos, their sidecars, and which positions they know. Works without torch."""

from collections.abc import Sequence
from pathlib import Path

from openplanet.photos.ingest.read import Task, read_facts
from openplanet.photos.sources import registry
from openplanet.photos.sources.source import Candidate


def find(paths: Sequence[Path], out: Path) -> list[Candidate]:
    """All photos below ``paths``, by their real folders; ``out`` is not entered. InputError for a missing one."""
    return [each for each in registry.find([path.absolute() for path in paths], out).candidates if each.source.of_files]


def position_of(candidate: Candidate) -> tuple[float, float] | None:
    """(lat, lng) that the file, or a file beside it, tells; None where there is none but a geotag run's."""
    facts = read_facts(task_of(candidate))
    return None if facts.lat is None or facts.lng is None else (facts.lat, facts.lng)


def sidecars(candidate: Candidate) -> list[Path]:
    """The sidecars that there are of a photo; first the one that counts, and is written."""
    path = candidate.path
    told = [Path(each.path) for each in candidate.beside if each.kind == "xmp"]
    names = [f"{name}{suffix}" for name in (path.name, path.stem) for suffix in (".xmp", ".XMP")]
    there = [path.with_name(name) for name in names if path.with_name(name).exists()]
    return list(dict.fromkeys([*(each for each in told if each.exists()), *there]))


def task_of(candidate: Candidate) -> Task:
    """What reading the photo needs."""
    return Task(b"", str(candidate.path), False, candidate.span, candidate.beside, candidate.told,
                source=candidate.source)  # fmt: skip
