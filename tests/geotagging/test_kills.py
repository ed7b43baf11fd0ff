"""kill -9 at random moments of apply and undo; benchmarks/geotag_kills.py does it 200 times."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from geotagging.libraries import needs_exiftool

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "geotag_kills.py"


@pytest.mark.slow
@needs_exiftool
def test_after_undo_every_file_has_its_old_bytes():
    done = subprocess.run([sys.executable, SCRIPT, "--kills", "5"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] >= 5 and found["wrong"] == found["named"] == 0
