"""What settling costs: from made-up readings (no pictures) to the rows of a dataset, seconds and memory.

python benchmarks/settling.py [--photos 1000000] [--albums folder|sessions]

The photos: 50 to a folder, cameras with and without serial numbers, half with a position, one in a hundred the same
bytes as another, hashes and thumbnails at random. Memory is what the process grew by at most in each step (Linux).
"""

import argparse
import hashlib
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from openplanet.photos.ingest import duplicates, known, parts, plan, settle
from openplanet.photos.ingest.read import SCHEMA

BATCH = 16384
STATUS = Path("/proc/self/status")


def kib(name: str) -> int:
    return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith(name))


def step(what: str, work: Callable[[], Any]) -> Any:
    """Run ``work``, and say how long it took, what it left in memory, and what it held at most."""
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is used now
    before, start = kib("VmRSS"), time.perf_counter()
    result = work()
    seconds, kept, most = time.perf_counter() - start, kib("VmRSS") - before, kib("VmHWM") - before
    print(f"{what:20} {seconds:7.1f} s   kept {kept / 1024:6.0f} MiB   at most {most / 1024:6.0f} MiB", flush=True)
    return result


def made_up_plan(photos: int) -> plan.Plan:
    batches, rows = [], []
    for index in range(photos):
        folder, name = f"Pictures/{2000 + index // 5000 % 25}/trip {index // 50}", f"IMG_{index:08d}.jpg"
        path = f"/home/somebody/{folder}/{name}"
        key = parts.key_of(path, [index], 320)
        rows.append((f"{folder}/{name}", folder, 0, key, 3_000_000 + index, path.encode(), None, None, None))
        if len(rows) == plan.ROWS or index + 1 == photos:
            batches.append(plan._batch(rows))
            rows = []
    table = plan._with_told(pa.Table.from_batches(batches), {}, plan.Options(keep_unlocated=True))
    return plan.Plan(table, np.zeros(photos, bool), [], Counter(), "made up")


def made_up_readings(planned: plan.Plan, folder: Path) -> known.Readings:
    rng, photos = np.random.default_rng(0), planned.table.num_rows
    thumbnails = np.memmap(folder / "thumbnails.u8", np.uint8, "w+", shape=(photos, duplicates.SIDE**2))
    names = [name for name in SCHEMA.names if name != "thumbnail"]
    start, keys, tables = datetime(2020, 1, 1), planned.table["key"], []
    for first in range(0, photos, BATCH):
        count = min(BATCH, photos - first)
        index = np.arange(first, first + count)
        thumbnails[index] = rng.integers(0, 256, (count, duplicates.SIDE**2), np.uint8)
        located, repeated = rng.random(count) < 0.5, rng.random(count) < 0.01
        columns: dict[str, Any] = {name: pa.nulls(count, SCHEMA.field(name).type) for name in names}
        columns |= {
            "key": keys.slice(first, count).combine_chunks(),
            "unlocated": np.zeros(count, bool),
            "known": np.zeros(count, bool),
            "taken_at_is_utc": np.zeros(count, bool),
            "photo_id": [
                hashlib.sha256(str(i // 2 if r else i).encode()).hexdigest()
                for i, r in zip(index, repeated, strict=True)
            ],
            "size": index + 3_000_000,
            "lat": pa.array(rng.uniform(-60, 70, count), mask=~located),
            "lng": pa.array(rng.uniform(-180, 180, count), mask=~located),
            "taken_at": [start + timedelta(minutes=int(i)) for i in index],
            "make": ["Apple" if i // 50 % 3 else "Canon" for i in index],
            "model": [f"iPhone {i // 500 % 16}" if i // 50 % 3 else "Canon EOS 40D" for i in index],
            "serial": [None if i // 50 % 3 else f"{i // 5000}" for i in index],
            "width": np.full(count, 4000, np.int32),
            "height": np.full(count, 3000, np.int32),
            "dhash": rng.integers(0, 2**64, count, np.uint64, endpoint=False),
        }
        tables.append(pa.table([columns[name] for name in names], schema=pa.schema([SCHEMA.field(n) for n in names])))
    all_N = np.arange(photos)
    return known.Readings(pa.concat_tables(tables), thumbnails, [folder], np.zeros_like(all_N), all_N, all_N)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--albums", choices=["folder", "sessions"], default="folder")
    args = parser.parse_args()
    options = plan.Options(albums=args.albums, keep_unlocated=True)
    with tempfile.TemporaryDirectory() as folder:
        planned = step("the plan", lambda: made_up_plan(args.photos))
        read = step("the readings", lambda: made_up_readings(planned, Path(folder)))
        at_K = step("finding them", lambda: read.find(planned.table["key"], planned.needs_gps_K))
        settled = step("settling", lambda: settle.settle(planned, at_K, read, options))
    print(f"{args.photos:,} photos: {settled.rows.num_rows:,} rows, {settled.rejected.num_rows:,} rejected")


if __name__ == "__main__":
    main()
