"""Answers as one JSON object, the same for single photos and for albums (docs/output.md)."""

import json
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from openplanet.inference.located import Located
from openplanet.inference.output.about import About
from openplanet.storage import generator

FORMAT_VERSION = 2


def write(stream: Iterable[Located], about: About) -> Iterator[str]:
    """``generator``, ``format_version``, ``model``, ``album`` (null for single photos), and a record for each of
    ``photos``."""
    yield from laid_out(head(about), (record(located, about) for located in stream))


def laid_out(opening: dict[str, Any], records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The object, of what ``head`` and ``record`` give."""
    separator = "\n"
    yield json.dumps(opening, indent=2, ensure_ascii=False).removesuffix("\n}") + ',\n  "photos": ['
    for each in records:
        yield separator + textwrap.indent(json.dumps(each, indent=2, ensure_ascii=False), "    ")
        separator = ",\n"
    yield "\n  ]\n}\n"


def head(about: About) -> dict[str, Any]:
    """What stands before the ``photos``."""
    return generator("locate") | {"format_version": FORMAT_VERSION, "model": about.model, "album": _album(about)}


def record(located: Located, about: About) -> dict[str, Any]:
    """One photo, located or not: the same keys for all."""
    answer: dict[str, Any] = {"best": None, "answer": None, "places": [], "top": []}
    if located.prediction is not None:
        answer = located.prediction.to_dict(about.top, about.options)
    if located.by_anchors is not None:
        at: dict[str, Any] = dict(zip(("lat", "lng"), located.by_anchors, strict=True))
        if located.anchored is not None:
            at["radius_km"] = {"0.95": located.anchored.radius_km}
        answer |= {"best": at if about.shows_points else None, "answer": None}
    return {
        "photo": about.name(located),
        "status": located.status,
        "source": located.source,
        "error": about.error(located),
        "flag": located.flag or None,
        **answer,
        "evidence": located.evidence.to_dict() if located.evidence is not None and about.shows_points else None,
        "alone": None if located.alone is None or not about.shows_points else located.alone.best.to_dict(),
        "time": None if located.taken_at is None else located.taken_at.isoformat(),
        "utc_offset_minutes": located.utc_offset_minutes,
        "utc_offset_from": located.utc_offset_from,
        "camera": located.camera or None,
    }


def _album(about: About) -> dict[str, Any] | None:
    if about.album is None:
        return None
    return {
        "variant": about.album.variant,
        "main_camera": about.album.main_camera,
        "clock_offsets": {camera: offset.to_dict() for camera, offset in about.album.offsets.items()},
        "clock_notes": list(about.album.clock_notes),
    }
