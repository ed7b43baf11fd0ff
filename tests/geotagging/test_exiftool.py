"""exiftool as a process that stays open, and that may hang or die."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from geotagging.libraries import needs_exiftool
from openplanet.geotagging import exiftool
from openplanet.geotagging.exiftool import ExifTool, ExifToolError

pytestmark = needs_exiftool
HOLD = """
import sys, time
from pathlib import Path
from openplanet.geotagging.exiftool import ExifTool
with ExifTool(Path(sys.argv[1])) as tool:
    tool.write(None, Path(sys.argv[1]) / "a.xmp", {"XMP-photoshop:City": "Paris"})
    print(tool.pid, flush=True)
    time.sleep(60)
"""


def test_values_come_back_whatever_they_hold(tmp_path):
    with ExifTool(tmp_path) as tool:
        tool.write(None, tmp_path / "a.xmp", {"XMP-photoshop:City": "Zürich\n-x=1", "XMP-openplanet:Names": ["a", "b"]})
        (told,) = tool.read([tmp_path / "a.xmp"], ["XMP-photoshop:all", "XMP-openplanet:all"])
        assert told == {"XMP-photoshop:City": "Zürich -x=1", "XMP-openplanet:Names": ["a", "b"]}
        tool.write(tmp_path / "a.xmp", tmp_path / "b.xmp", {"XMP-photoshop:City": ""})
        assert tool.read([tmp_path / "b.xmp"], ["XMP-photoshop:all"]) == [{}]


def test_a_file_that_it_cannot_write_costs_that_file_alone(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"rubbish")
    with ExifTool(tmp_path) as tool:
        with pytest.raises(ExifToolError, match="Not a valid JPG"):
            tool.write(tmp_path / "a.jpg", tmp_path / "b.jpg", {"GPS:GPSLatitude": "1"})
        tool.write(None, tmp_path / "c.xmp", {"XMP-photoshop:City": "Paris"})


def test_it_is_started_again_after_it_hung_or_died(tmp_path, monkeypatch):
    with ExifTool(tmp_path) as tool:
        os.kill(tool.pid, signal.SIGSTOP)
        monkeypatch.setattr(exiftool, "SECONDS", 0.2)
        with pytest.raises(ExifToolError, match="did not answer"):
            tool.write(None, tmp_path / "a.xmp", {"XMP-photoshop:City": "Paris"})
        monkeypatch.undo()
        tool.write(None, tmp_path / "a.xmp", {"XMP-photoshop:City": "Paris"})
        os.kill(tool.pid, signal.SIGKILL)
        with pytest.raises(ExifToolError, match="has ended"):
            tool.write(None, tmp_path / "b.xmp", {"XMP-photoshop:City": "Paris"})
        tool.write(None, tmp_path / "b.xmp", {"XMP-photoshop:City": "Paris"})


def test_it_ends_with_whoever_started_it_however_that_ends(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        holder.kill()
        holder.wait()
    until = time.monotonic() + 20
    while _runs(pid):
        assert time.monotonic() < until
        time.sleep(0.05)


def _runs(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
