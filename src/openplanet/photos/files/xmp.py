"""Position and time in XMP: a sidecar (``a.xmp``, ``a.jpg.xmp``) or a packet inside the photo.

Read with expat; a document type, and so every entity and every billion laughs, is refused. Only what the packet says
of the photo itself counts: properties at its top level, not those of what the photo shows or is made of
(LocationShown, LocationCreated, Pantry, Ingredients).
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import PurePath
from xml.parsers import expat

from openplanet.photos.files import moment
from openplanet.photos.files.moment import EARLIEST, Moment
from openplanet.photos.sources.entry import Entry, position_problem

MAX_XMP = 4 << 20  # bytes; larger packets carry thumbnails and history, the position stands in front
CONTRADICTORY = "contradictory gps"
_EXIF = "http://ns.adobe.com/exif/1.0/"
GEOTAG = "urn:openplanet:geotag:1.0/"
"""Namespace of what ``openplanet geotag`` writes."""
_ESTIMATES = (f"{GEOTAG} EstimatedLatitude", f"{GEOTAG} EstimatedLongitude")
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns# "
_TIMES = (
    f"{_EXIF} DateTimeOriginal",
    "http://ns.adobe.com/photoshop/1.0/ DateCreated",
    "http://ns.adobe.com/xap/1.0/ CreateDate",
)
# Properties of a position. GpsLongtitude is what older DJI drones write; the names without GPS count in drones' own
# namespaces only.
_LATS = ("GPSLatitude", "GpsLatitude", "Latitude")
_LNGS = ("GPSLongitude", "GpsLongitude", "GpsLongtitude", "Longitude")
_PLACES = frozenset((*_LATS, *_LNGS, *(f"{name}Ref" for name in (*_LATS, *_LNGS))))
_DRONES = re.compile(r"dji|drone|autel|parrot|skydio|yuneec", re.IGNORECASE)
_LONGEST = 256  # characters of a value that are kept
_COORDINATE = re.compile(
    r"([+-]?\d{1,3}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?(?:,(\d{1,2}(?:\.\d+)?))?\s*"
    "(North|South|East|West|[NSEW])?",
    re.I,
)
_SEPARATOR, _BEFORE_LETTER = re.compile(r"\s*(?:deg|[°'′\"″])\s*", re.I), re.compile(r",\s*(?=[NSEW]|$)", re.I)
_REF = re.compile(r"(?:(N|North)|(S|South)|(E|East)|(W|West))(?: (?:latitude|longitude))?", re.I)


class _RefusedError(Exception):
    """The packet declares a document type."""


class _ContradictionError(Exception):
    """Two signs of one coordinate disagree."""


def beside(photos: Iterable[str], files: Iterable[str]) -> dict[str, str]:
    """Photo → its sidecar, of names in one folder (``files``: all of them): ``a.jpg.xmp`` wins over ``a.xmp``.

    An exact name wins. Letter case is ignored only where the sidecar is exactly no other file's, and no other
    photo's or sidecar's name differs in letter case alone.
    """
    sidecars, others = defaultdict[str, list[str]](list), set[str]()
    for file in files:
        if file.lower().endswith(".xmp"):
            sidecars[file[:-4].lower()].append(file)
        elif not file.lower().endswith(".json"):
            others |= {file, PurePath(file).stem}
    spelled = defaultdict[str, set[str]](set)
    for name in others if sidecars else ():
        spelled[name.lower()].add(name)
    found = {}
    for photo in photos if sidecars else ():
        names = (photo, PurePath(photo).stem)
        exact = (file for name in names for file in sorted(sidecars.get(name.lower(), ()), reverse=True)
                 if file[:-4] == name)  # fmt: skip
        loose = (sidecars[name.lower()][0] for name in names if len(sidecars.get(name.lower(), ())) == 1
                 and spelled[name.lower()] <= {name})  # fmt: skip
        sidecar = next(exact, None) or next(loose, None)
        if sidecar is not None:
            found[photo] = sidecar
    return found


def read_packets(packets: Sequence[bytes]) -> Entry:
    """What the packets of one file tell together: of position and time each the first that there is. Never raises."""
    entries = [read(packet) for packet in packets]
    place = next((entry for entry in entries if entry.lat is not None), None)
    place = place or next((entry for entry in entries if entry.problem), Entry())
    time = next((entry for entry in entries if entry.taken_at is not None), Entry())
    estimate = next((entry.estimate for entry in entries if entry.estimate is not None), None)
    return Entry(
        lat=place.lat, lng=place.lng, problem=place.problem, detail=place.detail,
        taken_at=time.taken_at, taken_at_is_utc=time.taken_at_is_utc, utc_offset_minutes=time.utc_offset_minutes,
        estimate=estimate,
    )  # fmt: skip


def read(data: bytes) -> Entry:
    """What an XMP packet tells; damage ends the reading, what stood before it counts. Never raises.

    ``GPSLatitude`` as the standard writes it (``48,51.5N``, ``48,51,30N``), or as decimal degrees, signed,
    with a letter, or with ``GPSLatitudeRef`` beside it; else the position that a drone writes in its maker's namespace.
    Signs that disagree are the entry's ``problem``.
    """
    values = _values(data[:MAX_XMP])
    lat = lng = None
    problem = detail = ""
    try:
        lat, lng = _position(values)
    except _ContradictionError as error:
        problem, detail = CONTRADICTORY, f"its XMP says {error}"
    time = next((found for name in _TIMES if (found := _time(values.get(name, ""))) is not None), None)
    taken_at, is_utc, offset = moment.parts(time)
    return Entry(
        lat=lat, lng=lng, problem=problem, detail=detail,
        taken_at=taken_at, taken_at_is_utc=is_utc, utc_offset_minutes=offset, estimate=_estimate(values),
    )  # fmt: skip


def _values(data: bytes) -> dict[str, str]:
    """The properties that we know, of the photo itself, written as attributes or as elements; the first counts."""
    values = dict[str, str]()
    inside: list[str] = []
    open_property = ""  # the known property whose text is being read

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal open_property
        if name == f"{_RDF}value" and open_property and inside[-1] == open_property:
            inside.append(name)  # the value of a property that has qualifiers
            return
        open_property = ""
        if inside and inside[-1] == f"{_RDF}RDF":
            # A node with an id is the value of a property elsewhere in the packet.
            if name != f"{_RDF}Description" or f"{_RDF}nodeID" in attributes:
                name = ""
            else:
                for key in filter(_is_known, attributes):
                    values.setdefault(key, attributes[key][:_LONGEST])
        elif name == f"{_RDF}RDF" and name in inside:
            name = ""  # a packet within the packet: of an ingredient
        elif len(inside) > 1 and inside[-1] and inside[-2] == f"{_RDF}RDF" and _is_known(name) and name not in values:
            open_property = name
        inside.append(name)

    def text(content: str) -> None:
        if open_property and len(values.get(open_property, "")) < _LONGEST:
            values[open_property] = values.get(open_property, "") + content

    def end(_: str) -> None:
        nonlocal open_property
        open_property = ""
        inside.pop()

    def refuse(*_: object) -> None:
        raise _RefusedError

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.CharacterDataHandler, parser.EndElementHandler = start, text, end
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    with suppress(expat.ExpatError, _RefusedError, ValueError, UnicodeError):
        parser.Parse(data.strip(b"\0 \r\n\t"), True)
    return values


def _is_known(name: str) -> bool:
    return name in _TIMES or name in _ESTIMATES or name.rpartition(" ")[2] in _PLACES


def _position(values: Mapping[str, str]) -> tuple[float | None, float | None]:
    """The photo's own position, else the first that a maker writes. Raises _ContradictionError."""
    spaces: dict[str, dict[str, str]] = {_EXIF: {}}  # which comes first; then as they stand in the packet
    for key, value in values.items():
        if key not in _TIMES and key not in _ESTIMATES:
            namespace, _, name = key.rpartition(" ")
            spaces.setdefault(namespace, {})[name] = value
    for namespace, own in spaces.items():
        named = slice(1) if namespace == _EXIF else slice(None if _DRONES.search(namespace) else -1)
        lat = next((_degrees(own[name], own.get(f"{name}Ref", ""), "NS") for name in _LATS[named] if name in own), None)
        lng = next((_degrees(own[name], own.get(f"{name}Ref", ""), "EW") for name in _LNGS[named] if name in own), None)
        if not position_problem(lat, lng):
            return lat, lng
    return None, None


def _estimate(values: Mapping[str, str]) -> tuple[float, float] | None:
    """(lat, lng) that ``openplanet geotag`` wrote, None where it wrote none."""
    try:
        lat, lng = (float(values[name]) for name in _ESTIMATES)
    except (KeyError, ValueError):
        return None
    return None if position_problem(lat, lng) else (lat, lng)


def _degrees(text: str, ref: str, letters: str) -> float | None:
    """Degrees from a value and the hemisphere beside it, None where it leaves the sign or the place open."""
    plain = _SEPARATOR.sub(",", text.strip())  # 48 deg 51' 30.00" N, as exiftool prints it
    match = _COORDINATE.fullmatch(_BEFORE_LETTER.sub("", plain))
    if match is None:
        return None
    sign, letter = match[1][0] if match[1][0] in "+-" else "", (match[4] or "")[:1].upper()
    if letter and (letter not in letters or sign):
        return None
    if ref.strip():
        beside = _REF.fullmatch(" ".join(ref.split()))
        told = "" if beside is None else "NSEW"[next(n for n in range(4) if beside[n + 1])]
        is_positive = told in ("N", "E")
        if told not in letters or not told or (letter and letter != told) or (sign and (sign == "+") != is_positive):
            raise _ContradictionError(f"{text.strip()!r} and hemisphere {ref.strip()!r}")
        letter = told
    if match[2] and not letter:  # 48,51.5 without a hemisphere leaves the sign open
        return None
    degrees = abs(float(match[1])) + float(match[2] or 0) / 60 + float(match[3] or 0) / 3600
    return -degrees if letter in ("S", "W") or (sign == "-" and not letter) else degrees


def _time(text: str) -> Moment | None:
    text = text.strip()
    found = moment.parse(text)
    if found is None and len(text) > 10:
        with suppress(ValueError, OverflowError):
            found = moment.of_aware(datetime.fromisoformat(text))
    return found if found is not None and found.taken_at >= EARLIEST else None
