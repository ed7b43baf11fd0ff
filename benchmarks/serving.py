"""Load on `openplanet serve`, on loopback: speed, memory, twice the capacity, hostile uploads, from drop to answer.

python benchmarks/serving.py --checkpoint demo/checkpoint --photos demo/world/photos
python benchmarks/serving.py --checkpoint demo/checkpoint --photos demo/world/photos --parts hostile

Clients and server share the machine: figures are those of both together. Each part starts its own server.
"""

import argparse
import base64
import contextlib
import io
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import urllib3
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "photos" / "files"))
from test_budget import BOMBS, png

from browsers import browser

GIVE_UP = 90.0  # seconds after which an upload counts as hanging


class Server:
    """A server in a process of its own."""

    def __init__(self, checkpoint: Path) -> None:
        command = [sys.executable, "-m", "openplanet", "serve", "--checkpoint", str(checkpoint), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[0]
        self.port = int(self.url.rstrip("/").rsplit(":", 1)[1])
        self.client = urllib3.PoolManager(maxsize=256, retries=False, timeout=GIVE_UP)
        while True:
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                if self.client.request("GET", f"{self.url}healthz").status == 200:
                    break
            time.sleep(0.1)

    def locate(self, photo: bytes) -> int:
        return self.client.request("POST", f"{self.url}api/locate", body=photo).status

    @property
    def mib(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextlib.contextmanager
def serving(checkpoint: Path) -> Iterator[Server]:
    server = Server(checkpoint)
    try:
        yield server
    finally:
        server.process.terminate()
        print(f"  stopped with status {server.process.wait(90)}")


def timed(act: Callable[[], int]) -> tuple[int, float]:
    start = time.perf_counter()
    return act(), time.perf_counter() - start


def closed_loop(server: Server, photos: list[bytes], clients: int, requests: int) -> tuple[float, list[float]]:
    """Each client asks again when it is answered: requests a second, and the seconds of each."""
    with ThreadPoolExecutor(clients) as pool:
        start = time.perf_counter()
        done = list(pool.map(lambda n: timed(lambda: server.locate(photos[n % len(photos)])), range(requests)))
        rate = requests / (time.perf_counter() - start)
    assert {status for status, _ in done} == {200}, Counter(status for status, _ in done)
    return rate, [seconds for _, seconds in done]


def percentile(seconds: list[float], share: float) -> float:
    """In milliseconds."""
    return 1000 * sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))]


def speed(checkpoint: Path, photos: list[bytes]) -> None:
    with serving(checkpoint) as server:
        closed_loop(server, photos, 4, 100)
        for clients in (1, 4, 16):
            rate, seconds = closed_loop(server, photos, clients, 200 * min(clients, 4))
            print(f"  {clients:3} clients {rate:7.1f}/s   p50 {percentile(seconds, 0.5):6.1f} ms   "
                  f"p99 {percentile(seconds, 0.99):6.1f} ms")  # fmt: skip


def memory(checkpoint: Path, photos: list[bytes], total: int = 10_000) -> None:
    with serving(checkpoint) as server:
        print(f"  started {server.mib:7.0f} MiB")
        done = 0
        for until in (total // 10, total // 2, total):
            closed_loop(server, photos, 8, until - done)
            done = until
            print(f"  after {done:6,} requests {server.mib:7.0f} MiB")


def overload(checkpoint: Path, photos: list[bytes], seconds: float = 15.0) -> None:
    """Requests at twice the rate that 16 clients reach, whether or not earlier ones are answered."""
    with serving(checkpoint) as server:
        closed_loop(server, photos, 16, 200)
        rate, _ = closed_loop(server, photos, 16, 600)
        found: list[tuple[int, float]] = []

        def one(n: int) -> None:
            try:
                found.append(timed(lambda: server.locate(photos[n % len(photos)])))
            except urllib3.exceptions.HTTPError:
                found.append((0, 0.0))

        count, start = int(2 * rate * seconds), time.perf_counter()
        with ThreadPoolExecutor(200) as pool:
            for n in range(count):
                time.sleep(max(0.0, start + n / (2 * rate) - time.perf_counter()))
                pool.submit(one, n)
        took = time.perf_counter() - start
        statuses = Counter(status for status, _ in found)
        answered = [each for status, each in found if status == 200]
        print(f"  capacity {rate:.0f}/s, sent {count / took:.0f}/s for {took:.0f} s: "
              f"{statuses[200] / count:.0%} answered, {(statuses[503] + statuses[429]) / count:.0%} refused, "
              f"{count - statuses[200] - statuses[503] - statuses[429]} others; answered in p50 "
              f"{percentile(answered, 0.5):.0f} ms, p99 {percentile(answered, 0.99):.0f} ms; refused in p50 "
              f"{percentile([s for status, s in found if status == 503] or [0.0], 0.5):.0f} ms")  # fmt: skip


def uploads(photos: list[bytes], count: int) -> Iterator[tuple[str, bytes]]:
    """Hostile bodies, the same every time."""
    dice = random.Random(0)
    bombs = [*BOMBS.values(), png(30_000, 30_000, 8, 2, 300), png(9000, 9000, 8, 0, 9000)]
    wrong = [
        b"", b"{}", b"%PDF-1.7", b"<html><script>alert(1)</script>", b"PK\3\4" + bytes(999), b"\x7fELF" + bytes(999),
        bytes(10**6), b"GIF89a" + b"\xff" * 99, b"\xff\xd8\xff" * 10_000, b"\0\0\0\x18ftypheic" + bytes(99),
        b"II*\0" + b"\xff" * 99, b"\x89PNG\r\n\x1a\n" + b"\xff" * 99, b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(99),
    ]  # fmt: skip
    tiny = io.BytesIO()
    Image.new("RGB", (1, 1)).save(tiny, "PNG")
    wrong.append(tiny.getvalue())
    for n in range(count):
        photo = bytearray(photos[n % len(photos)])
        kind = ("bomb", "truncated", "flipped", "wrong", "wrong")[n % 5]
        if kind == "bomb":
            yield kind, bombs[n // 5 % len(bombs)]
        elif kind == "truncated":
            yield kind, bytes(photo[: dice.randrange(len(photo))])
        elif kind == "flipped":
            for _ in range(dice.randrange(1, 40)):
                photo[dice.randrange(len(photo))] ^= 1 << dice.randrange(8)
            yield kind, bytes(photo)
        else:
            yield kind, wrong[n // 5 % len(wrong)]


def slow(server: Server, kind: int) -> str:
    """A client that never ends its request, a byte a second; gives what it hears, "closed" or "hangs"."""
    heads = (
        b"POST /api/locate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n",
        b"POST /api/album HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n--x\r\n\r\n",
        b"POST /api/locate HTTP/1.1\r\nHost: loc",
        b"",
    )
    start, heard = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=1) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(heads[kind % len(heads)])
        while time.monotonic() - start < GIVE_UP:
            try:
                heard = connection.recv(4096) or heard
                return heard[9:12].decode() or "closed"
            except TimeoutError:
                with contextlib.suppress(OSError):
                    connection.sendall(b"x" if kind % len(heads) in (0, 2) else b"")
            except OSError:
                return "closed"
    return "hangs"


def hostile(checkpoint: Path, photos: list[bytes], count: int = 1000) -> None:
    with serving(checkpoint) as server:
        server.locate(photos[0])
        before, slow_ones = server.mib, count // 10
        patient = ThreadPoolExecutor(slow_ones)
        heard = [patient.submit(slow, server, kind) for kind in range(slow_ones)]
        seen: dict[str, Counter[str]] = {}
        longest, lock = 0.0, threading.Lock()

        def one(kind: str, body: bytes) -> None:
            nonlocal longest
            try:
                status, seconds = timed(lambda: server.locate(body))
            except urllib3.exceptions.HTTPError as error:
                status, seconds = type(error).__name__, GIVE_UP if "Timeout" in type(error).__name__ else 0.0
            with lock:
                seen.setdefault(kind, Counter())[str(status)] += 1
                longest = max(longest, seconds)

        with ThreadPoolExecutor(8) as pool:
            for kind, body in uploads(photos, count - slow_ones):
                pool.submit(one, kind, body)
        seen["slow"] = Counter(each.result() for each in heard)
        patient.shutdown()
        for kind, statuses in seen.items():
            print(f"  {kind:10} {sum(statuses.values()):4}: {dict(sorted(statuses.items()))}")
        alive = server.process.poll() is None and server.locate(photos[0]) == 200
        print(f"  longest answer {longest:.1f} s; answers afterwards: {alive}; {before:.0f} -> {server.mib:.0f} MiB")


def drop(checkpoint: Path, photos: list[bytes]) -> None:
    """From a photo's drop on the page to its answer there, by the page's own clock; maps drawn by software."""
    measure = """(async () => {
      const transfer = new DataTransfer(), bytes = Uint8Array.from(atob("PHOTO"), (c) => c.charCodeAt(0));
      transfer.items.add(new File([bytes], "photo.jpg"));
      const start = performance.now(), until = (found) => new Promise((done) => {
        const look = () => (found() ? done(performance.now() - start) : requestAnimationFrame(look));
        look();
      });
      document.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
      await until(() => !document.querySelector("#answer .op-verdict"));
      return [await until(() => document.querySelector("#answer .op-verdict")),
        await until(() => document.querySelector("#answer .op-map")?.dataset.engine)];
    })()"""
    for webgl in (True, False):
        with serving(checkpoint) as server, browser("chromium", webgl=webgl) as page:
            page.open(server.url)
            page.wait("document.querySelector('#earth .op-map')?.dataset.engine")
            runs = [page.ask(measure.replace("PHOTO", base64.b64encode(photo).decode())) for photo in photos[:12]]
            words, map_ = (statistics.median(run[k] for run in runs[2:]) for k in (0, 1))
            kind = "WebGL" if webgl else "a canvas"
            print(f"  Chromium, {kind}: to the answer's words {words:.0f} ms, to its map {map_:.0f} ms (medians of 10)")


PARTS = {"speed": speed, "memory": memory, "overload": overload, "hostile": hostile, "drop": drop}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photos")
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=PARTS)
    asked = parser.parse_args()
    photos = [path.read_bytes() for path in sorted(asked.photos.rglob("*.jpg"))[:200]]
    print(f"{len(photos)} photos, {statistics.mean(map(len, photos)) / 1000:.0f} kB; {os.cpu_count()} cores")
    for part in asked.parts:
        print(part)
        PARTS[part](asked.checkpoint, photos)


if __name__ == "__main__":
    main()
