"""Kill ingests, again and again, and look whether anything is lost: `python benchmarks/kills.py [--kills 300]`.

A library changes from round to round: photos come, are copied, renamed, moved with their folder, changed, deleted. In
each round an ingest of it is killed several times, at the n-th time that it touches a file of the dataset's folder or
after a random time, then ends undisturbed. After every kill the dataset is whole or refused. After every round its
files are, byte for byte, those of an ingest of the same library into an empty folder, nothing else lies beside them,
and photos that somebody keeps in `.parts` are as they were. Where that fails it says what differs, and exits with 1.

Every ingest is a fork of one process, so that a kill costs a fraction of a second; it reads the photos itself.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # noqa: F401 (pyarrow imports it at its first array: better once than in every fork)
from PIL import Image

from openplanet.errors import DatasetError
from openplanet.photos import dataset
from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest import parts, write
from openplanet.photos.ingest.ingest import ingest

SIDE = 32
KILLS_A_ROUND = 6
OWN = "holiday/own.jpg"  # below .parts: somebody's own


def make_small() -> None:
    """Parts and shards so small that a few photos fill several."""
    parts.PART_PHOTOS = 2
    write.SHARD_BYTES = round(8 * write.PIXEL_BYTES * SIDE**2)


def save(path: Path, seed: int) -> None:
    """A JPEG of noise, with a camera and a position; one in eight has none."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", f"EOS {seed % 5}"
    if seed % 8:
        gps = exif.get_ifd(0x8825)
        gps[1], gps[2], gps[3], gps[4] = "N", (float(seed % 80), 1.0, 2.0), "E", (float(seed % 170), 3.0, 4.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(blocks).resize((64, 48), Image.Resampling.BICUBIC).save(path, "JPEG", quality=90, exif=exif)


def change(root: Path, dice: random.Random, number: int) -> None:
    """What happens to a library between two ingests."""
    for seed in range(8 * number, 8 * number + 8):
        save(root / f"a{dice.randrange(4)}" / f"{seed}.jpg", seed)
    photos = sorted(root.rglob("*.jpg"))
    for path in dice.sample(photos, min(len(photos), 12)):
        what, other = dice.randrange(6), root / f"b{dice.randrange(4)}" / f"{number}-{path.name}"
        other.parent.mkdir(exist_ok=True)
        if what < 3:
            shutil.copy(path, other)
        elif what == 3:
            path.rename(other)
        elif what == 4:
            path.unlink()
        else:
            save(path, 100_000 + dice.randrange(1000))
    if number % 3 == 2 and (root / "a0").exists():
        (root / "a0").rename(root / f"moved{number}")


def forked(work: Callable[[], object]) -> int:
    """Run ``work`` in a fork; returns its wait status: 0 where it came to its end."""
    child = os.fork()
    if not child:
        try:
            sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
            work()
            os._exit(0)
        except BaseException as error:
            os.write(1, f"{error!r}\n".encode())
        finally:
            os._exit(3)
    return os.waitpid(child, 0)[1]


def killed_at(event: int, out: Path) -> None:
    """Let this process be killed when it touches something in ``out`` for the ``event``-th time."""
    left = [event]

    def count(name: str, arguments: tuple[Any, ...]) -> None:
        if name.startswith(("open", "os.")) and arguments and str(out) in str(arguments[0]):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def killed_ingest(root: Path, out: Path, dice: random.Random) -> bool:
    """Ingest until a kill; returns False where the ingest came to its end before."""
    event, seconds = int(10 ** dice.uniform(0, 2.6)), dice.uniform(0, 0.3)
    by_event = dice.random() < 0.7

    def work() -> None:
        if by_event:
            killed_at(event, out)
        else:
            signal.setitimer(signal.ITIMER_REAL, seconds)  # SIGALRM ends a process at once, as SIGKILL does
        ingest([root], out, side=SIDE, workers=0)

    status = forked(work)
    if status and not os.WIFSIGNALED(status):
        raise SystemExit(f"an ingest failed that nobody killed (status {status})")
    return bool(status)


def whole_or_refused(out: Path) -> None:
    """Whatever a kill left: the dataset's bytes are the manifest's, or it does not open."""
    if not out.exists():
        return
    try:
        Dataset.open(out).verify()
    except DatasetError:
        if (out / dataset.MANIFEST).exists():
            raise


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.is_file()}


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def one_round(root: Path, out: Path, dice: random.Random, own: bool) -> int:
    """Returns the number of kills."""
    work, kills = out / ".parts", 0
    if own:
        save(work / OWN, 9)
    for _ in range(KILLS_A_ROUND):
        kills += killed_ingest(root, out, dice)
        if forked(lambda: whole_or_refused(out)):
            raise SystemExit(f"{out} is neither whole nor refused after a kill")
    afresh = out.with_name("afresh")
    for folder in (out, afresh):
        if forked(lambda folder=folder: ingest([root], folder, side=SIDE, workers=0)):  # type: ignore[misc]
            raise SystemExit(f"{folder}: an ingest that nobody killed failed")
    if (left := below(work) if work.exists() else []) != [OWN] * own:
        raise SystemExit(f"in {work} lie {left}")
    ours, theirs = contents(out), contents(afresh)
    if ours != theirs:
        differ = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
        raise SystemExit(f"not the files of an undisturbed ingest: {differ}")
    if own:
        shutil.rmtree(work)
    shutil.rmtree(afresh)
    return kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    make_small()
    start, kills, number = time.monotonic(), 0, 0
    while kills < options.kills:
        with tempfile.TemporaryDirectory() as folder:
            root, out = Path(folder) / "library", Path(folder) / "killed.ds"
            for turn in range(5):  # a first ingest and four renewals of it
                dice = random.Random(f"{options.seed} {number}")
                change(root, dice, turn)
                kills += one_round(root, out, dice, own=number % 2 == 1)
                number += 1
                if kills >= options.kills:
                    break
    print(f"{kills} kills in {number} rounds, {time.monotonic() - start:.0f} s: nothing lost, nothing left behind")


if __name__ == "__main__":
    main()
