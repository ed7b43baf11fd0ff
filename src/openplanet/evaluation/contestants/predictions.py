"""Other systems' answers, and people's: files of guesses matched to the photos of a set.

Columns: photo, lat, lng [, probability] [, player]; several rows of one photo are its guesses in order of
probability, or of the file. A row with a player is a round of the game, as the game exports them (CSV or JSON).

Shapes: N photos, K guesses.
"""

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from openplanet.errors import InputError
from openplanet.evaluation.answers import Answers, Truth
from openplanet.evaluation.measures.metrics import TOP_K
from openplanet.evaluation.testsets.table import LAT, LNG, PHOTO, stem
from openplanet.photos.sources.source import printable
from openplanet.storage import open_input, parse_json

PROBABILITY = ("probability", "prob", "score", "confidence")
PLAYER = ("player", "player_name", "human")


def read_predictions(path: Path, truth: Truth) -> list[Answers]:
    """The guesses in a CSV or JSON file, one ``Answers`` for a system, one for each player of a game.

    A photo is found by its id, its file's path or name, with or without suffix. A system is measured on all photos of
    the set: one without a row counts as wrong. A player is measured on the rounds played
    (``Answers.shown_N``).
    Raises InputError, naming the file, for columns, numbers or positions that are none, and where no photo matches.
    """
    rows = _rows(path)
    find = _finder(truth)
    by_player: dict[str, dict[int, list[tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(list))
    strangers = 0
    for number, row in enumerate(rows, 1):
        index = find(_get(row, PHOTO, path, number))
        if index is None:
            strangers += 1
            continue
        lat, lng = (_number(row, wanted, path, number) for wanted in (LAT, LNG))
        if not (abs(lat) <= 90 and abs(lng) <= 180) and not (np.isnan(lat) or np.isnan(lng)):
            raise InputError(f"{path}: row {number}: lat {lat}, lng {lng} is no position in degrees; correct the row")
        probability = _number(row, PROBABILITY, path, number) if _has(row, PROBABILITY) else np.nan
        by_player[_get(row, PLAYER, path, number, "")][index].append((lat, lng, probability))
    if not by_player:
        raise InputError(
            f"{path}: none of its {len(rows):,} rows is of a photo of this set (which has such as "
            f"{printable(truth.source[0])}); give predictions for the photos that are measured"
        )
    what = f"the guesses in {path.name}, made by others"
    if strangers:
        what += f" ({strangers:,} of its rows are of photos not in this set)"
    return [_answers(player, player or path.stem, what, found, truth) for player, found in by_player.items()]


def _answers(
    player: str, name: str, what: str, found: dict[int, list[tuple[float, float, float]]], truth: Truth
) -> Answers:
    lat_NK, lng_NK = (np.full((len(truth.photo_id), TOP_K), np.nan) for _ in range(2))
    for index, guesses in found.items():
        # the file's order decides between equals, and everything where there is no probability
        ordered = sorted(guesses, key=lambda guess: -np.nan_to_num(guess[2], nan=0.0))[:TOP_K]
        lat_NK[index, : len(ordered)] = [lat for lat, _, _ in ordered]
        lng_NK[index, : len(ordered)] = [lng for _, lng, _ in ordered]
    shown = np.array(sorted(found), np.int64) if player else None
    return Answers(f"player {name}" if player else name, what, lat_NK, lng_NK, shown_N=shown)


def _finder(truth: Truth) -> Any:
    """A function from a photo as a file names it to its index; a name that two photos share finds none."""
    by_name: dict[str, int] = {}
    twice: set[str] = set()
    for index, (photo, source) in enumerate(zip(truth.photo_id, truth.source, strict=True)):
        for name in {photo, source, source.rsplit("/", 1)[-1], stem(source), stem(photo)}:
            if by_name.setdefault(name, index) != index:
                twice.add(name)

    def find(name: str) -> int | None:
        name = name.replace("\\", "/")
        for each in (name, name.rsplit("/", 1)[-1], stem(name)):
            if each in by_name and each not in twice:
                return by_name[each]
        return None

    return find


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        with open_input(path) as file:
            text = file.read().decode("utf-8-sig", "surrogateescape")
        if path.suffix.lower() == ".json":
            data = parse_json(text)
            rows = data.get("rounds", []) if isinstance(data, dict) else data
        else:
            rows = list(csv.DictReader(text.splitlines()))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as predictions: {error}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not rows:
        raise InputError(f"{path} has no predictions: a CSV with columns photo, lat, lng, or a JSON list of such rows")
    return [{str(key).strip().lower(): value for key, value in row.items()} for row in rows]


def _has(row: dict[str, Any], wanted: tuple[str, ...]) -> bool:
    return any(row.get(name) not in (None, "") for name in wanted)


def _get(row: dict[str, Any], wanted: tuple[str, ...], path: Path, number: int, default: str | None = None) -> str:
    for name in wanted:
        if row.get(name) not in (None, ""):
            return str(row[name]).strip()
    if default is not None:
        return default
    raise InputError(f"{path}: row {number} has none of {', '.join(wanted)} (it has {', '.join(row)})")


def _number(row: dict[str, Any], wanted: tuple[str, ...], path: Path, number: int) -> float:
    """NaN for an empty field: a system that says nothing of a photo."""
    if not any(name in row for name in wanted):
        raise InputError(f"{path} has no column {' or '.join(wanted)}: predictions need photo, lat and lng in degrees")
    text = _get(row, wanted, path, number, "nan")
    if any(isinstance(row.get(name), bool) for name in wanted):
        raise InputError(f"{path}: row {number}: {text!r} is no number; correct it")
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{path}: row {number}: {text!r} is no number; correct it") from error
