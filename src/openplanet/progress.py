"""Messages and progress of long work, through ``logging`` (logger ``openplanet``).

A library call prints nothing unless its caller configures logging. The command line does, by ``on_terminal``: lines on
standard error, and a bar where that is a terminal.
"""

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0
LOGGER = logging.getLogger("openplanet")
LOGGER.addHandler(logging.NullHandler())  # else Python prints warnings where nobody has configured logging


def plain(text: str) -> str:
    """On one line: control characters, and all else that cannot be printed, become backslash escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def say(message: str) -> None:
    """Log lines of level INFO."""
    LOGGER.info("%s", message, stacklevel=2)


def warn(message: str) -> None:
    """Log lines of level WARNING; a command prints them behind 'Warning: '."""
    LOGGER.warning("%s", message, stacklevel=2)


class _Terminal(logging.Handler):
    """Prints plain lines to standard error, above any bar.

    They are made plain first: names of files may hold anything, also what steers a terminal.
    """

    def emit(self, record: logging.LogRecord) -> None:
        text = ("Warning: " if record.levelno >= logging.WARNING else "") + self.format(record)
        lines = "\n".join(map(plain, text.split("\n")))
        if sys.stderr.isatty():
            _tqdm().write(lines, file=sys.stderr)
        else:
            print(lines, file=sys.stderr, flush=True)  # noqa: T201 (the command line's own output)


@contextmanager
def on_terminal() -> Iterator[None]:
    """While it lasts, messages and progress of this process are printed to standard error."""
    handler, level, propagate = _Terminal(), LOGGER.level, LOGGER.propagate
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False  # a library's handler at the root would print every line again
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)
        LOGGER.propagate = propagate


def _has_bars() -> bool:
    return sys.stderr.isatty() and any(isinstance(handler, _Terminal) for handler in LOGGER.handlers)


def _tqdm() -> Any:
    """The class, loaded once there is a bar: it takes a tenth of the time that ``--help`` has."""
    return import_module("tqdm").tqdm


class Progress:
    """Counts finished work. Use as a context manager and call ``advance``.

    Shows done/total, rate and time left: as a bar of a command whose standard error is a terminal, otherwise as one
    line every 10 seconds and one at the end (none for work that ends at once and has nothing to say).
    """

    def __init__(self, what: str, total: int | None, unit: str = "photo") -> None:
        self.what, self.total, self.unit = what, total, unit
        self.done = 0
        self.note = ""
        self._bar = _tqdm()(total=total, desc=what, unit=unit, file=sys.stderr) if _has_bars() else None
        self._start = self._last_line = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif exception[0] is None:
            self._line()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Say that ``count`` more are done; ``note`` (such as a loss) is shown behind the figures."""
        self.done += count
        self.note = note or self.note
        if self._bar is not None:
            self._bar.set_postfix_str(self.note, refresh=False)
            self._bar.update(count)
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._line()

    def _line(self) -> None:
        self._last_line = time.monotonic()
        seconds = self._last_line - self._start
        rate = self.done / seconds if seconds > 0 else 0.0
        of = f"/{self.total}" if self.total is not None else ""
        left = ""
        if self.total is not None and 0 < self.done < self.total:
            left = f", {(self.total - self.done) / rate:.0f} s left"
        tail = f"  {self.note}" if self.note else ""
        say(f"{self.what}: {self.done}{of} {self.unit}s, {rate:.1f}/s{left}{tail}")


def track(items: Iterable[T], what: str, total: int | None = None, unit: str = "photo") -> Iterator[T]:
    """Yield ``items``, showing progress; ``total`` defaults to ``len(items)`` where it has one."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(what, total, unit) as progress:
        for item in items:
            yield item
            progress.advance()
