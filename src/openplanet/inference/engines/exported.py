"""The exported networks of a checkpoint: which there are, which still belong to its weights, and which is fastest.

    CHECKPOINT/engines/openvino-bf16/engine.json    what it is, of which weights, and what was measured; written last
    CHECKPOINT/engines/openvino-bf16/model.xml ...  the engine's own files, with their SHA-256 in engine.json

Nothing here loads torch.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from openplanet.errors import CheckpointError, InputError
from openplanet.inference.engines.engine import Network
from openplanet.inference.engines.registry import ENGINES, PYTORCH
from openplanet.photos.dataset import MAX_SIDE
from openplanet.progress import say
from openplanet.runners.job import threads_asked
from openplanet.storage import read_json, sha256_of

FOLDER, ABOUT = "engines", "engine.json"
FORMAT, FORMAT_VERSION = "openplanet-engine", 1
AGAIN = "export it again: openplanet export"


@checked_dataclass(frozen=True)
class Framing:
    """How photos are brought to the network (models.image_model.ImageConfig)."""

    image_size: Annotated[int, Field(ge=1, le=1024)]
    centre_crop: Annotated[float, Field(gt=0, le=1)]
    decoded_side: Annotated[int, Field(ge=1, le=MAX_SIDE)]


@checked_dataclass(frozen=True)
class About:
    """The content of engine.json."""

    engine: str
    precision: str
    network: str
    """``network_of`` the checkpoint that it was exported from."""
    framing: Framing
    nested: bool
    """Whether coarser partitions are levels (``Head.nested``)."""
    speedup: Annotated[float, Field(gt=0)]
    """Photos a CPU second over PyTorch's, where it was exported."""
    measured: dict[str, Any]
    """Against PyTorch: errors, and shares of validation photos within distances."""
    sha256: dict[str, str]
    """Of the engine's files."""
    format: str = FORMAT
    format_version: int = FORMAT_VERSION


ABOUT_JSON = TypeAdapter(About)


@dataclass(frozen=True)
class Exported:
    """An exported network that belongs to the checkpoint whose folder it is in."""

    folder: Path
    about: About

    @property
    def name(self) -> str:
        """Of engine and precision, as its folder is called."""
        return name_of(self.about.engine, self.about.precision)

    def open(self) -> Network:
        """The network. Raises CheckpointError where a file is missing or damaged."""
        for name, digest in self.about.sha256.items():
            file = self.folder / Path(name).name
            if not file.is_file() or sha256_of(file) != digest:
                raise CheckpointError(f"{file} is missing or damaged; {AGAIN}")
        try:
            return ENGINES[self.about.engine].open(self.folder, self.about.precision, threads_asked())
        except (RuntimeError, ValueError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(
                f"{self.folder} cannot be opened by {self.about.engine} ({reason}); {AGAIN}"
            ) from error


def name_of(engine: str, precision: str) -> str:
    """How an exported network is called."""
    return f"{engine}-{precision}"


def network_of(config: Mapping[str, Any]) -> str:
    """What a checkpoint's config.json says of all that its scores depend on, as one SHA-256: weights, partitions, the
    image model's configuration and merged cells. Temperature and regions are applied after the engine."""
    parts = [config["sha256"], config["image"], config.get("merged"), config.get("overlaid")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def choose(folder: Path, config: Mapping[str, Any], asked: str | None = None) -> Exported | None:
    """The exported network that is to answer for the checkpoint in ``folder``; None: PyTorch.

    ``asked``: an engine, or an engine and a precision ("openvino-int8"), or "pytorch"; None: the fastest of those that
    are there, belong to the weights and can run here. Raises InputError, or CheckpointError for one that is stale or
    damaged, where what was asked for cannot be had.
    """
    if asked == PYTORCH:
        return None
    if asked is not None and asked.partition("-")[0] not in ENGINES:
        raise InputError(f"there is no engine {asked}: give {PYTORCH}, {', '.join(ENGINES)}, or one with its precision")
    found = []
    for about in sorted((folder / FOLDER).glob(f"*/{ABOUT}")):
        name = about.parent.name
        if asked is not None and asked not in (name, name.partition("-")[0]):
            continue
        try:
            found.append(_read(about.parent, config))
        except CheckpointError as error:
            if asked is not None:
                raise
            say(f"{error}; PyTorch answers in its place")
    runnable = [each for each in found if ENGINES[each.about.engine].installed()]
    if asked is None or runnable:
        return max(runnable, key=lambda each: each.about.speedup, default=None)
    if found:
        ENGINES[found[0].about.engine].check(found[0].about.precision)
    raise CheckpointError(
        f"{folder} has no network for {asked}: write one with  openplanet export {folder} --engine ..."
    )


def _read(folder: Path, config: Mapping[str, Any]) -> Exported:
    """What is in the folder of an exported network, if it belongs to the checkpoint; CheckpointError where not."""
    try:
        about = ABOUT_JSON.validate_python(read_json(folder / ABOUT))
        right = (about.format, about.format_version) == (FORMAT, FORMAT_VERSION) and about.engine in ENGINES
    except (ValidationError, InputError):
        right = False
    if not right or about.precision not in ENGINES[about.engine].precisions:
        raise CheckpointError(f"{folder / ABOUT} is damaged, or of another version; {AGAIN}")
    if about.network != network_of(config):
        raise CheckpointError(f"{folder} was exported from other weights or cells than the checkpoint has; {AGAIN}")
    return Exported(folder, about)
