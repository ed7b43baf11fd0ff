"""The folder of a checkpoint without its network: names of files, config.json, and whether the files are its own.

Nothing here loads torch: ``locate`` answers by an exported engine without it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from openplanet.errors import CheckpointError, InputError
from openplanet.models.calibration import Calibration
from openplanet.models.regions import Regions
from openplanet.storage import read_json, sha256_of

FORMAT = "openplanet-checkpoint"
FORMAT_VERSION = 1
CONFIG, WEIGHTS, PARTITION, CARD = "config.json", "model.safetensors", "partition.parquet", "README.md"
ALBUM_FORMAT = "openplanet-album-checkpoint"
ALBUM_IMAGE = "image"
"""Folder, of an album checkpoint, of its image checkpoint."""
RESUME = "resume"
"""Folder, of a checkpoint that is being trained, of all that going on needs."""
KINDS: dict[str, type] = {"openplanet_version": str, "cells": int, "sha256": dict}
KINDS |= dict.fromkeys(("image", "recipe", "accuracy", "training"), dict)
"""What config.json has to hold."""


def level_name(index: int) -> str:
    """File name of a coarser partition."""
    return f"level-{index}.parquet"


def sound_config(folder: Path) -> dict[str, Any]:
    """``read_config`` of a checkpoint of single photos."""
    return read_config(folder, FORMAT, FORMAT_VERSION, KINDS)


def is_finished(folder: Path) -> bool:
    """Whether the folder holds a checkpoint that was written to the end."""
    return (Path(folder) / CONFIG).is_file()


def read_config(folder: Path, form: str, form_version: int, kinds: dict[str, type]) -> dict[str, Any]:
    """The content of a checkpoint folder's config.json.

    Raises CheckpointError where it is missing, damaged, without one of the keys of ``kinds`` or with another kind of
    value there, or of another format than ``form`` (of images or of albums).
    """
    path = folder / CONFIG
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder} is no folder: give the one that `openplanet train --out` wrote, or the name of a model that"
            " `openplanet download` has fetched"
        )
    if not path.is_file():
        todo = "give the folder that `openplanet train --out` wrote, whole"
        if (folder / RESUME).is_dir():
            todo = "its training was stopped: run `openplanet train` again with --resume"
        raise CheckpointError(f"{folder} is not a finished checkpoint: it has no {CONFIG}; {todo}")
    try:
        config = read_json(path)
    except InputError as error:
        raise CheckpointError(f"{error}; copy the checkpoint again") from error
    if config.get("format") != form:
        raise CheckpointError(
            f"{path} is not of such a checkpoint: its format is {config.get('format')!r}, and {form} is asked for"
            + _image_inside(folder)
        )
    if config.get("format_version") != form_version:
        raise CheckpointError(
            f"{path} has checkpoint format {config.get('format_version')}, this openplanet reads {form_version}:"
            f" install openplanet {config.get('openplanet_version', 'of another version')}, or train again"
        )
    if missing := sorted(kinds.keys() - config.keys()):
        raise CheckpointError(f"{path} is damaged: it lacks {', '.join(missing)}; copy the checkpoint again")
    for name, kind in (kinds | {"coarser": list}).items():
        if not isinstance(config.get(name, kind()), kind):
            raise CheckpointError(
                f"{path} is damaged: {name} cannot be {repr(config[name])[:200]}; copy the checkpoint again"
            )
    return config


def calibration_of(config: dict[str, Any], path: Path) -> Calibration:
    """What the content of ``path``, a config.json, says of calibration. Raises CheckpointError where it is unfit."""
    try:
        values = dict(config.get("calibration", {}))
        regions = Regions.from_dict(values.pop("regions", {}))
        found = Calibration(**values, regions=regions)
        if not 0 < found.temperature < float("inf"):
            raise ValueError(found.temperature)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: its calibration is unfit ({error}); copy it again") from error
    return found


def _image_inside(folder: Path) -> str:
    inside = folder / ALBUM_IMAGE
    return f" (an album's has that of its image model in {inside})" if (inside / CONFIG).is_file() else ""


def is_album_checkpoint(folder: Path) -> bool:
    """Whether the folder says that it is one of albums (an image checkpoint or a damaged one says otherwise)."""
    config = folder / CONFIG
    try:
        return config.is_file() and read_json(config).get("format") == ALBUM_FORMAT
    except InputError:  # in place of a guess: loading it says what is wrong
        return False


def check_files(folder: Path, names: Iterable[str], config: dict[str, Any]) -> None:
    """Raise CheckpointError where a file is missing, or its SHA-256 is not the one in config.json."""
    for name in names:
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{path} is missing; copy the whole checkpoint folder again")
        if sha256_of(path) != config["sha256"].get(name):
            raise CheckpointError(
                f"{path} is damaged or of another checkpoint: its SHA-256 is not the one in {CONFIG}; copy it again"
            )
