"""What page checksums cost a dataset: CPU seconds to write and to read 123 MB of pictures with and without them.

python benchmarks/checksums.py
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PHOTOS, BYTES, ROW_GROUP = 4096, 30_000, 512


def write(path: Path, table: pa.Table, checksums: bool) -> None:
    with pq.ParquetWriter(
        path, table.schema, compression="none", use_dictionary=False, write_page_checksum=checksums
    ) as file:
        for start in range(0, PHOTOS, ROW_GROUP):
            file.write_table(table.slice(start, ROW_GROUP))


def read(path: Path, checksums: bool) -> None:
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=checksums) as file:
        for _ in file.iter_batches(ROW_GROUP):
            pass


def least(work: Callable[[], None], times: int = 5) -> float:
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def main() -> None:
    rng = np.random.default_rng(0)
    table = pa.table({"image": pa.array([rng.bytes(BYTES) for _ in range(PHOTOS)], pa.binary())})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photos.parquet"
        for checksums in (False, True):
            written = least(lambda checksums=checksums: write(path, table, checksums))
            seen = least(lambda checksums=checksums: read(path, checksums))
            print(f"checksums {checksums!s:5}: written in {written:.3f} s, read in {seen:.3f} s of CPU time")


if __name__ == "__main__":
    main()
