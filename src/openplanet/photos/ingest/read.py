"""Reading one photo: what it and the files beside it say, and its picture, small. Runs in a worker."""

import hashlib
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from openplanet.errors import PhotoError
from openplanet.photos.files import exif, flags, images, moment, xmp
from openplanet.photos.files.exif import Metadata
from openplanet.photos.files.opening import MAX_BYTES, open_file
from openplanet.photos.ingest import duplicates
from openplanet.photos.sources import huggingface, takeout, takeout_names, tar
from openplanet.photos.sources.entry import Entry
from openplanet.photos.sources.walk import Beside

MAX_BESIDE = 8 << 20  # bytes of a sidecar that are read
SAME_SECONDS = 1.0  # by which two writings of one time differ at most: one has no fraction
NO_POSITION = "neither in its Exif nor beside it nor in a table"
PARTED = (
    "; its Takeout has no JSON for it: where the export came in several parts, give all of them together as sources"
)
_READERS = {"xmp": xmp.read, "takeout": takeout.read, "titled": takeout.read, "json": tar.read}
_NAMES = {"xmp": "sidecar", "takeout": "takeout", "titled": "takeout", "json": "source"}


@dataclass(frozen=True, slots=True)
class Task:
    """One photo to read: a file, a stretch of one (``span``), or row ``span[0]`` of dataset ``origin``.

    ``needs_gps``: without a position it is rejected before its pixels are decoded. ``twins``: photo_ids of
    known photos of the same size; if it is one of them its pixels are not decoded again.
    """

    key: bytes
    path: str
    needs_gps: bool = False
    span: tuple[int, int] | None = None
    origin: str = ""
    beside: tuple[Beside, ...] = ()
    told: Entry | None = None
    twins: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading one photo gave, but for its picture. Degrees; None where not known.

    ``reason``: None, or why it is of no use; ``unlocated``: for want of a position alone. ``known``: the
    bytes are those of a photo that an earlier run has read, whose picture and what was seen in it still hold.
    """

    key: bytes
    reason: str | None = None
    detail: str | None = None
    unlocated: bool = False
    known: bool = False
    photo_id: str | None = None
    size: int = 0  # bytes of the file
    lat: float | None = None
    lng: float | None = None
    position_from: str | None = None
    exif_lat: float | None = None
    exif_lng: float | None = None
    taken_at: datetime | None = None
    taken_at_is_utc: bool = False
    utc_offset_minutes: int | None = None
    utc_offset_from: str | None = None  # "written" beside the time, or by "gps"
    make: str | None = None
    model: str | None = None
    serial: str | None = None
    album: str | None = None
    owner: str | None = None
    licence: str | None = None
    attribution: str | None = None
    width: int = 0
    height: int = 0
    dhash: int = 0
    flag: str | None = None
    flag_reason: str | None = None
    thumbnail: bytes | None = None


_TYPES = {
    "key": pa.binary(16),
    "unlocated": pa.bool_(),
    "known": pa.bool_(),
    "size": pa.int64(),
    "taken_at": pa.timestamp("us"),
    "taken_at_is_utc": pa.bool_(),
    "utc_offset_minutes": pa.int32(),
    "width": pa.int32(),
    "height": pa.int32(),
    "dhash": pa.uint64(),
    "thumbnail": pa.binary(duplicates.SIDE**2),
}
_TYPES |= dict.fromkeys(("lat", "lng", "exif_lat", "exif_lng"), pa.float64())
SCHEMA = pa.schema([(field.name, _TYPES.get(field.name, pa.string())) for field in fields(Reading)])
"""Columns of readings on disk."""
SEEN = ("width", "height", "dhash", "flag", "flag_reason", "thumbnail")
"""What comes from the pixels: the same wherever the same bytes lie."""


def read_photo(task: Task, side: int) -> tuple[Reading, bytes | None]:
    """Read one photo: what it says of itself, and its picture as a JPEG of short side at most ``side``.

    Never raises; whatever goes wrong is the reading's reason. Position and time are the first of: its
    Exif, the files beside it or its source's columns in their order, and XMP inside the file.
    """
    try:
        return _read(task, side)
    except PhotoError as error:
        # the photo is named beside it, from its source on: no folder of the machine stands in a dataset
        return Reading(task.key, error.reason, str(error).replace(f"{Path(task.path).parent}/", "")), None
    except OSError as error:
        return Reading(task.key, "unreadable", error.strerror or str(error)), None
    except MemoryError:
        return Reading(task.key, "out of memory", "too little memory to decode it"), None
    except Exception as error:  # one odd file must not cost the others their ingest
        return Reading(task.key, "unexpected error", repr(error)), None


def read_facts(task: Task) -> Reading:
    """Position, time and camera of a photo, from where ``read_photo`` takes them; the pixels are not decoded.

    Raises PhotoError where the file cannot be read or is no photo.
    """
    metadata = exif.read(_source(task))
    told = _told(task, metadata)
    lat, lng, position_from = _position(metadata, told)
    return Reading(
        task.key, lat=lat, lng=lng, position_from=position_from, **_time(metadata, told),
        make=metadata.make, model=metadata.model, serial=metadata.serial,
    )  # fmt: skip


def _read(task: Task, side: int) -> tuple[Reading, bytes | None]:
    source = _source(task)
    metadata = exif.read(source)
    told = _told(task, metadata)
    lat, lng, position_from = _position(metadata, told)
    if task.needs_gps and lat is None:
        refused = next((entry for _, entry in told if entry.problem), None)
        detail = NO_POSITION + PARTED * any(beside.kind == "parted" for beside in task.beside)
        why = (metadata.position, detail) if refused is None else (refused.problem, refused.detail)
        return Reading(task.key, *why, unlocated=True), None
    data = source if isinstance(source, bytes) else _bytes(source)
    photo_id = hashlib.sha256(data).hexdigest()
    common: dict[str, Any] = {
        "photo_id": photo_id, "size": len(data),
        "lat": lat, "lng": lng, "position_from": position_from,
        "exif_lat": metadata.lat, "exif_lng": metadata.lng,
        **_time(metadata, told),
        "make": metadata.make, "model": metadata.model, "serial": metadata.serial,
        "width": metadata.width, "height": metadata.height,
    } | {
        name: next((value for _, entry in told if (value := getattr(entry, name))), None)
        for name in ("album", "owner", "licence", "attribution")
    }  # fmt: skip
    if photo_id in task.twins:
        return Reading(task.key, known=True, **common), None
    image = images.load(data, side, metadata)
    from_camera = bool(metadata.make or metadata.model or metadata.lat is not None)
    flag, reason = flags.judge(image, metadata.width, metadata.height, from_camera)
    grey = image.convert("L")  # once for both
    seen: dict[str, Any] = {
        "dhash": images.dhash(grey),
        "thumbnail": duplicates.thumbnail(grey),
        "flag": flag,
        "flag_reason": reason,
    }
    return Reading(task.key, **common, **seen), images.encode_jpeg(image)


def _source(task: Task) -> Path | bytes:
    """Whole files are opened where they lie, so that what is rejected by its metadata is never read whole."""
    if task.origin:
        return huggingface.read(task.origin, task.span[0] if task.span else 0)
    return Path(task.path) if task.span is None else _bytes(Path(task.path), task.span)


def _bytes(path: Path, span: tuple[int, int] | None = None) -> bytes:
    with open_file(path) if span is None else path.open("rb") as file:
        if span is None:
            return file.read()
        if span[1] < 0:
            raise PhotoError(f"{path}: a member of {span[1]} bytes; the file is damaged", "corrupt")
        if span[1] > MAX_BYTES:
            raise PhotoError(f"{path}: a member of {span[1]:,} bytes, more than {MAX_BYTES:,}", "too large")
        file.seek(span[0])
        return file.read(span[1])


def _told(task: Task, metadata: Metadata) -> list[tuple[str, Entry]]:
    """What is said besides Exif, in order of trust; what cannot be read says nothing."""
    told = [("source", task.told)] if task.told is not None else []
    from_takeout = False
    for beside in sorted(task.beside, key=lambda beside: beside.kind in ("takeout", "titled")):
        if beside.kind == "parted" or (from_takeout and beside.kind in ("takeout", "titled")):
            continue
        if beside.kind in ("takeout", "titled") and metadata.xmp and not any(name == "xmp" for name, _ in told):
            told.append(("xmp", xmp.read_packets(metadata.xmp)))
        span = None if beside.span is None else (beside.span[0], min(beside.span[1], MAX_BESIDE))
        try:
            data = _bytes(Path(beside.path), span)
        except (PhotoError, OSError):
            continue
        if beside.kind in ("takeout", "titled"):
            named = takeout_names.names_photo(takeout.title(data), Path(task.path).name)
            if named is False or (named is None and beside.kind == "titled"):
                continue
            from_takeout = True
        told.append((_NAMES[beside.kind], _READERS[beside.kind](data[:MAX_BESIDE])))
    if metadata.xmp and not any(name == "xmp" for name, _ in told):
        told.append(("xmp", xmp.read_packets(metadata.xmp)))
    return told


def _time(metadata: Metadata, told: list[tuple[str, Entry]]) -> dict[str, Any]:
    """``taken_at`` and what is known of its clock, by the names of a Reading."""
    names = ("taken_at", "taken_at_is_utc", "utc_offset_minutes", "utc_offset_from")
    timed = [entry for _, entry in told if entry.taken_at is not None]
    if metadata.taken_at is None:
        entry = timed[0] if timed else Entry()
        known = None if entry.utc_offset_minutes is None else "written"
        return dict(zip(names, (entry.taken_at, entry.taken_at_is_utc, entry.utc_offset_minutes, known), strict=True))
    if not metadata.taken_at_is_utc and metadata.utc_offset_minutes is None:
        # The same time by the same clock, written again with its offset: Lightroom, Apple Photos.
        for entry in timed:
            time = moment.of_local(metadata.taken_at, entry.utc_offset_minutes)
            if time is None or not time.is_utc or entry.taken_at is None:
                continue
            if abs((time.taken_at - entry.taken_at).total_seconds()) <= SAME_SECONDS:
                return dict(zip(names, (time.taken_at, True, time.offset_minutes, "written"), strict=True))
    return {name: getattr(metadata, name) for name in names}


def _position(metadata: Metadata, told: list[tuple[str, Entry]]) -> tuple[float | None, float | None, str | None]:
    if metadata.lat is not None:
        return metadata.lat, metadata.lng, "exif"
    for name, entry in told:
        if entry.lat is not None:
            return entry.lat, entry.lng, name
    return None, None, None
