"""What an ingest has before it: every candidate with what is to be done with it, and a fingerprint of it
all."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from openplanet.errors import InputError
from openplanet.photos import coordinates, parts, shards
from openplanet.photos.coordinates import Entry
from openplanet.photos.parts import Task
from openplanet.photos.sources import Candidate, Rejection, candidate_size, find
from openplanet.storage import sha256_of

MIN_SIDE, MAX_SIDE = 16, 4096
SETTLE_VERSION = 1  # raise it when the same readings would give other rows


@dataclass(frozen=True)
class Options:
    """What the user may choose. ``side``: pixels of the short side."""

    side: int = 320
    split_by: str = "owner"
    keep_unlocated: bool = False


@dataclass(frozen=True)
class Plan:
    """``steps`` belong to ``candidates`` one to one; ``entries`` are the table's rows by index of the
    candidate."""

    candidates: list[Candidate]
    steps: list[Task | Rejection]
    entries: dict[int, Entry]
    more_rejected: list[Rejection]  # folders and rows of the table that lead to no file
    skipped: Counter[str]
    fingerprint: str


def make_plan(sources: Sequence[Path], table: Path | None, out: Path, options: Options) -> Plan:
    """Find the photos and the table's rows on them; reads no photo.

    Without ``sources`` the table's files are the candidates. Raises InputError where the options are out of
    range, a source or the table is missing or unreadable, or there is no candidate at all.
    """
    if options.split_by not in ("owner", "album"):
        raise InputError(f"split by '{options.split_by}': it can be by owner or by album")
    if not MIN_SIDE <= options.side <= MAX_SIDE:
        raise InputError(f"side {options.side}: it must be {MIN_SIDE} to {MAX_SIDE} pixels")
    rows = coordinates.read(table) if table is not None else []
    if not sources and table is not None:
        sources = coordinates.files_of(rows, table)
    found = find(sources, out)
    if not found.candidates:
        skipped = ", ".join(f"{count} {suffix}" for suffix, count in sorted(found.skipped.items()))
        raise InputError(
            f"{', '.join(map(str, sources)) or table or 'no source'}: no photo found there"
            + (f" (files passed over: {skipped})" if skipped else "")
        )
    matched = coordinates.Matched({}, [])
    if table is not None:
        matched = coordinates.match(rows, table, found.candidates, found.roots)
    steps = [_step(c, matched.by_candidate.get(i), options) for i, c in enumerate(found.candidates)]
    more_rejected = found.rejected + matched.rejected
    told = {
        "versions": [shards.FORMAT_VERSION, parts.PART_VERSION, SETTLE_VERSION],
        "options": asdict(options),
        "table": sha256_of(table) if table is not None else None,
        "steps": [[c.name, s.key if isinstance(s, Task) else asdict(s)]
                  for c, s in zip(found.candidates, steps, strict=True)],
        "more": [asdict(rejection) for rejection in more_rejected],
    }  # fmt: skip
    fingerprint = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return Plan(found.candidates, steps, matched.by_candidate, more_rejected, found.skipped, fingerprint)


def _step(candidate: Candidate, entry: Entry | None, options: Options) -> Task | Rejection:
    size_and_time = candidate_size(candidate.path)
    if isinstance(size_and_time, str):
        return Rejection(candidate.name, "unreadable", size_and_time)
    if entry is not None and entry.problem and not options.keep_unlocated:
        return Rejection(candidate.name, entry.problem, entry.detail)
    needs_gps = not options.keep_unlocated and (entry is None or entry.lat is None)
    return parts.task_for(candidate.path, size_and_time, options.side, needs_gps)
