"""What is told of a photo besides its Exif: by its source, by the files beside it, by XMP inside it."""

from collections.abc import Sequence
from pathlib import Path

from openplanet.errors import PhotoError
from openplanet.photos.files import xmp
from openplanet.photos.files.exif import Metadata
from openplanet.photos.files.opening import open_file
from openplanet.photos.sources import takeout, takeout_names, tar
from openplanet.photos.sources.entry import Entry
from openplanet.photos.sources.source import Beside

MAX_BESIDE = 8 << 20  # bytes of a sidecar that are read
_READERS = {"xmp": xmp.read, "takeout": takeout.read, "titled": takeout.read, "json": tar.read}
_NAMES = {"xmp": "sidecar", "takeout": "takeout", "titled": "takeout", "json": "source"}
_PARTED = (
    "; its Takeout has no JSON for it: where the export came in several parts, give all of them together as sources"
)


def entries_of(
    photo: str, metadata: Metadata, beside: Sequence[Beside], by_source: Entry | None
) -> list[tuple[str, Entry]]:
    """(who, what) is told of the photo of that file name, in order of trust; what cannot be read says nothing."""
    told = [("source", by_source)] if by_source is not None else []
    from_takeout = False
    for each in sorted(beside, key=lambda each: each.kind in ("takeout", "titled")):
        if each.kind == "parted" or (from_takeout and each.kind in ("takeout", "titled")):
            continue
        if each.kind in ("takeout", "titled") and metadata.xmp and not any(name == "xmp" for name, _ in told):
            told.append(("xmp", xmp.read_packets(metadata.xmp)))
        try:
            data = _bytes(each)
        except (PhotoError, OSError):
            continue
        if each.kind in ("takeout", "titled"):
            named = takeout_names.names_photo(takeout.title(data), photo)
            if named is False or (named is None and each.kind == "titled"):
                continue
            from_takeout = True
        told.append((_NAMES[each.kind], _READERS[each.kind](data[:MAX_BESIDE])))
    if metadata.xmp and not any(name == "xmp" for name, _ in told):
        told.append(("xmp", xmp.read_packets(metadata.xmp)))
    return told


def hint(beside: Sequence[Beside]) -> str:
    """What to do about a photo without a position, to stand behind that; '' where nothing is known."""
    return _PARTED * any(each.kind == "parted" for each in beside)


def _bytes(beside: Beside) -> bytes:
    if beside.span is not None:
        return tar.stretch(Path(beside.path), (beside.span[0], min(beside.span[1], MAX_BESIDE)))
    with open_file(Path(beside.path)) as file:
        return file.read()
