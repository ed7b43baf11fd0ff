"""Hugging Face datasets as a source: ``hf:FOLDER`` for local files, ``hf:NAME`` for the hub, one code for both.

The package ``datasets`` is needed only here (pip install 'openplanet[hub]').
"""

import importlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from openplanet.errors import InputError, PhotoError
from openplanet.photos.entry import Entry
from openplanet.photos.shards import MANIFEST, Dataset
from openplanet.photos.tars import entry_of

PREFIX = "hf:"


@lru_cache(maxsize=2)
def _open(origin: str) -> tuple[Any, str]:
    """The rows (images left encoded) and the name of the image column of ``hf:NAME[@SPLIT]``."""
    try:
        datasets = importlib.import_module("datasets")
    except ModuleNotFoundError as error:
        raise InputError(f"{origin} needs the package datasets: pip install 'openplanet[hub]'") from error
    name, _, split = origin.removeprefix(PREFIX).partition("@")
    try:
        folder = Path(name)
        if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
            rows = datasets.load_from_disk(name)
            rows = rows[split or next(iter(rows))] if isinstance(rows, dict) else rows
        elif files := _parquet_files(folder):
            rows = datasets.load_dataset("parquet", data_files=files, split="train")
        else:
            rows = datasets.load_dataset(name, split=split or "train")
    except Exception as error:  # the package raises whatever its file systems do
        raise InputError(f"{origin} cannot be opened as a Hugging Face dataset: {error}") from error
    columns = [name for name, feature in rows.features.items() if isinstance(feature, datasets.Image)]
    if not columns:
        raise InputError(f"{origin} has no image column (it has: {', '.join(rows.features)})")
    return rows.cast_column(columns[0], datasets.Image(decode=False)), columns[0]


def _parquet_files(folder: Path) -> list[str]:
    """The Parquet files of a folder and below; of a dataset of ours its shards alone."""
    if (folder / MANIFEST).is_file():
        return [str(shard) for shard in Dataset.open(folder).shards]
    return sorted(str(file) for file in folder.rglob("*.parquet")) if folder.is_dir() else []


def fingerprint(origin: str) -> str:
    """Changes with the dataset's rows."""
    rows, _ = _open(origin)
    return str(rows._fingerprint)


def entries(origin: str) -> Iterator[tuple[str, Entry]]:
    """(name, what its columns tell) of each row; no picture is read."""
    rows, column = _open(origin)
    for index, row in enumerate(rows.remove_columns([column])):
        yield f"{index:09d}", entry_of(row)


def read(origin: str, index: int) -> bytes:
    """The encoded picture of row ``index``; PhotoError "unreadable" where it has none."""
    rows, column = _open(origin)
    value = rows[index][column] or {}
    if value.get("bytes"):
        return bytes(value["bytes"])
    try:
        return Path(value["path"]).read_bytes()
    except (KeyError, TypeError, OSError) as error:
        raise PhotoError(f"{origin} row {index}: its picture cannot be read ({error})", "unreadable") from None
