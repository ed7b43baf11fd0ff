"""Library code logs; only commands print."""

import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from openplanet.progress import LOGGER, Progress, on_terminal, say, track, warn
from photos.photo_files import save

LIBRARY = """
import sys
from pathlib import Path
from openplanet.photos.ingest.ingest import ingest
if __name__ == "__main__":
    ingest([Path(sys.argv[1])], Path(sys.argv[2]), workers=1)
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    save(tmp_path / "in" / "a.jpg", 1, lat=10.0)
    save(tmp_path / "in" / "b.jpg", 2, lat=10.1)
    return tmp_path / "in"


def test_a_library_call_prints_nothing_and_a_command_prints_its_lines(photos: Path, tmp_path: Path) -> None:
    def run(*command: object) -> tuple[str, str]:
        done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    assert run("-c", LIBRARY, photos, tmp_path / "one.ds") == ("", "")
    out, err = run("-m", "openplanet", "ingest", photos, "--out", tmp_path / "two.ds", "--workers", 1)
    assert out.startswith(f"{tmp_path / 'two.ds'}: 2 photos, 2 with a position")
    first, *others = err.splitlines()
    assert first.startswith("Reading photos: 2/2 photos, ")
    assert others and all(line.startswith("Warning: ") for line in others)
    _, err = run("-m", "openplanet", "ingest", photos, "--out", tmp_path / "two.ds")
    assert err == f"{tmp_path / 'two.ds'} holds these photos already, nothing has changed\n"


def test_messages_have_levels(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    say("100% done")
    warn("nothing left")
    assert list(track([1, 2], "counting")) == [1, 2]
    told = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert told[:2] == [("openplanet", "INFO", "100% done"), ("openplanet", "WARNING", "nothing left")]
    assert told[2][2].startswith("counting: 2/2 photos, ") and {record.module for record in caplog.records[:2]} == {
        "test_progress"
    }
    assert capfd.readouterr() == ("", "")


def test_on_the_terminal_lines_are_plain_and_afterwards_all_is_as_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = (list(LOGGER.handlers), LOGGER.level, LOGGER.propagate)
    with on_terminal():
        say("a\x1b[31m.jpg\nsecond line")
        warn("100%")
    assert capsys.readouterr() == ("", "a\\x1b[31m.jpg\nsecond line\nWarning: 100%\n")
    assert (list(LOGGER.handlers), LOGGER.level, LOGGER.propagate) == before


def test_a_bar_is_for_commands_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stderr", Tty())
    with Progress("counting", 2) as progress:
        progress.advance(2)
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
    with on_terminal(), Progress("counting", 2) as progress:
        progress.advance(2)
    assert "counting: 100%" in sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert logging.getLogger("openplanet") is LOGGER
