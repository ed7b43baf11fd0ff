"""Locating in parts: this process against Ray with one and two workers, and what a part costs.

OMP_NUM_THREADS=1 python benchmarks/scale.py MODEL FOLDER --photos 2048 --engine onnx

Wall seconds, which other work on the machine moves: only ratios of one run say something. CPU seconds are those of this
process and of what it started. The files of all runs are compared byte by byte.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import psutil

from openplanet.inference.finding import find_photos
from openplanet.inference.located_parts import LocateJob
from openplanet.runners.registry import run


def cpu_seconds() -> float:
    """Of this process and its living descendants."""
    total = 0.0
    for process in (me := psutil.Process(), *me.children(recursive=True)):
        try:
            times = process.cpu_times()
            total += times.user + times.system
        except psutil.Error:  # it has ended
            pass
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path, help="of photos")
    parser.add_argument("--photos", type=int, default=2048)
    parser.add_argument("--per-part", type=int, default=256)
    parser.add_argument("--engine")
    args = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray  # noqa: PLC0415 (after the variable that it reads)

    photos = tuple(each.path for each in find_photos([args.folder]))[: args.photos]
    found: dict[str, dict[str, bytes]] = {}
    print("| runner | wall s | photos/s | CPU ms a photo |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, workers in (("local", 0), ("ray, 1 worker", 1), ("ray, 2 workers", 2)):
            place = Path(folder) / name
            job = LocateJob(place, str(args.model), photos, (args.folder,), engine=args.engine, per_part=args.per_part)
            if workers:
                ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
            before, started = cpu_seconds(), time.perf_counter()
            run(job, "ray" if workers else "local")
            wall, cpu = time.perf_counter() - started, cpu_seconds() - before
            ray.shutdown()
            found[name] = {path.name: path.read_bytes() for path in place.iterdir()}
            print(f"| {name} | {wall:.1f} | {len(photos) / wall:.0f} | {cpu / len(photos) * 1e3:.2f} |", flush=True)
    print("the files are the same" if all(each == found["local"] for each in found.values()) else "THE FILES DIFFER")


if __name__ == "__main__":
    main()
