"""kill -9 while a geotag run is applied and undone, at random moments: every file has its old bytes again, or is named.

    python benchmarks/geotag_kills.py --kills 200

Each round starts an apply, kills it at a random moment, at times goes on and kills that, at times kills an undo, and
undoes. The tree (bytes, times of modification, names) is compared with what it was. Sidecars and photos take turns.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from openplanet import geotagging
from openplanet.geotagging import writing  # noqa: F401 (loaded before the forks)

PHOTOS = 12
PLAN = "from openplanet import geotagging; import sys; geotagging.plan([sys.argv[1]], sys.argv[2])"
SIDECAR = (
    "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
    "<rdf:Description rdf:about='' xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmp:Rating='{}'/></rdf:RDF></x:xmpmeta>"
)


def make_library(folder: Path) -> None:
    """Photos a minute apart, every third with a position, every second of the others with a sidecar."""
    folder.mkdir(parents=True)
    noise = random.Random(0)
    for number in range(PHOTOS):
        exif = Image.Exif()
        exif[0x010F] = "Maker"
        exif.get_ifd(0x8769)[0x9003] = f"2024:05:01 10:{number:02d}:00"
        if number % 3 == 0:
            gps = exif.get_ifd(0x8825)
            gps[1], gps[2], gps[3], gps[4] = "N", (48.0, 51.0, number / 10), "E", (2.0, 21.0, 0.0)
        elif number % 2:
            (folder / f"{number:02d}.jpg.xmp").write_text(SIDECAR.format(number % 6))
        pixels = bytes(noise.randrange(256) for _ in range(24 * 18 * 3))
        image = Image.frombytes("RGB", (24, 18), pixels).resize((240, 180))
        image.save(folder / f"{number:02d}.jpg", exif=exif)
        os.utime(folder / f"{number:02d}.jpg", ns=(10**18 + number, 10**18 + number))


def tree(folder: Path) -> dict[str, tuple[str, int]]:
    """SHA-256 and time of modification of every file."""
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.iterdir())
    }


def killed(work: Callable[[], object], seconds: float) -> bool:
    """Do ``work`` in a process that is killed after so long; whether it had not ended by itself."""
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            work()
        finally:
            os._exit(0)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def run(kills: int, seed: int) -> dict[str, int]:
    """Count kills, rounds, and files that are neither as before nor named."""
    draw = random.Random(seed)
    counts = {"kills": 0, "rounds": 0, "files": 0, "wrong": 0, "named": 0}
    with tempfile.TemporaryDirectory() as temporary:
        library, out = Path(temporary) / "library", Path(temporary) / "run"
        make_library(library)
        subprocess.run([sys.executable, "-c", PLAN, library, out], check=True)
        before = tree(library)
        start = time.monotonic()
        geotagging.apply(out, least=0.0)
        apply_seconds = time.monotonic() - start
        written = sum(each != before.get(name) for name, each in tree(library).items())
        assert written >= PHOTOS // 2, f"apply wrote {written} files"
        start = time.monotonic()
        geotagging.undo(out)
        undo_seconds = time.monotonic() - start
        while counts["kills"] < kills:
            write = ("xmp", "exif")[counts["rounds"] % 2]
            counts["kills"] += killed(
                lambda w=write: geotagging.apply(out, w, least=0.0), draw.random() * apply_seconds
            )
            if draw.random() < 0.3:  # it goes on
                counts["kills"] += killed(
                    lambda w=write: geotagging.apply(out, w, least=0.0), draw.random() * apply_seconds
                )
            if draw.random() < 0.5:
                counts["kills"] += killed(lambda: geotagging.undo(out), draw.random() * undo_seconds)
            outcome = geotagging.undo(out)
            after = tree(library)
            counts["wrong"] += sum(after.get(name) != before.get(name) for name in after.keys() | before.keys())
            counts["named"] += len(outcome.skipped)
            counts["files"] += len(before)
            counts["rounds"] += 1
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found = run(arguments.kills, arguments.seed)
    print(json.dumps(found))
    sys.exit(found["wrong"] > 0)
