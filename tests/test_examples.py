"""The scripts of examples/ run as a reader runs them: in order, in an empty folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_examples_run(tmp_path: Path) -> None:
    said = {}
    for script in sorted(EXAMPLES.glob("*.py")):
        # one thread: where other programs hold the cores, PyTorch's threads wait for each other
        done = subprocess.run(
            [sys.executable, str(script)], cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, encoding="utf-8",
        )  # fmt: skip
        assert done.returncode == 0, f"{script.name}\n{done.stderr}"
        said[script.stem] = done.stdout
    assert list(said) == ["1_train", "2_locate", "3_add_locator", "4_compare", "5_album"]
    assert "250 photos, 250 with a position" in said["1_train"] and "within_25_km" in said["1_train"]
    shapes = json.loads((tmp_path / "example" / "located.geojson").read_text(encoding="utf-8"))["features"]
    assert len({shape["properties"]["photo"] for shape in shapes}) == 8 and said["2_locate"].count("within 200 km") == 8
    assert "green less model" in said["3_add_locator"]
    assert "model less mobile" in said["4_compare"]
    assert "(alone: " in said["5_album"]
