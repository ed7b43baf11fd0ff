"""Checkpoints on a Hugging Face Hub: pushed as a folder, loaded by "hf:owner/name".

The endpoint is the Hub's, or what the environment variable HF_ENDPOINT or ``endpoint`` says.
"""

import warnings
from fnmatch import fnmatch
from pathlib import Path

from openplanet.errors import CheckpointError, InputError
from openplanet.home import home
from openplanet.models.checkpoint_folder import ALBUM_FORMAT, ALBUM_IMAGE, CONFIG
from openplanet.storage import read_json
from openplanet.stores.folders import copy_of
from openplanet.stores.location import Location, RemotePath, location

PREFIX = "hf:"
FILES = ["config.json", "model.safetensors", "partition.parquet", "level-*.parquet", "README.md"]
FILES += [f"image/{name}" for name in FILES]
"""All that a checkpoint consists of (an album's has one of images inside); curves, states of training, and what was
exported for engines, stay at home."""
FAILURES = (OSError, ValueError)
"""What the Hub's client raises: its own errors are kinds of these."""


def kept(name: str) -> Path:
    """The folder in which ``openplanet download`` keeps the checkpoint of that name ("geoclip", "hf:owner/name")."""
    return home() / "models" / name.removeprefix(PREFIX).replace("/", "--")


def is_kept(where: Location | str) -> bool:
    """Whether ``where`` names a checkpoint that was downloaded, and is no folder here."""
    text = str(where)
    plain = text.startswith(PREFIX) or (Path(text).name == text and text not in ("", ".", ".."))
    return plain and not Path(text).exists() and (kept(text) / "config.json").is_file()


def only_kept() -> Path:
    """The one checkpoint that was downloaded: what is meant where none is named. Raises CheckpointError, with what to
    do, where there is none, or more than one."""
    names = sorted(path.parent.name for path in (home() / "models").glob("*/config.json"))
    if len(names) == 1:
        return kept(names[0])
    if names:
        raise CheckpointError(f"name the model that is to answer: --checkpoint {', or --checkpoint '.join(names)}")
    raise CheckpointError(
        "no model is here yet: name a folder with --checkpoint, or run  openplanet download geoclip  (1.8 GB, once;"
        " `openplanet download` alone lists what there is)"
    )


def resolve(where: Location | str, endpoint: str | None = None) -> Path:
    """The local folder of a checkpoint: ``where`` itself, that of a name that was downloaded, or for
    "hf:owner/name[@revision]" a copy in the Hub's cache, and for a URL (s3://BUCKET/NAME) one in our own.

    Raises CheckpointError where the Hub has no such repository or cannot be reached, or at the URL lies no finished
    checkpoint, InputError where the store does not answer.
    """
    text = str(where)
    place = location(where)
    if isinstance(place, RemotePath):
        return _fetched(place)
    if is_kept(text):
        return kept(text)
    if not text.startswith(PREFIX):
        return place
    from huggingface_hub import snapshot_download

    name, _, revision = text.removeprefix(PREFIX).partition("@")
    try:
        return Path(snapshot_download(name, revision=revision or None, endpoint=endpoint, allow_patterns=FILES))
    except FAILURES as error:
        raise CheckpointError(
            f"{text} cannot be loaded from the Hub ({_short(error)}): check the name, the network and, for a private"
            " one, that HF_TOKEN is set"
        ) from error


def _fetched(where: RemotePath) -> Path:
    """The cache's copy of a checkpoint in a store, each file with the SHA-256 that its config.json says."""
    sums: dict[str, str] = {}
    for inner in ("", f"{ALBUM_IMAGE}/"):
        try:
            config = read_json(where / f"{inner}{CONFIG}")
        except InputError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            raise CheckpointError(
                f"{where} is not a finished checkpoint: it has no {inner}{CONFIG}; copy the whole folder there, or"
                " give the one that `openplanet train --out` wrote"
            ) from error
        told = config.get("sha256")
        sums |= {f"{inner}{name}": each for name, each in (told if isinstance(told, dict) else {}).items()}
        if config.get("format") != ALBUM_FORMAT:
            break
    return copy_of(where, lambda name: any(fnmatch(name, each) for each in (*FILES, "engines/*")), sums)


def push(folder: Path, repo_id: str, endpoint: str | None = None, private: bool = True) -> str:
    """Upload the checkpoint in ``folder`` as it is, as ``repo_id`` (owner/name), private unless asked; gives its
    address. What its cells tell of where people live goes with it: ``merged.merge`` makes one to share.

    Look at its README.md first: the licence stands there as "other" until you decide. Raises CheckpointError where
    the folder is no finished checkpoint or the Hub refuses.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} is not a finished checkpoint: it has no config.json")
    from huggingface_hub import HfApi

    try:
        api = HfApi(endpoint=endpoint)
        api.create_repo(repo_id, private=private, exist_ok=True)
        with warnings.catch_warnings():
            # it takes any Parquet file for a data set; a partition belongs to its model
            warnings.filterwarnings("ignore", message=".*about to commit a data file.*")
            api.upload_folder(
                repo_id=repo_id, folder_path=folder, allow_patterns=FILES, commit_message="An OpenPlaNet checkpoint"
            )
    except FAILURES as error:
        raise CheckpointError(f"{folder} cannot be pushed to {repo_id} ({_short(error)})") from error
    return f"{PREFIX}{repo_id}"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
