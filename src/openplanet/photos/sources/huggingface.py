"""Hugging Face datasets as a source: ``hf:FOLDER`` for local files, ``hf:NAME`` for the hub, one code for both.

The package ``datasets`` is needed only here (pip install 'openplanet[hub]').
"""

import importlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from openplanet.errors import InputError, PhotoError
from openplanet.photos.dataset import MANIFEST, Dataset
from openplanet.photos.files.opening import open_file
from openplanet.photos.sources.entry import Entry
from openplanet.photos.sources.source import Candidate, Fingerprint, Search, Span, printable
from openplanet.photos.sources.tar import entry_of
from openplanet.storage import read_json

PREFIX = "hf:"


class HuggingFace:
    """``hf:NAME``; the path of a candidate is that name, its span (row, 0)."""

    of_files = False

    def takes(self, named: Path, search: Search) -> bool:
        return str(named).startswith(PREFIX)

    def find(self, named: Path, search: Search) -> Iterator[Candidate]:
        origin = str(named)
        folder = Path(origin.removeprefix(PREFIX))
        label = printable(f"{PREFIX}{folder.resolve().name}" if folder.exists() else origin)
        for index, (name, told) in enumerate(entries(origin)):
            yield Candidate(self, named, f"{label}/{name}", label, (index, 0), (), told)

    def read(self, path: Path, span: Span | None) -> bytes:
        return read(str(path), span[0] if span else 0)

    def fingerprint(self, candidate: Candidate) -> Fingerprint:
        return Fingerprint(-1, (fingerprint(str(candidate.path)), candidate.span))


@lru_cache(maxsize=2)
def _open(origin: str) -> tuple[Any, str]:
    """The rows (images left encoded) and the name of the image column of ``hf:NAME[@SPLIT]``."""
    try:
        datasets = importlib.import_module("datasets")
    except ModuleNotFoundError as error:
        raise InputError(f"{origin} needs the package datasets: pip install 'openplanet[hub]'") from error
    name, split = _name_and_split(origin)
    try:
        folder = Path(name)
        if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
            _check_saved(folder)
            rows = datasets.load_from_disk(name)
            rows = rows[split or next(iter(rows))] if isinstance(rows, dict) else rows
        elif files := _parquet_files(folder):
            rows = datasets.load_dataset("parquet", data_files=files, split="train")
        else:
            rows = datasets.load_dataset(name, split=split or "train")
    except InputError:
        raise
    except Exception as error:  # the package raises whatever its file systems do
        raise InputError(f"{origin} cannot be opened as a Hugging Face dataset: {error}") from error
    columns = [name for name, feature in rows.features.items() if isinstance(feature, datasets.Image)]
    if not columns:
        raise InputError(f"{origin} has no image column (it has: {', '.join(rows.features)})")
    return rows.cast_column(columns[0], datasets.Image(decode=False)), columns[0]


def _name_and_split(origin: str) -> tuple[str, str]:
    name, _, split = origin.removeprefix(PREFIX).partition("@")
    return name, split


def _parquet_files(folder: Path) -> list[str]:
    """The Parquet files of a folder and below; of a dataset of ours its shards alone."""
    if (folder / MANIFEST).is_file():
        return [str(shard) for shard in Dataset.open(folder).shards]
    if not folder.is_dir():
        return []
    roots = _own_folders(folder)
    found = [file for file in folder.rglob("*.parquet") if file.is_file()]  # a pipe would be waited for
    if outside := [file for file in found if not any(file.resolve().is_relative_to(root) for root in roots)]:
        raise InputError(f"{outside[0]} leads out of the dataset {folder}: put a copy there, or take it away")
    return sorted(map(str, found))


def _check_saved(folder: Path) -> None:
    """Refuse a dataset of ``save_to_disk`` whose state.json names files that lead out of it."""
    for state in folder.rglob("state.json"):
        for each in read_json(state).get("_data_files") or []:
            named = each.get("filename") if isinstance(each, dict) else None
            file = state.parent / str(named)
            if not file.resolve().is_relative_to(folder.resolve()) or not file.is_file():
                raise InputError(f"{state} names {str(named)!r}, which leads out of the dataset or is not a file")


def fingerprint(origin: str) -> str:
    """Changes with the dataset's rows."""
    rows, _ = _open(origin)
    return str(rows._fingerprint)


def entries(origin: str) -> Iterator[tuple[str, Entry]]:
    """(name, what its columns tell) of each row; no picture is read."""
    rows, _ = _open(origin)
    value = importlib.import_module("datasets").Value
    # other kinds (a second picture, a sound) would be decoded, from whatever file a row names
    told = rows.select_columns([name for name, feature in rows.features.items() if isinstance(feature, value)])
    if not told.column_names:
        yield from ((f"{index:09d}", Entry()) for index in range(len(rows)))
        return
    for index, row in enumerate(told):
        yield f"{index:09d}", entry_of(row)


def read(origin: str, index: int) -> bytes:
    """The encoded picture of row ``index``: its bytes, or the file of the dataset that it names.

    PhotoError "unreadable" where it has none, or names a file outside of the dataset.
    """
    rows, column = _open(origin)
    value = rows[index][column] or {}
    if value.get("bytes"):
        return bytes(value["bytes"])
    named = value.get("path")
    if not isinstance(named, str) or not named or "\0" in named:
        raise PhotoError(f"{origin} row {index}: it has no picture", "unreadable")
    path = _within(origin, named)
    if path is None:
        raise PhotoError(
            f"{origin} row {index}: its picture {repr(named)[:200]} lies outside of the dataset; it is not read",
            "unreadable",
        )
    with open_file(path) as file:
        return file.read()


def _within(origin: str, named: str) -> Path | None:
    """The file that a row names, links followed, where it lies in the dataset's own folders; a stranger's row may
    name any file of whoever ingests it."""
    folder = Path(_name_and_split(origin)[0])
    roots = _own_folders(folder)
    for path in (folder / named, Path(named)):
        real = Path(os.path.realpath(path))
        if any(real.is_relative_to(root) for root in roots):
            return real
    return None


def _own_folders(folder: Path) -> list[Path]:
    """Folders, links followed, that files of a dataset may lie in."""
    if folder.is_dir():
        real = folder.resolve()
        # a snapshot in the Hub's cache holds links to the blobs beside it
        return [real.parent.parent if real.parent.name == "snapshots" else real]
    config = importlib.import_module("datasets").config
    hub_cache = importlib.import_module("huggingface_hub").constants.HF_HUB_CACHE
    downloaded = [config.DOWNLOADED_DATASETS_PATH, Path(hub_cache, f"datasets--{str(folder).replace('/', '--')}")]
    return [Path(os.path.realpath(each)) for each in downloaded]
