"""Answers as a table, a row a photo: for spreadsheets, exiftool and others who know Darwin Core's names."""

import csv
import io
from collections.abc import Iterable, Iterator

from openplanet.inference.located import Located
from openplanet.inference.output.about import About
from openplanet.inference.prediction import NO_EVIDENCE
from openplanet.storage import inert

COLUMNS = (
    "file", "status", "source", "decimalLatitude", "decimalLongitude", "coordinateUncertaintyInMeters", "country",
    "countryCode", "stateProvince", "locality", "probability", "time", "note",
)  # fmt: skip


def write(stream: Iterable[Located], about: About) -> Iterator[str]:
    """``coordinateUncertaintyInMeters`` is the radius that holds 95 % of photos, as Darwin Core defines it: a circle
    that contains the whole of the location. Text that a spreadsheet would run begins with an apostrophe."""
    yield _line(COLUMNS)
    for located in stream:
        at, answer, radius = about.position(located), about.answer(located), about.radius_km(located, 0.95)
        place = None if answer is None else answer.place
        told = [
            about.name(located),
            located.status,
            located.source or "",
            *(("", "") if at is None else (f"{at[0]:.6f}", f"{at[1]:.6f}")),
            "" if radius is None else f"{1000 * radius:.0f}",
            *(("",) * 4 if place is None else (place.country, place.country_code, place.region, place.city)),
            "" if answer is None or answer.level is None else f"{answer.probability:.4f}",
            "" if located.taken_at is None else located.taken_at.isoformat(),
            located.flag or about.error(located) or ("" if answer is None or answer.level else NO_EVIDENCE),
        ]
        yield _line(
            [text if name.startswith("decimal") else inert(text) for name, text in zip(COLUMNS, told, strict=True)]
        )


def _line(values: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()
