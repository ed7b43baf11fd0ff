"""A geotag run: a folder that holds what would be written, what was decided, what was written and what was before.

plan.csv        a row for each photo without a position: for people, to be edited (docs/geotag.md)
photos.jsonl    what a row is about: the file, what it was when it was planned, the candidates
run.json        which library, which model, which options; written last
review.html     the page to review it on
journal.jsonl   what was written, and what was there before (journal.py)
"""

import csv
import io
import json
import math
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from openplanet.errors import InputError
from openplanet.photos.sources.entry import position_problem
from openplanet.storage import generator, inert, read_json, write_json, write_text

FORMAT_VERSION = 1
PLAN, PHOTOS, RUN, REVIEW, THUMBS = (
    "plan.csv",
    "photos.jsonl",
    "run.json",
    "review.html",
    ".thumbs",
)  # hidden: no other search takes them for photos
HAND = "by hand"
YES = frozenset(("yes", "y", "true", "1", "x", "accept", "accepted"))
NO = frozenset(("no", "n", "false", "0", "reject", "rejected"))


@dataclass(frozen=True)
class Row:
    """A row of plan.csv; ``docs/geotag.md`` describes the columns. None and "" where nothing is known."""

    accept: str  # "yes", "no" or "": not decided
    file: str  # from the name of the library's folder on
    lat: float | None = None  # degrees; None: names alone are written
    lng: float | None = None
    radius_m: float | None = None  # holds 95 % of such photos
    source: str = ""  # placing.source_of; "model", "by hand"
    probability: float | None = None  # of lying within 25 km of the point; without a point: in the place named
    city: str = ""
    region: str = ""
    country: str = ""
    country_code: str = ""  # ISO 3166-1 alpha-2
    album: str = ""
    taken_at: str = ""  # local time, ISO 8601
    camera: str = ""
    left_out: str = ""  # why the photo is not placed

    @property
    def writes(self) -> bool:
        """Whether there is anything to write: a point or a name."""
        return self.lat is not None or bool(self.country)

    @property
    def place(self) -> str:
        """City, region and country in one line."""
        return ", ".join(dict.fromkeys(part for part in (self.city, self.region, self.country) if part))


COLUMNS = tuple(each.name for each in fields(Row))
_NUMBERS = ("lat", "lng", "radius_m", "probability")
_DIGITS = {"lat": 6, "lng": 6, "radius_m": 0, "probability": 4}


@dataclass(frozen=True)
class Candidate:
    """A place that the photo may have been taken at: what a reviewer can choose instead."""

    lat: float  # degrees
    lng: float
    probability: float
    place: str


@dataclass(frozen=True)
class Photo:
    """What a row is about, as it was when it was planned.

    ``path``: of the file (bytes that are no UTF-8 as surrogates), or the id of an asset. ``state``: what must not
    have changed since: the SHA-256 of the file and of each sidecar ("" where there was none), or what the library said.
    ``planned``: (lat, lng), to tell a point that somebody moved.
    """

    file: str
    path: str
    state: dict[str, Any]
    planned: tuple[float, float] | None = None
    candidates: tuple[Candidate, ...] = ()
    thumb: str = ""  # below the run
    ours: bool = False  # an earlier run wrote a place


@dataclass(frozen=True)
class About:
    """run.json. ``roots``: the folders (absolute) or the server's address; ``model``: provenance, or {}."""

    run: str
    kind: str  # "files", "immich", "photoprism"
    roots: tuple[str, ...]
    model: dict[str, Any]
    options: dict[str, Any]
    created: str
    format_version: int = FORMAT_VERSION

    def method(self, source: str) -> str:
        """What GPSProcessingMethod says: ``openplanet MODEL REVISION``, or by what else the photo was placed."""
        if source != "model":
            return f"openplanet {source}"
        return " ".join(("openplanet", *(str(self.model.get(name) or "") for name in ("name", "revision")))).strip()


@dataclass
class Run:
    """A run on the disk. ``rows`` and ``photos`` go together by ``file``."""

    folder: Path
    about: About
    rows: list[Row]
    photos: dict[str, Photo] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Read a run. Raises InputError, naming the file and the row, where it is damaged or none."""
        folder = Path(folder)
        if not (folder / RUN).is_file():
            raise InputError(f"{folder} is no geotag run, or its plan was not finished: {RUN} is missing; plan again")
        told = read_json(folder / RUN)
        told.pop("generator", None)
        if told.get("format_version") != FORMAT_VERSION:
            raise InputError(
                f"{folder / RUN} has format {told.get('format_version')}, not {FORMAT_VERSION}: plan again"
            )
        try:
            about = About(**(told | {"roots": tuple(told["roots"])}))
            photos = {each.file: each for each in map(_photo, _lines(folder / PHOTOS))}
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{folder} is damaged ({error!r}): plan again") from error
        run = cls(folder, about, [], photos)
        run.rows = read_rows(folder / PLAN, photos)
        return run

    def save(self) -> None:
        """Write all of a new run, run.json last."""
        self.save_rows()
        lines = (json.dumps(asdict(each)) for each in self.photos.values())  # ASCII: surrogates pass
        write_text(self.folder / PHOTOS, "".join(f"{line}\n" for line in lines))
        write_json(self.folder / RUN, generator("geotag run") | asdict(self.about))

    def save_rows(self) -> None:
        """Write plan.csv."""
        write_text(self.folder / PLAN, to_csv(self.rows))


def new_id() -> str:
    """12 hexadecimal digits: what a run is called in what it writes."""
    return uuid.uuid4().hex[:12]


def to_csv(rows: Iterable[Row]) -> str:
    """The table; text that a spreadsheet would run begins with an apostrophe."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in rows:
        table.writerow([_cell(name, getattr(row, name)) for name in COLUMNS])
    return out.getvalue()


def read_rows(path: Path, photos: dict[str, Photo]) -> list[Row]:
    """plan.csv as somebody saved it: with commas or semicolons, points or commas in numbers, rows in any order; columns
    that are missing count as empty. Raises InputError, naming the row."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): save it as CSV in UTF-8") from error
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    rows, seen = [], set[str]()
    for number, told in enumerate(csv.DictReader(io.StringIO(text), delimiter=separator), 2):
        row = _row(told, f"{path}: row {number}")
        if row.file not in photos and row.file.startswith("'") and row.file[1:] in photos:
            row = replace(row, file=row.file[1:])
        if row.file not in photos:
            raise InputError(f"{path}: row {number}: {row.file or 'no file'!r} is not of this run")
        if row.file in seen:
            raise InputError(f"{path}: row {number}: {row.file} stands there twice")
        seen.add(row.file)
        rows.append(by_hand(row, photos[row.file]))
    return rows


def by_hand(row: Row, photo: Photo) -> Row:
    """The row; where its point is not the planned one somebody moved it, and what the plan said of it is void."""
    planned = photo.planned
    if row.lat is None or row.lng is None:
        return row
    if planned is not None and max(abs(row.lat - planned[0]), abs(row.lng - planned[1])) <= 2e-6:
        return row
    if row.source == HAND:
        return row
    return replace(
        row, source=HAND, left_out="", radius_m=None, probability=None, city="", region="", country="", country_code=""
    )


def _row(told: dict[str, Any], where: str) -> Row:
    values: dict[str, Any] = {name: (told.get(name) or "").strip() for name in COLUMNS}
    for name in _NUMBERS:
        values[name] = _number(values[name], f"{where}: {name}")
    if (values["lat"] is None) != (values["lng"] is None):
        raise InputError(f"{where}: lat and lng go together: give both, or neither")
    if values["lat"] is not None and position_problem(values["lat"], values["lng"]):
        raise InputError(f"{where}: lat {values['lat']}, lng {values['lng']} is no position (degrees)")
    said = values["accept"].lower()
    if said and said not in YES | NO:
        raise InputError(f"{where}: accept is {values['accept']!r}: write yes, no, or nothing")
    values["accept"] = "yes" if said in YES else "no" if said in NO else ""
    return Row(**values)


def _number(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(
            text.lstrip("'").replace(",", ".") if text.count(",") == 1 and "." not in text else text.lstrip("'")
        )
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where} is {text!r}, which is no number")
    return value


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.{_DIGITS[name]}f}" if name in _DIGITS else inert(str(value))


def _photo(told: dict[str, Any]) -> Photo:
    candidates = tuple(Candidate(**each) for each in told["candidates"])
    planned = None if told["planned"] is None else (float(told["planned"][0]), float(told["planned"][1]))
    return Photo(**(told | {"candidates": candidates, "planned": planned}))


def _lines(path: Path) -> Sequence[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
