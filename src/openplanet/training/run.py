"""Whether a folder holds this very run: started, stopped, or ended."""

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import RecipeError, TrainingError
from openplanet.models import checkpoint_folder as checkpoints
from openplanet.models import hub
from openplanet.models.album.checkpoint import AlbumCheckpoint
from openplanet.models.checkpoint import Checkpoint
from openplanet.photos.dataset import Dataset
from openplanet.progress import say
from openplanet.storage import read_json, sha256_of, write_json
from openplanet.training.album.recipe import AlbumRecipe
from openplanet.training.callbacks import STATE
from openplanet.training.distributed import Ranks
from openplanet.training.recipe.base import NOT_THE_RUN, RunRecipe, as_dict, defaults_of
from openplanet.training.recipe.recipe import Recipe, weights_path

NOT_COMPARED = (*NOT_THE_RUN, "description", "seen")  # prose: a later version may say more


def fingerprint(dataset: Dataset, recipe: RunRecipe, partitions: Sequence[Partition], processes: int) -> dict[str, Any]:
    """What must be the same for a run to be the same run; and the ``processes`` that it was started with."""
    manifest = json.dumps(dataset.manifest, sort_keys=True, default=str).encode()
    cells = hashlib.sha256()
    for partition in partitions:
        cells.update(partition.cell_id.tobytes() + partition.centroid_lat.tobytes())
    return {
        "recipe": as_dict(recipe),
        "dataset_sha256": hashlib.sha256(manifest).hexdigest(),
        "partition_sha256": cells.hexdigest(),
        "processes": processes,
        **_weights(recipe),
    }


def _weights(recipe: RunRecipe) -> dict[str, Any]:
    """SHA-256 of the file of initial weights: its name may be that of another in another folder."""
    if isinstance(recipe, Recipe) and recipe.init is not None:
        file: Path | None = hub.resolve(recipe.init) / checkpoints.WEIGHTS
    else:
        file = weights_path(recipe) if isinstance(recipe, Recipe) else None
    return {"weights_sha256": sha256_of(file)} if file is not None and file.is_file() else {}


AnyCheckpoint = TypeVar("AnyCheckpoint", Checkpoint, AlbumCheckpoint)


def finished(out: Path, run: dict[str, Any], resume: bool, kind: type[AnyCheckpoint]) -> AnyCheckpoint | None:
    """The checkpoint in ``out``, if it holds the end of this very run and ``resume`` asks for it."""
    if not checkpoints.is_finished(out):
        _check_folder(out)
        return None
    if not resume:
        raise TrainingError(f"{out} already holds a finished checkpoint: give another --out, or delete that folder")
    checkpoint = kind.load(out)
    _check_same({"recipe": checkpoint.recipe, **_run_of(checkpoint.training)}, run, out)
    say(f"{out}: this training has already ended")
    return checkpoint


def _check_folder(out: Path) -> None:
    """Refuse a folder that is neither empty nor a training's: its README.md or weights would be lost."""
    if out.exists() and not out.is_dir():
        raise TrainingError(f"{out} is a file: give a folder for the checkpoint")
    if out.exists() and not (out / checkpoints.RESUME).is_dir() and any(out.iterdir()):
        raise TrainingError(f"{out} holds other files and is not a checkpoint: give an empty or a new folder")


def _run_of(training: dict[str, Any]) -> dict[str, Any]:
    run = training.get("run", {})
    return run if isinstance(run, dict) else {}


def started_with(out: Path, recipe: RunRecipe, ranks: Ranks) -> int:
    """The number of processes that the stopped training in ``out`` was started with; those of now where none was.

    Its steps are made of so many times ``accumulate`` batches: TrainingError where the processes of now cannot divide
    these among them.
    """
    folder = out / checkpoints.RESUME
    if not (folder / STATE).is_file():
        return ranks.world
    before = read_json(folder / "run.json").get("processes", 1)
    if type(before) is not int or before < 1:
        raise TrainingError(f"{folder / 'run.json'} is damaged: delete {folder} and train again")
    shares = before * recipe.accumulate
    if shares % ranks.world:
        raise TrainingError(
            f"{out} was started with {before} processes, and each of its steps has {shares} batches, which"
            f" {ranks.world} processes cannot divide among them: use"
            f" {', '.join(str(n) for n in range(1, shares + 1) if shares % n == 0)} processes, or give another --out"
        )
    if before != ranks.world and ranks.first:
        say(
            f"{out} was started with {before} processes: each of {ranks.world} now trains on {shares // ranks.world}"
            f" batches a step, the same photos in the same order"
        )
    return before


def too_few_for(shares: int, count: int, what: str) -> TrainingError:
    """What to raise where a step has more batches than there is something to train on in them."""
    return TrainingError(
        f"{count} {what} to train on are too few for steps of {shares} batches: use fewer processes, or a smaller"
        " accumulate"
    )


def resume_state(out: Path, run: dict[str, Any], resume: bool, ranks: Ranks) -> Path | None:
    """The state to go on from, None to start anew; run.json says to a later call which run this is."""
    folder = out / checkpoints.RESUME
    if (folder / STATE).is_file():
        if not resume:
            raise TrainingError(f"{out} holds a training that was stopped: give --resume, another --out, or delete it")
        _check_same(read_json(folder / "run.json"), run, out)
        _check_whole(folder / STATE)
        if ranks.first:
            say(f"{out}: going on with a training that was stopped")
        return folder / STATE
    if ranks.first:
        if resume:
            say(f"{out}: no training was stopped there after its first saved step: starting from the beginning")
        write_json(folder / "run.json", run)
    return None


def _check_whole(state: Path) -> None:
    """Raise TrainingError where a byte is not as it was written: PyTorch does not look at its files' checksums."""
    try:
        with zipfile.ZipFile(state) as archive:
            wrong = archive.testzip()
    except (OSError, ValueError, EOFError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile) as error:
        wrong = str(error) or type(error).__name__
    if wrong is not None:
        raise TrainingError(f"{state} is damaged ({wrong}): delete {state.parent} and train again")


def _check_same(before: dict[str, Any], now: dict[str, Any], out: Path) -> None:
    # a field that came with a later openplanet had no effect before: as its default has none
    defaults = defaults_of(AlbumRecipe if "variant" in now["recipe"] else Recipe)
    if not isinstance(before.get("recipe", {}), dict):
        raise TrainingError(f"{out}: what it says of its recipe is damaged: delete it, or give another --out")
    if "variant" not in now["recipe"]:
        defaults["centre_crop"] = 1.0  # what it was before a recipe could say otherwise
    new = now["recipe"]
    # and one that has gone since, none where it was empty
    old = defaults | {name: value for name, value in before.get("recipe", {}).items() if name in new or value}
    if changed := sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k) and k not in NOT_COMPARED):
        raise RecipeError(f"{out} was started with another {', '.join(changed)}: use the same, or another --out")
    for what, name in (
        ("dataset", "dataset"),
        ("partition", "partition"),
        ("image", "image checkpoint"),
        ("weights", "file of weights"),
    ):
        if before.get(f"{what}_sha256") != now.get(f"{what}_sha256"):
            raise TrainingError(f"{out} was started with another {name}: use the same, or give another --out")
