"""Peak memory and CPU time of reading photos: small files that claim gigabytes, and 12 megapixels of each format.

python benchmarks/bombs.py [FILE...]

Each file is read in a fresh process, as ingest reads it; printed is what the process takes beyond its start, and why a
file was refused. Without FILEs those of tests/photos/files/test_budget.py are made, and pictures of each format, from
which the bytes a pixel of photos/files/budget.py come.
"""

import io
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "photos" / "files"))
from test_budget import BOMBS, READ

FORMATS = {
    "JPEG": {}, "JPEG, progressive": {"progressive": True}, "PNG": {}, "WEBP": {}, "TIFF": {}, "AVIF": {"speed": 9},
    "HEIF": {},
}  # fmt: skip


def pictures() -> dict[str, bytes]:
    """A picture of 12 megapixels in each format."""
    pillow_heif.register_heif_opener()
    y, x = np.mgrid[0:3000, 0:4000]
    image = Image.fromarray(np.stack([x // 16 % 256, y // 12 % 256, (x + y) // 30 % 256], -1).astype(np.uint8))
    found = {}
    for name, how in FORMATS.items():
        out = io.BytesIO()
        image.save(out, name.split(",")[0], **how)
        found[f"12 megapixels, {name}"] = out.getvalue()
    return found


def main() -> None:
    files = {name: Path(name).read_bytes() for name in sys.argv[1:]} or {**BOMBS, **pictures()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo"
        for name, data in files.items():
            path.write_bytes(data)
            done = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, check=True)
            *reason, mib, seconds = done.stdout.split()
            print(f"{name:28} {len(data):>10,} bytes  +{mib:>4} MiB  {float(seconds):5.2f} s  {' '.join(reason)}")


if __name__ == "__main__":
    main()
