"""Small files that claim gigabytes are refused before they take them; large photos of real cameras are read."""

import io
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from openplanet.errors import PhotoError
from openplanet.photos.files import images
from openplanet.photos.files.budget import BUDGET, budget, kept, needed

MOST_MIB = 500


def png(width: int, height: int, depth: int, colour: int, rows: int) -> bytes:
    """A PNG that claims a size and holds ``rows`` of zeros."""
    bits = depth * {0: 1, 2: 3, 3: 1, 6: 4}[colour]
    raw = zlib.compress(bytes((1 + (width * bits + 7) // 8) * rows), 9)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(6)) if colour == 3 else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + palette + chunk(b"IDAT", raw) + chunk(b"IEND", b"")


def scans(count: int, size: int) -> bytes:
    """A progressive JPEG of which one scan stands there ``count`` times."""
    out = io.BytesIO()
    Image.new("RGB", (size, size)).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def webp(width: int, height: int) -> bytes:
    """A lossless WebP that claims a size, as small as one gets."""
    bits = 0x2F | (width - 1) << 8 | (height - 1) << 22
    body = struct.pack("<Q", bits)[:5] + bytes(15)
    return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBPVP8L" + struct.pack("<I", len(body)) + body


def tiff(width: int, height: int, bits: int, form: int) -> bytes:
    """A TIFF that claims a size, deflated zeros of one row."""
    body = zlib.compress(bytes(width * bits // 8))
    tags = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 8), (262, 3, 1), (273, 4, 8), (277, 3, 1),
            (278, 4, height), (279, 4, len(body)), (339, 3, form)]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHI", tag, kind, 1) + (struct.pack("<HH", value, 0) if kind == 3 else struct.pack("<I", value))
        for tag, kind, value in tags
    )
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory + bytes(4)


BOMBS = {
    "tall 1-bit png": png(1, 199_999_999, 1, 0, 1000),
    "wide grey png": png(199_999_999, 1, 8, 0, 1),
    "square 1-bit png": png(14_000, 14_000, 1, 0, 14_000),
    "square palette png": png(14_000, 14_000, 1, 3, 14_000),
    "square colour png": png(11_500, 11_500, 8, 2, 10),
    "16-bit png": png(14_000, 14_000, 16, 0, 10),
    "webp": webp(14_000, 14_000),
    "floating tiff": tiff(14_000, 14_000, 32, 3),
    "tall floating tiff": tiff(40, 4_900_000, 32, 3),
    "32-bit tiff": tiff(14_000, 14_000, 32, 1),
    "scans of a small jpeg": scans(20_000, 16),
    "scans of a large jpeg": scans(400, 3000),
}

READ = """
import sys, time
from openplanet.photos.ingest.read import Task, read_photo

def status(key):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))

open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew: ru_maxrss may be that of who started us
before, begun = status("VmRSS"), time.process_time()
read = read_photo(Task(bytes(16), sys.argv[1]), 320)[0]
print(read.reason, (status("VmHWM") - before) // 1024, time.process_time() - begun)
"""
TELLS_PEAKS = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells a peak by part")


@TELLS_PEAKS
def test_the_measure_sees_what_is_taken(tmp_path: Path) -> None:
    """12 megapixels of colour that Pillow holds whole: 48 MB at least."""
    photo = tmp_path / "photo"
    Image.new("RGB", (4000, 3000)).save(photo, "PNG")
    assert measured(photo)[1] > 40


def measured(path: Path) -> tuple[str, int]:
    """Why the file was refused ("None": it was not), and the MiB that reading it took, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, timeout=300, check=True)
    *reason, mib, _ = done.stdout.split()
    return " ".join(reason), int(mib)


@TELLS_PEAKS
@pytest.mark.parametrize("name", BOMBS)
def test_a_small_bomb_takes_little(name: str, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb"
    bomb.write_bytes(BOMBS[name])
    reason, mib = measured(bomb)
    assert mib < MOST_MIB
    assert reason in ("too large", "corrupt", "None")


def test_what_is_refused_says_how_much_it_would_take() -> None:
    with pytest.raises(PhotoError, match=r"would take [\d,]+ MB to decode, more than 440; reduce it first") as caught:
        images.load(BOMBS["webp"], 320)
    assert caught.value.reason == "too large"
    with pytest.raises(PhotoError, match="absurdly many scans"):
        images.load(BOMBS["scans of a small jpeg"], 320)


def test_scans_are_counted_over_what_a_segment_holds() -> None:
    """An end marker inside a comment between two scans ends nothing."""
    data = scans(700, 16)
    at = data.rindex(b"\xff\xda")
    hidden = b"\xff\xfe" + struct.pack(">H", 6) + b"\xff\xd9\xff\xd9"
    first = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    with pytest.raises(PhotoError, match="absurdly many scans"):
        images.load(data[:first] + hidden + data[first:], 320)
    assert at > first


def test_large_photos_of_cameras_are_read() -> None:
    """100 megapixels of a medium format camera, progressive too, in shades that are quick to encode."""
    large = Image.new("RGB", (11_648, 8736), (90, 120, 60))
    for how in ({}, {"progressive": True}):
        out = io.BytesIO()
        large.save(out, "JPEG", **how)
        assert images.load(out.getvalue(), 320).size == (427, 320)


@pytest.mark.parametrize(
    ("mode", "info", "bytes_a_pixel"), [("L", {}, 2), ("P", {"transparency": 0}, 5), ("RGB", {}, 4), ("F", {}, 5)]
)
def test_the_need_of_a_mode(mode: str, info: dict[str, int], bytes_a_pixel: int) -> None:
    image = Image.new(mode, (1000, 500))
    image.info.update(info)
    assert needed(image, "PNG", 50, image.size) == 500_000 * bytes_a_pixel + 100 * 50 * 8


def test_a_progressive_jpeg_is_held_as_coefficients() -> None:
    out = io.BytesIO()
    Image.new("RGB", (800, 400)).save(out, "JPEG", progressive=True)  # a quarter of the colours
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(out.getvalue()))
    assert needed(image, "JPEG", 100, (800, 400)) - 320_000 * 4 - kept(800, 400, 100) * 8 == 320_000 * 3


def test_threads_share_the_memory() -> None:
    """Six threads that need two fifths each are never more than two inside."""
    inside, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(2)

    def decode() -> None:
        nonlocal inside, most
        with budget.hold(BUDGET * 2 // 5, "a"):
            with lock:
                inside += 1
                most = max(most, inside)
            together.wait(60)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=decode) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == 2 and inside == 0


@pytest.mark.parametrize("mode", ["F", "I", "I;16"])
def test_bands_give_what_the_whole_gave(mode: str) -> None:
    """Grey of more than 8 bits is scaled in bands of rows: over their seams too."""
    rng = np.random.default_rng(0)
    values = {"F": rng.random((700, 30), dtype=np.float32), "I": rng.integers(0, 60_000, (700, 30), np.int32),
              "I;16": rng.integers(0, 65_535, (700, 30)).astype(np.uint16)}[mode]  # fmt: skip
    got = np.asarray(images._eight_bits(Image.fromarray(values)))
    top = {"F": 1.0, "I": 65_535.0, "I;16": 0.0}[mode]
    wanted = values >> 8 if mode == "I;16" else values.astype(np.float32) * (255 / top) + 0.5
    assert (got == wanted.astype(np.uint8)).all()
