"""Fetches what pages carry of other people's (map library, outlines) from npm, as static/PINNED.json names it.

The files are part of the repository: run this only to renew or to check them. Needs npm.
"""

import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

STATIC = Path(__file__).resolve().parents[1] / "src/openplanet/maps/static"


def main() -> None:
    pinned = json.loads((STATIC / "PINNED.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        for name in {f"{each['package']}@{each['version']}" for each in pinned}:
            packed = subprocess.run(["npm", "pack", "--silent", name], cwd=folder, check=True, capture_output=True)
            with tarfile.open(Path(folder, packed.stdout.decode().split()[-1])) as tar:
                tar.extractall(Path(folder, name), filter="data")
        for each in pinned:
            data = Path(folder, f"{each['package']}@{each['version']}", "package", each["path"]).read_bytes()
            if hashlib.sha256(data).hexdigest() != each["sha256"]:
                raise SystemExit(f"{each['file']}: {each['package']} {each['version']} holds another {each['path']}")
            (STATIC / each["file"]).write_bytes(data)
            print(f"{each['file']}: {each['package']} {each['version']}")


if __name__ == "__main__":
    main()
