"""How tables of text are written: encoding, separator, decimal sign, and the words that say that a cell holds nothing.

Spreadsheets, R, pandas and databases each write their own; both `ingest --coordinates` and `partition` read them here.
"""

import codecs
import csv
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
_WORDS = ("na", "n/a", "null", "nan", "none", "nil", "#n/a", "#na", "<na>", "-nan")
_SIGNS = (
    "", "-", "--", "\u2013", "\u2014", "?", ".", "\\N", "#N/A N/A", "#VALUE!", "#REF!", "#NUM!", "#DIV/0!", "#NAME?",
    "#NULL!", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
)  # fmt: skip
_ROWS = 1000  # that are looked at for the decimal sign
_SAMPLE = 1 << 20  # bytes that are looked at for the encoding; what comes later is judged where it is read


def _cases(word: str) -> Iterable[str]:
    return map("".join, itertools.product(*({each.lower(), each.upper()} for each in word)))


NOTHING = tuple(sorted({*_SIGNS, *(case for word in _WORDS for case in _cases(word))}))
"""Cells that hold nothing, in every letter case."""
_NOTHING = frozenset(NOTHING)


def is_nothing(text: str | None) -> bool:
    """Whether a cell says nothing: empty, NA, NULL, NaN, None, a dash, or a spreadsheet's error."""
    return text is None or text.strip() in _NOTHING


@dataclass(frozen=True)
class Form:
    """``encoding``: Python's name; ``decimal``: "." or ",", the latter only where the separator is another."""

    encoding: str
    separator: str
    decimal: str

    @property
    def is_wide(self) -> bool:
        """Whether digits and separators take more than a byte each."""
        return self.encoding.startswith(("utf-16", "utf-32"))


def form_of(path: Path, wanted: Iterable[str]) -> Form:
    """How a table is written, judged by its first bytes and by the header, which names the columns ``wanted``.

    Text that is not UTF-8 is taken for Windows' Western code page (cp1252). Raises OSError, csv.Error.
    """
    with Path(path).open("rb") as file:
        sample = file.read(_SAMPLE)
    encoding = _encoding(sample)
    text = sample.decode(encoding, "replace")
    lines = text.lstrip("\ufeff").splitlines()[:_ROWS]
    wanted = set(wanted)

    def names(separator: str) -> list[str]:
        cells = next(csv.reader(lines[:1], delimiter=separator, skipinitialspace=True), [])
        return [name.strip() for name in cells]

    separator = max(",;\t|", key=lambda each: (len(wanted.intersection(names(each))), -",;\t|".index(each)))
    if separator == ",":
        return Form(encoding, separator, ".")
    at = [place for place, name in enumerate(names(separator)) if name in ("lat", "lng")]
    rows = list(csv.reader(lines[1:], delimiter=separator))
    commas = any("," in row[place] for row in rows for place in at if place < len(row))
    return Form(encoding, separator, "," if commas else ".")


_MARKS = (  # the longer first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def _encoding(sample: bytes) -> str:
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    if sample[1:2] == b"\0" or sample[:1] == b"\0":  # UTF-16 without its mark: every second byte is zero
        return "utf-16-le" if sample[1:2] == b"\0" else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # a sign may be cut at the end of the sample
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"
