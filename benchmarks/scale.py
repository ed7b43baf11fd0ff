"""The jobs in parts by every runner, on this machine: here with one and two threads or processes, Ray with one and two.

python benchmarks/scale.py MODEL FOLDER --photos 4096 --positions 16000000

MODEL: an image checkpoint. FOLDER: of photos; ingest makes the dataset that embed looks at. Each line is a process of
its own. Its rate is of the time when all workers work: the sum of what each does in the wall seconds that it spends on
its parts, and so without the start of Ray's cluster ("cluster") and of the workers ("start": until the last of them
begins its first part). Other work on the machine moves it: only ratios of one run say something. CPU time is of the
parts. With one thread a worker all files are compared byte by byte.
"""

# ruff: noqa: PLC0415 (workers import this file: each is to pay for what its own job needs)

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from openplanet.runners import registry
from openplanet.runners.job import Job, Work

JOBS = {"ingest": "photo", "partition": "position", "embed": "photo", "locate": "photo"}
WAYS = (("local", 1), ("local", 2), ("ray", 1), ("ray", 2))
BY_THREADS = ("embed", "locate")  # here they use threads, which differ in the last bit; the others use processes


@dataclass(frozen=True)
class Timed(Job):
    """A job whose workers note when their parts begin and end."""

    job: Any
    log: Path
    local_processes: int
    what = "timing"

    @property
    def count(self) -> int:
        return int(self.job.count)

    @property
    def processes(self) -> int:
        return self.local_processes if self.job.processes else 0

    def for_workers(self) -> "Timed":
        return Timed(self.job.for_workers(), self.log, self.local_processes)

    def given(self, part: int) -> Any:
        return self.job.size(part), self.job.given(part)

    def done(self, parts: Sequence[int]) -> Collection[int]:
        return self.job.done(parts)  # type: ignore[no-any-return]

    def open(self) -> Work:
        work = self.job.open()

        def timed(sized: tuple[int, Any]) -> None:
            size, given = sized
            begun, cpu = time.time(), time.process_time()
            work(given)
            with (self.log / str(os.getpid())).open("a") as file:
                file.write(f"{size} {begun} {time.time()} {time.process_time() - cpu}\n")

        return timed


def job_of(name: str, args: argparse.Namespace, place: Path) -> tuple[Job, int]:
    """The job, whose files go below ``place``, and how many photos or positions it is of."""
    if name == "partition":
        from openplanet.earth.partition.positions import pieces_of
        from openplanet.earth.partition.run_parts import RunsJob

        return RunsJob(place / "runs", pieces_of(args.place / "positions.parquet")), args.positions
    if name == "embed":
        from openplanet.models.embed_job import EmbedJob
        from openplanet.photos.dataset import Dataset

        (place / "photos.ds").symlink_to(args.place / "photos.ds")  # what is seen is kept beside it
        dataset = Dataset.open(place / "photos.ds")
        return EmbedJob(dataset.path, str(args.model), ("train", "val", "test")), dataset.count("all")
    if name == "locate":
        from openplanet.inference.finding import Names, find_photos
        from openplanet.inference.located_parts import LocateJob

        photos = tuple(each.path for each in find_photos([args.folder]))[: args.photos]
        names = Names([args.folder])
        job = LocateJob(place / "answers", str(args.model), photos, names, engine=args.engine, per_part=256)
        return job, len(photos)

    from openplanet.photos.ingest.parts import ReadJob
    from openplanet.photos.ingest.plan import Options, make_plan

    plan = make_plan([args.folder], None, place / "none", Options(keep_unlocated=True))
    tasks = plan.tasks(np.arange(plan.table.num_rows) < args.photos, {})
    (place / "parts").mkdir()
    return ReadJob(place / "parts", 320, tasks), len(tasks)


def one(args: argparse.Namespace) -> None:
    """Run a job in a way, and print what it took as JSON."""
    place = args.place / f"{args.job}-{args.runner}-{args.workers}"
    (place / "log").mkdir(parents=True)
    job, count = job_of(args.job, args, place)
    asked = time.time()
    if args.runner == "ray":
        import ray

        ray.init(address="local", num_cpus=args.workers, include_dashboard=False, log_to_driver=False)
    begun = time.time()
    registry.run(Timed(job, place / "log", args.workers), args.runner)
    logs = [np.loadtxt(file, ndmin=2).T for file in (place / "log").iterdir()]
    size, _, _, cpu = np.concatenate(logs, axis=1)
    rate = sum(size.sum() / (end - begin).sum() for size, begin, end, _ in logs)
    files = {
        str(file.relative_to(place)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(place.rglob("*"))
        if file.is_file() and file.parent.name != "log"
    }
    print(json.dumps({
        "parts": len(size), "cluster": begun - asked, "start": max(begin[0] for _, begin, _, _ in logs) - begun,
        "rate": rate * (count / size.sum()), "cpu": cpu.sum() / count, "files": files,
    }))  # fmt: skip


def prepare(args: argparse.Namespace) -> None:
    """The dataset and the positions."""
    from openplanet.photos.ingest.ingest import ingest

    ingest([args.folder], args.place / "photos.ds", keep_unlocated=True)
    dice = np.random.default_rng(0)
    lat, lng = dice.normal(40, 15, args.positions).clip(-90, 90), dice.uniform(-180, 180, args.positions)
    pq.write_table(pa.table({"lat": lat, "lng": lng}), args.place / "positions.parquet", row_group_size=1 << 18)


def compare(name: str, args: argparse.Namespace) -> None:
    """A table of the ways of one job."""
    found: dict[str, dict[str, Any]] = {}
    print(f"\n| {name} | cluster s | start s | {JOBS[name]}s/s | against the first | CPU µs a {JOBS[name]} |")
    print("|---|---|---|---|---|---|")
    for runner, workers in WAYS:
        threads = workers if runner == "local" and name in BY_THREADS else 1
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "RAY_USAGE_STATS_ENABLED": "0"}
        command = [sys.executable, __file__, *sys.argv[1:], "--place", str(args.place)]
        command += ["--job", name, "--runner", runner, "--workers", str(workers)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        got = found[f"{runner} {workers}"] = json.loads(done.stdout.splitlines()[-1])
        unit = "worker" if runner == "ray" else "thread" if name in BY_THREADS else "process"
        print(
            f"| {runner}, {workers} {unit} | {got['cluster']:.1f} | {got['start']:.1f} | {got['rate']:,.0f} |"
            f" {got['rate'] / found['local 1']['rate']:.2f} | {got['cpu'] * 1e6:,.2f} |",
            flush=True,
        )
    same = [each["files"] for way, each in found.items() if not (way == "local 2" and name in BY_THREADS)]
    parts = found["local 1"]["parts"]
    print(f"\n{parts} parts; {'the files are the same' if all(x == same[0] for x in same) else 'THE FILES DIFFER'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=4096)
    parser.add_argument("--positions", type=int, default=16_000_000)
    parser.add_argument("--engine", default="pytorch", help="of locate")
    parser.add_argument("--jobs", default=",".join(JOBS))
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--runner", help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        one(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        args.place = Path(folder)
        prepare(args)
        for name in args.jobs.split(","):
            compare(name, args)


if __name__ == "__main__":
    main()
