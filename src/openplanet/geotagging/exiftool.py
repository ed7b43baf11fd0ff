"""exiftool, which writes metadata: one process that stays open, asked many times.

It gets only names that we made (in a work folder of the run), so that no name of a user's file can be taken for an
option, and it writes only there: what it leaves behind when it dies lies in no library.
"""

import json
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from types import TracebackType
from typing import Any

from openplanet.errors import InputError, OpenPlaNetError

SECONDS = 60.0  # for one photo; a large TIFF takes a few
MISSING = (
    "exiftool is missing, which writes metadata: install it (Debian and Ubuntu: apt install libimage-exiftool-perl; "
    "macOS: brew install exiftool)"
)
# exiftool waits for ever where its input ends: the shell ends it when we are gone, however we went. It tells exiftool's
# process first, and holds its output open no longer.
_WATCHED = (
    'commands=$1; shift; "$@" <"$commands" & tool=$!; echo $tool; exec >/dev/null; cat; kill -9 $tool 2>/dev/null; wait'
)


class ExifToolError(OpenPlaNetError):
    """exiftool cannot do what was asked of one file; the message is its own."""


def found() -> str | None:
    """Where exiftool is; None where it is missing."""
    return shutil.which("exiftool")


class ExifTool:
    """The process. ``work``: a folder of ours, for its messages. Raises InputError where exiftool is missing.

    Use as a context: it ends with it.
    """

    def __init__(self, work: Path) -> None:
        program = found()
        if program is None:
            raise InputError(MISSING)
        self._work, self._program, self._number = work, program, 0
        self.pid = 0  # exiftool's own
        self._process: subprocess.Popen[bytes] | None = None
        self._commands = self._seen = -1

    def __enter__(self) -> "ExifTool":
        self._work.mkdir(parents=True, exist_ok=True)
        self._config = as_file(files("openplanet.geotagging").joinpath("openplanet.config"))
        self._config_file = self._config.__enter__()
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._config.__exit__(kind, error, trace)

    def read(self, photos: Sequence[Path], tags: Sequence[str]) -> list[dict[str, Any]]:
        """The tags of each file that it has, as numbers where they are numbers: {"XMP-exif:GPSLatitude": 48.85}."""
        answer = self._execute(["-j", "-n", "-G1", "-a", *(f"-{tag}" for tag in tags), *map(str, photos)])
        try:
            told = {each["SourceFile"]: each for each in json.loads(answer or "[]")}
        except (ValueError, KeyError, TypeError) as error:
            raise ExifToolError(f"its answer is damaged: {self._said() or error}") from error
        return [{k: v for k, v in told.get(str(path), {}).items() if k != "SourceFile"} for path in photos]

    def write(self, source: Path | None, out: Path, tags: Mapping[str, str | Sequence[str]]) -> None:
        """``source`` (None: an empty XMP file) with ``tags`` set, as a new file ``out``; all else is kept.

        An empty value removes a tag. Raises ExifToolError where nothing was written.
        """
        out.unlink(missing_ok=True)
        settings = []
        for tag, value in tags.items():
            for each in [value] if isinstance(value, str) else value or [""]:
                settings.append(f"-{tag}={' '.join(each.split())}")
        self._execute(["-n", *settings, "-o", str(out), *([] if source is None else [str(source)])])
        if not out.exists() or out.stat().st_size == 0:
            raise ExifToolError(self._said() or "it wrote nothing")

    def _start(self) -> None:
        self._log = (self._work / "exiftool.log").open("wb")
        commands, self._commands = os.pipe()
        shell = ["sh", "-c", _WATCHED, "sh", f"/dev/fd/{commands}"]
        options = [
            "-config",
            str(self._config_file),
            "-stay_open",
            "True",
            "-@",
            "-",
            "-common_args",
            "-charset",
            "UTF8",
        ]
        self._process = subprocess.Popen(
            [*shell, self._program, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, pass_fds=[commands],
        )  # fmt: skip
        os.close(commands)
        assert self._process.stdout is not None
        line = b""
        while not line.endswith(b"\n") and (letter := os.read(self._process.stdout.fileno(), 1)):
            line += letter
        self.pid = int(line or 0)

    def _execute(self, arguments: Sequence[str]) -> str:
        if self._process is None:  # it had to be ended, or had ended
            self._start()
        assert self._process is not None and self._process.stdout is not None
        self._number += 1
        mark = f"{{ready{self._number}}}\n".encode()
        self._seen = (self._work / "exiftool.log").stat().st_size
        text = "\n".join([*arguments, f"-execute{self._number}", ""])
        try:
            os.write(self._commands, text.encode("utf-8", "surrogateescape"))  # less than a pipe holds
        except OSError as error:
            self._stop()
            raise ExifToolError(f"it has ended: {error.strerror}") from error
        answer, until = b"", time.monotonic() + SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not answer.endswith(mark):
                if not selector.select(max(0.0, until - time.monotonic())):
                    self._stop()
                    raise ExifToolError(f"it did not answer within {SECONDS:.0f} s")
                piece = os.read(self._process.stdout.fileno(), 1 << 16)
                if not piece:
                    self._stop()
                    raise ExifToolError(f"it has ended: {self._said() or 'no message'}")
                answer += piece
        return answer.removesuffix(mark).decode("utf-8", "replace")

    def _said(self) -> str:
        """What it wrote to its log since it was asked, without our names of files."""
        with (self._work / "exiftool.log").open("rb") as log:
            log.seek(self._seen)
            text = log.read().decode("utf-8", "replace")
        return " ".join(text.replace(f"{self._work}{os.sep}", "").split())[:300]

    def _stop(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()  # the shell ends it
        os.close(self._commands)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()
        self._process = None
