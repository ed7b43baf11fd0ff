"""Drives the browsers that Debian installs, as far as tests of pages need: open, ask by JavaScript, photograph.

Chromium speaks its DevTools protocol over a pipe, Firefox speaks Marionette over a loopback port: neither needs a
driver of its own. A page's answer is bounded by ``SECONDS``.
"""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

SECONDS = 60.0
PROGRAMS = {"chromium": ("chromium", "chromium-browser", "google-chrome"), "firefox": ("firefox-esr", "firefox")}


def program(name: str) -> str | None:
    """Path of the browser; None where it is not installed."""
    return next(filter(None, map(shutil.which, PROGRAMS[name])), None)


@contextmanager
def browser(name: str, width: int = 1300, height: int = 900, dark: bool = False, webgl: bool = True) -> Iterator[Any]:
    """An open Chromium or Firefox; skips the test, with the reason, where it is not installed."""
    found = program(name)
    if found is None:
        pytest.skip(f"{name} is not installed: `apt-get install {PROGRAMS[name][0]}` runs this test")
    with {"chromium": Chromium, "firefox": Firefox}[name](found, width, height, dark, webgl) as driven:
        yield driven


class _Process:
    """A browser's process with its own profile folder; both are gone at the end."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        self.profile = Path(self._folder.name)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, command: list[str], **more: Any) -> None:
        environment = {**os.environ, "HOME": str(self.profile), "LIBGL_ALWAYS_SOFTWARE": "1"}
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, env=environment, start_new_session=True, **quiet, **more)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)  # Xvfb removes its lock
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(3)
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(SECONDS)
        self._folder.cleanup()


class Chromium(_Process):
    """Chromium by DevTools; ``requests`` are the addresses that the page asked for, the page itself first."""

    def __init__(self, path: str, width: int, height: int, dark: bool, webgl: bool) -> None:
        super().__init__()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._number, self._rest = 0, b""
        self.webgl = webgl
        read_end, to_browser = os.pipe()
        self._from_browser, write_end = os.pipe()
        self._to_browser = to_browser
        drawing = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        flags = [
            "--headless=new", "--no-sandbox", "--no-first-run", "--disable-background-networking",
            "--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={self.profile}",
            *(drawing if webgl else ["--disable-gpu", "--disable-webgl", "--disable-3d-apis"]),
        ]  # fmt: skip

        def place() -> None:  # in the child: DevTools reads from 3 and writes to 4
            low, high = os.dup(read_end), os.dup(write_end)
            os.dup2(low, 3)
            os.dup2(high, 4)

        self.start([path, *flags, "about:blank"], preexec_fn=place, close_fds=False)
        os.close(read_end)
        os.close(write_end)
        os.set_blocking(self._from_browser, False)
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        self.requests.clear()
        self.errors.clear()
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = SECONDS) -> None:
        _wait(self, condition, seconds)

    def photograph(self, whole: bool = False) -> bytes:
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            *whole, self._rest = (self._rest + self._some()).split(b"\0")
            answers = [json.loads(each) for each in whole]
            for each in answers:
                self._heard(each)
            for each in answers:
                if each.get("id") == self._number:
                    assert "error" not in each, each
                    found: dict[str, Any] = each["result"]
                    return found
        raise TimeoutError(method)

    def _some(self) -> bytes:
        try:
            return os.read(self._from_browser, 1 << 20)
        except BlockingIOError:
            time.sleep(0.005)
            return b""

    def _heard(self, message: dict[str, Any]) -> None:
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        if message.get("method") == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            self.errors.append(str(details.get("exception", {}).get("description") or details["text"]))

    def __exit__(self, kind: Any, error: Any, at: Any) -> None:
        super().__exit__(kind, error, at)
        os.close(self._to_browser)
        os.close(self._from_browser)


class Firefox(_Process):
    """Firefox by Marionette."""

    def __init__(self, path: str, width: int, height: int, dark: bool, webgl: bool) -> None:
        super().__init__()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        prefs = {
            "marionette.port": port, "ui.systemUsesDarkTheme": int(dark), "webgl.disabled": not webgl,
            "layout.css.prefers-color-scheme.content-override": 0 if dark else 1, "webgl.force-enabled": webgl,
            "browser.shell.checkDefaultBrowser": False, "app.update.enabled": False,
            "datareporting.policy.dataSubmissionEnabled": False, "network.captive-portal-service.enabled": False,
        }  # fmt: skip
        lines = "".join(f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in prefs.items())
        (self.profile / "user.js").write_text(lines, encoding="utf-8")
        display = shutil.which("xvfb-run")  # Firefox has WebGL only where it has a display
        begin = [display, "-a", path] if display is not None and webgl else [path, "--headless"]
        self.webgl = display is not None and webgl
        self.start([*begin, "--marionette", "--no-remote", "--profile", str(self.profile)])
        self._number = 0
        self._socket = self._connected(port)
        self._receive()  # who it is
        self.call(
            "WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"timeouts": {"script": int(1e3 * SECONDS)}}}}
        )
        self.call("WebDriver:SetWindowRect", {"width": width, "height": height})

    def open(self, url: str) -> None:
        self.call("WebDriver:Navigate", {"url": url})

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        script = f"const done = arguments[0]; Promise.resolve().then(() => ({expression})).then(done)"
        return self.call("WebDriver:ExecuteAsyncScript", {"script": script, "args": [], "sandbox": None})["value"]

    def wait(self, condition: str, seconds: float = SECONDS) -> None:
        _wait(self, condition, seconds)

    def photograph(self, whole: bool = False) -> bytes:
        return base64.b64decode(self.call("WebDriver:TakeScreenshot", {"full": whole})["value"])

    def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        body = json.dumps([0, self._number, method, params]).encode()
        self._socket.sendall(str(len(body)).encode() + b":" + body)
        _, _, error, answer = self._receive()
        assert error is None, error
        found: dict[str, Any] = answer or {}
        return found

    def _connected(self, port: int) -> socket.socket:
        until = time.monotonic() + SECONDS
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), SECONDS)
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def _receive(self) -> Any:
        size = b""
        while not size.endswith(b":"):
            size += self._socket.recv(1)
        body = b""
        while len(body) < int(size[:-1]):
            body += self._socket.recv(int(size[:-1]) - len(body))
        return json.loads(body)

    def __exit__(self, kind: Any, error: Any, at: Any) -> None:
        if hasattr(self, "_socket"):
            self._socket.close()
        super().__exit__(kind, error, at)


def _wait(driven: Any, condition: str, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not driven.ask(f"Boolean({condition})"):
        assert time.monotonic() < until, f"not within {seconds:g} s: {condition}"
        time.sleep(0.05)
