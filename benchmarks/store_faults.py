"""A dataset on S3 (moto's server on loopback) renewed again and again, with one request of each renewal failing.

PYTHONPATH=tests:tests/stores python benchmarks/store_faults.py --trials 300 --seed 0

Which request fails is random, and how: permission denied, 503 SlowDown, an answer that is cut in the middle, or the
process ends there. After each failure a reader must find the old dataset or the new one, whole (every byte is compared
with its SHA-256), and the same renewal, half of the time on another machine, must then end with the new one and nothing
else in the folder.
"""

import argparse
import os
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import made
from s3_server import S3, s3_server

from openplanet.errors import InputError
from openplanet.photos.dataset import MANIFEST, Dataset
from openplanet.photos.ingest.ingest import OURS
from openplanet.stores.folders import staged
from openplanet.stores.location import RemotePath, listing


class OneFault:
    """Request number ``at`` fails; a cut answer and a SlowDown once, so that the client's second try passes."""

    def __init__(self, at: int, kind: str) -> None:
        self.at, self.kind, self.seen, self.struck = at, kind, 0, False

    def __call__(self, method: str, path: str, before: int) -> str | None:
        self.seen += 1
        if self.seen != self.at:
            return None
        self.struck = True
        return "denied" if self.kind == "kill" else self.kind


def renew(out: RemotePath, dataset: Path) -> None:
    """Put the files of another dataset in the place of what is there, as ingest does."""
    with staged(out, MANIFEST, OURS) as work:
        for file in work.folder.iterdir():
            if not (dataset / file.name).exists():
                file.unlink()
        for file in dataset.iterdir():
            shutil.copy(file, work.folder / file.name)


def which(out: RemotePath, known: dict[str, Path]) -> str:
    """Which of the known datasets a reader finds whole."""
    made.forget()
    found = Dataset.open(out)
    found.verify()
    return next(name for name, folder in known.items() if Dataset.open(folder).manifest == found.manifest)


def trial(out: RemotePath, known: dict[str, Path], new: str, chance: random.Random, s3: S3) -> str:
    """One renewal with a fault, and again without."""
    old = which(out, known)
    fault = OneFault(chance.randint(1, 14), chance.choice(["denied", "kill", "kill", "slow down", "cut"]))
    s3.reset(fault)
    try:
        renew(out, known[new])
        ended = "went through"
    except InputError:
        ended = "failed"
        home = Path(os.environ["OPENPLANET_HOME"])
        if fault.kind == "kill":  # nothing was noted since
            for record in home.glob("cache/work/*/uploaded.json"):
                record.unlink()
        if chance.random() < 0.5:  # another machine
            shutil.rmtree(home)
            ended = "failed, ended elsewhere"
    s3.reset()
    found = which(out, known)
    assert found == new if ended == "went through" else found in (old, new), (found, old, new)
    renew(out, known[new])
    assert which(out, known) == new
    assert listing(out).keys() == {file.name for file in known[new].iterdir()}
    return f"{fault.kind if fault.struck else 'no fault'}: {ended}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance, counts = random.Random(args.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as place, s3_server() as s3:
        os.environ["OPENPLANET_HOME"] = f"{place}/home"
        known = {
            name: made.write(Path(place) / name, count, shards)
            for name, count, shards in (("a", 60, 2), ("b", 120, 4), ("c", 90, 3))
        }
        for number, folder in enumerate(known.values()):  # shards of different bytes have different names
            made.renamed(folder, number)
        out = RemotePath("s3://bucket/photos.ds")
        renew(out, known["a"])
        for number in range(args.trials):
            counts[trial(out, known, "bca"[number % 3], chance, s3)] += 1
    print("\n".join(f"{name}: {count}" for name, count in sorted(counts.items())))


if __name__ == "__main__":
    main()
